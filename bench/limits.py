"""`scripts/bench limits`: what one caller that asks far too often does to another one, and what the limits remember of callers.

A caller sends 10,000 requests a second to an endpoint that answers 100 a second of it, while another one asks a second endpoint at an even
rate; rounds with and without the first alternate. Then a million callers ask, each from an address of its own, and a million more.
"""

import argparse
import json
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import table
from child import Child
from database import Server
from latency import free_port, percentile

ROOT = Path(__file__).resolve().parent.parent
MARKS = ("<!-- limits:begin -->", "<!-- limits:end -->")
FLOOD_PER_SECOND = 10_000
FLOOD_CONNECTIONS = 4
TICK_S = 0.005
PROBES_PER_SECOND = 200
WARM_UP_S = 3
START_LIMIT_S = 60
# Requests that are on their way at once while many callers ask.
WINDOW = 200
CALLERS = 1_000_000

# Nobody is known by a key, so callers are known by their addresses, and a proxy on this host names them.
PIPELINE = """
pipeline: limits
listen: 127.0.0.1:{port}
source: {{ topic: limits }}
database: {{ url: "{database}" }}
record: {{ id: BIGINT }}
tables:
  things:
    columns: {{ id: BIGINT PRIMARY KEY }}
    repeat: ignore
    select: SELECT id FROM record
endpoints:
  GET /api/limited: {{ rows: SELECT id FROM things ORDER BY id LIMIT 10 }}
  GET /api/other: {{ rows: SELECT id FROM things ORDER BY id DESC LIMIT 10 }}
http: {{ limits: {{ rate: {rate}, burst: {rate}, trusted_proxies: [127.0.0.0/8] }} }}
"""
# Beyond what the second caller asks.
RATE = 400


@dataclass
class Round:
    """Of the second caller's answers, in ms."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass
class Limits:
    quiet: list[Round]
    flooded: list[Round]
    flood_per_second: float
    refused_percent: float
    rss_mb: list[float]
    callers_per_second: float


def main():
    options = parse_options()
    server = Server(os.environ["DUTO_TEST_POSTGRES"])
    with tempfile.TemporaryDirectory(prefix="duto-limits-") as name, server.fresh_database() as database:
        folder, port = Path(name), free_port()
        file = folder / "limits.yaml"
        file.write_text(PIPELINE.format(port=port, database=database, rate=RATE))
        command = [str(options.duto), "run", str(file), "--log-folder", str(folder / "log")]
        with Child(command, {"KAFKA_BOOTSTRAP_SERVERS": ""}, folder / "duto.log") as duto:
            wait_until_answered(port, duto)
            limits = measure(options, port, duto)
            duto.stop()
    text = table.side_by_side(("limits of rate", "value"), lines(limits), notes(options, limits))
    print(f"\n{text}")
    print(json.dumps(asdict(limits)))
    if options.write:
        table.write(ROOT / "docs" / "bench.md", text, MARKS)
    moved = median(one.p99_ms for one in limits.flooded) - median(one.p99_ms for one in limits.quiet)
    if moved > options.most_ms:
        raise SystemExit(f"bench: the p99 moved by {moved:.2f} ms, more than {options.most_ms} ms")


def measure(options: argparse.Namespace, port: int, duto: Child) -> Limits:
    probe(port, WARM_UP_S)
    quiet, flooded, floods = [], [], []
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        quiet.append(probe(port, options.seconds))
        with Flood(port) as flood:
            time.sleep(0.5)
            flooded.append(probe(port, options.seconds))
        floods.append(flood.result())
    sent = sum(one[0] for one in floods)
    rss, began = [rss_mb(duto)], time.monotonic()
    for number in range(2):
        say(f"{CALLERS * (number + 1):,} callers")
        many_callers(port, number * CALLERS)
        rss.append(rss_mb(duto))
    callers_per_second = 2 * CALLERS / (time.monotonic() - began)
    refused = 100 * sum(one[1] for one in floods) / sent
    return Limits(quiet, flooded, sent / sum(one[2] for one in floods), refused, rss, callers_per_second)


def probe(port: int, seconds: float) -> Round:
    """The second caller, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        times = sorted(pool.apply(_probe, (port, seconds)))
    return Round(percentile(times, 50), percentile(times, 99), times[-1])


def _probe(port: int, seconds: float) -> list[float]:
    request, times = get("/api/other", "10.1.1.1"), []
    with connected(port) as connection:
        began = time.monotonic() + 0.1
        for number in range(int(seconds * PROBES_PER_SECOND)):
            due = began + number / PROBES_PER_SECOND
            time.sleep(max(due - time.monotonic(), 0))
            # One that is late itself is no fault of the answer's; one that waits for an answer is.
            sent = min(time.monotonic(), due + 0.001)
            connection.sendall(request)
            answer = connection.recv(65536)
            times.append((time.monotonic() - sent) * 1000)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"not answered: {answer[:300]!r}")
    return times


class Flood:
    """The first caller, in a process of its own; it ends with the block."""

    def __init__(self, port: int):
        spawn = multiprocessing.get_context("spawn")
        self.ending, self.results = spawn.Event(), spawn.SimpleQueue()
        self.process = spawn.Process(target=_flood, args=(port, self.ending, self.results), daemon=True)

    def __enter__(self) -> "Flood":
        self.process.start()
        return self

    def __exit__(self, *_):
        self.ending.set()

    def result(self) -> tuple[int, int, float]:
        """Requests sent, how many of them were refused, and in how many seconds."""
        result = self.results.get()
        self.process.join()
        return result


def _flood(port: int, ending, results):
    connections = [connected(port) for _ in range(FLOOD_CONNECTIONS)]
    counters = [Counter(connection) for connection in connections]
    blob = get("/api/limited", "10.2.2.2") * int(FLOOD_PER_SECOND * TICK_S)
    began, tick = time.monotonic(), 0
    while not ending.is_set():
        time.sleep(max(began + tick * TICK_S - time.monotonic(), 0))
        connections[tick % FLOOD_CONNECTIONS].sendall(blob)
        tick += 1
    took = time.monotonic() - began
    sent = tick * int(FLOOD_PER_SECOND * TICK_S)
    for connection in connections:
        connection.shutdown(socket.SHUT_WR)
    for counter in counters:
        counter.thread.join(30)
    answered = sum(counter.answered for counter in counters)
    if answered != sent:
        raise RuntimeError(f"{answered} of {sent} requests were answered")
    results.put((sent, sum(counter.refused for counter in counters), took))


class Counter:
    """Counts what comes on a connection until its end."""

    def __init__(self, connection: socket.socket):
        self.connection, self.answered, self.refused = connection, 0, 0
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        answers, refusals = Marks(b"HTTP/1.1 "), Marks(b"HTTP/1.1 429")
        while piece := self.connection.recv(1 << 18):
            self.answered += answers.count(piece)
            self.refused += refusals.count(piece)


class Marks:
    """How often a mark comes in a stream, also one that is cut by the end of a piece."""

    def __init__(self, mark: bytes):
        self.mark, self.kept = mark, b""

    def count(self, piece: bytes) -> int:
        text = self.kept + piece
        # Shorter than the mark, so that none is counted twice.
        self.kept = text[-len(self.mark) + 1 :]
        return text.count(self.mark)


def many_callers(port: int, first: int):
    """A million addresses, one request each."""
    share = CALLERS // FLOOD_CONNECTIONS
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(_callers, [(port, first + place * share, share) for place in range(FLOOD_CONNECTIONS)])


def _callers(port: int, first: int, count: int):
    with connected(port) as connection:
        for start in range(first, first + count, WINDOW):
            numbers = range(start, min(start + WINDOW, first + count))
            connection.sendall(b"".join(get("/api/limited", f"11.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}") for number in numbers))
            missing, answers = len(numbers), Marks(b"HTTP/1.1 200")
            while missing:
                piece = connection.recv(1 << 18)
                if not piece:
                    raise RuntimeError("the server ended the connection")
                missing -= answers.count(piece)


def get(path: str, caller: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: {caller}\r\n\r\n".encode()


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def wait_until_answered(port: int, duto: Child):
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        duto.require_running()
        try:
            with connected(port) as connection:
                connection.sendall(get("/api/other", "10.1.1.1"))
                if connection.recv(65536).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: nothing is answered: {duto.said()}")
        time.sleep(0.1)


def rss_mb(duto: Child) -> float:
    """What is resident now."""
    for line in Path(f"/proc/{duto.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("bench: the kernel tells no VmRSS")


def lines(limits: Limits) -> list[tuple[str, str]]:
    def three(rounds: list[Round]) -> str:
        of = [median(values) for values in zip(*((one.p50_ms, one.p99_ms, one.max_ms) for one in rounds), strict=True)]
        return " / ".join(f"{value:.2f}" for value in of) + " ms"

    moved = median(one.p99_ms for one in limits.flooded) - median(one.p99_ms for one in limits.quiet)
    before, first, second = limits.rss_mb
    return [
        ("an endpoint at 200/s while nobody else asks, p50 / p99 / max", three(limits.quiet)),
        (f"... while one caller sends {limits.flood_per_second:,.0f}/s to another endpoint", three(limits.flooded)),
        ("... by which its p99 moved", f"{moved:+.2f} ms"),
        ("of that caller's requests refused (429)", f"{limits.refused_percent:.1f} %"),
        ("memory before other callers, after a million addresses, after two", f"{before:.1f} / {first:.1f} / {second:.1f} MB"),
    ]


def notes(options: argparse.Namespace, limits: Limits) -> str:
    return "\n".join(
        [
            f"`scripts/bench limits`: medians of {options.rounds} rounds of {options.seconds:g} s with that caller and as many without it, in turns, on one machine of",
            f"{os.cpu_count()} cores that all programs share. `limits: {{ rate: {RATE} }}` counts each caller at each route. The million",
            f"addresses ask once each, {limits.callers_per_second:,.0f} a second.",
        ]
    )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench limits")
    parser.add_argument("--duto", type=Path, default=ROOT / "bin" / "duto")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--most-ms", type=float, default=2, help="more than this is a failure")
    parser.add_argument("--write", action="store_true", help="put the table into docs/bench.md")
    return parser.parse_args()


def say(text: str):
    print(f"bench: {text}", flush=True)


if __name__ == "__main__":
    main()
