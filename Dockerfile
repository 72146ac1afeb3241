# duto as an image: the program, what it links to, the certificates of public authorities, and the pipelines of this repository. No shell,
# no package manager, no root. docs/deploy.md says how to run it.
#
#   docker build --tag duto .                              or --build-arg PROFILE=dist: smaller and slower to build, as `make dist` is
#   sed 's:--from=build /out/duto:bin/duto:' Dockerfile | docker build --tag duto --file - .
#                                                          takes bin/duto of `make build`, made on Debian 12 or with an older glibc
FROM node:22-bookworm-slim AS pages
WORKDIR /src/dashboard
COPY dashboard/package.json dashboard/package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY dashboard .
RUN npm run build

# Manifests and targets without a line of our own code: what is copied from here changes with the dependencies alone.
FROM debian:bookworm-slim AS manifests
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY tests tests
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/src/bin/*.rs' ! -path '*/tests/main.rs' -delete \
    && find . -type d -empty -delete \
    && find . -name '*.rs' -exec sh -c 'for file; do case "$file" in */lib.rs) : >"$file" ;; *) echo "fn main() {}" >"$file" ;; esac; done' sh {} +

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make perl pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
ARG PROFILE=release
ENV CARGO_INCREMENTAL=0
WORKDIR /src
COPY --from=manifests /src ./
RUN cargo build --profile "$PROFILE" --locked --workspace
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY tests tests
COPY pipelines pipelines
COPY dashboard/src dashboard/src
COPY --from=pages /src/dashboard/dist dashboard/dist
# Cargo goes by the time of a file, and ours are older than the empty ones that it has just built.
RUN find crates tests -name '*.rs' -exec touch {} + \
    && cargo build --profile "$PROFILE" --locked --workspace \
    && install -D "target/$PROFILE/duto" /out/duto

FROM debian:bookworm-slim AS root
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends binutils ca-certificates libssl3 libstdc++6 zlib1g
COPY --from=build /out/duto /usr/local/bin/duto
COPY compose/image-root.sh /
RUN sh /image-root.sh /image
COPY pipelines /image/duto/pipelines

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="duto" \
    org.opencontainers.image.description="Kafka to PostgreSQL, exactly once, from one file" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.source="https://github.com/duto-rs/duto" \
    org.opencontainers.image.documentation="https://github.com/duto-rs/duto/blob/main/docs/deploy.md" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=root /image /
ENV PATH=/usr/local/bin
# The embedded log is in /duto/.duto: a volume there, where no Kafka is used.
WORKDIR /duto
USER 65532:65532
ENTRYPOINT ["duto"]
CMD ["help"]
