"""The yardstick: the same rows into the same table by one COPY, on one connection, in one transaction."""

import time
from dataclasses import asdict, dataclass
from typing import Protocol

import psycopg

import database

COLUMNS = "order_number, total_value, processed_at"
CHUNK_BYTES = 256 * 1024


class Rows(Protocol):
    """What is copied."""

    def check(self) -> database.Check: ...

    def as_text(self) -> bytes:
        """COPY's text form."""
        ...


@dataclass
class CopyRun:
    rows_per_second: float
    postgres_cpu_us_per_row: float


class RawCopy:
    """COPY in the form, text or binary, that was the faster one at the start."""

    def __init__(self, server: database.Server, ddl: str, rows: Rows, columns: str = COLUMNS):
        self.server, self.ddl, self.columns, self.expected = server, ddl, columns, rows.check()
        self.samples: list[CopyRun] = []
        forms = self._prepare(rows)
        self.data, self.form = forms["binary"], "binary"
        # The first run is for warm caches and counts for neither form.
        self._run()
        speeds = {}
        for self.form, self.data in forms.items():
            speeds[self.form] = max(self._run().rows_per_second for _ in range(2))
        self.form = max(speeds, key=speeds.__getitem__)
        self.data = forms[self.form]

    def run(self) -> CopyRun:
        """One measured COPY, kept among the samples."""
        self.samples.append(self._run())
        return self.samples[-1]

    def as_json(self) -> dict:
        return {"form": self.form, "samples": [asdict(sample) for sample in self.samples]}

    def _prepare(self, rows: Rows) -> dict[str, bytes]:
        """Both forms of the rows; PostgreSQL itself writes the binary one."""
        text = rows.as_text()
        with self.server.fresh_database(self.ddl) as url, psycopg.connect(url) as connection, connection.cursor() as cursor:
            with cursor.copy(f"COPY sales ({self.columns}) FROM STDIN") as copy:
                copy.write(text)
            with cursor.copy(f"COPY (SELECT {self.columns} FROM sales ORDER BY order_number) TO STDOUT (FORMAT binary)") as copy:
                binary = b"".join(copy)
        return {"text": text, "binary": binary}

    def _run(self) -> CopyRun:
        rows = self.expected[0]
        with self.server.fresh_database(self.ddl) as url:
            cpu_before = self.server.cpu_seconds()
            with psycopg.connect(url) as connection, connection.cursor() as cursor:
                began = time.perf_counter()
                with cursor.copy(f"COPY sales ({self.columns}) FROM STDIN (FORMAT {self.form})") as copy:
                    for at in range(0, len(self.data), CHUNK_BYTES):
                        copy.write(self.data[at : at + CHUNK_BYTES])
                connection.commit()
                seconds = time.perf_counter() - began
            cpu = self.server.cpu_seconds() - cpu_before
            database.require(url, self.expected, "raw COPY")
        return CopyRun(rows / seconds, cpu / rows * 1e6)
