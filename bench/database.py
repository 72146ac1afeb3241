"""The PostgreSQL that everything is measured on: fresh databases, its CPU, and whether what is in a table is right."""

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import psycopg

from child import children_of, cpu_seconds, parent_of

# The last one catches totals that are under the wrong order.
CHECK = "SELECT count(*), coalesce(sum(total_value), 0), coalesce(sum(order_number * total_value), 0) FROM sales"
QUIET_LIMIT_S = 10
REAPED_S = 0.3

Check = tuple[int, Decimal, Decimal]


class Server:
    """The server, as its superuser."""

    def __init__(self, url: str):
        self.url = url
        self.admin = psycopg.connect(url, autocommit=True)
        self.numbers = itertools.count(1)
        self.main_process = parent_of(self._answer("SELECT pg_backend_pid()"))

    def version(self) -> str:
        return self._answer("SHOW server_version").split()[0]

    def require_durable(self):
        """Commits that are not synced would make every figure a lie."""
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            if self._answer(f"SHOW {setting}") != "on":
                raise SystemExit(f"bench: PostgreSQL runs with {setting} off; the bench wants a durable one: duto-test-servers --durable")

    @contextmanager
    def fresh_database(self, ddl: str = "") -> Iterator[str]:
        """The URL of an empty database, in which `ddl` was run; dropped in the end. A checkpoint comes first, so that no run pays for the
        one before it."""
        name = f"bench_{next(self.numbers)}"
        self.admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.admin.execute(f"CREATE DATABASE {name}")
        try:
            url = self.url_of(name)
            if ddl:
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(ddl)
            self.admin.execute("CHECKPOINT")
            yield url
        finally:
            self.admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url_of(self, database: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def cpu_seconds(self) -> float:
        """Used so far by all of its processes, ended ones included. Waits until no other client is connected, since one that is just
        ending would be counted twice or not at all."""
        others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        deadline = time.monotonic() + QUIET_LIMIT_S
        while self._answer(others) > 0:
            if time.monotonic() > deadline:
                raise RuntimeError("a connection to PostgreSQL was left open")
            time.sleep(0.01)
        # What a connection used is its server's only when that has noticed its end.
        time.sleep(REAPED_S)
        main = cpu_seconds(self.main_process, with_ended_children=True)
        return main + sum(cpu_seconds(process) for process in children_of(self.main_process))

    def commit_ms(self, commits: int = 300) -> float:
        """What a transaction of one row takes: no latency can be below it."""
        times = []
        with self.fresh_database("CREATE TABLE one (n bigint)") as url, psycopg.connect(url, autocommit=True) as connection:
            for number in range(commits):
                began = time.perf_counter()
                connection.execute("INSERT INTO one VALUES (%s)", (number,), prepare=True)
                times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)

    def _answer(self, query: str):
        return self.admin.execute(query).fetchone()[0]


def check_of(url: str) -> Check:
    """Count and sums of the table."""
    with psycopg.connect(url) as connection:
        return connection.execute(CHECK).fetchone()


def require(url: str, expected: Check, what: str):
    """Ends the bench when a run stored something else than it was given: its speed would mean nothing."""
    found = check_of(url)
    if found != expected:
        raise SystemExit(f"bench: {what} stored count and sums {tuple(map(str, found))}, but they must be {tuple(map(str, expected))}")
