"""Files that the kernel answers from, such as those of /proc and /sys."""

from pathlib import Path


def read(file: Path) -> str:
    """Nothing where it is not there."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def write(file: Path, value: str) -> bool:
    """Whether it was allowed."""
    try:
        file.write_text(value)
        return True
    except OSError:
        return False
