"""What every service of the compose files must keep to, read from them as they are merged."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

from engine import Compose, check

DUTO_ONLY = ["--file", "compose.yaml", "--file", "compose.duto-only.yaml"]
OWN_SERVERS = {"KAFKA_BOOTSTRAP_SERVERS": "broker.example:9092", "POSTGRES_HOST": "db.example", "TRACKING_HOST": "db.example", "BATCH_HOST": "db.example"}
PORTS = {"8000", "8010", "8081", "8082", "8083", "9030", "5433", "5434"}
# They end by themselves, or serve nothing that could be asked.
WITHOUT_HEALTH = re.compile(r"-producer$|-batch$")


def check_files(compose: Compose) -> None:
    by_schema(Path("compose.yaml"))
    everything = ["--profile", "generators", "--profile", "batch"]
    bare = without_secrets(compose)
    services = merged(bare, everything)["services"]
    for name, service in services.items():
        hardened(name, service)
    ports = [port for service in services.values() for port in service.get("ports", [])]
    check(all(port.startswith("127.0.0.1:") for port in ports), f"published: {ports}")
    check({port.split(":")[1] for port in ports} == PORTS, f"published: {ports}")
    images = [service["image"] for service in services.values()]
    kafka = re.search("<kafka.version>(.*)</kafka.version>", Path("crates/servers/kafka/pom.xml").read_text())
    check(kafka is not None and f"apache/kafka:{kafka[1]}" in images, "Kafka's version is that of crates/servers/kafka/pom.xml")

    no_passwords = Path(".env.example")
    said = Compose(bare.project, no_passwords).run("config", fails=True)
    check("scripts/compose-env" in said, said)

    said = bare.run(*DUTO_ONLY, "config", fails=True)
    check("KAFKA_BOOTSTRAP_SERVERS" in said, said)
    bare.variables = bare.variables | OWN_SERVERS
    alone = merged(bare, [*DUTO_ONLY, *everything])
    check(not {"kafka", "postgres", "tracking-db", "batch-db"} & set(alone["services"]), f"{list(alone['services'])}")
    for name, service in alone["services"].items():
        hardened(name, service)
        check("depends_on" not in service, f"{name} waits for a server that is not started")
        check("web" in service["networks"], f"{name} has no network that leads out")


def without_secrets(compose: Compose) -> Compose:
    """The defaults alone: the environment file of the test says where ports are published."""
    plain = compose.environment.with_name("plain")
    lines = compose.environment.read_text().splitlines()
    plain.write_text("\n".join(line for line in lines if "ADDRESS=" not in line))
    return Compose(compose.project, plain)


def merged(compose: Compose, options: list[str]) -> dict:
    text = compose.run(*options, "config")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        by_schema(Path(file.name))
    return yaml.safe_load(text)


def by_schema(file: Path) -> None:
    done = subprocess.run(["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)], capture_output=True, text=True, env=os.environ)
    check(done.returncode == 0, f"{file}: {done.stdout}{done.stderr}")


def hardened(name: str, service: dict) -> None:
    for key, expected in {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}.items():
        check(service.get(key) == expected, f"{name}: {key} is {service.get(key)}")
    check(str(service.get("user", "")).split(":")[0] not in ("", "root", "0"), f"{name}: it runs as {service.get('user')}")
    for key in ("mem_limit", "cpus", "pids_limit", "restart", "stop_grace_period"):
        check(key in service, f"{name} has no {key}")
    check(not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(service), f"{name}: {service}")
    check("healthcheck" in service or WITHOUT_HEALTH.search(name) is not None, f"{name} has no health check")
