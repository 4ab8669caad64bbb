"""The tree that a search grew for one problem, drawn and written: what each round wrote, what it scored, who went on.

A column a round, a line a row: a dot is a step, dark by its score among those of the tree; it is joined to the step that it
continues, and a ring is a complete response. Steps that nothing continues are hollow.

Axis legend: `W` rows.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.colors import Normalize

from reasoning.evaluation.reports.picture import FAINT, INK, STYLE, png, sheet

TEXT = 14  # characters of a step that are shown
CELLS = 220  # steps above which no text is


def draw(tree: Mapping[str, Any], title: str) -> bytes:
    """PNG of a tree as `reasoning.search.tree.Tree.record` gives it."""
    rounds, rows = tree["rounds"], tree["rows"]
    values = [value for one in rounds for value, wrote in zip(one["values"], one["wrote"], strict=True) if wrote]
    scale, colours = Normalize(min(values, default=0.0), max(values, default=1.0)), matplotlib.colormaps["viridis_r"]
    with matplotlib.rc_context(STYLE):
        axes = sheet(title)
        for index, one in enumerate(rounds):
            parents = rounds[index - 1]["parents"] if index else range(rows)
            goes_on = set(one["parents"])
            for row in range(rows):
                if not one["wrote"][row]:
                    continue
                if index:
                    axes.plot((index - 1, index), (parents[row], row), color=FAINT, linewidth=1.2, zorder=1)
                colour = colours(scale(one["values"][row]))
                face = colour if row in goes_on else "white"
                axes.scatter(index, row, s=46, color=face, edgecolors=colour, linewidths=1.6, zorder=2)
                if one["complete"][row]:
                    axes.scatter(index, row, s=120, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=3)
                if rows * len(rounds) <= CELLS:
                    shown = textwrap.shorten(" ".join(one["texts"][row].split()), TEXT, placeholder="…")
                    axes.annotate(shown, (index, row), (5, 5), textcoords="offset points", fontsize=6, parse_math=False)
        axes.set(xlabel="round", ylabel="row", xlim=(-0.5, len(rounds) - 0.2), ylim=(rows - 0.4, -0.7))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.figure.colorbar(matplotlib.cm.ScalarMappable(scale, colours), ax=axes, label="what was selected by")
        return png(axes)


def as_text(tree: Mapping[str, Any]) -> str:
    """The same as Markdown: a table a round, rows that wrote nothing left out."""
    parts = [f"## {tree['problem']}"]
    for index, one in enumerate(tree["rounds"]):
        lines = [
            f"**round {index + 1}**",
            "",
            "| row | continues | step | score | selected by | copies |",
            "|---|---|---|---|---|---|",
        ]
        before = tree["rounds"][index - 1]["parents"] if index else ["prompt"] * tree["rows"]
        for row in range(tree["rows"]):
            if one["wrote"][row]:
                text = " ".join(one["texts"][row].split()).replace("|", "\\|") + (" (complete)" if one["complete"][row] else "")
                numbers = f"{one['scores'][row]:.3f} | {one['values'][row]:.3f} | {one['parents'].count(row)}"
                lines.append(f"| {row} | {before[row]} | {text} | {numbers} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
