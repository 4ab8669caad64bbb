"""Sweeps as pictures: accuracy against thinking tokens or a setting, with the band of its intervals, and the map of a grid."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reasoning.evaluation.reports import picture
from reasoning.evaluation.reports.picture import NAME, NOTE, PLACES, STYLE
from reasoning.evaluation.sweeps.measure import Run, Sweep


def draw_lengths(found: Sequence[Sweep], title: str) -> bytes:
    """PNG of accuracy against mean thinking tokens (logarithmic), a line a sweep, 95 % intervals over problems as a band.

    Runs that think not at all are left out.
    """
    lines = {sweep.plan.name: _thinking(sweep) for sweep in found}
    every = [run for runs in lines.values() for run in runs]
    with matplotlib.rc_context(STYLE):
        axes = picture.sheet(title)
        _token_axis(axes, [run.tokens for run in every], max(map(len, lines), default=0))
        picture.accuracy_axis(axes, max((run.accuracy.high for run in every), default=1.0))
        styles = picture.styles_of(lines)
        for name, (colour, marker) in styles.items():
            _line(axes, lines[name], colour, marker)
        axes.figure.canvas.draw()  # fixes the layout, so that labels can be measured
        _write_labels(axes, lines, {name: colour for name, (colour, _) in styles.items()})
        return picture.png(axes)


def draw_curve(sweep: Sweep, title: str) -> bytes:
    """PNG of accuracy against a sweep's one setting, 95 % intervals over problems as a band, thinking tokens at each point."""
    places = {sweep.plan.settings[run.label].place[0]: run for run in sweep.runs}
    settings = sorted(places)
    with matplotlib.rc_context(STYLE):
        axes = picture.sheet(title)
        picture.accuracy_axis(axes, max(run.accuracy.high for run in sweep.runs))
        axes.set_xticks(settings, [f"{setting:g}" for setting in settings])
        axes.set_xlabel(sweep.plan.axes[0])
        axes.margins(x=0.1)
        ((colour, marker),) = picture.styles_of([sweep.plan.name]).values()
        _line(axes, [places[setting] for setting in settings], colour, marker, settings)
        axes.figure.canvas.draw()
        points = {(setting, places[setting].accuracy.value): places[setting] for setting in settings}
        taken = [picture.around(axes, at) for at in points]
        for at, run in points.items():
            taken.append(picture.place(axes, at, f"{run.tokens:,.0f} tokens", PLACES, taken, color=colour, **NOTE))
        return picture.png(axes)


def draw_grid(sweep: Sweep, title: str) -> bytes:
    """PNG of accuracy over a grid's two settings, the first to the right, with interval and thinking tokens in each cell.

    The colours span the intervals, not the estimates, so that what is noise looks like it.
    """
    places = {sweep.plan.settings[run.label].place: run for run in sweep.runs}
    columns, rows = (sorted({place[axis] for place in places}) for axis in (0, 1))
    values = np.full((len(rows), len(columns)), np.nan)
    with matplotlib.rc_context(STYLE):
        axes = picture.sheet(title)
        for (x, y), run in places.items():
            values[rows.index(y), columns.index(x)] = run.accuracy.value
        low, high = min(run.accuracy.low for run in sweep.runs), max(run.accuracy.high for run in sweep.runs)
        edges = {"edgecolors": "white", "linewidth": 2}
        image = axes.pcolormesh(range(len(columns)), range(len(rows)), values, cmap="Blues", vmin=low, vmax=high, **edges)
        for (x, y), run in places.items():
            style = {"color": picture.ink_on(image.to_rgba(run.accuracy.value)), "ha": "center", "va": "center"}
            axes.text(columns.index(x), rows.index(y), _cell(run), fontsize=9, linespacing=1.4, **style)
        for axis, name, settings in zip((axes.xaxis, axes.yaxis), sweep.plan.axes, (columns, rows), strict=True):
            axis.set_ticks(range(len(settings)), [f"{setting:g}" for setting in settings])
            axis.set_label_text(name)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        bar = axes.figure.colorbar(image, ax=axes, label="accuracy", fraction=0.05)
        bar.outline.set_visible(False)
        return picture.png(axes)


def _thinking(sweep: Sweep) -> list[Run]:
    return sorted((run for run in sweep.runs if run.tokens > 0), key=lambda run: run.tokens)


def _cell(run: Run) -> str:
    found = run.accuracy
    return f"{found.value:.3f}\n{found.low:.2f} … {found.high:.2f}\n{run.tokens:,.0f} tokens"


def _line(axes, runs: Sequence[Run], colour: str, marker: str, places: Sequence[float] = ()) -> None:
    """At `places`, or at the runs' thinking tokens."""
    across, value = places or [run.tokens for run in runs], [run.accuracy.value for run in runs]
    low, high = [run.accuracy.low for run in runs], [run.accuracy.high for run in runs]
    axes.fill_between(across, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.vlines(across, low, high, color=colour, linewidth=1.4, alpha=0.4)
    style = {"linewidth": 2, "markersize": 7, "markeredgecolor": "white", "clip_on": False, "zorder": 3}
    axes.plot(across, value, color=colour, marker=marker, **style)


def _token_axis(axes, tokens: Sequence[float], name: int) -> None:
    """A logarithmic axis with room on the right for a name of `name` characters."""
    low, high = min(tokens, default=1), max(tokens, default=1)
    wide = max(high / low, 2**0.5)
    axes.set_xscale("log", base=2)
    axes.set_xlim(low / wide**0.08, high * wide ** (0.05 + 0.02 * name))
    axes.xaxis.set_major_locator(LogLocator(base=2, subs=(1,) if high > 4 * low else (1, 1.25, 1.5, 1.75)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("mean thinking tokens of a sample")


def _write_labels(axes, lines: dict[str, list[Run]], colours: dict[str, str]) -> None:
    """The sweep's name at the end of its line, the method's at every point, none over another or over a marker."""
    ends = [(name, run) for name, runs in lines.items() for run in runs]
    taken = [picture.around(axes, (run.tokens, run.accuracy.value)) for _, run in ends]
    for name, run in dict(ends).items():
        at = (run.tokens, run.accuracy.value)
        taken.append(picture.place(axes, at, name, PLACES, taken, color=colours[name], **NAME))
    below = [*PLACES[1:], PLACES[0]]  # clear of a line that rises
    for name, run in ends:
        at = (run.tokens, run.accuracy.value)
        taken.append(picture.place(axes, at, run.label, below, taken, color=colours[name], **NOTE))
