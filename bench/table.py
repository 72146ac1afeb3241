"""The tables: figures, and how they compare with the yardstick and with the old style; and figures of
several programs side by side."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


@dataclass
class Line:
    """A figure; a comparison that would say nothing is None."""

    figure: str
    value: str
    to_copy: float | None = None
    to_old_style: float | None = None


def per_second(figure: str, values: list[float], to_copy: list[float] | None = None, old_style: list[float] | None = None) -> Line:
    """A speed. `to_copy` has a ratio for each run, against the COPY runs just before and after it."""
    value = median(values)
    return Line(figure, f"{value:,.0f} rows/s", median(to_copy) if to_copy else None, value / median(old_style) if old_style else None)


def amount(figure: str, values: list[float], unit: str, old_style: list[float] | None = None, copy: list[float] | None = None) -> Line:
    """A cost: the lower, the better, also in the comparisons."""
    value = median(values)
    text = f"{value:.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
    return Line(figure, text, value / median(copy) if copy else None, value / median(old_style) if old_style else None)


def markdown(lines: list[Line], notes: str) -> str:
    heads = ("figure", "value", "to raw COPY", "to the Python consumer")
    rows = [(line.figure, line.value, ratio_text(line.to_copy), ratio_text(line.to_old_style)) for line in lines]
    return side_by_side(heads, rows, notes)


def side_by_side(heads: tuple[str, ...], rows: list[tuple[str, ...]], notes: str) -> str:
    """A row is a figure's name and what it is for each head after the first."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    rule = f"| {'-' * widths[0]} | " + " | ".join("-" * (width - 1) + ":" for width in widths[1:]) + " |"
    return "\n".join([_row(heads, widths), rule, *(_row(row, widths) for row in rows), "", notes])


def ratio_text(ratio: float | None) -> str:
    if ratio is None:
        return ""
    if ratio >= 10:
        return f"{ratio:,.0f}"
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"


def write(page: Path, text: str, marks: tuple[str, str] = (BEGIN, END)):
    """Puts the tables between the marks of a page."""
    before, begin, rest = page.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise SystemExit(f"bench: {page.name} has no {marks[0]} ... {marks[1]}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = [cells[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join(padded) + " |"
