"""Paired, interleaved timing: A B C A B C …, so that a drift of the machine meets all contestants alike.

What is compared is the ratio within a round; its median and its range over the rounds are reported.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from reasoning.errors import InputError


class Ratio(NamedTuple):
    """Median and range over the rounds."""

    median: float
    low: float
    high: float


def interleave(contestants: Mapping[str, Callable[[], float]], rounds: int, warmups: int = 1) -> dict[str, list[float]]:
    """{name: one measured value a round}: each contestant runs once a round, in the order given.

    Args:
      contestants: name → a run that returns what is to be compared (seconds, tokens/s).
      warmups: rounds before the first that counts; they compile, fault pages in and fill caches.

    Raises InputError for fewer than one round.
    """
    if rounds < 1:
        raise InputError(f"a comparison needs at least one round, got {rounds}")
    for _ in range(warmups):
        for run in contestants.values():
            run()
    values: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            values[name].append(run())
    return values


def ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """Of over[i] / under[i]. The median of the ratios, not the ratio of the medians: a slow round is slow for both."""
    each = [a / b for a, b in zip(over, under, strict=True)]
    return Ratio(statistics.median(each), min(each), max(each))
