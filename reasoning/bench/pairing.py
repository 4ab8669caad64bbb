"""Paired, interleaved timing: A B C A B C …, so that a drift of the machine meets all contestants alike.

What is compared is the ratio within a round; its median and its range over the rounds are reported.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tqdm import tqdm

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
    values: dict[str, list[float]] = {name: [] for name in contestants}
    # The bar moves between runs, never during one; where standard error is no terminal it stays away.
    with tqdm(total=(warmups + rounds) * len(contestants), unit="run", leave=False, disable=None) as bar:
        for index in range(warmups + rounds):
            for name, run in contestants.items():
                bar.set_description(f"{name}, {'warm-up' if index < warmups else f'round {index - warmups + 1}'}")
                values[name].append(run())
                bar.update()
    return {name: found[warmups:] for name, found in values.items()}


def ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """Of over[i] / under[i]. The median of the ratios, not the ratio of the medians: a slow round is slow for both."""
    each = [a / b for a, b in zip(over, under, strict=True)]
    return Ratio(statistics.median(each), min(each), max(each))
