"""Java compiles what it runs often, in threads of its own, each of which takes a core for tens of ms at a time. A broker does so for its first
minute under a new kind of load, and for seconds again when a new client comes: nobody's latency should be that."""

from pathlib import Path

# As Linux cuts them, to 15 characters.
NAMES = ("C1 CompilerThre", "C2 CompilerThre")
NS = 1e-9


def compiler_seconds() -> float:
    """CPU time that they took so far, of every Java that runs on this machine."""
    return sum(_cpu_seconds(thread) for thread in Path("/proc").glob("[0-9]*/task/[0-9]*") if _name(thread) in NAMES)


def _cpu_seconds(thread: Path) -> float:
    """The first figure of schedstat, in ns; 0 of one that has just ended."""
    return int((_read(thread / "schedstat").split() or [0])[0]) * NS


def _name(thread: Path) -> str:
    return _read(thread / "comm").strip()


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
