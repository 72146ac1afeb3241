"""A consumer as such systems are often written: batches of up to 100 messages, ten threads, an INSERT and a commit for each message, the
usual libraries as they come. It is what the table compares with, and says nothing about Python's limits: `tuned_consumer.py` does.

It loses what is in flight when it is killed; duto does not.
"""

import argparse
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

from kafka import KafkaConsumer
from psycopg2.pool import ThreadedConnectionPool

BATCH_MESSAGES = 100
THREADS = 10
INSERT = "INSERT INTO sales (order_number, total_value, processed_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


def main():
    arguments = argparse.ArgumentParser(description="Stores orders from Kafka, one INSERT a message.")
    arguments.add_argument("topic")
    arguments.add_argument("group")
    arguments.add_argument("--count", type=int, required=True, help="end after so many messages")
    options = arguments.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    consume(options.topic, options.group, options.count, stopping)


def consume(topic: str, group: str, count: int, stopping: threading.Event):
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=group,
        auto_offset_reset="earliest",
        value_deserializer=lambda body: json.loads(body, parse_float=Decimal),
    )
    connections = ThreadedConnectionPool(THREADS, THREADS, os.environ["DATABASE_URL"])
    taken = 0
    with ThreadPoolExecutor(THREADS) as threads:
        while not stopping.is_set() and taken < count:
            polled = consumer.poll(timeout_ms=1_000, max_records=min(BATCH_MESSAGES, count - taken))
            orders = [message.value for messages in polled.values() for message in messages]
            taken += len(orders)
            # The batch is done when every one of its messages is, and the first failure is raised here.
            list(threads.map(lambda order: store(connections, order), orders))
    consumer.close()
    connections.closeall()


def store(connections: ThreadedConnectionPool, order: dict):
    total = sum((item["qty"] * item["value_unit"] for item in order["order_items"]), Decimal(0))
    connection = connections.getconn()
    try:
        with connection.cursor() as cursor:
            cursor.execute(INSERT, (order["order_number"], total, datetime.now(UTC).replace(tzinfo=None)))
        connection.commit()
    finally:
        connections.putconn(connection)


if __name__ == "__main__":
    main()
