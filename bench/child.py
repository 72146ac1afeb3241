"""A program under measurement: its time, its CPU, its memory. It never outlives the bench."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
LOOK_S = 0.005
MEMORY_LOOK_EVERY = 4
# Of a Java that was asked to end and did so in good order.
ENDED_BY_SIGTERM = 128 + signal.SIGTERM


class NotStored(SystemExit):
    """A program did not store within its limit what it was given. Ends the bench, unless that is a
    figure too."""


@dataclass
class Usage:
    """What a program took from its start to its end."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


class Child:
    """A started program. Its output goes to a file, whose end is quoted when the program fails."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path):
        self.command, self.log = command, log
        self.peak_rss_mb = 0.0
        with log.open("ab") as output:
            self.began = time.monotonic()
            self.process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()

    def wait(self, limit_s: float, good_ends: tuple[int, ...] = (0,)) -> Usage:
        """Waits for the end, which must be a good one; the limit counts from the start. Memory is the
        kernel's high-water mark of the program itself: the one that wait4 answers counts the bench too,
        which the program was forked from."""
        looks = 0
        while True:
            if looks % MEMORY_LOOK_EVERY == 0:
                self.peak_rss_mb = max(self.peak_rss_mb, self._peak_rss_mb())
            looks += 1
            pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
            seconds = time.monotonic() - self.began
            if pid != 0:
                break
            if seconds > limit_s:
                raise RuntimeError(f"{self.name()} did not end within {limit_s} s: {self.said()}")
            time.sleep(LOOK_S)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode not in good_ends:
            raise RuntimeError(f"{self.name()} ended with {self.process.returncode}: {self.said()}")
        return Usage(seconds, used.ru_utime + used.ru_stime, self.peak_rss_mb)

    def stop(self, limit_s: float = 30):
        """Asks it to end in good order."""
        self.process.terminate()
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired as late:
            raise RuntimeError(f"{self.name()} did not stop within {limit_s} s: {self.said()}") from late

    def end(self, limit_s: float = 30) -> Usage:
        """Asks it to end in good order, and tells what it took until it had."""
        self.peak_rss_mb = self._peak_rss_mb()
        self.process.terminate()
        so_far_s = time.monotonic() - self.began
        return self.wait(so_far_s + limit_s, (0, ENDED_BY_SIGTERM))

    def kill(self):
        """Ends it as a crash does."""
        self.process.kill()
        self.process.wait()

    def cpu_seconds(self) -> float:
        """Used so far."""
        return cpu_seconds(self.process.pid)

    def require_running(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name()} ended with {self.process.returncode}: {self.said()}")

    def name(self) -> str:
        return " ".join(Path(word).name for word in self.command[:3])

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def _peak_rss_mb(self) -> float:
        try:
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        except OSError:
            pass
        return 0.0


def run(command: list[str], environment: dict[str, str], log: Path, limit_s: float) -> Usage:
    """Runs a program to its good end."""
    with Child(command, environment, log) as child:
        return child.wait(limit_s)


def cpu_seconds(pid: int, with_ended_children: bool = False) -> float:
    """CPU that a process used so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    own = int(fields[11]) + int(fields[12])
    ended = int(fields[13]) + int(fields[14]) if with_ended_children else 0
    return (own + ended) / TICKS_PER_SECOND


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children_of(pid: int) -> list[int]:
    processes = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    found = []
    for process in processes:
        try:
            if parent_of(process) == pid:
                found.append(process)
        except OSError:
            continue
    return found
