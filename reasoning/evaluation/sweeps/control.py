"""Did a method that is told how long to think obey, and did thinking pay? Control, Scaling and Performance of a sweep.

Source: s1, arXiv 2501.19393, section 3.2. The paper leaves the units of Scaling open; its published values come out with
accuracy in percent against log2 of the mean thinking tokens, so the unit is points per doubling. (Rejection sampling's −35
can only be bracketed: the table counts 5 runs, the figure shows 6, and leaving one out gives −19 to −35.5.)

Every pair of runs weighs the same, so two of nearly equal length can outweigh all others: read Scaling with its interval
(`reasoning.evaluation.sweeps.measure`). Performance is the largest of several estimates, and so too high by chance.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reasoning.errors import InputError


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
      tokens: mean thinking tokens of a response. accuracy: in [0, 1].
      low, high: the tokens that were asked for, inclusive; "up to 1,024 tokens" is high = 1024.
    """

    tokens: float
    accuracy: float
    low: float = 0.0
    high: float = math.inf


def control(points: Sequence[Point]) -> float:
    """Share of runs whose mean thinking tokens lie where they should, in [0, 1]. Raises InputError when there is no run."""
    _check(points)
    return sum(point.low <= point.tokens <= point.high for point in points) / len(points)


def scaling(points: Sequence[Point]) -> float | None:
    """Mean slope over all pairs of runs, in percentage points of accuracy per doubling of the thinking tokens.

    Runs of equal length are one run with their mean accuracy; None if all lengths are equal. Raises InputError when there is
    no run, or one that thought not at all.
    """
    _check(points)
    if any(point.tokens <= 0 for point in points):
        raise InputError("a run of the sweep has no thinking tokens, so it has no place on a logarithmic axis; leave it out")
    merged: defaultdict[float, list[float]] = defaultdict(list)
    for point in points:
        merged[math.log2(point.tokens)].append(100 * point.accuracy)
    curve = sorted((x, sum(values) / len(values)) for x, values in merged.items())
    slopes = [(later - earlier) / (right - left) for (left, earlier), (right, later) in itertools.combinations(curve, 2)]
    return sum(slopes) / len(slopes) if slopes else None


def performance(points: Sequence[Point]) -> float:
    """The best accuracy, in [0, 1]. Raises InputError when there is no run."""
    _check(points)
    return max(point.accuracy for point in points)


def _check(points: Sequence[Point]) -> None:
    if not points:
        raise InputError("a sweep needs at least one run; name the labels of its methods")
