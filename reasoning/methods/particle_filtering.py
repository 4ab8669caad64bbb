"""Particle filtering: prefixes are resampled at each step in proportion to the softmax of their scores.

Source: Puri et al. 2025, "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte Carlo
Methods", arXiv 2502.01618, algorithm 1. The final answer is that of the particle with the best score.
"""

from typing import Any

from reasoning.methods import searching
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.search.particles import Particles


@extends(searching.make, weighted=False)
def make(*, resampling: str = "multinomial", weights: str = "", softmax_temperature: float = 1.0, **rest: Any) -> Method:
    """`n` particles; the rest are arguments of `searching.make`.

    Args:
      resampling: "multinomial" or "systematic".
      weights: "logit" of scores that are probabilities, or the "score" itself; "" takes the first with a scorer, and the second
        where the policy's log-probabilities are the scores.
      softmax_temperature: divides them.
    """
    one = searching.make(**rest)
    weights = weights or ("score" if one.search.scorer is None else "logit")
    search = Particles(resampling=resampling, weights=weights, temperature=softmax_temperature)
    return searching.with_search(one, "particle_filtering", search)
