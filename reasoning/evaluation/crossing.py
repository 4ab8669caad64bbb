"""Where two curves of accuracy against a budget cross, with an interval over problems.

A curve is joined by straight lines over the logarithm of the budget. The crossing is the first budget at which the sign of the
difference of the two means changes; problems are resampled, all budgets of one problem together, since they are paired.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from reasoning.errors import InputError

RESAMPLES = 2_000


@dataclasses.dataclass(frozen=True)
class Crossing:
    """Attributes:
    budget: at which the curves cross, in the unit of the budgets; None if they do not.
    low, high: 95 % interval over the resamplings in which they cross; None if in none.
    share: of the resamplings in which they cross. A crossing with a share below 0.95 is not shown by these problems.
    ahead: which curve is ahead before it, "a" or "b"; "" without a crossing.
    """

    budget: float | None
    low: float | None
    high: float | None
    share: float
    ahead: str


def crossing(budgets: Sequence[float], a: np.ndarray, b: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Crossing:
    """Of the curves whose values are `a` and `b`, float[P, K]: problems, budgets.

    Args:
      budgets: float[K], ascending and above 0.
    Raises:
      InputError: fewer than two budgets, or shapes that do not fit.
    """
    grid = np.asarray(budgets, float)
    difference = np.asarray(a, float) - np.asarray(b, float)
    if grid.size < 2 or (np.diff(grid) <= 0).any() or grid[0] <= 0:
        raise InputError(f"a crossing needs two budgets at least, ascending and above 0; got {list(budgets)}")
    if difference.ndim != 2 or difference.shape[1] != grid.size or not len(difference):
        raise InputError(f"values of {grid.size} budgets are float[problems, {grid.size}], got {difference.shape}")
    logs = np.log(grid)
    found, sign = _first(logs, difference.mean(0))
    picks = np.random.default_rng(seed).integers(0, len(difference), (resamples, len(difference)))
    again = [_first(logs, difference[rows].mean(0)) for rows in picks]
    same = [at for at, side in again if at is not None and (found is None or side == sign)]
    low, high = np.exp(np.quantile(same, [0.025, 0.975])) if same else (None, None)
    return Crossing(
        budget=None if found is None else math.exp(found),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        share=len(same) / resamples,
        ahead={1: "a", -1: "b", 0: ""}[sign],
    )


def _first(logs: np.ndarray, difference: np.ndarray) -> tuple[float | None, int]:
    """(logarithm of the first budget at which the sign changes, the sign before it); (None, 0) if it never does."""
    signs = np.sign(np.round(difference, 12))
    before = 0
    for at, sign in enumerate(signs):
        if sign and before and sign != before:
            left = max(i for i in range(at) if signs[i])  # touching zero on the way is no crossing of its own
            share = difference[left] / (difference[left] - difference[at])
            return float(logs[left] + share * (logs[at] - logs[left])), int(before)
        before = sign or before
    return None, 0
