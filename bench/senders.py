"""Sends orders at an even rate and notes when each was sent. Runs in a process of its own, so that nothing else delays it."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache

from confluent_kafka import Producer

HTTP_CONNECTIONS = 16


def order(number: int) -> bytes:
    """About as long as the generator's."""
    prices = [10 + (number * 37 + item * 11) % 49_000 / 100 for item in range(3)]
    items = [{"item_id": item, "qty": 1 + (number + item) % 5, "value_unit": price} for item, price in enumerate(prices)]
    return json.dumps({"order_number": number, "order_items": items}, separators=(",", ":")).encode()


def send_to_kafka(
    servers: str, topic: str, make: Callable[[int], bytes], first: int, count: int, per_second: float
) -> list[int]:
    """The monotonic time in ns before each send, by order number from `first`. No send waits for another, none lingers."""
    producer = _producer(servers)
    failures = []

    def reported(error, _message):
        if error is not None:
            failures.append(str(error))

    sent = []
    bodies = _made(make, first, count)
    for number in _paced(first, count, per_second):
        body = bodies[number - first]
        sent.append(time.monotonic_ns())
        producer.produce(topic, body, on_delivery=reported)
        producer.poll(0)
    if producer.flush(30) > 0 or failures:
        raise RuntimeError(f"sending to Kafka failed: {failures[:3] or 'no answer'}")
    return sent


@cache
def _producer(servers: str) -> Producer:
    """Kept from one call to the next, so that who has warmed up is connected."""
    return Producer({"bootstrap.servers": servers, "linger.ms": 0, "acks": "all"})


def send_by_http(port: int, path: str, first: int, count: int, per_second: float) -> list[int]:
    """The same by one POST an order, over a few connections that are kept alive."""
    sent, bodies = [0] * count, _made(order, first, count)
    orders = _Shared(_paced(first, count, per_second))
    failures: list[str] = []

    def post():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while (number := orders.next()) is not None and not failures:
                body = bodies[number - first]
                sent[number - first] = time.monotonic_ns()
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 202:
                    failures.append(f"{answer.status} {text[:200]!r}")
        except OSError as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=post) for _ in range(HTTP_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"POST {path}: {failures[0]}")
    return sent


def _made(make: Callable[[int], bytes], first: int, count: int) -> list[bytes]:
    """Made beforehand: whoever is measured has the machine for himself then."""
    return [make(number) for number in range(first, first + count)]


def _paced(first: int, count: int, per_second: float) -> Iterator[int]:
    """Each number at its moment, counted from the start, so that delays do not add up."""
    start = time.monotonic()
    for index in range(count):
        wait = start + index / per_second - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        yield first + index


class _Shared:
    """An iterator for several threads: who asks next waits for the next moment."""

    def __init__(self, items: Iterator[int]):
        self.items, self.lock = items, threading.Lock()

    def next(self) -> int | None:
        with self.lock:
            return next(self.items, None)
