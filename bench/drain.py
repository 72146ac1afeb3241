"""How quickly a full topic is stored: by duto, and by consumers in Python."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import psycopg

from child import Usage, run
from database import Server, require
from pipeline import RUN_LIMIT_S, Duto
from topic import Orders

OLD_STYLE = Path(__file__).with_name("old_style_consumer.py")
TUNED = Path(__file__).with_name("tuned_consumer.py")
# The first commit holds what was read before it, so its records count for nothing here.
BETWEEN_COMMITS = """
    WITH batch AS (SELECT xid, sum(records) AS records, max(committed_at) AS at FROM duto.batch WHERE kind = 'load' GROUP BY xid),
         first AS (SELECT * FROM batch ORDER BY at LIMIT 1),
         all_of_them AS (SELECT sum(records) AS records, max(at) AS at, count(*) AS commits FROM batch)
    SELECT all_of_them.records - first.records, extract(epoch FROM all_of_them.at - first.at), all_of_them.commits
    FROM all_of_them, first
"""


@dataclass
class DrainRun:
    """Whole: from the start of the process to its end. Steady: from the first commit to the last one."""

    rows: int
    rows_per_second_whole: float
    rows_per_second_steady: float | None
    commits: int | None
    cpu_us_per_row: float
    postgres_cpu_us_per_row: float
    peak_rss_mb: float


def drain_by_duto(server: Server, duto: Duto, topic: str, group: str, orders_check, batch: int | None) -> DrainRun:
    """Into an empty database, tables included."""
    with server.fresh_database() as url:
        usage, postgres_cpu = _with_postgres_cpu(server, lambda: duto.drain(topic, group, url, batch))
        require(url, orders_check, f"duto run ({group})")
        with psycopg.connect(url) as connection:
            records, seconds, commits = connection.execute(BETWEEN_COMMITS).fetchone()
    rows = orders_check[0]
    steady = float(records) / float(seconds) if seconds and records else None
    return _drain_run(rows, usage, postgres_cpu, steady, commits)


def drain_by_python(server: Server, duto: Duto, ddl: str, consumer: Path, topic: str, group: str, orders: Orders, count: int) -> DrainRun:
    """The first messages that the consumer is given; whichever they are, each row must be right."""
    command = [sys.executable, "-B", str(consumer), topic, group, "--count", str(count)]
    with server.fresh_database(ddl) as url:
        environment = duto.environment() | {"DATABASE_URL": url}
        usage, postgres_cpu = _with_postgres_cpu(server, lambda: run(command, environment, duto.folder / f"{consumer.stem}.log", RUN_LIMIT_S))
        _require_rows_of(url, orders, count, consumer.stem)
    return _drain_run(count, usage, postgres_cpu, None, None)


def _with_postgres_cpu(server: Server, work: Callable[[], Usage]) -> tuple[Usage, float]:
    before = server.cpu_seconds()
    usage = work()
    return usage, server.cpu_seconds() - before


def _drain_run(rows: int, usage: Usage, postgres_cpu: float, steady: float | None, commits: int | None) -> DrainRun:
    per_row = 1e6 / rows
    return DrainRun(rows, rows / usage.seconds, steady, commits, usage.cpu_seconds * per_row, postgres_cpu * per_row, usage.peak_rss_mb)


def _require_rows_of(url: str, orders: Orders, count: int, consumer: str):
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT order_number, total_value FROM sales").fetchall()
    cents = Decimal("0.01")
    wrong = [number for number, total in rows if orders.totals.get(number, Decimal(-1)).quantize(cents) != total]
    if len(rows) != count or wrong:
        raise SystemExit(f"bench: {consumer} stored {len(rows)} rows of {count}, {len(wrong)} of them wrong")
