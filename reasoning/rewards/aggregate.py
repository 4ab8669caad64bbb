"""One number for a response out of the scores of its steps.

Snell et al. (arXiv 2408.03314, section 5.1) find the last step best for value functions; Lightman et al. (arXiv 2305.20050,
appendix F) use the product and the minimum for models of correctness; RLHFlow's own best-of-N takes the mean.
"""

import math
from collections.abc import Sequence

from reasoning.errors import InputError

AGGREGATIONS = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": math.prod,
    "mean": lambda scores: math.fsum(scores) / len(scores),
}


def check_aggregation(name: str) -> str:
    """`name`. Raises InputError if there is no such aggregation."""
    if name not in AGGREGATIONS:
        raise InputError(f"unknown aggregation {name!r} of step scores; choose one of {', '.join(AGGREGATIONS)}")
    return name


def aggregate(name: str, scores: Sequence[float]) -> float:
    """The scores of n ≥ 1 steps as one. Raises InputError for a product of scores that are no probabilities."""
    if name == "prod" and not all(0.0 <= score <= 1.0 for score in scores):
        raise InputError("a product needs scores that are probabilities; choose last, min or mean for this scorer")
    return float(AGGREGATIONS[name](scores))
