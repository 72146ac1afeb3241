"""Which samples become which lines of the table, and what a reader has to know about them."""

import textwrap
from collections.abc import Iterable

from raw_copy import RawCopy
from samples import Facts, Samples
from table import Line, amount, per_second


def lines(samples: Samples, copy: RawCopy, facts: Facts) -> list[Line]:
    return [*_speeds(samples, copy), *_latencies(samples, facts), *_costs(samples, copy, facts)]


def notes(samples: Samples, facts: Facts) -> str:
    commits = [run.commits for run in samples.drain if run.commits]
    text = [
        f"Medians of {facts.repeats}. {facts.messages:,} messages of {facts.message_bytes:.0f} bytes in {facts.partitions} partitions of",
        f"Apache Kafka, the `sales` pipeline, PostgreSQL {facts.postgres} with every commit synced, all on one machine of",
        f"{facts.cores} cores.",
        f"Raw COPY ({facts.copy_form}) is one connection and one transaction, its rows prepared before the clock starts; every other",
        "run stands between two of them. The Python consumer ([bench/old_style_consumer.py](bench/old_style_consumer.py)) stores",
        f"{facts.old_style_messages:,} of the messages: ten threads, an INSERT a message, a commit a hundred. A whole run is from the",
        "start of the process to its end, with connecting and joining the group;",
        f"duto commits {min(commits)} to {max(commits)} times in it.",
        "Latency is from before the send to the return of the first query that sees the row; a commit of one row takes",
        f"{facts.one_row_commit_ms:.2f} ms here, and the comparison is that of the p50. What a run has stored is checked, to the sum.",
    ]
    return textwrap.fill(" ".join(text), 120, break_long_words=False, break_on_hyphens=False)


def _speeds(samples: Samples, copy: RawCopy) -> list[Line]:
    old = [run.rows_per_second_whole for run in samples.drain_old_style]
    copies = [run.rows_per_second for run in copy.samples]

    def speed(figure: str, name: str, what: str) -> Line:
        values = [getattr(run, what) for run in getattr(samples, name)]
        if None in values:
            return Line(figure, "one commit")
        around = samples.copy_around[name]
        return per_second(figure, values, [value * 2 / sum(pair) for value, pair in zip(values, around, strict=True)], old)

    whole, steady = "rows_per_second_whole", "rows_per_second_steady"
    return [
        per_second("raw COPY of the same rows", copies, [1.0], old),
        speed("`duto run --until-caught-up`, first to last commit", "drain", steady),
        speed("... whole run", "drain", whole),
        speed("`BATCH_SIZE=100`, first to last commit", "drain_small_batch", steady),
        speed("... whole run", "drain_small_batch", whole),
        speed("Python consumer in the old style, whole run", "drain_old_style", whole),
        per_second("`duto generate`, whole run", samples.preload_rows_per_second),
    ]


def _latencies(samples: Samples, facts: Facts) -> list[Line]:
    def line(figure: str, runs: list, old: list | None) -> Line:
        parts = [amount(figure, [getattr(run, part) for run in runs], "ms") for part in ("p50_ms", "p99_ms", "max_ms")]
        value = " / ".join(part.value.removesuffix(" ms") for part in parts) + " ms"
        ratio = amount(figure, [run.p50_ms for run in runs], "ms", [run.p50_ms for run in old]).to_old_style if old else None
        return Line(figure, value, None, ratio)

    rate = f"{facts.rate:,.0f}/s"
    old = samples.latency_old_style
    return [
        line(f"send to visible at {rate}, Kafka, p50 / p99 / max", samples.latency_kafka, old),
        line(f"POST to visible at {rate}, embedded log, p50 / p99 / max", samples.latency_embedded, old),
        line(f"send to visible at {rate}, Python consumer, p50 / p99 / max", old, old),
    ]


def _costs(samples: Samples, copy: RawCopy, facts: Facts) -> list[Line]:
    duto, old = samples.drain, samples.drain_old_style
    copy_cpu = [run.postgres_cpu_us_per_row for run in copy.samples]
    old_cpu, old_postgres = _each(old, "cpu_us_per_row"), _each(old, "postgres_cpu_us_per_row")
    found = [
        amount("CPU of duto a row", _each(duto, "cpu_us_per_row"), "µs", old_cpu),
        amount("CPU of PostgreSQL a row, under duto", _each(duto, "postgres_cpu_us_per_row"), "µs", old_postgres, copy_cpu),
        amount("... under raw COPY", copy_cpu, "µs", old_postgres, copy_cpu),
        amount("CPU of the Python consumer a row", old_cpu, "µs", old_cpu),
        amount("CPU of PostgreSQL a row, under the Python consumer", old_postgres, "µs", old_postgres, copy_cpu),
        amount("peak memory of duto", _each(duto, "peak_rss_mb"), "MB", _each(old, "peak_rss_mb")),
    ]
    if samples.drain_backlog:
        figure = f"... behind a backlog of {facts.backlog:,}"
        found.append(amount(figure, _each(samples.drain_backlog, "peak_rss_mb"), "MB", _each(old, "peak_rss_mb")))
    found.append(amount("peak memory of the Python consumer", _each(old, "peak_rss_mb"), "MB", _each(old, "peak_rss_mb")))
    found.append(amount("CPU of an idle `duto run`, of one core", _each(samples.latency_kafka, "idle_cpu_percent"), "%"))
    return found


def _each(runs: Iterable, what: str) -> list[float]:
    return [getattr(run, what) for run in runs]
