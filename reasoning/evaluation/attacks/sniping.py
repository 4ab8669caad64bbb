"""Does thinking long protect, or is it a trap? The samples that thought longest, against those of median length, at one setting.

Source: Zaremba et al. 2025, arXiv 2501.18841, "nerd sniping": of the responses at one requested level, the 5 % with the most
realised compute give way to the attack more often than the median. Lengths are ranked within a cell, so that an attack that
makes all responses longer is no finding; the ranks of the cells of one level are then pooled. Few samples are in the top 5 %:
read the interval.

`P` problems
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reasoning.evaluation.pool import Record
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.statistics.stats import Estimate

TOP = 0.05
MIDDLE = (0.4, 0.6)  # shares of the ranks that count as the median


@dataclass(frozen=True)
class Sniping:
    """The longest samples of one level against those of median length.

    Attributes:
      level: of the defender. longest, median: rate of the goal. tokens: mean of both groups. samples: in both groups.
      difference: longest − median, low … high: its 95 % interval, mde: the smallest true one found with probability 0.8.
    """

    level: float | str
    longest: Estimate
    median: Estimate
    tokens: tuple[float, float]
    samples: tuple[int, int]
    difference: float
    low: float
    high: float
    mde: float


def sniping(level: float | str, cells: Sequence[tuple[Sequence[Record], Sequence[bool]]]) -> Sniping | None:
    """Of the attacked cells of one level: (records, whether each is the goal). None where there are too few samples for a top."""
    groups: tuple[list, list] = ([], [])  # (record, hit) of the longest samples, and of those of median length
    for records, hits in cells:
        ranked = sorted(zip(records, hits, strict=True), key=lambda one: (one[0]["tokens"], one[0]["problem"], one[0]["sample"]))
        if len(ranked) * TOP < 1:
            continue
        groups[0].extend(ranked[-math.floor(len(ranked) * TOP) :])
        groups[1].extend(ranked[round(MIDDLE[0] * len(ranked)) : round(MIDDLE[1] * len(ranked))])
    if not groups[0]:
        return None
    longest, median = (_rate(group) for group in groups)
    low, high = newcombe(longest, median)
    return Sniping(
        level,
        longest,
        median,
        tuple(float(np.mean([record["tokens"] for record, _ in group])) for group in groups),
        (len(groups[0]), len(groups[1])),
        longest.value - median.value,
        low,
        high,
        math.hypot(longest.mde, median.mde) / math.sqrt(2),
    )


def newcombe(a: Estimate, b: Estimate) -> tuple[float, float]:
    """95 % interval of a − b, two independent shares, from their own intervals (Newcombe 1998, method 10)."""
    gap = a.value - b.value
    return (
        gap - math.hypot(a.value - a.low, b.high - b.value),
        gap + math.hypot(a.high - a.value, b.value - b.low),
    )


def _rate(group: Sequence[tuple[Record, bool]]) -> Estimate:
    names = sorted({record["problem"] for record, _ in group})
    totals, counts = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0)
    for record, hit in group:
        totals[record["problem"]] += hit
        counts[record["problem"]] += 1
    return stats.ratio(list(totals.values()), list(counts.values()))
