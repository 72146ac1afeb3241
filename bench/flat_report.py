"""The table of duto beside Kafka Connect, and what a reader has to know about it."""

import textwrap
from collections.abc import Callable
from statistics import median

import connect
from flat import FlatFigures
from flat_contender import AS_IT_COMES, AT_ITS_BEST, DUTO
from samples import Facts
from table import amount, per_second, ratio_text, side_by_side

HEADS = {
    DUTO: "duto",
    AS_IT_COMES: "Kafka Connect as it comes",
    AT_ITS_BEST: "Kafka Connect at its best",
}
COPY_HEAD = "raw COPY"
COULD_NOT = "could not"

Row = tuple[str, ...]
# What is printed of the runs of one contender.
Text = Callable[[list], str]


def beside_connect(figures: FlatFigures, facts: Facts) -> str:
    heads = ("beside Kafka Connect", *HEADS.values(), COPY_HEAD)
    rows = [*_drains(figures), *_kills(figures), *_latencies(figures, facts)]
    return side_by_side(heads, rows, _notes(figures, facts))


def _drains(figures: FlatFigures) -> list[Row]:
    def row(figure: str, text: Text, copy: Text | None = None) -> Row:
        of_copy = copy(figures.raw_copy) if copy else ""
        return (figure, *_texts(figures.drain, text), of_copy)

    def speed(what: str) -> Text:
        return lambda runs: _known(runs, what, lambda values: per_second("", values).value)

    def cost(what: str, unit: str) -> Text:
        return lambda runs: _known(runs, what, lambda values: amount("", values, unit).value)

    postgres = cost("postgres_cpu_us_per_row", "µs")
    return [
        row(
            "stored, from the first to the last visible row",
            speed("rows_per_second_steady"),
            speed("rows_per_second"),
        ),
        ("... to raw COPY", *_ratios_to_copy(figures), "1.00"),
        row("... from the start of the process on", speed("rows_per_second_whole")),
        row("CPU of the process a row, from its start to its end", cost("cpu_us_per_row", "µs")),
        row("... from the first to the last visible row", cost("cpu_us_per_row_steady", "µs")),
        row("CPU of PostgreSQL a row", postgres, postgres),
        row("peak memory of the process", cost("peak_rss_mb", "MB")),
    ]


def _ratios_to_copy(figures: FlatFigures) -> list[str]:
    def of(name: str) -> str:
        pairs = zip(figures.drain[name], figures.copy_around[name], strict=True)
        speeds = [(run.rows_per_second_steady, sum(around) / 2) for run, around in pairs]
        known = [speed / copy for speed, copy in speeds if speed is not None]
        return ratio_text(median(known)) if known else "one look"

    return [of(name) if name in figures.drain else COULD_NOT for name in HEADS]


def _kills(figures: FlatFigures) -> list[Row]:
    def row(figure: str, text: Text) -> Row:
        return (figure, *_texts(figures.kill, text), "")

    return [
        row("one SIGKILL, no key: rows lost", lambda runs: f"{runs[0].lost:,}"),
        row("... rows doubled", lambda runs: f"{runs[0].doubled:,}"),
        row("... from its restart to the next new row", lambda runs: f"{runs[0].next_row_s:.1f} s"),
    ]


def _latencies(figures: FlatFigures, facts: Facts) -> list[Row]:
    def row(figure: str, *parts: str) -> Row:
        def text(runs: list) -> str:
            values = [[getattr(run, part) for run in runs] for part in parts]
            known = [[value for value in of_part if value is not None] for of_part in values]
            if not all(known):
                return "too few"
            return " / ".join(f"{median(of_part):.1f}" for of_part in known) + " ms"

        return (figure, *_texts(figures.latency, text), "")

    undisturbed = ("undisturbed_p50_ms", "undisturbed_p99_ms")
    visible = f"send to visible at {facts.rate:,.0f}/s, p50 / p99 / max"
    return [
        row(visible, "p50_ms", "p99_ms", "max_ms"),
        row("... while the host took no CPU time, p50 / p99", *undisturbed),
    ]


def _notes(figures: FlatFigures, facts: Facts) -> str:
    versions, best = connect.versions(), connect.AT_ITS_BEST
    # A schema is longer than all the others together, and told in words.
    settings = [line for line in (*best.worker, *best.sink) if len(line) < 80]
    text = [
        f"{figures.rows:,} flat records {{order_number BIGINT, total_value DOUBLE PRECISION,",
        "customer TEXT}, stored as they are in a table with a primary key, in the same run as the",
        f"table above, medians of {facts.repeats} and for latencies of {facts.latency_repeats}.",
        f"Kafka Connect {versions['connect-runtime']} runs Debezium's JDBC sink",
        f"{versions['debezium-connector-jdbc']} with the driver {versions['postgresql']} in a",
        "standalone worker that logs nothing. As it comes: Java's settings are those of Kafka's own",
        "script, every message carries its schema, and rows are upserted by their key, since a",
        "repeat would stop a plain insert. At its best: the schema stands in the worker's settings",
        "(`value.converter.schema.content`), so that it reads the same messages as duto, with",
        f"{_code(settings)} under {_code(best.java)}. duto runs with `repeat: ignore`. All of them",
        "run as a service that is told to end when the last row is seen; the table is looked at",
        "every 10 ms. A whole process has the start of Java in it. It is killed once, when a third",
        "of the rows is there, and started again at once; the table has no key then (`repeat:",
        "append`; `insert.mode=insert`, `primary.key.mode=none`), and Kafka Connect its defaults:",
        "offsets are committed every 60 s, and the group waits 45 s for a member that is gone. The",
        "shorter the one, the fewer rows are doubled. For latencies a worker is warmed up once and",
        "then measured again and again. What was stored with a key is checked, to the sum.",
    ]
    return textwrap.fill(" ".join(text), 120, break_long_words=False, break_on_hyphens=False)


def _code(words: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _texts(runs: dict[str, list], text: Text) -> list[str]:
    """In the order of the heads."""
    return [text(runs[name]) if runs.get(name) else COULD_NOT for name in HEADS]


def _known(runs: list, what: str, text: Callable[[list[float]], str]) -> str:
    """A run of which one look saw all has no figure from the first to the last row."""
    values = [getattr(run, what) for run in runs]
    known = [value for value in values if value is not None]
    return text(known) if known else "one look"
