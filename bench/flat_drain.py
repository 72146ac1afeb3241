"""How quickly a full topic of flat records is stored, seen from the table: a service that has
stored all of it goes on waiting for more."""

import time
from dataclasses import dataclass

import psycopg

from child import Child, NotStored
from database import Server, require
from flat_contender import Contender, Start
from flat_record import FlatRows, ddl

LOOK_S = 0.01
COUNT = "SELECT count(*) FROM sales"
# By the key, since a count of all rows at every look would be a load of its own.
OF_THESE = "SELECT count(*) FROM sales WHERE order_number = ANY(%s)"
# Nobody who is slower than this keeps the bench waiting.
LEAST_PER_SECOND = 1000
START_LIMIT_S = 60


@dataclass
class FlatDrain:
    """Whole: from the start of the process to the look that saw the last row, for costs to its end.
    Steady: from the look that saw the first rows, which count for nothing here, to the last one;
    None if one look saw all."""

    rows: int
    rows_per_second_whole: float
    rows_per_second_steady: float | None
    cpu_us_per_row: float
    cpu_us_per_row_steady: float | None
    postgres_cpu_us_per_row: float
    peak_rss_mb: float


@dataclass
class _Look:
    """What was there, when, and what CPU the process had used."""

    rows: int
    at: float
    cpu_seconds: float


def drain(
    server: Server, contender: Contender, rows: FlatRows, topic: str, group: str
) -> FlatDrain:
    """Of an empty table with a key."""
    with server.fresh_database(ddl()) as url:
        postgres_before = server.cpu_seconds()
        with contender.start(Start(topic, group, url)) as store:
            first, last = _first_and_last(url, store, rows)
            usage = store.end()
        postgres_cpu = server.cpu_seconds() - postgres_before
        require(url, rows.check(), f"{contender.name} ({group})")
    steady, cpu_s = last.rows - first.rows, last.cpu_seconds - first.cpu_seconds
    return FlatDrain(
        rows=rows.count,
        rows_per_second_whole=rows.count / (last.at - store.began),
        rows_per_second_steady=steady / (last.at - first.at) if steady else None,
        cpu_us_per_row=usage.cpu_seconds / rows.count * 1e6,
        cpu_us_per_row_steady=cpu_s / steady * 1e6 if steady else None,
        postgres_cpu_us_per_row=postgres_cpu / rows.count * 1e6,
        peak_rss_mb=usage.peak_rss_mb,
    )


def drain_limit_s(rows: FlatRows) -> float:
    return START_LIMIT_S + rows.count / LEAST_PER_SECOND


def _first_and_last(url: str, store: Child, rows: FlatRows) -> tuple[_Look, _Look]:
    deadline = time.monotonic() + drain_limit_s(rows)
    last_rows = rows.last_of_each_partition()
    with psycopg.connect(url, autocommit=True) as connection:

        def look(query: str, *parameters) -> _Look:
            found = connection.execute(query, parameters).fetchone()[0]
            return _Look(found, time.monotonic(), store.cpu_seconds())

        def wait_for(least: int, query: str, *parameters) -> _Look:
            while (seen := look(query, *parameters)).rows < least:
                store.require_running()
                if seen.at > deadline:
                    stored = look(COUNT).rows
                    raise NotStored(
                        f"bench: {store.name()} stored {stored} rows of {rows.count} within "
                        f"{drain_limit_s(rows):.0f} s: {store.said()}"
                    )
                time.sleep(LOOK_S)
            return seen

        first = wait_for(1, COUNT)
        # Partitions are stored in their order, so with the last rows all others are there. Whether
        # they are is checked in the end.
        last = wait_for(len(last_rows), OF_THESE, last_rows)
        last.rows = look(COUNT).rows
    return first, last
