"""Reward and accuracy round by round against all tokens spent, beside best-of-N from the pool of the same run."""

from collections.abc import Sequence

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from reasoning.evaluation.reports.picture import FAINT, NOTE, STYLE, accuracy_axis, png, styles_of
from reasoning.evaluation.reports.scores import Row
from reasoning.evaluation.rounds.report import Worked


def draw(found: Sequence[Worked], rows: Sequence[Row], title: str) -> bytes:
    """PNG. rows: of the report, of which those of the pools are drawn."""
    pools = list(dict.fromkeys(control.label for one in found for control in one.controls))
    styles = styles_of([*(one.label for one in found), *pools])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.6), dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=9.5, x=0.01, ha="left", color="#666666")
        right, reward = figure.subplots(1, 2)
        highest = 0.0
        for one in found:
            tokens = [line.total for line in one.rounds]
            found_right = [(line.accuracy.value, line.accuracy.low, line.accuracy.high) for line in one.rounds]
            _line(right, tokens, found_right, one.label, *styles[one.label])
            _line(reward, tokens, [line.reward for line in one.rounds], one.label, *styles[one.label])
            for axes, values in ((right, found_right), (reward, [line.reward for line in one.rounds])):
                for line, x, value in zip(one.rounds, tokens, values, strict=True):
                    axes.annotate(str(line.index), (x, value[0]), (0, 7), textcoords="offset points", ha="center", **NOTE)
            highest = max(highest, *(value[2] for value in found_right))
        for label in pools:
            mine = [row for row in rows if row.label == label]
            values = [(row.accuracy.value, row.accuracy.low, row.accuracy.high) for row in mine]
            tokens = [row.cost.prompt + row.cost.tokens for row in mine]
            _line(right, tokens, values, f"{label}: best of {mine[0].samples} … {mine[-1].samples}", *styles[label])
            highest = max(highest, *(value[2] for value in values))
        accuracy_axis(right, max(highest, 0.01))
        reward.set_ylabel("reward of the best answer so far (95 % interval)")
        for axes in (right, reward):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("tokens per problem, prompts included; a number is a round")
            axes.grid(axis="y", color=FAINT, linewidth=0.8)
            axes.spines[["top", "right"]].set_visible(False)
        right.legend(fontsize=8.5, frameon=False)
        return png(right)


def _line(axes, x: Sequence[float], values: Sequence[tuple[float, float, float]], label: str, colour: str, marker: str) -> None:
    """Points with their intervals, (value, low, high) each."""
    middle = [value for value, _, _ in values]
    below, above = [max(0.0, value - low) for value, low, _ in values], [max(0.0, high - value) for value, _, high in values]
    axes.errorbar(x, middle, [below, above], color=colour, linewidth=0, elinewidth=1.4, capsize=3, alpha=0.5)
    axes.plot(x, middle, color=colour, marker=marker, markersize=6, linewidth=2, markeredgecolor="white", label=label, zorder=3)
