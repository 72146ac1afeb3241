"""What a machine's host gives to others while we measure: the `steal` of proc(5). A virtual machine that is not run for 50 ms answers nothing for
50 ms, whatever it runs."""

import bisect
import threading
import time
from pathlib import Path

SAMPLE_S = 0.02
# What was held up before an order was sent still stands before it.
BEFORE_NS = 100_000_000
# The kernel accounts what was taken at its next tick or later.
AFTER_NS = 40_000_000


def cpu_times() -> list[int]:
    """Of all cores: user, nice, system, idle, iowait, irq, softirq, steal; in ticks since the start of the machine (proc(5))."""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def stolen_percent(before: list[int], after: list[int]) -> float:
    """Of the CPU time between two looks."""
    spent = [then - now for then, now in zip(after, before, strict=True)]
    return 100 * spent[7] / max(sum(spent), 1)


class Stolen:
    """Watches it for as long as it is open."""

    def __init__(self):
        self.at_ns: list[int] = []
        self.ticks: list[int] = []
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._watching.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._watching.join()

    def between(self, from_ns: int, to_ns: int) -> bool:
        """Whether anything was taken in this time, of the monotonic clock."""
        first = max(bisect.bisect(self.at_ns, from_ns - BEFORE_NS) - 1, 0)
        last = min(bisect.bisect(self.at_ns, to_ns + AFTER_NS), len(self.at_ns) - 1)
        return self.ticks[last] > self.ticks[first]

    def _watch(self):
        while True:
            self.at_ns.append(time.monotonic_ns())
            self.ticks.append(cpu_times()[7])
            if self._ended.wait(SAMPLE_S):
                return
