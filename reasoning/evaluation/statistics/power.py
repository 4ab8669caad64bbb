"""How small a difference could this experiment have seen? Planning and honest reading of intervals; normal
approximation throughout.

Source: any text on sample size, e.g. Card et al. 2020, arXiv 2010.06595 ("With little power comes great
responsibility").
"""

import math
from statistics import NormalDist

from reasoning.errors import InputError

POWER, ALPHA = 0.8, 0.05


def minimum_detectable_effect(standard_error: float, power: float = POWER, alpha: float = ALPHA) -> float:
    """The true difference that a two-sided test of level `alpha` finds with probability `power`, when the difference
    has this standard error.
    """
    return _multiple(power, alpha) * standard_error


def problems_needed(effect: float, deviation: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """How many problems it takes to see `effect`; `deviation` is the standard deviation over problems of the
    per-problem (paired) difference.

    Raises InputError for an effect of zero, which no number of problems can show.
    """
    if effect == 0:
        raise InputError("an effect of 0 needs infinitely many problems; name the smallest difference that would matter")
    return math.ceil((_multiple(power, alpha) * deviation / effect) ** 2)


def _multiple(power: float, alpha: float) -> float:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise InputError(f"power is {power} and alpha {alpha}; both lie strictly between 0 and 1")
    return NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
