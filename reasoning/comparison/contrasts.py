"""Two curves at the same budget, problem by problem: the one contrast that was declared, the others corrected by their number.

The budget of a pair is the largest that both can use. Where one of them spends less (it has no more budgets, or never had any),
it keeps what it has: "up to so much a problem". Every pair is also looked at with all that each can spend, if the costs differ.

Source of the correction: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian J. of Statistics 6.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from reasoning.comparison.curves import Curve
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.statistics.power import ALPHA, problems_needed
from reasoning.evaluation.statistics.stats import Comparison

SMALL = 0.05  # the difference for which the number of problems is planned


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Curve a minus curve b on the same problems.

    Attributes:
      a, b: names. axis, budget: what a problem may cost.
      spent: what a and b spend of it.
      found: difference with interval, minimum detectable effect and p.
      p_value: corrected by Holm's method, or as found for the primary contrast.
      primary: whether it was declared before the run. equal: whether both had the same budget.
      needed: problems that show a difference of `SMALL` with probability 0.8.
    """

    a: str
    b: str
    axis: str
    budget: float
    spent: tuple[float, float]
    found: Comparison
    p_value: float
    primary: bool
    equal: bool
    needed: int

    @property
    def verdict(self) -> str:
        """Who is better at the 5 % level, or that it cannot be told."""
        if self.p_value >= ALPHA or self.found.difference == 0:
            return "not distinguishable"
        return f"{self.a if self.found.difference > 0 else self.b} is better"


def contrasts(curves: Sequence[Curve], axis: str, primary: Sequence[str] = ()) -> list[Contrast]:
    """Every pair of curves that are no ceiling, the primary one first.

    Args:
      primary: names of two of them, in the order of the difference.
    """
    real = {curve.name: curve for curve in curves if not curve.ceiling}
    declared = tuple(primary)
    pairs = [(b, a) for a, b in itertools.combinations(real, 2)]  # the later minus the earlier, baselines come first
    pairs = [declared if set(pair) == set(declared) else pair for pair in pairs]
    made = [_contrast(real[a], real[b], axis, (a, b) == declared, equal) for equal in (True, False) for a, b in pairs]
    # With one budget each there is nothing more to spend.
    seen, unique = set(), []
    for one in made:
        key = (one.a, one.b, *one.spent)
        if key not in seen:
            unique.append(one)
        seen.add(key)
    first = [one for one in unique if one.primary and one.equal]
    rest = [dataclasses.replace(one, primary=False) for one in unique if not (one.primary and one.equal)]
    corrected = holm([one.found.p_value for one in rest])
    return first + [dataclasses.replace(one, p_value=p) for one, p in zip(rest, corrected, strict=True)]


def _contrast(a: Curve, b: Curve, axis: str, primary: bool, equal: bool) -> Contrast:
    costs = a.costs(axis), b.costs(axis)
    most = min(costs[0][-1], costs[1][-1]) if equal else max(costs[0][-1], costs[1][-1])
    budget = float(max(costs[0][0], costs[1][0], most))
    values = a.at(axis, [budget])[:, 0] - b.at(axis, [budget])[:, 0]
    found = stats.difference(values)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    spent = tuple(min(budget, float(cost[-1])) for cost in costs)
    return Contrast(a.name, b.name, axis, budget, spent, found, found.p_value, primary, equal, problems_needed(SMALL, deviation))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that may each be compared with the level of the whole family, in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    out, least = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        out[index] = least
    return out
