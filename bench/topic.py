"""Topics: made and deleted here, read back to know what must be stored."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from database import Check

READ_LIMIT_S = 30


@dataclass
class Orders:
    """What a topic holds, summed by this bench and not by what it measures."""

    totals: dict[int, Decimal]
    message_bytes: float

    def check(self) -> Check:
        return len(self.totals), sum(self.totals.values(), Decimal(0)), sum((n * total for n, total in self.totals.items()), Decimal(0))

    def as_text(self) -> bytes:
        """COPY's text form of the rows, in key order: the order that COPY likes best."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
        return "".join(f"{number}\t{self.totals[number]:.2f}\t{now}\n" for number in sorted(self.totals)).encode()


def create_topic(servers: str, name: str, partitions: int):
    # The client has to live until the answer is there.
    admin = _admin(servers)
    admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])[name].result(30)


def delete_topic(servers: str, name: str):
    admin = _admin(servers)
    admin.delete_topics([name])[name].result(30)


def fill_topic(servers: str, name: str, partitions: int, records: Iterable[bytes]):
    """Sends records as they come; number n, counted from 1, goes to partition n modulo their
    number."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "acks": "all"})
    failures: list[str] = []

    def reported(error, _message):
        if error is not None:
            failures.append(str(error))

    for number, record in enumerate(records, 1):
        while True:
            try:
                producer.produce(name, record, partition=number % partitions, on_delivery=reported)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(60) > 0 or failures:
        raise SystemExit(f"bench: filling topic {name} failed: {failures[:3] or 'no answer'}")


def read_orders(servers: str, topic: str, count: int) -> Orders:
    """Reads a topic to its end; it must hold `count` messages, each with another order number."""
    totals: dict[int, Decimal] = {}
    size = taken = 0
    for message in _messages(servers, topic):
        order = json.loads(message, parse_float=Decimal)
        totals[order["order_number"]] = sum((item["qty"] * item["value_unit"] for item in order["order_items"]), Decimal(0))
        size += len(message)
        taken += 1
    if taken != count or len(totals) != count:
        raise SystemExit(f"bench: topic {topic} holds {taken} messages with {len(totals)} order numbers, but {count} were sent")
    return Orders(totals, size / count)


def _admin(servers: str) -> AdminClient:
    warnings_and_worse = 4
    return AdminClient({"bootstrap.servers": servers, "log_level": warnings_and_worse})


def _messages(servers: str, topic: str):
    consumer = Consumer({"bootstrap.servers": servers, "group.id": f"{topic}-reader", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1] for number in partitions}
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        left = sum(ends.values())
        while left > 0:
            batch = consumer.consume(min(left, 10_000), timeout=READ_LIMIT_S)
            if not batch:
                raise SystemExit(f"bench: topic {topic} gave no message for {READ_LIMIT_S} s, {left} are missing")
            for message in batch:
                if message.error():
                    raise SystemExit(f"bench: reading topic {topic}: {message.error()}")
                yield message.value()
            left -= len(batch)
    finally:
        consumer.close()
