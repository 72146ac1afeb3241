"""Java compiles what it runs often, in threads of its own, each of which takes a core for tens of ms at a time. A broker does so for its first
minute under a new kind of load, and for seconds again when a new client comes: nobody's latency should be that."""

from pathlib import Path

from kernel import read

# As Linux cuts them, to 15 characters.
NAMES = ("C1 CompilerThre", "C2 CompilerThre")


def compiler_seconds() -> float:
    """CPU time that they took so far, of every Java that runs on this machine."""
    threads = Path("/proc").glob("[0-9]*/task/[0-9]*")
    return sum(_cpu_ns(thread) for thread in threads if read(thread / "comm") in NAMES) / 1e9


def _cpu_ns(thread: Path) -> int:
    """The first figure of schedstat; 0 of one that has just ended."""
    return int((read(thread / "schedstat").split() or ["0"])[0])
