"""Tables of what was measured: medians, and ratios taken round by round.

They are plain text, and simple tables of reStructuredText at the same time.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from statistics import median

from benchmarks.case import Case, Column
from benchmarks.contest import Row


def render(case: Case, rows: Sequence[Row]) -> str:
    """A table for each variant, with its caption and what is missing in it."""
    parts = []
    for variant, group in groupby(rows, lambda row: row.variant):
        entries = list(group)
        parts.append(f"**{case.title}, {variant}**\n")
        parts.append(_table(case, entries))
        parts.extend(f"{row.name}: {row.note}.\n" for row in entries if row.note)
    return "\n".join(parts)


def ratio(row: Row, other: Row | None, key: str) -> float | None:
    """The median of the ratios of each round."""
    if other is None:
        return None
    pairs = [
        mine[key] / theirs[key]
        for mine, theirs in zip(row.samples, other.samples, strict=False)
        if key in mine and theirs.get(key)
    ]
    return median(pairs) if pairs else None


def middle(row: Row, key: str) -> float | None:
    """The median of the rounds."""
    values = [sample[key] for sample in row.samples if key in sample]
    return median(values) if values else None


def _table(case: Case, rows: Sequence[Row]) -> str:
    by_name = {row.name: row for row in rows}
    reference = by_name.get(case.reference)
    headings = ["who", *(heading for column in case.columns for heading, _ in _cells(column))]
    lines = [headings]
    for row in rows:
        if not row.samples:
            continue
        line = [row.name]
        bound = by_name.get(row.bound) if row.bound else None
        for column in case.columns:
            line += [text(row, reference, bound) for _, text in _cells(column)]
        lines.append(line)
    return _aligned(lines)


_Text = Callable[[Row, Row | None, Row | None], str]


def _cells(column: Column) -> Iterator[tuple[str, _Text]]:
    """The headings of this column and of its ratios, and how to fill their cells."""

    def value(row: Row, reference: Row | None, bound: Row | None) -> str:
        number = middle(row, column.key)
        return "-" if number is None else f"{number:,.{column.digits}f}"

    def of_reference(row: Row, reference: Row | None, bound: Row | None) -> str:
        return _times(ratio(row, reference, column.key))

    def of_bound(row: Row, reference: Row | None, bound: Row | None) -> str:
        return _times(ratio(row, bound, column.key))

    yield column.heading, value
    if column.ratio:
        yield "/ Go", of_reference
    if column.of_bound:
        yield "/ bound", of_bound


def _times(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}x"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = "  ".join("=" * width for width in widths)

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])

    head, *body = (line(cells).rstrip() for cells in lines)
    return "\n".join([rule, head, rule, *body, rule, ""])
