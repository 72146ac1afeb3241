"""From the send of an order to the moment at which a query on another connection sees its row."""

import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from confluent_kafka import Consumer

import senders
from child import Child, NotStored
from compilers import compiler_seconds
from database import Server
from drain import TUNED
from pipeline import PARTITIONS, Duto
from stolen import Stolen
from topic import create_topic

LOOK_S = 0.002
# Whoever connects, joins a group or makes a table does it in this time, which is not measured; Kafka's Java may take longer to compile. It
# has done so when its compilers take less than this of a core.
WARM_UP_S = 8
WARM_UP_LIMIT_S = 120
LOOK_AT_COMPILERS_S = 4
COMPILED = 0.03
START_LIMIT_S = 60
# A consumer that cannot keep up is given so long after the last send.
LATE_LIMIT_S = 60
IDLE_S = 10
# A percentile of fewer says little.
LEAST_UNDISTURBED = 1000
SEEN = "SELECT order_number FROM sales WHERE order_number > %s"

# Sends orders first..first+count at a rate, in the background; the future answers when each was sent, in monotonic ns.
Send = Callable[[int, int, float], "Future[list[int]]"]


@dataclass
class LatencyRun:
    p50_ms: float
    p99_ms: float
    max_ms: float
    # The same of those orders on whose way the host took nothing of the machine's CPU time, and how many of all they were.
    undisturbed_p50_ms: float | None
    undisturbed_p99_ms: float | None
    undisturbed_percent: float
    idle_cpu_percent: float | None = None

    @staticmethod
    def of(sent: list[int], seen: list[int], stolen: Stolen) -> "LatencyRun":
        """Of orders by their places: when each was sent and when it was seen, in monotonic ns."""
        times = [((at_end - at) / 1e6, stolen.between(at, at_end)) for at, at_end in zip(sent, seen, strict=True)]
        every = sorted(ms for ms, _ in times)
        quiet = sorted(ms for ms, disturbed in times if not disturbed)
        enough = len(quiet) >= LEAST_UNDISTURBED
        return LatencyRun(
            percentile(every, 50),
            percentile(every, 99),
            every[-1],
            percentile(quiet, 50) if enough else None,
            percentile(quiet, 99) if enough else None,
            100 * len(quiet) / len(every),
        )

    def told(self) -> str:
        text = f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, max {self.max_ms:.1f} ms"
        if self.undisturbed_p99_ms is None:
            return f"{text}; {self.undisturbed_percent:.0f} % undisturbed"
        quiet = f"p50 {self.undisturbed_p50_ms:.1f} ms, p99 {self.undisturbed_p99_ms:.1f} ms"
        return f"{text}; of the {self.undisturbed_percent:.0f} % undisturbed {quiet}"


@dataclass
class Stream:
    """How many orders are sent, and how quickly."""

    per_second: float
    seconds: float

    def count(self) -> int:
        return int(self.per_second * self.seconds)


@dataclass
class Store:
    """Whatever stores the records of a topic in a table `sales`, by their `order_number`."""

    ddl: str
    # A record by its number. A function of a module: the sender has a process of its own.
    make: Callable[[int], bytes]
    # A worker that stores them in the database with this URL.
    start: Callable[[str], Child]


def of_duto_on_kafka(server: Server, duto: Duto, topic: str, stream: Stream) -> LatencyRun:
    """Also what the worker uses when nothing comes."""
    create_topic(duto.kafka, topic, PARTITIONS)
    with server.fresh_database() as url, _sender() as pool, duto.start(topic, topic, url, free_port()) as worker:
        run = _measure(url, worker, stream, _send_orders(pool, duto.kafka, topic))
        run.idle_cpu_percent = _idle_cpu_percent(worker)
        worker.stop()
    return run


def of_duto_on_embedded_log(server: Server, duto: Duto, topic: str, stream: Stream) -> LatencyRun:
    """Sent by POST, since nothing else writes that log from outside: HTTP is part of the time."""
    port = free_port()
    with server.fresh_database() as url, _sender() as pool, duto.start(topic, topic, url, port, duto.folder / f"{topic}-log") as worker:
        _wait_for_port(port, worker)
        run = _measure(url, worker, stream, lambda *what: pool.submit(senders.send_by_http, port, "/orders", *what))
        worker.stop()
    return run


def of_bare_consumer(duto: Duto, topic: str, stream: Stream) -> LatencyRun:
    """The least that there is: to the poll of a consumer that stores nothing."""
    create_topic(duto.kafka, topic, PARTITIONS)
    warm_up = int(stream.per_second * WARM_UP_S)
    count = warm_up + stream.count()
    seen: dict[int, int] = {}
    consumer = Consumer({"bootstrap.servers": duto.kafka, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    with _sender() as pool, Stolen() as stolen:
        sending = _send_orders(pool, duto.kafka, topic)(1, count, stream.per_second)
        deadline = time.monotonic() + START_LIMIT_S + count / stream.per_second
        while len(seen) < count:
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                seen[json.loads(message.value())["order_number"]] = time.monotonic_ns()
            elif time.monotonic() > deadline:
                raise SystemExit(f"bench: a bare consumer saw {len(seen)} of {count} messages")
        consumer.close()
        sent = sending.result()
    return LatencyRun.of(sent[warm_up:], [seen[number] for number in range(warm_up + 1, count + 1)], stolen)


def of_tuned(server: Server, duto: Duto, ddl: str, topic: str, stream: Stream) -> LatencyRun:
    create_topic(duto.kafka, topic, PARTITIONS)
    command = [sys.executable, "-B", str(TUNED), topic, topic]
    log = duto.folder / "tuned.log"
    with server.fresh_database(ddl) as url, _sender() as pool, Child(command, duto.environment() | {"DATABASE_URL": url}, log) as consumer:
        run = _measure(url, consumer, stream, _send_orders(pool, duto.kafka, topic))
        consumer.stop()
    return run


def of_store(
    server: Server,
    kafka: str,
    topic: str,
    store: Store,
    stream: Stream,
    repeats: int,
    before_each: Callable[[], None],
) -> list[LatencyRun]:
    """Of one worker, which is warmed up once and then measured again and again."""
    create_topic(kafka, topic, PARTITIONS)
    with server.fresh_database(store.ddl) as url, _sender() as pool, store.start(url) as worker:
        send = partial(pool.submit, senders.send_to_kafka, kafka, topic, store.make)
        runs = _measure_repeatedly(url, worker, stream, send, repeats, before_each)
        worker.stop()
    return runs


def percentile(ordered: list[float], percent: float) -> float:
    """The nearest-rank percentile."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def _sender():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def _send_orders(pool: ProcessPoolExecutor, kafka: str, topic: str) -> Send:
    return partial(pool.submit, senders.send_to_kafka, kafka, topic, senders.order)


def _measure(url: str, store: Child, stream: Stream, send: Send) -> LatencyRun:
    [run] = _measure_repeatedly(url, store, stream, send, 1, lambda: None)
    return run


def _measure_repeatedly(
    url: str,
    store: Child,
    stream: Stream,
    send: Send,
    repeats: int,
    before_each: Callable[[], None],
) -> list[LatencyRun]:
    runs, count = [], stream.count()
    with psycopg.connect(url, autocommit=True) as connection:
        _wait_for_table(connection, store)
        total = _warm_up(connection, store, stream.per_second, send)
        for _ in range(repeats):
            before_each()
            first = total + 1
            with Stolen() as stolen:
                sending = send(first, count, stream.per_second)
                sent, seen = _sent_and_seen(connection, store, sending, first, count)
            runs.append(LatencyRun.of(sent, [seen[first + index] for index in range(count)], stolen))
            total += count
        stored = connection.execute("SELECT count(*) FROM sales").fetchone()[0]
    if stored != total:
        raise SystemExit(f"bench: {store.name()} stored {stored} rows of {total}")
    return runs


def _warm_up(connection, store: Child, per_second: float, send: Send) -> int:
    """Sends until Java has compiled, but not for ever; how many."""
    sent, a_look = 0, int(per_second * LOOK_AT_COMPILERS_S)
    while True:
        compiled_before = compiler_seconds()
        _sent_and_seen(connection, store, send(sent + 1, a_look, per_second), sent + 1, a_look)
        sent += a_look
        compiles = (compiler_seconds() - compiled_before) / LOOK_AT_COMPILERS_S
        if sent >= per_second * (WARM_UP_S if compiles < COMPILED else WARM_UP_LIMIT_S):
            return sent


def _sent_and_seen(connection, store: Child, sending: "Future[list[int]]", first: int, count: int) -> tuple[list[int], dict[int, int]]:
    """When each order was sent, and when the first query that answered it was back, in monotonic ns."""
    seen: dict[int, int] = {}
    all_up_to = first - 1
    sent_at = None
    while len(seen) < count:
        look_began_ns = time.monotonic_ns()
        rows = connection.execute(SEEN, (all_up_to,), prepare=True, binary=True).fetchall()
        now = time.monotonic_ns()
        for (number,) in rows:
            seen.setdefault(number, now)
        while all_up_to + 1 in seen:
            all_up_to += 1
        if sending.done():
            sending.result()
            sent_at = sent_at or now
            if now - sent_at > LATE_LIMIT_S * 1e9:
                raise NotStored(f"bench: {store.name()} stored {len(seen)} of {count} within {LATE_LIMIT_S} s: {store.said()}")
        store.require_running()
        # A look at a long disorder takes long: never more than half of the time is spent on looking.
        time.sleep(max(LOOK_S, (now - look_began_ns) / 1e9))
    return sending.result(), seen


def _wait_for_table(connection, store: Child):
    deadline = time.monotonic() + START_LIMIT_S
    while connection.execute("SELECT to_regclass('public.sales') IS NULL").fetchone()[0]:
        store.require_running()
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: {store.name()} made no table within {START_LIMIT_S} s: {store.said()}")
        time.sleep(0.05)


def _wait_for_port(port: int, store: Child):
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        store.require_running()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: {store.name()} does not listen: {store.said()}") from None
            time.sleep(0.05)


def _idle_cpu_percent(worker: Child) -> float:
    time.sleep(2)
    before = worker.cpu_seconds()
    time.sleep(IDLE_S)
    worker.require_running()
    return (worker.cpu_seconds() - before) / IDLE_S * 100
