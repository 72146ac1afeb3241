"""Kafka Connect with Debezium's JDBC sink: what others take for the same job."""

import http.client
import os
import shutil
import subprocess
import xml.etree.ElementTree
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import flat_record
from child import Child
from latency import free_port

POM = Path(__file__).with_name("connect") / "pom.xml"
MAIN = "org.apache.kafka.connect.cli.ConnectStandalone"


@dataclass(frozen=True)
class Settings:
    """What is set beyond that without which it would not run at all."""

    java: tuple[str, ...]
    worker: tuple[str, ...] = ()
    sink: tuple[str, ...] = ()


AS_IT_COMES = Settings(
    # Those of Kafka's own connect-standalone.sh.
    java=(
        "-Xms256M",
        "-Xmx2G",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent",
    ),
)
AT_ITS_BEST = Settings(
    java=("-Xms2G", "-Xmx2G", "-XX:+UseParallelGC"),
    worker=(
        "consumer.max.poll.records=5000",
        # The schema stands here and not in every message: these are as short as duto's.
        f"value.converter.schema.content={flat_record.SCHEMA_TEXT}",
    ),
    sink=("tasks.max=2", "batch.size=5000", "dialect.postgres.unnest.insert.enabled=true"),
)


def libraries() -> Path:
    """The folder of the jars, fetched from Maven Central at the first use and when the pom has
    changed since."""
    cache = Path(os.environ.get("DUTO_CACHE") or Path.home() / ".cache" / "duto")
    folder = cache / "bench-connect"
    fetched = folder / "complete"
    if not fetched.exists() or fetched.read_bytes() != POM.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(POM, folder)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"]
        subprocess.run(["mvn", "-q", "-B", *goal], cwd=folder, check=True)
        # Written last, so that an interrupted fetch is begun anew.
        shutil.copy(POM, fetched)
    return folder / "libs"


def versions() -> dict[str, str]:
    """By the name of its artifact: the version of each dependency of the pom."""
    maven = "{http://maven.apache.org/POM/4.0.0}"
    found = xml.etree.ElementTree.parse(POM).iter(f"{maven}dependency")
    return {one.findtext(f"{maven}artifactId"): one.findtext(f"{maven}version") for one in found}


class Connect(Child):
    """A worker with one sink. It logs nothing, since it has no logger among its libraries."""

    def __init__(self, command: list[str], log: Path, port: int, sink: str):
        super().__init__(command, {}, log)
        self.port, self.sink = port, sink

    def name(self) -> str:
        return f"Kafka Connect ({self.sink})"

    def said(self) -> str:
        """Why a task failed is told by HTTP alone."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", f"/connectors/{self.sink}/status")
            return connection.getresponse().read().decode(errors="replace")[:3000]
        except OSError:
            return super().said()


def start(
    kafka: str,
    database: str,
    topic: str,
    folder: Path,
    settings: Settings = AS_IT_COMES,
    sink: str | None = None,
    append: bool = False,
) -> Connect:
    """A worker of its own that shares the topic's partitions with all others of the same sink,
    which is named after the topic if nothing is said. The table has a key, unless rows are
    appended."""
    port, sink = free_port(), sink or topic
    worker, file = folder / f"connect-{port}.properties", folder / f"sink-{port}.properties"
    _write(worker, _worker(kafka, folder, port), settings.worker)
    _write(file, _sink(database, topic, sink, append), settings.sink)
    classes = ["-cp", f"{libraries()}/*", MAIN]
    command = ["java", *settings.java, *classes, str(worker), str(file)]
    return Connect(command, folder / f"connect-{port}.log", port, sink)


def _worker(kafka: str, folder: Path, port: int) -> list[str]:
    return [
        f"bootstrap.servers={kafka}",
        "key.converter=org.apache.kafka.connect.storage.StringConverter",
        "value.converter=org.apache.kafka.connect.json.JsonConverter",
        f"offset.storage.file.filename={folder}/connect-{port}.offsets",
        f"listeners=http://127.0.0.1:{port}",
    ]


def _sink(database: str, topic: str, sink: str, append: bool) -> list[str]:
    server = urlsplit(database)
    keyed = ["insert.mode=upsert", "primary.key.mode=record_value"]
    return [
        f"name={sink}",
        "connector.class=io.debezium.connector.jdbc.JdbcSinkConnector",
        f"topics={topic}",
        f"connection.url=jdbc:postgresql://{server.hostname}:{server.port}{server.path}",
        f"connection.username={server.username}",
        f"connection.password={server.password or ''}",
        *(["insert.mode=insert"] if append else [*keyed, "primary.key.fields=order_number"]),
        "schema.evolution=none",
        f"collection.name.format={flat_record.TABLE}",
    ]


def _write(file: Path, *settings: list[str] | tuple[str, ...]):
    file.write_text("".join(f"{line}\n" for lines in settings for line in lines))
