"""duto beside Kafka Connect on flat records, which is the job that both do: how quickly a topic is
stored, what that costs, what a crash costs, and how soon a record is seen."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import flat_record
import latency
from child import NotStored
from database import Server
from flat_contender import Contender, Start, contenders
from flat_drain import FlatDrain, drain
from flat_kill import KillRun, kill
from flat_record import FlatRows
from halt import polling_before_halt
from latency import LatencyRun
from pipeline import PARTITIONS, Duto
from raw_copy import CopyRun, RawCopy
from topic import create_topic, delete_topic, fill_topic


@dataclass
class FlatFigures:
    """By the name of the contender, run by run; nothing of a peer that could not do it."""

    rows: int = 0
    raw_copy: list[CopyRun] = field(default_factory=list)
    drain: dict[str, list[FlatDrain]] = field(default_factory=dict)
    # For each drain: the speeds of the raw COPY just before and just after it.
    copy_around: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    kill: dict[str, list[KillRun]] = field(default_factory=dict)
    latency: dict[str, list[LatencyRun]] = field(default_factory=dict)


def measure(
    options: argparse.Namespace,
    server: Server,
    duto: Duto,
    settle: Callable[[], None],
    say: Callable[[str], None],
) -> FlatFigures:
    """Every contender in its turn; `settle` is called before each latency."""
    rows, figures = FlatRows(options.flat), FlatFigures(options.flat)
    bench = _Bench(server, duto, rows, _fill_topics(duto, rows), figures, settle, say)
    say(f"flat records: {rows.count:,} in a topic")
    bench.copy = RawCopy(server, flat_record.ddl(), rows, flat_record.COLUMNS)
    bench.copy.run()
    for number in range(options.repeats):
        for contender in contenders(duto):
            with _peer_may_fail(contender, say):
                bench.drain(contender, number)
    figures.raw_copy = bench.copy.samples
    for contender in contenders(duto):
        with _peer_may_fail(contender, say):
            bench.kill(contender)
    stream = latency.Stream(options.rate, options.seconds)
    with polling_before_halt():
        for contender in contenders(duto):
            with _peer_may_fail(contender, say):
                bench.latencies(contender, stream, options.latency_repeats)
    for topic in bench.topics.values():
        delete_topic(duto.kafka, topic)
    return figures


@dataclass
class _Bench:
    server: Server
    duto: Duto
    rows: FlatRows
    # By the function that makes their records.
    topics: dict[Callable[[int], bytes], str]
    figures: FlatFigures
    settle: Callable[[], None]
    say: Callable[[str], None]
    copy: RawCopy | None = None

    def drain(self, contender: Contender, number: int):
        before = self.copy.samples[-1].rows_per_second
        group = _name("drain", contender, number)
        run = drain(self.server, contender, self.rows, self.topics[contender.make], group)
        after = self.copy.run().rows_per_second
        self.figures.drain.setdefault(contender.name, []).append(run)
        self.figures.copy_around.setdefault(contender.name, []).append((before, after))
        self.say(
            f"{group}: {run.rows_per_second_steady or 0:,.0f} rows/s, "
            f"raw COPY {before:,.0f} before and {after:,.0f} after"
        )

    def kill(self, contender: Contender):
        group = _name("kill", contender)
        run = kill(self.server, contender, self.rows, self.topics[contender.make], group)
        self.figures.kill[contender.name] = [run]
        self.say(
            f"{group}: {run.lost:,} lost, {run.doubled:,} doubled, "
            f"the next row {run.next_row_s:.1f} s after the start"
        )

    def latencies(self, contender: Contender, stream: latency.Stream, repeats: int):
        topic = _name("latency", contender)
        store = latency.Store(
            flat_record.ddl(),
            contender.make,
            lambda url: contender.start(Start(topic, topic, url)),
        )
        runs = latency.of_store(
            self.server, self.duto.kafka, topic, store, stream, repeats, self.settle
        )
        self.figures.latency[contender.name] = runs
        for run in runs:
            self.say(f"{topic}: {run.told()}")


def _fill_topics(duto: Duto, rows: FlatRows) -> dict[Callable[[int], bytes], str]:
    topics = {}
    for make in dict.fromkeys(contender.make for contender in contenders(duto)):
        topics[make] = topic = f"bench-flat-{make.__name__}".replace("_", "-")
        create_topic(duto.kafka, topic, PARTITIONS)
        fill_topic(duto.kafka, topic, PARTITIONS, map(make, range(1, rows.count + 1)))
    return topics


def _name(what: str, contender: Contender, number: int | None = None) -> str:
    words = ["flat", what, contender.name, *([] if number is None else [str(number)])]
    return "-".join(words).replace("_", "-")


@contextmanager
def _peer_may_fail(contender: Contender, say: Callable[[str], None]) -> Iterator[None]:
    """What a peer cannot do is missing from the table, and the bench goes on."""
    try:
        yield
    except (NotStored, RuntimeError) as failure:
        if not contender.is_peer():
            raise
        say(f"{contender.name} could not: {failure}")
