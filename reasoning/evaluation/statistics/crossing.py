"""Where two curves of accuracy against a budget cross, with an interval over problems.

The crossing is the first budget at which the sign of the difference of the two means changes; problems are resampled, all
budgets of one problem together, since they are paired. How curves are joined is the caller's business, who gives their values at
as many budgets as say it; between two neighbours the difference is taken as straight over the logarithm of the budget. A
comparison joins over the cost and gives 24 (`reasoning.comparison.crossings`), of which neighbours are close.
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
    logs, count = np.log(grid), len(difference)
    (found,), (sign,) = _first(logs, difference.mean(0, keepdims=True))
    picks = np.random.default_rng(seed).integers(0, count, (resamples, count))
    times = np.zeros((resamples, count))  # how often each problem was drawn
    np.add.at(times, (np.arange(resamples)[:, None], picks), 1.0)
    at, side = _first(logs, times @ difference / count)
    same = at[~np.isnan(at) & (np.isnan(found) | (side == sign))]
    low, high = np.exp(np.quantile(same, [0.025, 0.975])) if same.size else (None, None)
    return Crossing(
        budget=None if np.isnan(found) else math.exp(found),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        share=len(same) / resamples,
        ahead={1: "a", -1: "b", 0: ""}[int(sign)],
    )


def _first(logs: np.ndarray, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of curves float[R, K]: logarithm of the first budget at which the sign changes, float[R], and the sign before it, int[R];
    NaN and 0 where it never does."""
    signs = np.sign(np.round(difference, 12)).astype(int)
    rows = np.arange(len(signs))
    at, side = np.full(len(signs), np.nan), np.zeros(len(signs), int)
    before, left = np.zeros(len(signs), int), np.zeros(len(signs), int)  # the last sign that was not 0, and its place
    for k, sign in enumerate(signs.T):
        new = rows[(sign * before < 0) & np.isnan(at)]
        start, end = difference[new, left[new]], difference[new, k]
        at[new] = logs[left[new]] + start / (start - end) * (logs[k] - logs[left[new]])
        side[new] = before[new]
        before, left = np.where(sign, sign, before), np.where(sign, k, left)
    return at, side
