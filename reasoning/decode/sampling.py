"""Choosing along the vocabulary, block by block: draws, arg-max, leading tokens, log-probabilities.

A row is cut into blocks of `BLOCK` tokens. One reduction per block, then work on the few blocks that matter: XLA's own
`argmax` and `top_k` over 150,000 tokens are several times slower on a CPU, a sort of the vocabulary or Gumbel noise far
more. Every row is computed from that row alone.

Axis legend: `B` slots (rows), `V` vocabulary.
"""

import jax
import jax.numpy as jnp

BLOCK = 128  # tokens; divides the padded vocabularies of Llama, Qwen and Gemma, which then need no padding


def uniform(key: jax.Array, draws: jax.Array) -> jax.Array:
    """One uniform number a row, float32[B] in [0, 1), from that row's identity and its count of model steps.

    Reads `key` without consuming it: the caller increments `draws`, which never decreases, so that a token that is drawn
    again after a rewind gets a fresh number.

    Args:
      key: typed keys [B].
      draws: int32[B].
    """
    return jax.vmap(lambda key, draws: jax.random.uniform(jax.random.fold_in(key, draws)))(key, draws)


def sample(logits: jax.Array, u: jax.Array) -> jax.Array:
    """The token at which the cumulative distribution of softmax(logits) passes `u`: int32[B], in vocabulary order.

    Whatever the rounding, the token is in range and its logit is not −inf; a one-hot row gives its token for every `u`.
    (A row without any possible token gives 0.) `u` has 24 bits, so probabilities below 1e-7 are resolved only on average.

    Args:
      logits: float32[B, V] below +inf; −inf is impossible.
      u: float32[B] in [0, 1).
    """
    peak = jnp.max(logits, axis=-1, keepdims=True)
    blocks = _blocks(logits)
    mass = jnp.exp(blocks - peak[:, :, None]).sum(-1)
    cumulative = jnp.cumsum(mass, -1)
    target = u * cumulative[:, -1]
    block = _first(cumulative > target[:, None], mass > 0)
    before = jnp.where(block > 0, _at(cumulative, block - 1), 0.0)
    inside = jnp.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0]
    token = _first(jnp.cumsum(jnp.exp(inside - peak), -1) > (target - before)[:, None], inside > -jnp.inf)
    return (block * BLOCK + token).astype(jnp.int32)


def argmax(logits: jax.Array) -> jax.Array:
    """int32[B]: the token of the largest logit of float32[B, V], the lowest id on ties."""
    blocks = _blocks(logits)
    block = jnp.argmax(blocks.max(-1), -1)
    inside = jnp.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0]
    return (block * BLOCK + jnp.argmax(inside, -1)).astype(jnp.int32)


def top(scores: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """The n largest of float32[B, V], largest first: (values float32[B, n], ids int32[B, n]); lower ids first on ties.

    The n blocks with the largest maxima hold them all. Keeping those blocks in vocabulary order gives ties their order.
    """
    size = scores.shape[-1]
    if n * BLOCK >= size:
        return jax.lax.top_k(scores, n)
    blocks = _blocks(scores)
    chosen = jnp.sort(jax.lax.top_k(blocks.max(-1), n)[1], -1)
    candidates = jnp.take_along_axis(blocks, chosen[:, :, None], axis=1).reshape(scores.shape[0], n * BLOCK)
    values, index = jax.lax.top_k(candidates, n)
    ids = jnp.take_along_axis(chosen, index // BLOCK, axis=1) * BLOCK + index % BLOCK
    return values, jnp.minimum(ids, size - 1)  # only where a row has fewer than n finite values can padding show up


def log_prob(logits: jax.Array, token: jax.Array) -> jax.Array:
    """float32[B], nats: log softmax(logits)[token] for logits float32[B, V] and token int32[B]."""
    return _at(logits, token) - jax.nn.logsumexp(logits, axis=-1)


def top_log_probs(logits: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """The n likeliest tokens of float32[B, V]: (ids int32[B, n], log-probabilities float32[B, n] in nats), best first."""
    values, ids = top(logits, n)
    return ids, values - jax.nn.logsumexp(logits, axis=-1, keepdims=True)


def _blocks(x: jax.Array) -> jax.Array:
    """[B, V] as [B, blocks, BLOCK], the last block filled up with −inf."""
    padding = -x.shape[-1] % BLOCK
    if padding:
        x = jnp.pad(x, ((0, 0), (0, padding)), constant_values=-jnp.inf)
    return x.reshape(x.shape[0], -1, BLOCK)


def _first(passed: jax.Array, possible: jax.Array) -> jax.Array:
    """int32[B]: the first index that passed and is possible, else the last possible one (rounding at the upper end).

    A cumulative sum may be computed as a tree, so that it can rise, or even fall, across an entry of no mass.
    """
    hit = passed & possible
    size = possible.shape[-1]
    last = size - 1 - jnp.argmax(possible[:, ::-1], -1)
    fallback = jnp.where(possible.any(-1), last, 0)
    return jnp.where(hit.any(-1), jnp.argmax(hit, -1), fallback)


def _at(x: jax.Array, index: jax.Array) -> jax.Array:
    """x[b, index[b]] for every row b."""
    return jnp.take_along_axis(x, index[:, None], axis=1)[:, 0]
