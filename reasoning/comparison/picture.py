"""The pictures of a comparison: accuracy against each kind of cost, methods by difficulty, and the compute-optimal choice."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from reasoning.comparison.curves import Curve
from reasoning.comparison.difficulty import Cell
from reasoning.comparison.findings import Findings
from reasoning.comparison.plan import AXES
from reasoning.evaluation.reports.picture import (
    INK,
    NAME,
    NOTE,
    PLACES,
    STYLE,
    accuracy_axis,
    around,
    place,
    png,
    sheet,
    styles_of,
)

UNITS = {"flops": "FLOP", "generated": "", "tokens": "", "seconds": "s"}
SIZE, SMALL = (9.5, 5.6), (13, 9)


def draw(found: Findings) -> dict[str, bytes]:
    """{name: PNG}: one for each axis, all four together, and those of difficulty and choice where there are any."""
    axes = [axis for axis in AXES if all(np.isfinite(curve.costs(axis)).all() for curve in found.curves)]
    out = {axis: draw_axis(found.curves, axis, found.title) for axis in axes}
    out["comparison"] = draw_all(found.curves, axes, found.title)
    if found.cells:
        out["difficulty"] = draw_cells(found.cells, found.title)
    if any(one.adaptive for one in found.choices):
        out["choice"] = draw_choices(found)
    return out


def draw_axis(curves: Sequence[Curve], axis: str, title: str) -> bytes:
    """Accuracy with 95 % intervals against one kind of cost, names beside the lines."""
    with matplotlib.rc_context(STYLE):
        axes = sheet(title)
        axes.figure.set_size_inches(SIZE)
        _plot(axes, curves, axis, True)
        return png(axes)


def draw_all(curves: Sequence[Curve], axes: Sequence[str], title: str) -> bytes:
    """The same on every axis in one picture, with one legend."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SMALL, dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=9.5, x=0.01, ha="left", color="#666666")
        grid = figure.subplots(2, 2, squeeze=False).ravel()
        for place_, axis in zip(grid, axes, strict=False):
            _plot(place_, curves, axis, False)
        for unused in grid[len(axes) :]:
            unused.set_visible(False)
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
        return png(grid[0])


def _plot(axes, curves: Sequence[Curve], axis: str, written: bool) -> None:
    styles = styles_of(curve.name for curve in curves)
    costs = np.concatenate([curve.costs(axis) for curve in curves])
    axes.set_xscale("log")
    axes.set_xlim(costs.min() / 1.5, costs.max() * (2.6 if written else 1.5))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(unit=UNITS[axis], sep=" " if UNITS[axis] else ""))
    shared = axis == "seconds" and not all(point.timed for curve in curves for point in curve.points)
    axes.set_xlabel(f"{AXES[axis][0]} per problem" + (", amortised over a full batch" if shared else ""))
    accuracy_axis(axes, max(point.row.accuracy.high for curve in curves for point in curve.points))
    for curve in curves:
        colour, marker = styles[curve.name]
        points, style = curve.along(axis), "--" if curve.ceiling else "-"
        x, y = curve.costs(axis), np.array([point.row.accuracy.value for point in points])
        low = np.maximum(0, y - [point.row.accuracy.low for point in points])
        high = np.maximum(0, np.array([point.row.accuracy.high for point in points]) - y)
        axes.errorbar(x, y, [low, high], color=colour, linewidth=0, elinewidth=1.2, capsize=2, alpha=0.4)
        face = "white" if curve.ceiling else colour
        axes.plot(x, y, style, color=colour, marker=marker, markersize=6, linewidth=1.8, label=curve.name, markerfacecolor=face)
    if written:
        _write(axes, curves, axis, {name: colour for name, (colour, _) in styles.items()})


def _write(axes, curves: Sequence[Curve], axis: str, colours: dict[str, str]) -> None:
    axes.figure.canvas.draw()  # fixes the layout, so that labels can be measured
    at = {curve.name: [(point.cost(axis), point.row.accuracy.value) for point in curve.along(axis)] for curve in curves}
    taken = [around(axes, one) for points in at.values() for one in points]
    for curve in curves:
        taken.append(place(axes, at[curve.name][-1], curve.name, PLACES, taken, color=colours[curve.name], **NAME))
    for curve in curves:
        for point, one in zip(curve.along(axis), at[curve.name], strict=True):
            if len(curve.points) > 1:
                taken.append(place(axes, one, str(point.row.samples), PLACES[1:], taken, color=colours[curve.name], **NOTE))


def draw_cells(cells: Sequence[Cell], title: str) -> bytes:
    """Accuracy of every curve in every bin, bins from the easiest, with intervals."""
    with matplotlib.rc_context(STYLE):
        axes = sheet(title)
        axes.figure.set_size_inches(SIZE)
        names, bins = list(dict.fromkeys(one.curve for one in cells)), sorted({one.bin for one in cells})
        for index, (name, (colour, marker)) in enumerate(styles_of(names).items()):
            row = [one for one in cells if one.curve == name]
            x = np.array([one.bin for one in row]) + (index - (len(names) - 1) / 2) * 0.8 / len(names)
            y = np.array([one.found.value for one in row])
            error = np.abs(np.array([[one.found.low, one.found.high] for one in row]).T - y)
            axes.errorbar(x, y, error, color=colour, marker=marker, linewidth=0, elinewidth=1.4, capsize=2, label=name)
        ends = {one.bin: one.easiness for one in cells}
        labels = [f"bin {number + 1}\n{ends[number][0]:.2f} … {ends[number][1]:.2f} right" for number in bins]
        axes.set_xticks(bins, labels)
        accuracy_axis(axes, 1.0)
        axes.set_xlabel("difficulty, from samples that are used for nothing else")
        axes.legend(frameon=False, fontsize=9, ncols=2)
        return png(axes)


def draw_choices(found: Findings) -> bytes:
    """Accuracy of the compute-optimal choice against the budget, one method for all and one a bin."""
    with matplotlib.rc_context(STYLE):
        axes = sheet(f"{found.title}\ncompute-optimal choice, judged on other problems than those that made it")
        axis = found.plan.axis
        lines = {"one method for all": [(one.budget, one.fixed) for one in found.choices]}
        lines["one a bin, its price included"] = [(one.budget, one.adaptive) for one in found.choices if one.adaptive]
        for (name, line), (colour, marker) in zip(lines.items(), styles_of(lines).values(), strict=True):
            x, y = [budget for budget, _ in line], [one.value for _, one in line]
            axes.plot(x, y, color=colour, marker=marker, label=name, linewidth=2)
            axes.fill_between(x, [one.low for _, one in line], [one.high for _, one in line], color=colour, alpha=0.12)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(EngFormatter(unit=UNITS[axis], sep=" " if UNITS[axis] else ""))
        axes.set_xlabel(f"budget per problem, {AXES[axis][0]}")
        accuracy_axis(axes, max(one.high for line in lines.values() for _, one in line))
        axes.legend(frameon=False, labelcolor=INK)
        return png(axes)
