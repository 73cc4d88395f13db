"""A soak as a picture: memory, objects, descriptors and messages, over time."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.soak.record import Record
from benchmarks.soak.verdict import WARM_UP, Point, Trend, memory, objects

_MB = 2**20
_COLOUR, _TREND_COLOUR, _MARK_COLOUR = "#0072B2", "#D55E00", "#999999"


def draw(record: Record, path: Path) -> None:
    """Draw it."""
    # The same picture from the same record, and text that stays text.
    mpl.rcParams.update({"svg.hashsalt": "phpgw", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(9, 5), layout="constrained")
    samples = record.samples
    (top_left, top_right), (left, right) = figure.subplots(2, 2, sharex=True)
    _curve(top_left, "memory, MB", [(each.seconds, each.resident / _MB) for each in samples])
    _line(top_left, samples[-1].seconds, memory(record), _MB)
    _curve(top_right, "objects", [(each.seconds, each.objects) for each in record.counts])
    _line(top_right, samples[-1].seconds, objects(record), 1)
    _curve(left, "clients", [(each.seconds, each.clients) for each in samples])
    right.set_title("messages a second", fontsize=10)
    for label, key in (("answered by PHP", "answered"), ("received in groups", "received")):
        rates = [
            (b.seconds, (getattr(b, key) - getattr(a, key)) / (b.seconds - a.seconds))
            for a, b in pairwise(samples)
        ]
        right.plot(*zip(*rates, strict=True), linewidth=0.8, label=label)
    right.legend(frameon=False, fontsize=8)
    for axes in (top_left, top_right, left, right):
        for seconds in record.disturbances:
            axes.axvline(seconds, color=_MARK_COLOUR, linewidth=0.5, linestyle=":")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.3)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    for axes in (left, right):
        axes.set_xlabel("seconds")
    figure.savefig(path, metadata={"Date": None})


def _curve(axes: Axes, title: str, points: Sequence[Point]) -> None:
    axes.set_title(title, fontsize=10)
    axes.plot(*zip(*points, strict=True), color=_COLOUR, linewidth=0.8)


def _line(axes: Axes, seconds: float, trend: Trend, unit: int) -> None:
    """The trend: from the warm-up's end on, through its level in the middle."""
    begin = seconds * WARM_UP
    half = trend.slope * (seconds - begin) / 2
    values = [(trend.level - half) / unit, (trend.level + half) / unit]
    axes.plot([begin, seconds], values, color=_TREND_COLOUR, linewidth=1.5)
