"""Accuracy against compute, one line per method: the picture that the whole project is about.

Colours are those of Okabe and Ito, told apart by colour-blind readers, and each method has a marker of its own; names
stand beside the lines, wherever there is room.
"""

import io
import itertools
import textwrap
from collections.abc import Iterable, Sequence

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from reasoning.evaluation.reports.scores import Row

# Okabe and Ito's colours, which colour-blind readers tell apart, and two of Tol's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933")
MARKERS = "osD^vP*X"  # one less than colours, so that pairs repeat late
WIDTH = 105  # characters of a title line
INK, FAINT = "#333333", "#dddddd"
STYLE = {"font.size": 11, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
NAME, NOTE = {"fontsize": 12, "fontweight": "bold"}, {"fontsize": 8.5}  # of a line, of a point
# Where a label may stand, in points from its marker, best first: (x, y, alignment).
PLACES = [
    (8, 5, "left"),
    (8, -14, "left"),
    (-8, 5, "right"),
    (-8, -14, "right"),
    (8, 18, "left"),
    (8, -27, "left"),
    (-8, 18, "right"),
]


def draw(rows: Sequence[Row], title: str) -> bytes:
    """PNG of accuracy with 95 % intervals against FLOPs per problem (logarithmic, prompt prefilled once)."""
    with matplotlib.rc_context(STYLE):
        axes = sheet(title)
        _dress(axes, rows)
        styles = styles_of(row.label for row in rows)
        for method, style in styles.items():
            _line(axes, [row for row in rows if row.label == method], *style)
        axes.figure.canvas.draw()  # fixes the layout, so that labels can be measured
        _write_labels(axes, rows, {method: colour for method, (colour, _) in styles.items()})
        return png(axes)


def sheet(title: str):
    """Axes of a new picture under a grey title."""
    figure = Figure(figsize=(8, 5), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lines = "\n".join(textwrap.fill(line, WIDTH) for line in title.splitlines())
    axes.set_title(lines, fontsize=9.5, loc="left", color="#666666", pad=12)
    return axes


def png(axes) -> bytes:
    """The picture; without the library's version in it equal pictures are equal bytes."""
    out = io.BytesIO()
    axes.figure.canvas.print_png(out, metadata={"Software": None})
    return out.getvalue()


def ink_on(colour) -> str:
    """White or INK, whichever stands out more from a matplotlib colour (contrast ratio of WCAG 2.1)."""

    def luminance(colour) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05

    return "white" if 1.05 / luminance(colour) > luminance(colour) / luminance(INK) else INK


def styles_of(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """{name: (colour, marker)}, in the order in which the names come first."""
    return dict(zip(dict.fromkeys(names), zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False), strict=False))


def accuracy_axis(axes, highest: float) -> None:
    """From 0 to a little above `highest`, with faint lines, and a frame on the left and below alone."""
    axes.set_ylim(0, min(1.02, 1.15 * highest))
    axes.set_ylabel("accuracy (95 % interval over problems)")
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#999999")


def _line(axes, rows: Sequence[Row], colour: str, marker: str) -> None:
    compute = [row.cost.flops for row in rows]
    value = [row.accuracy.value for row in rows]
    # Wilson's interval leaves out its own estimate only by rounding.
    below = [max(0.0, row.accuracy.value - row.accuracy.low) for row in rows]
    above = [max(0.0, row.accuracy.high - row.accuracy.value) for row in rows]
    axes.errorbar(compute, value, [below, above], color=colour, linewidth=0, elinewidth=1.4, capsize=3, alpha=0.55)
    axes.plot(
        compute, value, color=colour, marker=marker, markersize=7, linewidth=2, markeredgecolor="white", clip_on=False, zorder=3
    )


def _dress(axes, rows: Sequence[Row]) -> None:
    compute = [row.cost.flops for row in rows]
    axes.set_xscale("log")
    axes.set_xlim(min(compute) / 1.6, max(compute) * 1.9)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(unit="FLOP", sep=" "))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("compute per problem, prompt prefilled once")
    accuracy_axis(axes, max(row.accuracy.high for row in rows))


def _write_labels(axes, rows: Sequence[Row], colours: dict[str, str]) -> None:
    """The method's name at the end of its line and N at every point of a line, none over another or over a marker."""
    taken = [around(axes, _at(row)) for row in rows]
    last = {row.label: row for row in rows}
    for row in last.values():
        taken.append(place(axes, _at(row), row.label, PLACES, taken, color=colours[row.label], **NAME))
    for row in rows:
        if last[row.label].samples > 1:
            below = [*PLACES[1:], PLACES[0]]  # clear of a line that rises
            taken.append(place(axes, _at(row), f"N = {row.samples}", below, taken, color=colours[row.label], **NOTE))


def _at(row: Row) -> tuple[float, float]:
    return row.cost.flops, row.accuracy.value


def around(axes, at: tuple[float, float], pixels: float = 5) -> Bbox:
    """The box of a marker at the point `at`, in pixels."""
    x, y = axes.transData.transform(at)
    return Bbox.from_extents(x - pixels, y - pixels, x + pixels, y + pixels)


def place(axes, at: tuple[float, float], text: str, places: Sequence[tuple], taken: Sequence[Bbox], **style) -> Bbox:
    """Writes `text` beside `at` at the first of `places` where it hits nothing, at the first of all if there is none.

    The layout must be fixed (`canvas.draw`). Returns the box that it takes.
    """
    note = axes.annotate(text, at, (0, 0), textcoords="offset points", **style)
    inside = axes.get_window_extent()
    for x, y, side in [*places, places[0]]:
        note.set_position((x, y))
        note.set_horizontalalignment(side)
        box = note.get_window_extent()
        if inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and not any(map(box.overlaps, taken)):
            break
    return box
