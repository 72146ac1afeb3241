"""How long partitions are unread when a worker crashes, stops, or is restarted: by duto without a setting, and by Kafka Connect."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from confluent_kafka import Producer

import connect
import flat_record
from child import Child
from database import Server
from pipeline import PARTITIONS, Duto
from latency import free_port
from topic import create_topic

PER_SECOND = 400
LOOK_S = 0.01
LIMIT_S = 180
# After a start, so that every worker has its share and nothing of the start is left.
CALM_S = 5
SEEN = f"SELECT order_number %% {PARTITIONS}, max(order_number) FROM sales WHERE order_number > %s GROUP BY 1"


@dataclass
class BackRun:
    """Seconds until every partition is read again; of a rolling restart of three workers, the longest for which one was not."""

    restarted_s: float
    gone_s: float
    stopped_s: float
    rolling_s: float

    def told(self) -> str:
        return (
            f"restarted after a crash {self.restarted_s:.2f} s, gone for good {self.gone_s:.2f} s, "
            f"stopped for good {self.stopped_s:.2f} s, rolling {self.rolling_s:.2f} s"
        )


def of_duto(server: Server, duto: Duto, topic: str) -> BackRun:
    with server.fresh_database() as url:
        return _measure(duto.kafka, url, topic, _order, lambda: duto.start(topic, topic, url, free_port(), only="worker"))


def of_connect(server: Server, duto: Duto, topic: str) -> BackRun:
    def start_one() -> Child:
        return connect.start(duto.kafka, url, topic, duto.folder)

    with server.fresh_database(flat_record.ddl()) as url:
        return _measure(duto.kafka, url, topic, flat_record.with_schema, start_one)


def _order(number: int) -> bytes:
    return json.dumps({"order_number": number, "order_items": [{"qty": 2, "value_unit": 1.0}]}).encode()


def _measure(kafka: str, url: str, topic: str, make: Callable[[int], bytes], start: Callable[[], Child]) -> BackRun:
    create_topic(kafka, topic, PARTITIONS)
    with _Stream(kafka, topic, make) as stream, _Watch(url, stream) as watch:
        workers = [start()]
        try:
            watch.wait_for_all(0)
            time.sleep(CALM_S)
            return _rounds(stream, watch, workers, start)
        finally:
            for worker in workers:
                worker.__exit__()


def _rounds(stream: "_Stream", watch: "_Watch", workers: list[Child], start: Callable[[], Child]) -> BackRun:
    def calm():
        watch.wait_for_all(stream.sent)
        watch.look_for(CALM_S)

    workers.pop().kill()
    began, sent = time.monotonic(), stream.sent
    workers.append(start())
    restarted = watch.wait_for_all(sent) - began
    workers.append(start())
    calm()
    workers.pop(0).kill()
    began, sent = time.monotonic(), stream.sent
    gone = watch.wait_for_all(sent) - began
    workers.append(start())
    calm()
    leaving = workers.pop(0)
    began = time.monotonic()
    leaving.process.terminate()
    leaving.process.wait()
    # What is stored after its end is stored by the other.
    stopped = watch.wait_for_all(stream.sent) - began
    workers += [start(), start()]
    calm()
    watch.longest_s = 0.0
    watch.look_for(0)
    for _ in range(3):
        leaving = workers.pop(0)
        leaving.process.terminate()
        while leaving.process.poll() is None:
            watch.look_for(LOOK_S)
        workers.append(start())
        calm()
    return BackRun(restarted, gone, stopped, watch.longest_s)


class _Stream:
    """Orders at a steady rate, of each partition as many as of the others: number n goes to partition n modulo their number."""

    def __init__(self, kafka: str, topic: str, make: Callable[[int], bytes]):
        self.topic, self.make, self.sent = topic, make, 0
        self.producer = Producer({"bootstrap.servers": kafka, "linger.ms": 1, "acks": "all"})
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Stream":
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.producer.flush(30)

    def _run(self):
        began = time.monotonic()
        while not self.stopping.is_set():
            while self.sent < (time.monotonic() - began) * PER_SECOND:
                number = self.sent + 1
                self.producer.produce(self.topic, self.make(number), partition=number % PARTITIONS)
                self.sent = number
            self.producer.poll(0)
            time.sleep(0.005)


@dataclass
class _Watch:
    """Looks at the table, which partitions' orders it has."""

    url: str
    stream: _Stream
    # By partition: the newest order, and when it was first seen.
    newest: dict[int, tuple[int, float]] = field(default_factory=dict)
    longest_s: float = 0.0

    def __enter__(self) -> "_Watch":
        self.connection = psycopg.connect(self.url, autocommit=True)
        return self

    def __exit__(self, *_):
        self.connection.close()

    def wait_for_all(self, sent: int) -> float:
        """Until every partition has an order that was sent after this one; answers when that was."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            self._look()
            now = time.monotonic()
            if len(self.newest) == PARTITIONS and all(number > sent for number, _ in self.newest.values()):
                return now
            if now > deadline:
                raise SystemExit(f"bench: not every partition was read within {LIMIT_S} s: {self.newest}, of {sent}")
            time.sleep(LOOK_S)

    def look_for(self, seconds: float):
        """Goes on looking, so that `longest_s` misses nothing."""
        deadline = time.monotonic() + seconds
        while True:
            self._look()
            if time.monotonic() >= deadline:
                return
            time.sleep(LOOK_S)

    def _look(self):
        known = min((number for number, _ in self.newest.values()), default=0)
        try:
            rows = self.connection.execute(SEEN, (known,), prepare=False).fetchall()
        except psycopg.errors.UndefinedTable:
            return
        now = time.monotonic()
        for partition, number in rows:
            before = self.newest.get(partition)
            if before is None or number > before[0]:
                self.newest[partition] = (number, now)
        self.longest_s = max([self.longest_s, *(now - at for _, at in self.newest.values())])
