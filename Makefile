# Thin: what each target does stands in scripts/ or in the binary. CARGO_TARGET_DIR is honoured.
.DEFAULT_GOAL := help
.PHONY: help setup build demo test compose-test faults walks bench dist lint fmt clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS="$$(printf '\t')" read -r target words; do printf '%-12s %s\n' "$$target" "$$words"; done

setup: ## install what is missing for the build, the demo and the tests
	@scripts/setup

build: ## compile, and leave bin/duto
	@scripts/setup build
	@scripts/build

demo: build ## run all pipelines on private servers, with generators, and print one address
	@bin/duto demo

test: setup ## all checks and tests, on a real Kafka, PostgreSQL and Chromium
	@scripts/test

compose-test: setup build ## compose.yaml from nothing, by podman; it is in `make test`
	@scripts/compose-test

faults: setup build ## the full matrix of faults; a bounded part of it is in `make test`
	@scripts/faults

walks: build ## N random pipelines from the seed FROM on, judged by a model; `make walks SEED=7` walks one and shrinks it
	@DUTO_TEST_DUTO="$$PWD/bin/duto" "$${CARGO_TARGET_DIR:-target}/release/duto-walks" $(or $(N),1000) --from $(or $(FROM),0) $(if $(SEED),--seed $(SEED))

bench: setup build ## drain rate and latency against raw COPY, as a table
	@scripts/bench

dist: ## the archive and the Debian package in dist/, of a program that takes 15 minutes to build
	@scripts/setup dist
	@scripts/dist

lint: ## clippy, formatting, and the checks of paths and addresses
	@cargo fmt --all -- --check
	@cargo clippy --release --workspace --all-targets -- -D warnings
	@scripts/check-architecture
	@scripts/check-addresses

fmt: ## format every Rust file
	@cargo fmt --all

clean: ## remove what was built, and the demo's data
	@cargo clean
	@rm -rf bin dist .duto
