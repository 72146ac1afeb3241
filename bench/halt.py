"""A virtual CPU that has nothing to do halts, and its host wakes it when there is something: on a busy host milliseconds later, with every
wake-up. Latencies are taken while the guest polls for a moment before it halts, as Linux does by itself on hosts that tell it to (haltpoll)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel import read, write

POLL_NS = 2_000_000
GOVERNOR = Path("/sys/devices/system/cpu/cpuidle/current_governor")
PARAMETERS = Path("/sys/module/haltpoll/parameters")
# The longest time, and the one to begin with.
NAMES = ("guest_halt_poll_ns", "guest_halt_poll_grow_start")


@contextmanager
def polling_before_halt() -> Iterator[bool]:
    """Whether it polls: only where that governor is in charge and may be set. In the end everything is as it was."""
    before = [read(PARAMETERS / name) for name in NAMES]
    try:
        yield read(GOVERNOR) == "haltpoll" and all(write(PARAMETERS / name, str(POLL_NS)) for name in NAMES)
    finally:
        for name, value in zip(NAMES, before, strict=True):
            if value:
                write(PARAMETERS / name, value)
