"""Cross-entropy of a large vocabulary without [B, T, V] in memory, and with three products instead of four.

    loss = Σ over targets of logsumexp(h · Wᵀ) − (h · Wᵀ)[label]        d logits = softmax − one-hot

The loss is a plain sum, so its gradients can be made where the logits are: forwards, chunk after chunk, and the backward pass
only scales them. (Memory as in Wijmans et al. 2024, arXiv 2411.09009, in plain XLA; they compute the logits twice.) Tokens
that are no target go last in their row, and a chunk without targets is skipped, so prompts and padding cost no logits.

Axis legend: `B` rows, `T` tokens, `D` model, `V` vocabulary, `C` tokens of a row in one chunk.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

CHUNK_BYTES = 128 << 20  # of the float32 logits of a chunk


class Sums(NamedTuple):
    """loss: float32[], nats of all targets together; correct: float32[], targets that have the largest logit."""

    loss: jax.Array
    correct: jax.Array


def chunk_length(rows: int, length: int, vocabulary: int) -> int:
    """Tokens of a row whose logits are made at once, so that those of all rows fit into `CHUNK_BYTES`."""
    fits = max(1, CHUNK_BYTES // (4 * rows * vocabulary))
    return min(length, 1 << (fits.bit_length() - 1))


def cross_entropy(hidden: jax.Array, kernel: jax.Array, labels: jax.Array, wanted: jax.Array, dtype="float32") -> Sums:
    """Sums over the targets of a batch; only `loss` has gradients.

    Args:
      hidden: float32[B, T, D]. kernel: float32[V, D]. labels: int32[B, T], the token that `hidden` should predict.
      wanted: bool[B, T], which of them are targets. dtype: of the products, whose sums are float32.
    """
    chunk = chunk_length(*labels.shape, kernel.shape[0])
    width = -(-labels.shape[1] // chunk) * chunk
    order = jnp.argsort(~wanted, axis=1, stable=True)

    def arranged(x):
        """[B, T, …] → [n, B, C, …], targets first."""
        x = jnp.take_along_axis(x, order.reshape(*order.shape, *[1] * (x.ndim - 2)), axis=1)
        x = jnp.pad(x, [(0, 0), (0, width - x.shape[1])] + [(0, 0)] * (x.ndim - 2))
        return jnp.moveaxis(x.reshape(x.shape[0], -1, chunk, *x.shape[2:]), 1, 0)

    return Sums(*_sums(arranged(hidden), kernel, arranged(labels), arranged(wanted), jnp.dtype(dtype)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _sums(hidden, kernel, labels, wanted, dtype):
    """hidden [n, B, C, D], labels and wanted [n, B, C] → loss, correct."""
    narrow = kernel.astype(dtype)

    def one(sums, chunk):
        def run(sums):
            _, loss, correct = _logits(chunk[0], narrow, *chunk[1:])
            return sums[0] + loss, sums[1] + correct

        return jax.lax.cond(jnp.any(chunk[2]), run, lambda sums: sums, sums), None

    return jax.lax.scan(one, (jnp.float32(0), jnp.float32(0)), (hidden, labels, wanted))[0]


def _logits(hidden, narrow, labels, wanted):
    """Of one chunk: d loss / d logits float32[B · C, V], loss and correct summed."""
    rows, label, mask = hidden.reshape(-1, hidden.shape[-1]), labels.reshape(-1, 1), wanted.reshape(-1)
    logits = jnp.einsum("rd,vd->rv", rows.astype(narrow.dtype), narrow, preferred_element_type=jnp.float32)
    best = jnp.max(logits, axis=-1, keepdims=True)
    exponentials = jnp.exp(logits - best)
    total = jnp.sum(exponentials, axis=-1, keepdims=True)
    hit = jnp.arange(logits.shape[1]) == label  # a gather would move logits that a mesh splits over the vocabulary
    chosen = jnp.sum(jnp.where(hit, logits, 0), axis=-1)
    loss = best[:, 0] + jnp.log(total[:, 0]) - chosen
    gradient = jnp.where(mask[:, None], exponentials / total - hit, 0)
    return gradient, jnp.sum(jnp.where(mask, loss, 0)), jnp.sum(mask & (chosen >= best[:, 0]), dtype=jnp.float32)


def _forward(hidden, kernel, labels, wanted, dtype):
    narrow = kernel.astype(dtype)

    def one(carry, chunk):
        rows = chunk[0].reshape(-1, chunk[0].shape[-1])

        def run(carry):
            loss, correct, d_kernel = carry
            gradient, more, hits = _logits(chunk[0], narrow, *chunk[1:])
            gradient = gradient.astype(dtype)
            d_rows = jnp.einsum("rv,vd->rd", gradient, narrow, preferred_element_type=jnp.float32)
            d_kernel += jnp.einsum("rv,rd->vd", gradient, rows.astype(dtype), preferred_element_type=jnp.float32)
            return (loss + more, correct + hits, d_kernel), d_rows.reshape(chunk[0].shape)

        return jax.lax.cond(jnp.any(chunk[2]), run, lambda carry: (carry, jnp.zeros(chunk[0].shape, jnp.float32)), carry)

    start = (jnp.float32(0), jnp.float32(0), jnp.zeros(kernel.shape, jnp.float32))
    (loss, correct, d_kernel), d_hidden = jax.lax.scan(one, start, (hidden, labels, wanted))
    return (loss, correct), (d_hidden, d_kernel)


def _backward(dtype, kept, cotangents):
    d_hidden, d_kernel = kept
    return d_hidden * cotangents[0], d_kernel * cotangents[0], None, None


_sums.defvjp(_forward, _backward)
