"""What encryption at rest costs: the same orders into the embedded log and from it into the table, plain and sealed in turns."""

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from child import run
from database import Server
from pipeline import RUN_LIMIT_S, Duto


@dataclass
class SealedFigures:
    """Rows a second of whole runs, into the log and from it into the table, and what the log takes."""

    plain_in: list[float] = field(default_factory=list)
    plain_out: list[float] = field(default_factory=list)
    plain_log_mb: list[float] = field(default_factory=list)
    sealed_in: list[float] = field(default_factory=list)
    sealed_out: list[float] = field(default_factory=list)
    sealed_log_mb: list[float] = field(default_factory=list)


def measure(server: Server, duto: Duto, count: int, repeats: int, say) -> SealedFigures:
    figures, key = SealedFigures(), base64.b64encode(os.urandom(32)).decode()
    for number in range(repeats):
        for kind, section in (("plain", ""), ("sealed", f'\nencryption: {{ keys: "bench:{key}" }}\n')):
            name = f"{kind}-{number}"
            file, log = duto.copy_for(name, name), duto.folder / f"{name}-log"
            file.write_text(file.read_text() + section)
            taken, stored = _measure(server, duto, (file, log), count)
            size = sum(part.stat().st_size for part in log.rglob("*") if part.is_file()) / 1e6
            for part, value in (("in", taken), ("out", stored), ("log_mb", size)):
                getattr(figures, f"{kind}_{part}").append(value)
            say(f"embedded log, {kind}: {taken:,.0f} rows/s in, {stored:,.0f} rows/s out, {size:,.0f} MB")
    return figures


def _measure(server: Server, duto: Duto, place: tuple[Path, Path], count: int) -> tuple[float, float]:
    file, log = place
    environment = duto.environment() | {"KAFKA_BOOTSTRAP_SERVERS": ""}
    more = ["--log-folder", str(log)]
    generate = [str(duto.program), "generate", str(file), "--count", str(count), "--rate", "0", "--seed", "1", *more]
    taken = run(generate, environment, duto.folder / "generate.log", RUN_LIMIT_S)
    with server.fresh_database() as url:
        drain = [str(duto.program), "run", str(file), "--until-caught-up", *more]
        stored = run(drain, environment | {"DATABASE_URL": url}, duto.folder / "drain.log", RUN_LIMIT_S)
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT count(*) FROM sales").fetchone()[0]
    if rows != count:
        raise SystemExit(f"bench: {file.stem} stored {rows} rows of {count}")
    return count / taken.seconds, count / stored.seconds
