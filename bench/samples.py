"""What was measured, run by run."""

from dataclasses import dataclass, field

from back import BackRun
from drain import DrainRun
from ecommerce import Figures
from flat import FlatFigures
from ingest import IngestRun
from latency import LatencyRun
from sealed import SealedFigures


@dataclass
class Samples:
    """Every run, by what was run. The names are those of the JSON file."""

    preload_rows_per_second: list[float] = field(default_factory=list)
    drain: list[DrainRun] = field(default_factory=list)
    drain_small_batch: list[DrainRun] = field(default_factory=list)
    drain_old_style: list[DrainRun] = field(default_factory=list)
    drain_tuned: list[DrainRun] = field(default_factory=list)
    drain_backlog: list[DrainRun] = field(default_factory=list)
    latency_kafka: list[LatencyRun] = field(default_factory=list)
    latency_embedded: list[LatencyRun] = field(default_factory=list)
    latency_tuned: list[LatencyRun] = field(default_factory=list)
    latency_bare: list[LatencyRun] = field(default_factory=list)
    ingest_embedded: list[IngestRun] = field(default_factory=list)
    ingest_kafka: list[IngestRun] = field(default_factory=list)
    back_duto: list[BackRun] = field(default_factory=list)
    back_connect: list[BackRun] = field(default_factory=list)
    ecommerce: Figures = field(default_factory=Figures)
    flat: FlatFigures = field(default_factory=FlatFigures)
    sealed: SealedFigures = field(default_factory=SealedFigures)
    # For each drain, by the name above: the speeds of the raw COPY just before and just after it.
    copy_around: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


@dataclass
class Facts:
    """Under which circumstances."""

    messages: int
    message_bytes: float
    partitions: int
    old_style_messages: int
    repeats: int
    latency_repeats: int
    backlog: int
    rate: float
    ingest_rate: float
    copy_form: str
    one_row_commit_ms: float
    postgres: str
    cores: int
    load_average: float
    # Of the machine's CPU time, what its host gave to others meanwhile.
    # While latencies are taken, see halt.py.
    polls_before_halt: bool
    stolen_percent: float
