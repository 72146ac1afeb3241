"""The `sales` pipeline under measurement: its file with a topic and a group of its own, and the commands that run it."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from child import Child, Usage, run

PARTITIONS = 4
RUN_LIMIT_S = 1800


@dataclass
class Duto:
    """The program, the pipeline's file, the broker, and a folder for copies and logs."""

    program: Path
    file: Path
    kafka: str
    folder: Path

    def copy_for(self, topic: str, group: str) -> Path:
        """The pipeline's file, word for word but for its topic and its group."""
        text = self.file.read_text()
        for key, value in (("topic", topic), ("group", group)):
            text, replaced = re.subn(rf"(?m)^(  {key}: ).*$", rf"\g<1>{value}", text)
            if replaced != 1:
                raise SystemExit(f"bench: {self.file} does not say `{key}:` once")
        copy = self.folder / f"{group}.yaml"
        copy.write_text(text)
        return copy

    def ddl(self) -> str:
        """The SQL of the table, as a person would take it."""
        command = [str(self.program), "ddl", str(self.file)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def preload(self, topic: str, count: int) -> Usage:
        """Fills a topic with generated orders."""
        file = self.copy_for(topic, f"{topic}-generate")
        command = [str(self.program), "generate", str(file), "--count", str(count), "--rate", "0", "--seed", "1"]
        return run(command, self.environment(), self.folder / "generate.log", RUN_LIMIT_S)

    def drain(self, topic: str, group: str, database: str, batch: int | None) -> Usage:
        """Stores all that the topic holds, and ends."""
        file = self.copy_for(topic, group)
        command = [str(self.program), "run", str(file), "--until-caught-up"]
        settings = {"DATABASE_URL": database} | ({} if batch is None else {"BATCH_SIZE": str(batch)})
        return run(command, self.environment() | settings, self.folder / "drain.log", RUN_LIMIT_S)

    def start(self, topic: str, group: str, database: str, port: int, log_folder: Path | None = None, only: str | None = None) -> Child:
        """A worker that runs until it is stopped, with its HTTP port; on the embedded log if its folder is given."""
        command = [str(self.program), "run", str(self.copy_for(topic, group)), "--listen", f"127.0.0.1:{port}"]
        if only is not None:
            command += ["--only", only]
        environment = self.environment() | {"DATABASE_URL": database}
        if log_folder is not None:
            command += ["--log-folder", str(log_folder)]
            environment["KAFKA_BOOTSTRAP_SERVERS"] = ""
        return Child(command, environment, self.folder / "run.log")

    def environment(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "PARTITIONS": str(PARTITIONS), "NO_COLOR": "1"}
