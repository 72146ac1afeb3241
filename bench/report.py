"""Which samples become which lines of the table, and what a reader has to know about them."""

import textwrap
from collections.abc import Iterable
from statistics import mean, median

from halt import POLL_NS
from raw_copy import RawCopy
from samples import Facts, Samples
from table import Line, amount, per_second

POLLS = (
    f"While latencies are taken, the machine, a virtual one, polls for up to {POLL_NS / 1e6:.0f} ms before it halts (Linux' haltpoll): a CPU that has halted "
    "waits for its host at every wake-up, however little is left to do."
)


def lines(samples: Samples, copy: RawCopy, facts: Facts) -> list[Line]:
    return [*_speeds(samples, copy), *_latencies(samples, facts), *_costs(samples, copy, facts), *_sealed(samples), *_restarts(samples), *_ecommerce(samples)]


def notes(samples: Samples, facts: Facts) -> str:
    commits = [run.commits for run in samples.drain if run.commits]
    text = [
        f"Medians of {facts.repeats}, for latencies and HTTP of {facts.latency_repeats}. {facts.messages:,} messages of",
        f"{facts.message_bytes:.0f} bytes in {facts.partitions} partitions of",
        f"Apache Kafka, the `sales` pipeline, PostgreSQL {facts.postgres} with every commit synced, all on one machine of",
        f"{facts.cores} cores, of whose time its host gave {facts.stolen_percent:.1f} % to others meanwhile. Kafka has the heap of its own",
        "start script, half of it for what is young: left alone, its collector stops it every other second here.",
        f"Raw COPY ({facts.copy_form}) is one connection and one transaction, its rows prepared before the clock starts; every other",
        "run stands between two of them. The Python consumers store",
        f"{facts.old_style_messages:,} of the messages, with ten threads and an INSERT a message: in the old style",
        "([bench/old_style_consumer.py](../bench/old_style_consumer.py)) by the usual libraries, with a commit a message; tuned",
        "([bench/tuned_consumer.py](../bench/tuned_consumer.py)) by C clients, prepared, with a commit a hundred. A whole run is from the",
        "start of the process to its end, with connecting and joining the group;",
        f"duto commits {min(commits)} to {max(commits)} times in it.",
        "Latency is from before the send to the return of the first query that sees the row; a commit of one row takes",
        f"{facts.one_row_commit_ms:.2f} ms here. It is taken when Kafka's Java has compiled what it runs, and where it may be, behind an emptied page cache.",
        *([POLLS] if facts.polls_before_halt else []),
        "What a run has stored is checked, to the sum.",
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
        speed("... tuned, whole run", "drain_tuned", whole),
        per_second("`duto generate`, whole run", samples.preload_rows_per_second),
    ]


def _latencies(samples: Samples, facts: Facts) -> list[Line]:
    def line(figure: str, runs: list) -> Line:
        parts = [amount(figure, [getattr(run, part) for run in runs], "ms") for part in ("p50_ms", "p99_ms", "max_ms")]
        value = " / ".join(part.value.removesuffix(" ms") for part in parts) + " ms"
        return Line(figure, value)

    def undisturbed(runs: list) -> Line:
        parts = [[getattr(run, part) for run in runs] for part in ("undisturbed_p50_ms", "undisturbed_p99_ms")]
        share = mean(run.undisturbed_percent for run in runs)
        figure = f"... the {share:.0f} % while the host took no CPU time, p50 / p99"
        known = [[value for value in values if value is not None] for values in parts]
        return Line(figure, " / ".join(f"{median(values):.1f}" for values in known) + " ms" if all(known) else "too few")

    rate = f"{facts.rate:,.0f}/s"
    embedded, kafka = ([run.answers for run in runs] for runs in (samples.ingest_embedded, samples.ingest_kafka))
    return [
        line(f"send to visible at {rate}, Kafka, p50 / p99 / max", samples.latency_kafka),
        undisturbed(samples.latency_kafka),
        line(f"POST to visible at {rate}, embedded log, p50 / p99 / max", samples.latency_embedded),
        undisturbed(samples.latency_embedded),
        line(f"send to visible at {rate}, tuned Python consumer, p50 / p99 / max", samples.latency_tuned),
        undisturbed(samples.latency_tuned),
        line(f"send to the poll of a consumer that stores nothing, at {rate}, p50 / p99 / max", samples.latency_bare),
        line(f"POST to its answer at {facts.ingest_rate:,.0f}/s, embedded log, p50 / p99 / max", embedded),
        undisturbed(embedded),
        line(f"POST to its answer at {facts.ingest_rate:,.0f}/s, Kafka, p50 / p99 / max", kafka),
        undisturbed(kafka),
        per_second("taken by POST in bodies of 1,000, embedded log", [run.bulk_per_second for run in samples.ingest_embedded]),
        per_second("... Kafka", [run.bulk_per_second for run in samples.ingest_kafka]),
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


def _sealed(samples: Samples) -> list[Line]:
    figures = samples.sealed
    found = []
    for figure, part in (
        ("`duto generate` into the embedded log, whole run", "in"),
        ("`duto run --until-caught-up` from it, whole run", "out"),
    ):
        found.append(per_second(figure, getattr(figures, f"plain_{part}")))
        found.append(per_second("... with `encryption`", getattr(figures, f"sealed_{part}")))
    found.append(amount("size of the embedded log", figures.plain_log_mb, "MB"))
    found.append(amount("... with `encryption`", figures.sealed_log_mb, "MB"))
    return found


def _restarts(samples: Samples) -> list[Line]:
    figures = (
        ("a worker killed and started again: until every partition is read", "restarted_s"),
        ("one of two killed for good: until the other reads its partitions", "gone_s"),
        ("one of two stopped for good: until the other reads its partitions", "stopped_s"),
        ("three workers restarted in turn: the longest for which a partition is unread", "rolling_s"),
    )
    found = []
    for figure, what in figures if samples.back_duto else ():
        duto, peer = (f"{median(getattr(run, what) for run in runs):.1f} s" for runs in (samples.back_duto, samples.back_connect))
        found.append(Line(figure, f"{duto} (Kafka Connect {peer})"))
    return found


def _ecommerce(samples: Samples) -> list[Line]:
    figures = samples.ecommerce

    def speed(figure: str, values: list[float]) -> Line:
        line = per_second(figure, values, [value / copied for value, copied in zip(values, figures.raw_copy, strict=True)])
        line.value = line.value.replace("rows/s", "events/s")
        return line

    found = [
        speed("raw COPY of the rows of `ecommerce`, three tables", figures.raw_copy),
        speed("`ecommerce` with all its rollups, first to last commit", figures.full),
        speed("... whole run", figures.full_whole),
        speed("... with counters alone", figures.without_distinct),
        speed("... without rollups", figures.without_rollups),
    ]
    if figures.answers:
        answers = figures.answers
        figure = f"an endpoint over {answers.events:,} events, {answers.loaded_per_second:,.0f}/s arriving, p50 / p99 / max"
        found.append(Line(figure, f"{answers.p50_ms:.1f} / {answers.p99_ms:.1f} / {answers.max_ms:.1f} ms"))
    return found


def _each(runs: Iterable, what: str) -> list[float]:
    return [getattr(run, what) for run in runs]
