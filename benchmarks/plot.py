"""``python -m benchmarks.plot [RESULTS]``: the round trip as a picture, ``roundtrip.svg``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.contest import Row
from benchmarks.results import DEFAULT_PATH, HERE, Results
from benchmarks.subjects import BEHIND_NGINX, BY_FASTCGI, GO, UPSTREAMS
from benchmarks.table import middle

_PATH = HERE / "roundtrip.svg"
# Colours that can be told apart by the colour-blind (Okabe and Ito).
_COLOURS = ("#0072B2", "#009E73", "#56B4E9", "#CC79A7", "#F0E442")
_GO_COLOUR = "#D55E00"
_BOUNDS = {BY_FASTCGI: ":", BEHIND_NGINX: "--"}


def draw(rows: list[Row], path: Path) -> None:
    """Draw messages a second and latencies, over the number of clients."""
    # The same picture from the same results, and text that stays text.
    mpl.rcParams.update({"svg.hashsalt": "phpgw", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 3)
    for each, (key, title) in zip(
        axes,
        (("rate", "messages a second"), ("p50", "p50, ms"), ("p99", "p99, ms")),
        strict=True,
    ):
        _panel(each, rows, key, title)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _panel(axes: Axes, rows: list[Row], key: str, title: str) -> None:
    variants = list(dict.fromkeys(row.variant for row in rows))
    for name, style in _styles(rows):
        medians = {
            row.variant: number
            for row in rows
            if row.name == name and (number := middle(row, key)) is not None
        }
        if medians:
            places = [variants.index(variant) for variant in medians]
            axes.plot(places, list(medians.values()), label=name, **style)
    axes.set_title(title, fontsize=10)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xticks(range(len(variants)), variants)
    axes.grid(axis="y", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _styles(rows: list[Row]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield names and line styles: ours with each upstream, the Go gateway, others, bounds."""
    names = dict.fromkeys(row.name for row in rows if row.bound)
    ours = {upstream.name for upstream in UPSTREAMS}
    others = [name for name in names if name != GO and name not in ours]
    colours = iter(_COLOURS)
    for name in (*(upstream.name for upstream in UPSTREAMS), GO, *others):
        colour = _GO_COLOUR if name == GO else next(colours, "black")
        yield name, {"color": colour, "marker": "o"}
    for name, line in _BOUNDS.items():
        yield name, {"color": "gray", "linestyle": line}


def main() -> None:
    """Draw these results, or the usual ones."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PATH
    draw(Results.read(source).rows["roundtrip"], _PATH)
    print(_PATH)


if __name__ == "__main__":
    main()
