"""Accuracy against compute, one line per method: the picture that the whole project is about.

Colours are those of Okabe and Ito, told apart by colour-blind readers, and each method has a marker of its own; names
stand beside the lines.
"""

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reasoning.evaluation.scores import Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vP*"
INK, FAINT = "#333333", "#dddddd"


def draw(rows: Sequence[Row], title: str) -> bytes:
    """PNG of accuracy with 95 % intervals against FLOPs per problem (logarithmic, prompt prefilled once)."""
    with matplotlib.rc_context({"font.size": 11, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}):
        figure = Figure(figsize=(8, 5), dpi=160, layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        labels = list(dict.fromkeys(row.label for row in rows))
        for index, label in enumerate(labels):
            _line(axes, [row for row in rows if row.label == label], COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)])
        _dress(axes, rows)
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", wrap=True)
        out = io.BytesIO()
        # Without the version of the library in the file, equal pictures are equal bytes.
        FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})
    return out.getvalue()


def _line(axes, rows: Sequence[Row], colour: str, marker: str) -> None:
    compute = [row.cost.flops for row in rows]
    value = [row.accuracy.value for row in rows]
    below = [row.accuracy.value - row.accuracy.low for row in rows]
    above = [row.accuracy.high - row.accuracy.value for row in rows]
    axes.errorbar(compute, value, [below, above], color=colour, marker=marker, markersize=7, linewidth=2, elinewidth=1.2, capsize=3, alpha=0.95)
    for row in rows if len(rows) > 1 else []:
        axes.annotate(f"N = {row.samples}", (row.cost.flops, row.accuracy.value), (7, -13), textcoords="offset points", fontsize=8.5, color=colour)
    last = rows[-1]
    axes.annotate(
        last.label, (last.cost.flops, last.accuracy.value), (9, 5), textcoords="offset points", color=colour, fontweight="bold", fontsize=12
    )


def _dress(axes, rows: Sequence[Row]) -> None:
    compute = [row.cost.flops for row in rows]
    axes.set_xlim(min(compute) / 1.5, max(compute) * 2.2)
    top = max(row.accuracy.high for row in rows)
    axes.set_ylim(0, min(1.02, top * 1.12))
    axes.set_xlabel("FLOPs per problem (prompt prefilled once)")
    axes.set_ylabel("accuracy, 95 % interval over problems")
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
