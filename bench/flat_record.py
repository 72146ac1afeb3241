"""The flat record: three fields that become three columns as they are, which is the easiest case
that there is for a sink without a transform. Each figure that it has is exact in binary, so that
sums can be compared."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from database import Check
from pipeline import PARTITIONS, Duto

TABLE = "sales"
COLUMNS = "order_number, total_value, customer"
# As Kafka Connect names types.
SCHEMA = {
    "type": "struct",
    "name": "sale",
    "optional": False,
    "fields": [
        {"type": "int64", "optional": False, "field": "order_number"},
        {"type": "double", "optional": False, "field": "total_value"},
        {"type": "string", "optional": False, "field": "customer"},
    ],
}
SCHEMA_TEXT = json.dumps(SCHEMA, separators=(",", ":"))
PIPELINE = """pipeline: flat

source:
  topic: flat
  group: flat
  partitions: "${{PARTITIONS}}"
  format: json
  kafka:
    bootstrap.servers: "${{KAFKA_BOOTSTRAP_SERVERS}}"

database:
  url: "${{DATABASE_URL}}"

record: {{ order_number: BIGINT, total_value: DOUBLE PRECISION, customer: TEXT }}

tables:
  sales:
    columns:
      order_number: BIGINT{key}
      total_value:  DOUBLE PRECISION NOT NULL
      customer:     TEXT NOT NULL
    repeat: {repeat}
    select: SELECT order_number, total_value, customer FROM record
"""


def plain(number: int) -> bytes:
    """As duto takes it."""
    return _body(number).encode()


def with_schema(number: int) -> bytes:
    """As Kafka Connect takes it unless it is told the schema."""
    return f'{{"schema":{SCHEMA_TEXT},"payload":{_body(number)}}}'.encode()


def ddl(append: bool = False) -> str:
    """Only a table to which rows are appended has no key."""
    key = "" if append else " PRIMARY KEY"
    columns = f"order_number bigint{key}, total_value double precision NOT NULL"
    return f"CREATE TABLE {TABLE} ({columns}, customer text NOT NULL)"


def pipeline(duto: Duto, append: bool) -> Path:
    """A new file for duto, which makes the same table."""
    file = duto.folder / f"flat-{'append' if append else 'ignore'}.yaml"
    key = "" if append else " PRIMARY KEY"
    file.write_text(PIPELINE.format(key=key, repeat="append" if append else "ignore"))
    return file


@dataclass
class FlatRows:
    """The records 1 to `count`, of which number n goes to partition n modulo their number."""

    count: int

    def check(self) -> Check:
        numbers = range(1, self.count + 1)
        total = sum(map(_quarters, numbers))
        weighted = sum(number * _quarters(number) for number in numbers)
        return self.count, Decimal(total) / 4, Decimal(weighted) / 4

    def as_text(self) -> bytes:
        rows = (
            f"{number}\t{_quarters(number) / 4}\t{_customer(number)}\n"
            for number in range(1, self.count + 1)
        )
        return "".join(rows).encode()

    def last_of_each_partition(self) -> list[int]:
        return list(range(max(self.count - PARTITIONS, 0) + 1, self.count + 1))


def _body(number: int) -> str:
    total = _quarters(number) / 4
    customer = _customer(number)
    return f'{{"order_number":{number},"total_value":{total},"customer":"{customer}"}}'


def _quarters(number: int) -> int:
    return number % 1000


def _customer(number: int) -> str:
    return f"C{number % 997:06}"
