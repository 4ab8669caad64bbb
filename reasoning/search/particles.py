"""Particle filtering: prefixes are drawn again in proportion to the softmax of their scores, not pruned.

    weight_i ∝ exp(w_i / temperature)      w = log(r / (1 − r)) for a probability r ("logit"), or the score itself ("score")

Each live row is a particle; with L of them live, L are drawn: independently ("multinomial", the paper's) or with one uniform
number and equal distances ("systematic", which has the same expectation and less variance: a particle of weight p gets ⌊pL⌋
or ⌈pL⌉ copies). A complete row stays out of it: it keeps its slot, so that no final answer is there twice.

Where no weight is a number (all rows dead: −inf), all are alike.

Source: Puri et al. 2025, "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte
Carlo Methods", arXiv 2502.01618, algorithm 1. Systematic resampling: Kitagawa 1996.
"""

import dataclasses

import jax
import jax.numpy as jnp

from reasoning.errors import InputError
from reasoning.search.base import Search, Selection

RESAMPLINGS, WEIGHTS = ("multinomial", "systematic"), ("logit", "score")
EDGE = 1e-6  # a score of exactly 0 or 1 has no finite logit


@dataclasses.dataclass(frozen=True)
class Particles(Search):
    """Resampling at every step; attributes as in the module."""

    resampling: str = "multinomial"
    weights: str = "logit"
    temperature: float = 1.0

    def check(self, width: int) -> None:
        """Raises InputError for a setting that does not exist."""
        for name, valid in (("resampling", RESAMPLINGS), ("weights", WEIGHTS)):
            if getattr(self, name) not in valid:
                raise InputError(f"particle filtering: {name} is {' or '.join(valid)}, got {getattr(self, name)!r}")
        if not self.temperature > 0:
            raise InputError(f"particle filtering: the softmax's temperature must be above 0, got {self.temperature!r}")

    def select(self, scores, rows, key, state):
        """Consumes `key`: one uniform number, or one a row."""
        counts = draw(self.resampling, key, self.probabilities(scores, rows.live), rows.live.sum())
        return Selection(jnp.where(rows.live, counts, 1)), state

    def probabilities(self, scores: jax.Array, live: jax.Array) -> jax.Array:
        """float32[W]: the chance of each live row to be drawn; 0 for the others."""
        if self.weights == "logit":
            clipped = jnp.clip(scores, EDGE, 1 - EDGE)
            scores = jnp.log(clipped) - jnp.log1p(-clipped)
        logits = jnp.where(live, scores / self.temperature, -jnp.inf)
        logits = jnp.where(jnp.isfinite(logits).any(), logits, jnp.where(live, 0.0, -jnp.inf))
        return jnp.where(live, jax.nn.softmax(logits), 0.0)


def draw(how: str, key: jax.Array, probabilities: jax.Array, total: jax.Array) -> jax.Array:
    """counts int32[W] of `total` int32[] draws from `probabilities` float32[W]; consumes `key`."""
    width = probabilities.size
    edges = jnp.cumsum(probabilities)
    number = jnp.arange(width)
    if how == "systematic":
        points = (number + jax.random.uniform(key)) / jnp.maximum(total, 1)
    else:
        points = jax.random.uniform(key, (width,))
    # Against rounding: a point behind the last edge goes to the last row that can be drawn at all.
    last = width - 1 - jnp.argmax((probabilities > 0)[::-1])
    chosen = jnp.minimum(jnp.searchsorted(edges, points, side="right"), last)
    return jnp.zeros(width, jnp.int32).at[jnp.where(number < total, chosen, width)].add(1, mode="drop")
