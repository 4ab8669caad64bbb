"""Training without a cache: attention of whole sequences, several of them in a row, and nothing of size T × T kept.

    row       a a a a b b b c c . .     segments 1 1 1 1 2 2 2 3 3 0 0     positions 0 1 2 3 0 1 2 0 1 0 0

A token sees the tokens of its own segment up to itself. Queries are taken in chunks, equally long, so that next to none is
padding; the weights of a chunk, [chunk, T], are computed again in the backward pass, so memory is O(T · chunk). Up to `BANDS`
spans of queries read no key beyond their own end: most of the half of the square that causality empties is not computed.
Dividing after the product with the values, and keeping the logarithm of the sum, spares most passes over the weights
(FlashAttention, arXiv 2205.14135, section 3.1 and appendix B.2).

Axis legend: `B` rows, `T` tokens, `K` kv heads, `G` queries per kv head, `H` head dim, `C` queries of a chunk, `S` keys read.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.models.chunked import in_chunks
from reasoning.models.layers import contract

_MASKED = -1e30
CHUNK = 256  # queries at most
BANDS = 8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Packed:
    """Stands where a cache stands in decoding.

    Attributes:
      segments: int32[B, T], 0 is padding; a segment's tokens are consecutive.
      remat: whether the backward pass has a layer's input and nothing else; its feed-forward part takes chunks then.
    """

    segments: jax.Array
    remat: bool = dataclasses.field(default=False, metadata={"static": True})

    def attend(self, q, k, v, positions, window: int | None, dtype) -> jax.Array:
        """Grouped attention of scaled queries within each segment.

        Args:
          q: float32[B, T, K, G, H]. k, v: float32[B, T, K, H]. positions: int32[B, T], from 0 in each segment.
          window: keys that a query sees, itself included; None: all. dtype: of the products; sums and softmax are float32.

        Returns: float32[B, T, K, G, H].
        """
        T = q.shape[1]
        count = -(-T // CHUNK)
        size = -(-T // count)
        q, k, v, positions, segments = (_pad(x, count * size) for x in (q, k, v, positions, self.segments))
        k, v = (x.transpose(0, 2, 1, 3) for x in (k, v))
        return _attend(q, k, v, positions, segments, _Chunks(size, window, jnp.dtype(dtype)))[:, :T]

    def feed(self, mlp, x):
        """mlp(x), float32[B, T, D]."""
        return in_chunks(mlp, x) if self.remat else mlp(x)


class _Chunks(NamedTuple):
    """size: queries of one; T is a multiple of it. window and dtype: of `Packed.attend`."""

    size: int
    window: int | None
    dtype: jnp.dtype

    def bands(self, length: int):
        """(starts of its chunks, end of its keys) of each band."""
        count, start = length // self.size, 0
        for band in range(bands := min(BANDS, count)):
            end = (band + 1) * count // bands * self.size
            yield jnp.arange(start, end, self.size), end
            start = end

    def cut(self, x, at):
        """[B, T, …] → [B, C, …]"""
        return jax.lax.dynamic_slice_in_dim(x, at, self.size, axis=1)

    def seen(self, at, end, positions, segments):
        """bool[B, C, end]: the keys that the chunk from `at` sees."""
        seen = (at + jnp.arange(self.size))[:, None] >= jnp.arange(end)
        seen &= self.cut(segments, at)[:, :, None] == segments[:, None, :end]
        if self.window is not None:
            seen &= self.cut(positions, at)[:, :, None] - positions[:, None, :end] < self.window
        return seen


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attend(q, k, v, positions, segments, chunks):
    """q float32[B, T, K, G, H], k, v float32[B, K, T, H], positions, segments int32[B, T] → float32[B, T, K, G, H].

    Products are in `chunks.dtype`; whatever is added up over chunks is float32.
    """
    return _forward(q, k, v, positions, segments, chunks)[0]


def _forward(q, k, v, positions, segments, chunks):
    narrow = tuple(x.astype(chunks.dtype) for x in (q, k, v))
    # Who sees whom is known before the layer's input, so in a loop over layers under remat JAX would split the loops below in two
    # and keep the masks of all chunks, T × T for every head, from the first to the second.
    narrow, positions, segments = jax.lax.optimization_barrier((narrow, positions, segments))
    outs, totals = [], []
    for starts, end in chunks.bands(q.shape[1]):
        keys, values = (x[:, :, :end] for x in narrow[1:])

        def one(at, keys=keys, values=values, end=end):
            scores = _scores(_rows(chunks.cut(narrow[0], at)), keys, chunks.seen(at, end, positions, segments))
            best = jnp.max(scores, axis=-1, keepdims=True)
            weights = jnp.exp(scores - best)
            total = jnp.sum(weights, axis=-1, keepdims=True)
            return contract("bkms,bksh->bkmh", weights, values) / total, best + jnp.log(total)

        out, log_total = _each(one, starts)
        outs.append(out)
        totals.append(log_total)
    out, log_total = jnp.concatenate(outs), jnp.concatenate(totals)  # [n, B, K, G · C, H or 1]
    return _whole(out, q.shape), (*narrow, positions, segments, out, log_total)


def _backward(chunks, kept, cotangent):
    q, k, v, positions, segments, out, log_total = kept
    # Nothing of this pass before its cotangent is there: 135M parameters over 1,024 tokens on a CPU take 5.9 GB, not 8.9.
    q, cotangent, positions, segments = jax.lax.optimization_barrier((q, cotangent, positions, segments))
    d_k, d_v = (jnp.zeros(x.shape, jnp.float32) for x in (k, v))
    d_q, done = [], 0
    for starts, end in chunks.bands(q.shape[1]):
        keys, values = (x[:, :, :end] for x in (k, v))

        def one(sums, chunk, keys=keys, values=values, end=end):
            at, out, log_total = chunk
            rows, d_out = _rows(chunks.cut(q, at)), _rows(chunks.cut(cotangent, at))
            weights = jnp.exp(_scores(rows, keys, chunks.seen(at, end, positions, segments)) - log_total)
            d_weights = contract("bkmh,bksh->bkms", d_out, values)
            d_scores = (weights * (d_weights - jnp.sum(d_out * out, axis=-1, keepdims=True))).astype(keys.dtype)
            # Not "bksh": XLA:CPU takes twice as long for it.
            more = contract("bkmh,bkms->bkhs", rows, d_scores), contract("bkmh,bkms->bkhs", d_out, weights.astype(keys.dtype))
            sums = tuple(total + part.swapaxes(2, 3) for total, part in zip(sums, more, strict=True))
            return sums, contract("bkms,bksh->bkmh", d_scores, keys)

        of_band = slice(done, done + len(starts))
        sums = d_k[:, :, :end], d_v[:, :, :end]
        sums, d_rows = jax.lax.scan(one, sums, (starts, out[of_band], log_total[of_band]))
        d_k, d_v = d_k.at[:, :, :end].set(sums[0]), d_v.at[:, :, :end].set(sums[1])
        d_q.append(d_rows)
        done += len(starts)
    return _whole(jnp.concatenate(d_q), q.shape), d_k, d_v, None, None


_attend.defvjp(_forward, _backward)


def _each(one, starts):
    """`one` of each start, stacked; no loop for one alone."""
    return jax.tree.map(lambda x: x[None], one(starts[0])) if len(starts) == 1 else jax.lax.map(one, starts)


def _scores(rows, keys, seen):
    """float32[B, K, G · C, S], with what is not seen far below all else."""
    scores = contract("bkmh,bksh->bkms", rows, keys)
    (B, K, _, S), C = scores.shape, seen.shape[1]
    return jnp.where(seen[:, None, None], scores.reshape(B, K, -1, C, S), _MASKED).reshape(scores.shape)


def _rows(x):
    """[B, C, K, G, H] → [B, K, G · C, H]: all queries of a kv head are rows of one matrix."""
    B, C, K, G, H = x.shape
    return x.transpose(0, 2, 3, 1, 4).reshape(B, K, G * C, H)


def _whole(rows, shape):
    """[n, B, K, G · C, H] → [B, n · C, K, G, H]"""
    B, T, K, G, H = shape
    return rows.reshape(-1, B, K, G, T // rows.shape[0], H).transpose(1, 0, 4, 2, 3, 5).reshape(shape)


def _pad(x, length):
    return jnp.pad(x, [(0, 0), (0, length - x.shape[1])] + [(0, 0)] * (x.ndim - 2))
