"""The `ecommerce` pipeline: how quickly three tables with their counters are filled beside a raw COPY of the same rows, what the counters
cost, and how quickly the endpoints answer over a long history while the load goes on."""

import http.client
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from child import Child
from database import Server
from drain import BETWEEN_COMMITS
from latency import free_port, percentile
from pipeline import PARTITIONS, Duto
from topic import create_topic, delete_topic

# What the pipeline writes; ids and times of creation are the database's own.
WRITTEN = {
    "events": "event_id, event_type, timestamp, user_id, session_id",
    "products": "product_id, product_name, category, price",
    "transactions": "transaction_id, event_id, product_id, quantity, total_amount, payment_method, timestamp",
}
# Sections that cannot stand without the rollups.
ON_ROLLUPS = ("rollups", "views", "endpoints", "dashboard")
ENDPOINTS = ("summary", "timeline", "top-products", "by-category", "event-types", "realtime")
REQUESTS_PER_SECOND = 50
LOAD_PER_SECOND = 2000
CONNECTIONS = 8
START_LIMIT_S = 60


@dataclass
class Answers:
    """From the request to the end of the answer, in ms."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    events: int
    loaded_per_second: float


@dataclass
class Figures:
    """Events a second, run by run, from the first commit to the last one."""

    raw_copy: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    full_whole: list[float] = field(default_factory=list)
    without_distinct: list[float] = field(default_factory=list)
    without_rollups: list[float] = field(default_factory=list)
    answers: Answers | None = None


def measure(server: Server, sales: Duto, file: Path, events: int, repeats: int, history: int, seconds: float, say) -> Figures:
    """Each variant of the pipeline drains the same topic, one after the other, as often as there are repeats."""
    duto = replace(sales, file=file)
    variants = {
        "full": duto,
        "without_distinct": replace(duto, file=_variant(duto, "without_distinct", _without_distinct)),
        "without_rollups": replace(duto, file=_variant(duto, "without_rollups", lambda text: _without(text, ON_ROLLUPS))),
    }
    topic, figures = "bench-events", Figures()
    create_topic(duto.kafka, topic, PARTITIONS)
    duto.preload(topic, events)
    ddl = duto.ddl()
    for number in range(repeats):
        for name, variant in variants.items():
            with server.fresh_database() as url:
                usage = variant.drain(topic, f"{topic}-{name}-{number}", url, None)
                steady = _steady(url, events, name)
                if name == "full":
                    figures.full_whole.append(events / usage.seconds)
                    _require_right(duto, topic, f"{topic}-{name}-{number}", url)
                    copied = _raw_copy(server, ddl, url, events)
                    figures.raw_copy.append(copied)
                    say(f"raw COPY of the same rows into the three tables: {copied:,.0f} events/s")
            getattr(figures, name).append(steady)
            say(f"ecommerce, {name}: {steady:,.0f} events/s")
    delete_topic(duto.kafka, topic)
    if history:
        figures.answers = _answers(server, duto, history, seconds, say)
    return figures


def _steady(url: str, events: int, name: str) -> float:
    with psycopg.connect(url) as connection:
        stored = connection.execute("SELECT count(*) FROM events").fetchone()[0]
        if stored != events:
            raise SystemExit(f"bench: ecommerce, {name}, stored {stored} events of {events}")
        records, seconds, _ = connection.execute(BETWEEN_COMMITS).fetchone()
    return float(records) / float(seconds)


def _require_right(duto: Duto, topic: str, group: str, url: str):
    command = [str(duto.program), "rollups", "verify", str(duto.copy_for(topic, group))]
    with Child(command, duto.environment() | {"DATABASE_URL": url}, duto.folder / "verify.log") as child:
        child.wait(600)


def _raw_copy(server: Server, ddl: str, source: str, events: int) -> float:
    """The rows of a database into the same tables, with the same indexes and references: one connection, one transaction, binary."""
    data = {}
    with psycopg.connect(source) as connection, connection.cursor() as cursor:
        for table, columns in WRITTEN.items():
            with cursor.copy(f"COPY (SELECT {columns} FROM {table} ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
                data[table] = b"".join(copy)
    with server.fresh_database(ddl) as url, psycopg.connect(url) as connection, connection.cursor() as cursor:
        began = time.perf_counter()
        for table, columns in WRITTEN.items():
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)") as copy:
                view = memoryview(data[table])
                for at in range(0, len(view), 256 * 1024):
                    copy.write(view[at : at + 256 * 1024])
        connection.commit()
        seconds = time.perf_counter() - began
        copied = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    if copied != events:
        raise SystemExit(f"bench: raw COPY stored {copied} events of {events}")
    return events / seconds


def _answers(server: Server, duto: Duto, history: int, seconds: float, say) -> Answers:
    """Endpoints asked at an even rate, each in its turn, while events arrive."""
    topic, port = "bench-history", free_port()
    create_topic(duto.kafka, topic, PARTITIONS)
    duto.preload(topic, history)
    with server.fresh_database() as url:
        duto.drain(topic, topic, url, None)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
        say(f"{history:,} events are stored; asking {REQUESTS_PER_SECOND} times a second while {LOAD_PER_SECOND:,} a second arrive")
        load = int(LOAD_PER_SECOND * (seconds + 5))
        generate = [str(duto.program), "generate", str(duto.copy_for(topic, topic)), "--rate", str(LOAD_PER_SECOND), "--count", str(load)]
        with duto.start(topic, topic, url, port) as worker:
            _wait_for_answer(port, worker)
            with Child(generate, duto.environment(), duto.folder / "generate.log") as generator:
                time.sleep(3)
                times = _ask(port, seconds)
                generator.wait(seconds + 60)
            worker.require_running()
            worker.stop()
        with psycopg.connect(url) as connection:
            stored = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    if stored < history + load * 0.95:
        raise SystemExit(f"bench: only {stored - history} of {load} events were stored while the endpoints were asked")
    delete_topic(duto.kafka, topic)
    ordered = sorted(times)
    return Answers(percentile(ordered, 50), percentile(ordered, 99), ordered[-1], history, LOAD_PER_SECOND)


def _ask(port: int, seconds: float) -> list[float]:
    count = int(seconds * REQUESTS_PER_SECOND)
    start = time.monotonic()

    def ask(first: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        times = []
        for number in range(first, count, CONNECTIONS):
            wait = start + number / REQUESTS_PER_SECOND - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            began = time.perf_counter()
            connection.request("GET", f"/api/metrics/{ENDPOINTS[number % len(ENDPOINTS)]}")
            answer = connection.getresponse()
            body = answer.read()
            times.append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {body[:200]!r}")
        return times

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return [one for times in threads.map(ask, range(CONNECTIONS)) for one in times]


def _wait_for_answer(port: int, worker: Child):
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        worker.require_running()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/api/metrics/summary")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: nothing answers: {worker.said()}")
        time.sleep(0.05)


def _variant(duto: Duto, name: str, change) -> Path:
    path = duto.folder / f"ecommerce-{name}.yaml"
    path.write_text(change(duto.file.read_text()))
    return path


def _without(text: str, sections: tuple[str, ...]) -> str:
    """The file without these top-level sections."""
    parts = re.split(r"(?m)^(?=[a-z_]+:)", text)
    return "".join(part for part in parts if part.partition(":")[0] not in sections)


def _without_distinct(text: str) -> str:
    """Counters alone: no distinct count, and nothing that reads one."""
    text = _without(text, tuple(section for section in ON_ROLLUPS if section != "rollups"))
    text, on_lines = re.subn(r"(?m)^      \w+: count\(distinct \w+\)\n", "", text)
    text, in_braces = re.subn(r", \w+: count\(distinct \w+\)", "", text)
    if on_lines + in_braces < 4:
        raise SystemExit("bench: the distinct counts of the pipeline were not found")
    return text
