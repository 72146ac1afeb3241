"""The old-style consumer with every advantage that an INSERT a message can have: the C client for Kafka, one connection a thread,
prepared statements, a commit for each batch of up to 100, batches that do not wait for each other, and none waits to be filled.

It says how much of the difference to duto is the style and how much only the libraries. Like the other it loses what is in flight when it
is killed; duto does not.
"""

import argparse
import json
import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
from confluent_kafka import Consumer, Message

BATCH_MESSAGES = 100
THREADS = 10
INSERT = "INSERT INTO sales (order_number, total_value, processed_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


def main():
    arguments = argparse.ArgumentParser(description="Stores orders from Kafka, one INSERT a message.")
    arguments.add_argument("topic")
    arguments.add_argument("group")
    arguments.add_argument("--count", type=int, help="end after so many messages; without it, at SIGTERM")
    options = arguments.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    consume(options.topic, options.group, options.count, stopping)


def consume(topic: str, group: str, count: int | None, stopping: threading.Event):
    consumer = Consumer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"], "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    store = Store(os.environ["DATABASE_URL"])
    room = threading.BoundedSemaphore(2 * THREADS)
    failures: list[BaseException] = []

    def done(future: Future):
        room.release()
        if future.exception() is not None:
            failures.append(future.exception())
            stopping.set()

    taken = 0
    with ThreadPoolExecutor(THREADS) as threads:
        while not stopping.is_set() and (count is None or taken < count):
            batch = next_batch(consumer, BATCH_MESSAGES if count is None else min(BATCH_MESSAGES, count - taken))
            if batch:
                taken += len(batch)
                room.acquire()
                threads.submit(store.batch, batch).add_done_callback(done)
    consumer.close()
    if failures:
        raise failures[0]


def next_batch(consumer: Consumer, limit: int) -> list[Message]:
    """What is there, up to the limit; waits a moment for the first message only."""
    first = consumer.poll(0.2)
    if first is None:
        return []
    rest = consumer.consume(limit - 1, timeout=0) if limit > 1 else []
    return [message for message in [first, *rest] if message.error() is None]


class Store:
    """Connections, one for each thread that comes."""

    def __init__(self, url: str):
        self.url = url
        self.of_thread = threading.local()

    def batch(self, messages: list[Message]):
        if not hasattr(self.of_thread, "connection"):
            self.of_thread.connection = psycopg.connect(self.url)
        connection = self.of_thread.connection
        with connection.cursor() as cursor:
            for message in messages:
                order = json.loads(message.value())
                total = sum((Decimal(str(item["qty"])) * Decimal(str(item["value_unit"])) for item in order["order_items"]), Decimal(0))
                cursor.execute(INSERT, (order["order_number"], total, datetime.now(UTC).replace(tzinfo=None)))
        connection.commit()


if __name__ == "__main__":
    main()
