"""Records taken by HTTP: how soon a request is answered at a rate, and how many a second come in by bodies of many. The log is the embedded
one, which is synced before an answer, or Kafka. Nothing is loaded meanwhile: a worker would share the cores, and need not run."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from child import Child
from latency import LatencyRun, free_port
from pipeline import PARTITIONS, Duto
from senders import order
from stolen import Stolen
from topic import create_topic

CONNECTIONS = 16
RECORDS_IN_A_BODY = 1000
BULK_CONNECTIONS = 4
START_LIMIT_S = 60
WARM_UP_S = 3


@dataclass
class IngestRun:
    """From the request to the end of the answer, and records a second in bulk."""

    answers: LatencyRun
    bulk_per_second: float


def of_embedded_log(duto: Duto, topic: str, per_second: float, seconds: float) -> IngestRun:
    return _measure(duto, topic, per_second, seconds, duto.folder / f"{topic}-log")


def of_kafka(duto: Duto, topic: str, per_second: float, seconds: float) -> IngestRun:
    create_topic(duto.kafka, topic, PARTITIONS)
    return _measure(duto, topic, per_second, seconds, None)


def _measure(duto: Duto, topic: str, per_second: float, seconds: float, log_folder) -> IngestRun:
    port = free_port()
    # No database answers there, and none is asked.
    with duto.start(topic, topic, "postgresql://127.0.0.1:1/none", port, log_folder, only="ingest") as taker:
        _wait_for_port(port, taker)
        _paced(port, per_second, WARM_UP_S)
        with Stolen() as stolen:
            sent, answered = _paced(port, per_second, seconds)
        bulk = _bulk(port, seconds)
        taker.stop()
    return IngestRun(LatencyRun.of(sent, answered, stolen), bulk)


def _paced(port: int, per_second: float, seconds: float) -> tuple[list[int], list[int]]:
    """One record a request, at an even rate over a few connections: when each was due, and when it was answered, in monotonic ns."""
    count, lock, next_number = int(per_second * seconds), threading.Lock(), iter(range(int(per_second * seconds)))
    requests = [_request(b"application/json", order(number)) for number in range(CONNECTIONS)]
    began = time.monotonic() + 0.1
    times: list[tuple[int, int]] = []

    def send(place: int) -> list[tuple[int, int]]:
        own = []
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                with lock:
                    number = next(next_number, None)
                if number is None:
                    return own
                due = began + number / per_second
                time.sleep(max(due - time.monotonic(), 0))
                sent = time.monotonic()
                connection.sendall(requests[place])
                _require_accepted(connection)
                # A sender that is late itself is no fault of the answer's; one that waits for an answer is.
                own.append((int(min(sent, due + 0.001) * 1e9), time.monotonic_ns()))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for own in pool.map(send, range(CONNECTIONS)):
            times.extend(own)
    assert len(times) == count
    return [at for at, _ in times], [at_end for _, at_end in times]


def _bulk(port: int, seconds: float) -> float:
    """Bodies of many records, one a line, as quickly as they are answered."""
    bodies = b"\n".join(order(number) for number in range(RECORDS_IN_A_BODY))
    request, ends = _request(b"application/x-ndjson", bodies), time.monotonic() + seconds

    def send(_place: int) -> int:
        sent = 0
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.monotonic() < ends:
                connection.sendall(request)
                _require_accepted(connection)
                sent += RECORDS_IN_A_BODY
        return sent

    began = time.monotonic()
    with ThreadPoolExecutor(BULK_CONNECTIONS) as pool:
        return sum(pool.map(send, range(BULK_CONNECTIONS))) / (time.monotonic() - began)


def _request(content_type: bytes, body: bytes) -> bytes:
    head = b"POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (content_type, len(body))
    return head + body


def _require_accepted(connection: socket.socket):
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(f"not accepted: {answer[:300]!r}")


def _wait_for_port(port: int, taker: Child):
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        taker.require_running()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: {taker.name()} does not listen: {taker.said()}") from None
            time.sleep(0.05)
