"""A curation as pictures: the funnel, and how long the thinking of each set is."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reasoning.evaluation.reports import picture
from reasoning.evaluation.reports.picture import COLOURS, FAINT, NAME, NOTE, STYLE


def draw_funnel(rows: Sequence[tuple[str, int, int]], title: str) -> bytes:
    """PNG of a bar a filter, from the top: traces that it left, in front of those that it got (name, in, out)."""
    with matplotlib.rc_context(STYLE):
        axes = picture.sheet(title)
        places, most = range(len(rows)), max((entered for _, entered, _ in rows), default=1)
        axes.barh(places, [entered for _, entered, _ in rows], color=FAINT, height=0.7)
        axes.barh(places, [out for *_, out in rows], color=COLOURS[0], height=0.7)
        for place, (_, entered, out) in enumerate(rows):
            share = f"{out:,}  (−{1 - out / entered:.1%})" if entered else "0"
            axes.text(entered + 0.01 * most, place, share, va="center", **NOTE)
        axes.set_yticks(places, [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.18 * most)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel("traces left, in front of those that came in")
        _frame(axes)
        return picture.png(axes)


def draw_lengths(sets: Mapping[str, Sequence[int]], unit: str, title: str) -> bytes:
    """PNG of the share of each set whose thinking is longer than so many units (logarithmic)."""
    with matplotlib.rc_context(STYLE):
        axes = picture.sheet(title)
        styles = picture.styles_of(sets)
        for name, lengths in sets.items():
            ordered = np.maximum(np.sort(np.asarray(lengths, float)), 1)  # of empty thinking nothing can be shown
            axes.step(
                ordered, 1 - np.arange(1, len(ordered) + 1) / max(1, len(ordered)), color=styles[name][0], label=name, linewidth=2
            )
        axes.set_xscale("log")
        axes.set_ylim(0, 1.02)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel(f"length of the thinking in {unit}")
        axes.set_ylabel("share of the set that is longer")
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
        axes.legend(frameon=False, fontsize=NAME["fontsize"] - 2)
        _frame(axes)
        return picture.png(axes)


def _frame(axes) -> None:
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#999999")
