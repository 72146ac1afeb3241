"""`make bench`: how quickly duto stores what is in Kafka, how soon a record is seen, and what that costs, beside a raw COPY of the same
rows and beside consumers in Python; and duto beside Kafka Connect. One command, two tables.

Everything runs on one machine in the same minutes, and each run stands between two runs of the raw COPY: on a busy or another machine the
figures differ, the ratios hardly. What a run has stored is checked, to the sum, and a difference ends the bench.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import back
import connect
import ecommerce
import flat
import ingest
import latency
import sealed
import table
from database import Server
from drain import OLD_STYLE, TUNED, DrainRun, drain_by_duto, drain_by_python
from flat_report import beside_connect
from halt import polling_before_halt
from kernel import write
from pipeline import PARTITIONS, Duto
from raw_copy import CopyRun, RawCopy
from report import lines, notes
from samples import Facts, Samples
from stolen import cpu_times, stolen_percent
from topic import Orders, create_topic, delete_topic, read_orders

ROOT = Path(__file__).resolve().parent.parent
SMALL_BATCH = 100
PAGE_CACHE = Path("/proc/sys/vm/drop_caches")


def main():
    options = parse_options()
    server = Server(required_variable("DUTO_TEST_POSTGRES"))
    server.require_durable()
    if options.restarts or options.flat:
        say("Kafka Connect: its libraries are fetched unless they are there")
        connect.libraries()
    with tempfile.TemporaryDirectory(prefix="duto-bench-") as folder:
        duto = Duto(options.duto, options.pipeline, required_variable("DUTO_TEST_KAFKA"), Path(folder))
        samples, copy, facts = measure(options, server, duto)
        file = ROOT / "pipelines" / "ecommerce" / "pipeline.yaml"
        samples.ecommerce = ecommerce.measure(server, duto, file, options.events, options.repeats, options.history, options.seconds, say)
    text = table.markdown(lines(samples, copy, facts), notes(samples, facts))
    if options.flat:
        text = f"{text}\n\n{beside_connect(samples.flat, facts)}"
    print(f"\n{text}")
    keep_json({"facts": asdict(facts), "raw_copy": copy.as_json(), **asdict(samples)})
    if options.write:
        table.write(ROOT / "docs" / "bench.md", text)


def measure(options: argparse.Namespace, server: Server, duto: Duto) -> tuple[Samples, RawCopy, Facts]:
    """All runs, in the order in which the table shows them."""
    samples, ddl, cpu_before = Samples(), duto.ddl(), cpu_times()
    topic, orders = preload(options, duto, samples)
    copy = RawCopy(server, ddl, orders)
    say(f"raw COPY: the {copy.form} form is the faster one")
    measure_drains(options, server, duto, ddl, samples, copy, (topic, orders))
    with polling_before_halt() as polls_before_halt:
        say(f"latencies: the machine {'polls before it halts' if polls_before_halt else 'halts as it usually does'}")
        measure_latencies(options, server, duto, ddl, samples)
        measure_ingest(options, duto, samples)
    samples.sealed = sealed.measure(server, duto, options.messages, options.repeats, say)
    measure_restarts(options, server, duto, samples)
    if options.flat:
        samples.flat = flat.measure(options, server, duto, settle, say)
    if options.backlog:
        measure_backlog(options, server, duto, samples)
    facts = Facts(
        messages=options.messages,
        message_bytes=orders.message_bytes,
        partitions=PARTITIONS,
        old_style_messages=options.old_style_messages,
        repeats=options.repeats,
        latency_repeats=options.latency_repeats,
        backlog=options.backlog,
        rate=options.rate,
        ingest_rate=options.ingest_rate,
        copy_form=copy.form,
        one_row_commit_ms=server.commit_ms(),
        postgres=server.version(),
        cores=len(os.sched_getaffinity(0)),
        load_average=os.getloadavg()[0],
        polls_before_halt=polls_before_halt,
        stolen_percent=stolen_percent(cpu_before, cpu_times()),
    )
    return samples, copy, facts


def settle():
    """What an earlier run left to be written is written now, for a sync in the next one would wait for it; and what it left in the page cache
    is dropped, where that is allowed, for a machine that reclaims what is cold (DAMON) does it with a CPU of ours."""
    os.sync()
    write(PAGE_CACHE, "1")
    time.sleep(1)


def preload(options: argparse.Namespace, duto: Duto, samples: Samples) -> tuple[str, Orders]:
    """Fills as many topics as there are repeats, of which the first one stays."""
    for number in range(options.repeats):
        topic = f"bench-sales-{number}"
        create_topic(duto.kafka, topic, PARTITIONS)
        usage = duto.preload(topic, options.messages)
        samples.preload_rows_per_second.append(options.messages / usage.seconds)
        say(f"preload: {options.messages / usage.seconds:,.0f} rows/s")
        if number > 0:
            delete_topic(duto.kafka, topic)
    return "bench-sales-0", read_orders(duto.kafka, "bench-sales-0", options.messages)


def measure_drains(options, server: Server, duto: Duto, ddl: str, samples: Samples, copy: RawCopy, source: tuple[str, Orders]):
    """Every drain stands between two raw COPYs."""
    topic, orders = source
    check = orders.check()
    drains: dict[str, Callable[[str], DrainRun]] = {
        "drain": lambda group: drain_by_duto(server, duto, topic, group, check, None),
        "drain_small_batch": lambda group: drain_by_duto(server, duto, topic, group, check, SMALL_BATCH),
        "drain_old_style": lambda group: drain_by_python(server, duto, ddl, OLD_STYLE, topic, group, orders, options.old_style_messages),
        "drain_tuned": lambda group: drain_by_python(server, duto, ddl, TUNED, topic, group, orders, options.old_style_messages),
    }
    before = copy.run()
    for number in range(options.repeats):
        for name, drain in drains.items():
            run = drain(f"{name}-{number}")
            after = copy.run()
            getattr(samples, name).append(run)
            samples.copy_around.setdefault(name, []).append((before.rows_per_second, after.rows_per_second))
            say(f"{name}: {run.rows_per_second_whole:,.0f} rows/s, raw COPY {describe_copies(before, after)}")
            before = after


def measure_latencies(options, server: Server, duto: Duto, ddl: str, samples: Samples):
    stream = latency.Stream(options.rate, options.seconds)
    runs: dict[str, Callable[[str], latency.LatencyRun]] = {
        "latency_kafka": lambda topic: latency.of_duto_on_kafka(server, duto, topic, stream),
        "latency_embedded": lambda topic: latency.of_duto_on_embedded_log(server, duto, topic, stream),
        "latency_tuned": lambda topic: latency.of_tuned(server, duto, ddl, topic, stream),
        "latency_bare": lambda topic: latency.of_bare_consumer(duto, topic, stream),
    }
    # One that is not counted: what comes rarely is compiled late, when Java seems to have compiled all of it.
    runs["latency_kafka"]("latency-warm-up")
    # In turns: what the machine does in one minute says little of the next.
    for number in range(options.latency_repeats):
        for name, measure_one in runs.items():
            settle()
            run = measure_one(f"{name}-{number}".replace("_", "-"))
            getattr(samples, name).append(run)
            say(f"{name}: {run.told()}")


def measure_ingest(options, duto: Duto, samples: Samples):
    runs = {"ingest_embedded": ingest.of_embedded_log, "ingest_kafka": ingest.of_kafka}
    for number in range(options.latency_repeats):
        for name, measure_one in runs.items():
            settle()
            run = measure_one(duto, f"{name}-{number}".replace("_", "-"), options.ingest_rate, options.seconds / 2)
            getattr(samples, name).append(run)
            say(f"{name}: {run.answers.told()}; {run.bulk_per_second:,.0f}/s in bulk")


def measure_restarts(options, server: Server, duto: Duto, samples: Samples):
    for number in range(options.restarts):
        for name, run in (("back_duto", back.of_duto), ("back_connect", back.of_connect)):
            found = run(server, duto, f"{name}-{number}".replace("_", "-"))
            getattr(samples, name).append(found)
            say(f"{name}: {found.told()}")


def measure_backlog(options, server: Server, duto: Duto, samples: Samples):
    """Once: what memory a long backlog takes is no matter of chance."""
    topic = "bench-backlog"
    create_topic(duto.kafka, topic, PARTITIONS)
    duto.preload(topic, options.backlog)
    check = read_orders(duto.kafka, topic, options.backlog).check()
    run = drain_by_duto(server, duto, topic, topic, check, None)
    samples.drain_backlog.append(run)
    say(f"backlog of {options.backlog:,}: {run.peak_rss_mb:.0f} MB")


def parse_options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description="Measures duto against a raw COPY and consumers in Python.")
    options.add_argument("--messages", type=int, default=500_000, help="messages to store (%(default)s)")
    options.add_argument("--old-style-messages", type=int, default=30_000, help="messages for the consumers in Python (%(default)s)")
    options.add_argument("--repeats", type=int, default=3, help="how often each thing is run (%(default)s)")
    options.add_argument("--latency-repeats", type=int, default=5, help="the same for latencies and HTTP (%(default)s)")
    options.add_argument("--rate", type=float, default=1000.0, help="messages a second for the latencies (%(default)s)")
    options.add_argument("--ingest-rate", type=float, default=2000.0, help="requests a second (%(default)s)")
    options.add_argument("--seconds", type=float, default=15.0, help="how long the latencies are measured (%(default)s)")
    options.add_argument("--restarts", type=int, default=1, help="how often restarts are measured, Kafka Connect's too; 0: not (%(default)s)")
    options.add_argument("--flat", type=int, default=300_000, help="flat records to store beside Kafka Connect; 0: not (%(default)s)")
    options.add_argument("--backlog", type=int, default=1_000_000, help="messages behind which memory is measured; 0: not (%(default)s)")
    options.add_argument("--events", type=int, default=300_000, help="e-commerce events to store (%(default)s)")
    options.add_argument("--history", type=int, default=5_000_000, help="stored events behind which endpoints are asked; 0: not (%(default)s)")
    options.add_argument("--write", action="store_true", help="put the table into docs/bench.md")
    options.add_argument("--duto", type=Path, default=ROOT / "bin" / "duto", help="the program (bin/duto)")
    options.add_argument("--pipeline", type=Path, default=ROOT / "pipelines" / "sales" / "pipeline.yaml", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if min(chosen.messages, chosen.old_style_messages, chosen.repeats, chosen.latency_repeats) < 1:
        options.error("there must be messages and repeats")
    if chosen.flat and chosen.flat < PARTITIONS:
        options.error("there must be a flat record for each partition")
    chosen.old_style_messages = min(chosen.old_style_messages, chosen.messages)
    if not chosen.duto.is_file():
        options.error(f"{chosen.duto.name} is not built: make build")
    return chosen


def required_variable(name: str) -> str:
    if not os.environ.get(name):
        raise SystemExit(f"bench: {name} is not set; scripts/bench starts the servers and sets it")
    return os.environ[name]


def describe_copies(before: CopyRun, after: CopyRun) -> str:
    return f"{before.rows_per_second:,.0f} before and {after.rows_per_second:,.0f} after"


def keep_json(samples: dict[str, Any]):
    folder = Path(os.environ.get("DUTO_CACHE") or Path.home() / ".cache" / "duto") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"samples-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps(samples, indent=2) + "\n")
    say(f"all samples: {file}")


def say(text: str):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
