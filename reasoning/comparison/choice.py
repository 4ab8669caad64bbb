"""The compute-optimal choice: for each budget the method that was best on other problems, once for all or once per difficulty.

Problems are dealt into folds; what is best in the other folds is applied to this one, so the choice never sees the problems that
it is judged on. Knowing the difficulty of a problem costs samples (`reasoning.comparison.difficulty.price`): the adaptive choice
pays for them out of its budget. Source: Snell et al. 2024, arXiv 2408.03314, sections 3.2 and 5.3, who leave that cost out.

Axis legend: `P` problems, `M` candidates.
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from reasoning.comparison.curves import Curve, Point
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.statistics.stats import Comparison, Estimate

FOLDS, BUDGETS = 5, 8


@dataclasses.dataclass(frozen=True)
class Choice:
    """At one budget.

    Attributes:
      budget: of a problem. fixed: one method for all problems. adaptive: one per bin, None where the budget does not pay for
        knowing the bin and a method. gain: adaptive minus fixed.
      picks: what the adaptive choice takes in each bin, over all problems; easiest first.
      pick: what the fixed choice takes.
    """

    budget: float
    fixed: Estimate
    adaptive: Estimate | None
    gain: Comparison | None
    pick: str
    picks: tuple[str, ...]


def choices(curves: Sequence[Curve], axis: str, bins: np.ndarray, charge: float, names: Sequence[str]) -> list[Choice]:
    """At up to `BUDGETS` budgets between the cheapest and the dearest point.

    Args:
      curves: measured on samples that did not say the difficulty; ceilings are left out.
      bins: int[P], of each problem. charge: what knowing it costs a problem.
      names: ids of the problems, in the order of the values.
    """
    points = [point for curve in curves if not curve.ceiling for point in curve.points]
    costs = sorted(point.cost(axis) for point in points)
    grid = np.geomspace(costs[0], costs[-1] + charge, BUDGETS) if costs[-1] + charge > costs[0] > 0 else np.array(costs[:1])
    grid[0], grid[-1] = costs[0], costs[-1] + charge
    folds = np.array([int(hashlib.sha256(f"fold/{name}".encode()).hexdigest(), 16) % FOLDS for name in names])
    return [_choice(points, axis, float(budget), bins, charge, folds) for budget in grid]


def _choice(points: Sequence[Point], axis: str, budget: float, bins: np.ndarray, charge: float, folds: np.ndarray) -> Choice:
    def within(most: float) -> list[Point]:
        return [point for point in points if point.cost(axis) <= most * (1 + 1e-9)]

    one_bin, whole = np.zeros_like(bins), np.ones(len(bins), bool)
    fixed = _held_out(within(budget), axis, one_bin, folds)
    pick = _best(within(budget), axis, whole)
    adaptive = gain = None
    picks: tuple[str, ...] = ()
    affordable = within(budget - charge)
    if affordable and bins.max():
        values = _held_out(affordable, axis, bins, folds)
        adaptive, gain = stats.estimate(values), stats.difference(values - fixed)
        picks = tuple(_best(affordable, axis, bins == number).row.name for number in range(bins.max() + 1))
    return Choice(budget, stats.estimate(fixed), adaptive, gain, pick.row.name, picks)


def _held_out(points: Sequence[Point], axis: str, bins: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """float[P]: each problem by the point that was best in its bin among the problems of the other folds."""
    out = np.empty(len(bins))
    for fold in np.unique(folds):
        for number in np.unique(bins):
            here = (folds == fold) & (bins == number)
            others = (folds != fold) & (bins == number)
            chosen = _best(points, axis, others if others.any() else folds != fold)
            out[here] = np.asarray(chosen.row.values)[here]
    return out


def _best(points: Sequence[Point], axis: str, members: np.ndarray) -> Point:
    """The highest mean over `members`, bool[P]; of equal ones the cheapest."""
    return max(points, key=lambda point: (round(float(np.asarray(point.row.values)[members].mean()), 12), -point.cost(axis)))
