"""What a process reward model is trained with: binary cross-entropy on the ends of steps, towards hard or soft values.

Source: Lightman et al. 2023, arXiv 2305.20050, appendix E; soft values as in Snell et al. 2024, arXiv 2408.03314, appendix D.

Axis legend: `B` responses, `T` tokens, `C` labels.
"""

import jax
import jax.numpy as jnp


def logit(scores: jax.Array) -> jax.Array:
    """float32[..., C] of a score head → float32[...], the log odds of "right": the value of one label, the difference of two."""
    return scores[..., 0] if scores.shape[-1] == 1 else scores[..., 1] - scores[..., 0]


def step_loss(scores: jax.Array, values: jax.Array, ends: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sum of the cross-entropies in nats at the ends of steps, and how many there are; divide after adding up a batch.

    Args:
      scores: float32[B, T, C], C = 1 or 2, of the score head at every token.
      values: float32[B, T] in [0, 1], the probability that the prefix is right; read where `ends`.
      ends: bool[B, T], the last token of each step.
    Returns: float32[], int32[].
    """
    odds = logit(scores).astype(jnp.float32)
    # −v log σ(x) − (1 − v) log σ(−x), without a logarithm of 0.
    losses = jax.nn.softplus(odds) - jnp.where(ends, values, 0.0) * odds
    return jnp.sum(jnp.where(ends, losses, 0.0)), jnp.sum(ends)
