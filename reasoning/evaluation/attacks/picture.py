"""Grids of attacks as heat maps: attacker resource upwards, defender compute to the right, the numbers in each cell."""

from collections.abc import Callable, Sequence

import matplotlib
import numpy as np

from reasoning.evaluation.attacks.rates import Cell
from reasoning.evaluation.attacks.report import Attacked, cell_at
from reasoning.evaluation.attacks.tables import number
from reasoning.evaluation.reports import picture
from reasoning.evaluation.reports.picture import STYLE
from reasoning.evaluation.statistics.stats import Estimate


def pictures(found: Sequence[Attacked], title: str) -> dict[str, bytes]:
    """{name: PNG}: for each grid what the attack gained, and what the defender still gets right."""
    out = {}
    for one in found:
        name = one.grid.name
        out[f"attack-{name}"] = draw_success(
            one, f"{title}\n{name}: rate of the attacker's goal beyond the rate without an attack"
        )
        out[f"attack-{name}-accuracy"] = draw_accuracy(one, f"{title}\n{name}: right answers under attack")
    return out


def draw_success(found: Attacked, title: str) -> bytes:
    """PNG of attack success minus the clean rate of the same goal, red where it gained; the lowest row says that rate."""

    def value(cell: Cell) -> float:
        return cell.effect.difference if cell.effect else 0.0

    def words(cell: Cell) -> str:
        if cell.effect is None:
            return f"clean rate {cell.success.value:.3f}\n{_interval(cell.success)}\n{_price(cell)}"
        effect = cell.effect
        numbers = f"{effect.difference:+.3f}\n{effect.low:+.2f} … {effect.high:+.2f}".replace("-", "−")
        return f"{numbers}\nMDE {effect.mde:.2f}\n{_price(cell)}"

    return _map(found, title, value, words, "goal beyond clean rate", "RdBu_r", (-1.0, 1.0))


def draw_accuracy(found: Attacked, title: str) -> bytes:
    """PNG of the rate of right answers, with that of neither, both with their intervals."""

    def words(cell: Cell) -> str:
        right, neither = cell.accuracy, cell.neither
        lines = (f"{right.value:.3f}", _interval(right), f"neither {neither.value:.3f}", _interval(neither), _price(cell))
        return "\n".join(lines)

    return _map(found, title, lambda cell: cell.accuracy.value, words, "right answers", "Blues", (0.0, 1.0))


def _interval(found: Estimate) -> str:
    return f"{found.low:.2f} … {found.high:.2f}"


def _price(cell: Cell) -> str:
    tries = f", {cell.attempts.value:.1f} tries" if cell.attempts else ""
    return f"{cell.tokens.value:,.0f} tokens{tries}"


def _map(
    found: Attacked,
    title: str,
    value: Callable[[Cell], float],
    words: Callable[[Cell], str],
    name: str,
    colours: str,
    limits: tuple[float, float],
) -> bytes:
    levels, resources = found.grid.levels, sorted({cell.resource for cell in found.cells})
    values = np.full((len(resources), len(levels)), np.nan)
    with matplotlib.rc_context(STYLE):
        axes = picture.sheet(title)
        axes.figure.set_size_inches(max(8.0, 1.9 * len(levels) + 2.5), max(5.0, 0.95 * len(resources) + 1.6))
        for row, resource in enumerate(resources):
            for column, level in enumerate(levels):
                cell = cell_at(found, resource, level)
                if cell is None:
                    continue
                values[row, column] = value(cell)
                colour = matplotlib.colormaps[colours]((value(cell) - limits[0]) / (limits[1] - limits[0]))
                style = {"color": picture.ink_on(colour), "ha": "center", "va": "center", "linespacing": 1.3}
                axes.text(column, row, words(cell), fontsize=8, **style)
        edges = {"edgecolors": "white", "linewidth": 2, "vmin": limits[0], "vmax": limits[1]}
        sides = (np.arange(count + 1) - 0.5 for count in (len(levels), len(resources)))  # a single column has them too
        image = axes.pcolormesh(*sides, values, cmap=colours, **edges)
        axes.set_xticks(range(len(levels)), [number(level) for level in levels])
        axes.set_yticks(range(len(resources)), [number(resource) for resource in resources])
        axes.set_xlabel(found.grid.defence)
        axes.set_ylabel(found.grid.attack)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        bar = axes.figure.colorbar(image, ax=axes, label=name, fraction=0.05)
        bar.outline.set_visible(False)
        return picture.png(axes)
