"""What one SIGKILL in the middle of a full topic costs, where no key hides it: the table has none,
and every record that comes adds a row. The killed program is started again at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from child import Child, NotStored
from database import Server
from flat_contender import Contender, Start
from flat_drain import COUNT, OF_THESE, drain_limit_s
from flat_record import FlatRows, ddl
from pipeline import PARTITIONS

# Of all rows, those that must be there before it is killed.
KILLED_AT = 1 / 3
ATTEMPTS = 3
LOOK_S = 0.005
SESSIONS_LIMIT_S = 30
# A group waits for a member that is gone for 45 s by Kafka Connect's defaults.
BACK_LIMIT_S = 180
# Whoever begins anew from an earlier offset adds rows in this time.
CALM_S = 3
SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
"""
# What a look has to read is among the last pages, even where several sessions append.
LAST_PAGES = 64
FIRST_TO_LOOK_AT = f"SELECT greatest(pg_relation_size('sales') / 8192 - {LAST_PAGES}, 0)"
NEWEST = f"""
    SELECT coalesce(max(order_number), 0)
    FROM generate_series(0, {PARTITIONS - 1}) AS partition
    LEFT JOIN sales ON order_number % {PARTITIONS} = partition
    GROUP BY partition ORDER BY partition
"""
IS_ANY_NEWER = f"""
    SELECT EXISTS (
        SELECT FROM sales
        WHERE ctid >= %s::tid AND order_number > (%s::bigint[])[order_number %% {PARTITIONS} + 1]
    )
"""


@dataclass
class KillRun:
    lost: int
    doubled: int
    # From the second start to the first row of a record that had none before.
    next_row_s: float


def kill(server: Server, contender: Contender, rows: FlatRows, topic: str, group: str) -> KillRun:
    """Tries again when all rows were there before the signal was: that is no middle."""
    for attempt in range(ATTEMPTS):
        with server.fresh_database(ddl(append=True)) as url:
            start = Start(topic, f"{group}-{attempt}", url, append=True)
            with psycopg.connect(url, autocommit=True) as connection:
                run = _kill(connection, contender, rows, start)
        if run is not None:
            return run
    raise SystemExit(f"bench: {contender.name} cannot be killed before it has stored {rows.count}")


def _kill(connection, contender: Contender, rows: FlatRows, start: Start) -> KillRun | None:
    def ask(query: str, *parameters):
        return connection.execute(query, parameters or None).fetchone()[0]

    with contender.start(start) as store:
        limit_s, least = drain_limit_s(rows), int(rows.count * KILLED_AT)
        _wait(lambda: ask(COUNT) >= least, limit_s, store, f"{least} rows")
        store.kill()
        # A commit that was on its way may still come to pass.
        _wait(lambda: ask(SESSIONS) == 0, SESSIONS_LIMIT_S, None, "the end of its sessions")
    if ask(COUNT) >= rows.count:
        return None
    newest = [number for (number,) in connection.execute(NEWEST).fetchall()]
    from_page = f"({ask(FIRST_TO_LOOK_AT)},0)"
    with contender.start(start) as store:
        _wait(lambda: ask(IS_ANY_NEWER, from_page, newest), BACK_LIMIT_S, store, "a new row")
        next_row_s = time.monotonic() - store.began
        _wait_for_calm(ask, rows, store)
        store.end()
    stored, numbers = ask(COUNT), ask("SELECT count(DISTINCT order_number) FROM sales")
    return KillRun(rows.count - numbers, stored - numbers, next_row_s)


def _wait(done: Callable[[], bool], limit_s: float, store: Child | None, what: str):
    deadline = time.monotonic() + limit_s
    while True:
        began = time.monotonic()
        if done():
            return
        if store is not None:
            store.require_running()
        now = time.monotonic()
        if now > deadline:
            said = "" if store is None else f": {store.said()}"
            raise NotStored(f"bench: no sign of {what} within {limit_s:.0f} s{said}")
        # A look at many rows takes long: never more than a third of the time is spent on looking.
        time.sleep(max(LOOK_S, 2 * (now - began)))


def _wait_for_calm(ask, rows: FlatRows, store: Child):
    """Until the last row of each partition is there and no other comes any more. What is not there
    at the limit is lost."""
    last_rows, stored, calm_since = rows.last_of_each_partition(), 0, time.monotonic()
    deadline = time.monotonic() + drain_limit_s(rows)
    while time.monotonic() < deadline:
        store.require_running()
        found = ask(COUNT)
        if found != stored:
            stored, calm_since = found, time.monotonic()
        is_calm = time.monotonic() - calm_since >= CALM_S
        if is_calm and ask(OF_THESE, last_rows) >= len(last_rows):
            return
        time.sleep(0.2)
