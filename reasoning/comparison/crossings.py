"""Where the order of two methods turns: the budget up to which one is the better choice, with its interval over problems.

Curves are joined over the cost (`reasoning.comparison.curves`) and read off at `GRID` budgets in equal ratios, between which the
crossing is found over the logarithm: of a range that is a thousandfold, neighbours are a third apart.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from reasoning.comparison.curves import Curve
from reasoning.evaluation.statistics.crossing import Crossing, crossing

GRID = 24  # budgets between the ends of what two curves share
SHOWN = 0.95  # of the resamplings must cross, or these problems do not show it


@dataclasses.dataclass(frozen=True)
class Turn:
    """Attributes:
    a, b: names of the curves. axis: of the budget.
    low, high: what both can spend. found: where they cross in between, if they do.
    """

    a: str
    b: str
    axis: str
    low: float
    high: float
    found: Crossing

    @property
    def verdict(self) -> str:
        """What can be said of it."""
        if self.found.budget is None:
            return "no crossing"
        first, second = (self.a, self.b) if self.found.ahead == "a" else (self.b, self.a)
        sure = "" if self.found.share >= SHOWN else ", not shown by these problems"
        return f"{first} before, {second} after{sure}"


def crossings(curves: Sequence[Curve], axis: str) -> list[Turn]:
    """Of every pair of curves that are no ceiling and share a range of budgets."""
    out = []
    for a, b in itertools.combinations([curve for curve in curves if not curve.ceiling], 2):
        costs = a.costs(axis), b.costs(axis)
        low, high = max(costs[0][0], costs[1][0]), min(costs[0][-1], costs[1][-1])
        if not 0 < low < high:
            continue
        grid = np.geomspace(low, high, GRID)
        grid[0], grid[-1] = low, high  # not a rounding error outside
        out.append(Turn(a.name, b.name, axis, float(low), float(high), crossing(grid, a.at(axis, grid), b.at(axis, grid))))
    return out
