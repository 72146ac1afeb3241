"""Kafka Connect with Debezium's JDBC sink: what others take for the same job. Nothing of it is tuned."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from child import Child
from latency import free_port

POM = Path(__file__).with_name("connect") / "pom.xml"
DDL = "CREATE TABLE sales (order_number bigint PRIMARY KEY, total_value double precision NOT NULL)"
FIELDS = [
    {"type": "int64", "optional": False, "field": "order_number"},
    {"type": "double", "optional": False, "field": "total_value"},
]
SCHEMA = {"type": "struct", "optional": False, "name": "sale", "fields": FIELDS}


def record(number: int) -> bytes:
    """An order as the sink takes it: with its schema."""
    return json.dumps({"schema": SCHEMA, "payload": {"order_number": number, "total_value": 2.0}}).encode()


def libraries() -> Path:
    """The folder of the jars, fetched from Maven Central at the first use."""
    cache = Path(os.environ.get("DUTO_CACHE") or Path.home() / ".cache" / "duto")
    folder = cache / "bench-connect"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(POM, folder)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"]
        subprocess.run(["mvn", "-q", "-B", *goal], cwd=folder, check=True)
        (folder / "complete").touch()
    return folder / "libs"


def start(kafka: str, database: str, topic: str, folder: Path) -> Child:
    """A worker of its own that shares the topic's partitions with all others of this topic."""
    port = free_port()
    server = urlsplit(database)
    worker, sink = folder / f"connect-{port}.properties", folder / f"sink-{port}.properties"
    worker.write_text(f"""bootstrap.servers={kafka}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=true
offset.storage.file.filename={folder}/connect-{port}.offsets
listeners=http://127.0.0.1:{port}
""")
    sink.write_text(f"""name={topic}
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=1
topics={topic}
connection.url=jdbc:postgresql://{server.hostname}:{server.port}{server.path}
connection.username={server.username}
connection.password={server.password or ""}
insert.mode=upsert
primary.key.mode=record_value
primary.key.fields=order_number
schema.evolution=none
collection.name.format=sales
""")
    java = ["java", "-Xmx512m", "-cp", f"{libraries()}/*", "org.apache.kafka.connect.cli.ConnectStandalone", str(worker), str(sink)]
    return Child(java, {}, folder / "connect.log")
