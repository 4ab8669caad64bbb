"""Truncated sampling: top-k, top-p, min-p and typical-p as masks, without sorting the vocabulary.

Top-k, top-p and typical-p are one question: order the tokens by a score, add up their masses, and find the score at which
the sum first reaches a target (k tokens of mass 1; probability p). Tokens at or above it stay, the others become −inf.

                     score (high first)       mass        target
    top-k            logit                    1           k
    top-p            logit                    p           top_p
    typical-p        −|−log p − entropy|      p           typical_p

`threshold` answers from the 128 best tokens of a row when their mass reaches the target, which is nearly always so, and
otherwise by bisection on the bit pattern of the float: 32 masked sums over the vocabulary, exact, run only if some row
needs them. Which of the two serves a row depends on that row alone, and a threshold is a float either way, so neighbours
change no bit.

The kept set is the smallest with at least the target mass, and never empty. Tokens whose scores tie with the last one kept
are kept too, as in Hugging Face's top-k and typical-p (its top-p cuts through a tie in the order of its sort).

Axis legend: `B` slots (rows), `V` vocabulary.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from reasoning.decode.base import Knob, Transform, stateless
from reasoning.decode.sampling import top

CANDIDATES = 128
IMPOSSIBLE = -jnp.inf
SMALLEST = 1e-6  # of a probability target: 0 would ask for an empty set

Elementwise = Callable[[jax.Array], jax.Array]


def top_k() -> Transform:
    """Keeps the k likeliest tokens of a row, with all ties at the k-th (as HF `TopKLogitsWarper`).

    Knob `top_k` int32: tokens; 0 keeps all.
    Source: Fan et al. 2018, arXiv:1805.04833, section 5.
    """

    def edit(logits, knobs, context):
        k = knobs["top_k"]
        return _truncate(logits, k > 0, k.astype(jnp.float32), _same, jnp.ones_like)

    return stateless({"top_k": Knob("int32", (), 0, 0, None, "tokens kept; 0 keeps all")}, edit)


def top_p() -> Transform:
    """Keeps the smallest set of likeliest tokens with probability ≥ top_p, at least one token (as HF `TopPLogitsWarper`).

    Knob `top_p` float32 in (0, 1]; 1 keeps all. 0 is refused: temperature 0 says greedy.
    Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1 (nucleus sampling).
    """

    def edit(logits, knobs, context):
        p = knobs["top_p"]
        log_total = jax.nn.logsumexp(logits, -1, keepdims=True)
        return _truncate(logits, p < 1, p, _same, lambda logits: jnp.exp(logits - log_total))

    return stateless({"top_p": _probability("probability mass of the likeliest tokens kept; 1 keeps all")}, edit)


def typical_p() -> Transform:
    """Keeps the smallest set with probability ≥ typical_p of the tokens whose surprise is nearest the row's entropy.

    Knob `typical_p` float32 in (0, 1]; 1 keeps all. At least one token, with all ties (as HF `TypicalLogitsWarper`).
    Source: Meister et al. 2023, arXiv:2202.00666, section 4 (locally typical sampling).
    """

    def edit(logits, knobs, context):
        p = knobs["typical_p"]
        log_total = jax.nn.logsumexp(logits, -1, keepdims=True)

        def mass(logits):
            return jnp.exp(logits - log_total)

        surprise = jnp.where(logits == IMPOSSIBLE, 0.0, log_total - logits)
        entropy = jnp.sum(mass(logits) * surprise, -1, keepdims=True)
        return _truncate(logits, p < 1, p, lambda logits: -jnp.abs(log_total - logits - entropy), mass)

    return stateless({"typical_p": _probability("probability mass of the most typical tokens kept; 1 keeps all")}, edit)


def min_p() -> Transform:
    """Keeps the tokens with probability ≥ min_p · (the likeliest token's); as HF `MinPLogitsWarper`.

    Knob `min_p` float32 in [0, 1]; 0 keeps all, 1 the likeliest alone.
    Source: Nguyen et al. 2024, arXiv:2407.01082, section 3.
    """

    def edit(logits, knobs, context):
        floor = jnp.max(logits, -1, keepdims=True) + jnp.log(knobs["min_p"])[:, None]
        return jnp.where(logits < floor, IMPOSSIBLE, logits)

    meaning = "smallest probability kept, as a share of the likeliest token's; 0 keeps all"
    return stateless({"min_p": Knob("float32", (), 0.0, 0.0, 1.0, meaning)}, edit)


def threshold(logits: jax.Array, wanted: jax.Array, target: jax.Array, score: Elementwise, mass: Elementwise) -> jax.Array:
    """float32[B]: the largest t with Σ mass over {score ≥ t} ≥ target; −inf if all tokens together do not reach it.

    Args:
      logits: float32[B, V].
      wanted: bool[B]; the other rows get some threshold, and never cause a bisection.
      target: float32[B].
      score, mass: elementwise functions of float32[B, ...] logits, mass ≥ 0. The score must be made of comparisons,
        additions and negations only, which give the same bits wherever XLA fuses them.
    """
    count = min(CANDIDATES, logits.shape[-1])
    values, ids = top(score(logits), count)
    reached = jnp.cumsum(mass(jnp.take_along_axis(logits, ids, axis=1)), -1) >= target[:, None]
    found = reached.any(-1)
    nearby = jnp.where(found, jnp.take_along_axis(values, jnp.argmax(reached, -1)[:, None], axis=1)[:, 0], IMPOSSIBLE)
    if count == logits.shape[-1]:
        return nearby
    needed = wanted & ~found

    def search(nearby):
        return jnp.where(needed, _bisect(logits, target, score, mass, values[:, -1], needed), nearby)

    return jax.lax.cond(needed.any(), search, lambda nearby: nearby, nearby)


def _truncate(logits, wanted, target, score, mass):
    """Logits with the tokens below the threshold at −inf, in the rows where `wanted`."""
    kept = score(logits) >= threshold(logits, wanted, target, score, mass)[:, None]
    return jnp.where(kept | ~wanted[:, None], logits, IMPOSSIBLE)


def _bisect(logits, target, score, mass, upper, needed):
    """`threshold` over all floats in [−inf, upper] for the rows `needed`. The mass at `upper` may reach the target by ties."""
    low = jnp.full_like(upper, IMPOSSIBLE)  # reaches the target, by convention if not by mass
    high = jnp.where(needed, _order(upper) + 1, _order(low) + 1)  # does not reach it

    def step(_, bracket):
        low, high = bracket
        middle = (low & high) + ((low ^ high) >> 1)  # floor of the mean, without overflow
        reaches = _sum(jnp.where(score(logits) >= _float(middle)[:, None], mass(logits), 0.0)) >= target
        up = reaches | (middle == low)
        return jnp.where(up, middle, low), jnp.where(up, high, middle)

    low, _ = jax.lax.fori_loop(0, 32, step, (_order(low), high))
    return _float(low)


def _sum(x):
    """Sum over V, in eighths first: XLA:CPU writes a summand of full size to memory before it reduces it (1.5× slower)."""
    eighth = x.shape[1] // 8
    parts = [x[:, i * eighth : (i + 1) * eighth] for i in range(8)]
    return sum(parts).sum(-1) + x[:, 8 * eighth :].sum(-1)


def _order(x):
    """float32 → int32 with the same order."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _float(order):
    """The inverse of `_order`, which is its own inverse on the bits. Denormals become 0: XLA compares them so on some devices."""
    x = jax.lax.bitcast_convert_type(order ^ ((order >> 31) & 0x7FFFFFFF), jnp.float32)
    return jnp.where(jnp.abs(x) < jnp.finfo(jnp.float32).tiny, 0.0, x)


def _same(logits):
    return logits


def _probability(meaning):
    return Knob("float32", (), 1.0, SMALLEST, 1.0, meaning)
