"""Cross-entropy of a large vocabulary without [B, T, V] in memory, and with three products instead of four.

    loss = Σ over targets of logsumexp(h · Wᵀ) − (h · Wᵀ)[label]        d logits = softmax − one-hot

The loss is a plain sum, so its gradients can be made where the logits are: forwards, chunk after chunk, and the backward pass
only scales them. (Memory as in Wijmans et al. 2024, arXiv 2411.09009, in plain XLA; they compute the logits twice.) Tokens
that are no target go last in their row, and a chunk without targets is skipped, so prompts and padding cost no logits.

On a mesh each part of the rows adds up its own gradient of the kernel, and these are added once, behind the loop; what "tensor"
splits is added up in it, as everywhere.

Axis legend: `B` rows, `T` tokens, `D` model, `V` vocabulary, `S` parts of the rows on a mesh, `C` tokens of a part in one chunk.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.models.layers import sum_over_rows
from reasoning.sharding import ROWS, constrain, row_shards

CHUNK_BYTES = 128 << 20  # of the float32 logits of a chunk, on each device if the vocabulary is whole there


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
    B, T = labels.shape
    parts = row_shards(B)
    chunk = chunk_length(B // parts, T, kernel.shape[0])
    width = -(-T // chunk) * chunk
    order = jnp.argsort(~wanted, axis=1, stable=True)

    def arranged(x):
        """[B, T, …] → [n, S, C, …], targets first."""
        x = jnp.take_along_axis(x, order.reshape(*order.shape, *[1] * (x.ndim - 2)), axis=1)
        x = jnp.pad(x, [(0, 0), (0, width - x.shape[1])] + [(0, 0)] * (x.ndim - 2))
        x = x.reshape(parts, B // parts, width // chunk, chunk, *x.shape[2:])
        return jnp.moveaxis(x, 2, 0).reshape(width // chunk, parts, -1, *x.shape[4:])

    return Sums(*_sums(arranged(hidden), kernel, arranged(labels), arranged(wanted), jnp.dtype(dtype)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _sums(hidden, kernel, labels, wanted, dtype):
    """hidden [n, S, C, D], labels and wanted [n, S, C] → loss, correct."""
    narrow = constrain(kernel.astype(dtype), "tensor")

    def one(sums, chunk):
        some, *chunk = chunk

        def run(sums):
            _, loss, correct = _logits(narrow, *chunk)
            return sums[0] + loss, sums[1] + correct

        return jax.lax.cond(some, run, lambda sums: sums, sums), None

    loss, correct = jax.lax.scan(one, _zeros(hidden), (jnp.any(wanted, axis=(1, 2)), hidden, labels, wanted))[0]
    return jnp.sum(loss), jnp.sum(correct)


def _logits(narrow, hidden, labels, wanted):
    """Of one chunk: d loss / d logits float32[S, C, V], and of each part of the rows loss and correct summed, [S]."""
    logits = jnp.einsum("scd,vd->scv", hidden.astype(narrow.dtype), narrow, preferred_element_type=jnp.float32)
    best = jnp.max(logits, axis=-1, keepdims=True)
    exponentials = jnp.exp(logits - best)
    total = jnp.sum(exponentials, axis=-1, keepdims=True)
    hit = jnp.arange(logits.shape[-1]) == labels[..., None]  # a gather would move logits that a mesh splits over the vocabulary
    chosen = jnp.sum(jnp.where(hit, logits, 0), axis=-1)
    loss = best[..., 0] + jnp.log(total[..., 0]) - chosen
    right = wanted & (chosen >= best[..., 0])
    gradient = jnp.where(wanted[..., None], exponentials / total - hit, 0)
    return gradient, jnp.sum(jnp.where(wanted, loss, 0), axis=1), jnp.sum(right, axis=1, dtype=jnp.float32)


def _zeros(hidden):
    return (jnp.zeros(hidden.shape[1]),) * 2


def _forward(hidden, kernel, labels, wanted, dtype):
    narrow = constrain(kernel.astype(dtype), "tensor")

    def one(carry, chunk):
        some, *chunk = chunk

        def run(carry):
            loss, correct, d_kernel = carry
            gradient, more, right = _logits(narrow, *chunk)
            gradient = gradient.astype(dtype)
            d_hidden = jnp.einsum("scv,vd->scd", gradient, narrow, preferred_element_type=jnp.float32)
            d_kernel += sum_over_rows(gradient, chunk[0].astype(dtype))
            return (loss + more, correct + right, constrain(d_kernel, ROWS, "tensor")), d_hidden

        return jax.lax.cond(some, run, lambda carry: (carry, jnp.zeros(chunk[0].shape, jnp.float32)), carry)

    start = *_zeros(hidden), constrain(jnp.zeros((hidden.shape[1], *kernel.shape), jnp.float32), ROWS, "tensor")
    chunks = jnp.any(wanted, axis=(1, 2)), hidden, labels, wanted
    (loss, correct, d_kernel), d_hidden = jax.lax.scan(one, start, chunks)
    return (jnp.sum(loss), jnp.sum(correct)), (d_hidden, jnp.sum(d_kernel, axis=0))


def _backward(dtype, kept, cotangents):
    d_hidden, d_kernel = kept
    return d_hidden * cotangents[0], d_kernel * cotangents[0], None, None


_sums.defvjp(_forward, _backward)
