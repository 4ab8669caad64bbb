"""Attention of training: whole sequences, several of them in a row, and nothing of size T × T kept.

    row       a a a a b b b c c . .     segments 1 1 1 1 2 2 2 3 3 0 0     positions 0 1 2 3 0 1 2 0 1 0 0

A token sees the tokens of its own segment up to itself. Queries are taken in chunks, equally long, so that next to none is
padding; the weights of a chunk, [chunk, T], are computed again in the backward pass, so memory is O(T · chunk). Up to `BANDS`
spans of queries read no key beyond their own end: most of the half of the square that causality empties is not computed.

Axis legend: `B` rows, `T` tokens, `K` kv heads, `G` queries per kv head, `H` head dim, `C` queries of a chunk, `S` keys read.
"""

import dataclasses

import jax
import jax.numpy as jnp

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
    """

    segments: jax.Array

    def attend(self, q, k, v, positions, window: int | None, dtype) -> jax.Array:
        """Grouped attention of scaled queries within each segment.

        Args:
          q: float32[B, T, K, G, H]. k, v: float32[B, T, K, H]. positions: int32[B, T], from 0 in each segment.
          window: keys that a query sees, itself included; None: all. dtype: of the products; sums and softmax are float32.

        Returns: float32[B, T, K, G, H].
        """
        T = q.shape[1]
        chunks = -(-T // CHUNK)
        chunk = -(-T // chunks)
        q, k, v, positions, segments = (_pad(x, chunks * chunk) for x in (q, k, v, positions, self.segments))
        bands, out, start = min(BANDS, chunks), [], 0
        for band in range(bands):
            end = (band + 1) * chunks // bands * chunk
            keys = (x[:, :end] for x in (k, v, positions, segments))
            out.append(_band(q, positions, segments, start, end, chunk, window, dtype, *keys))
            start = end
        return jnp.concatenate(out, axis=1)[:, :T]


def _pad(x, length):
    return jnp.pad(x, [(0, 0), (0, length - x.shape[1])] + [(0, 0)] * (x.ndim - 2))


def _band(q, positions, segments, start, end, chunk, window, dtype, k, v, key_positions, key_segments):
    """Queries `start` … `end` − 1 over keys 0 … `end` − 1, chunk after chunk."""

    def one(at):
        def cut(x):
            return jax.lax.dynamic_slice_in_dim(x, at, chunk, axis=1)

        seen = (at + jnp.arange(chunk))[:, None] >= jnp.arange(end)
        seen &= cut(segments)[:, :, None] == key_segments[:, None]
        if window is not None:
            seen &= cut(positions)[:, :, None] - key_positions[:, None] < window
        return _attend(cut(q), k, v, seen, dtype)

    if end - start == chunk:
        return one(start)
    out = jax.lax.map(one, jnp.arange(start, end, chunk))  # [n, B, C, K, G, H]
    return jnp.moveaxis(out, 0, 1).reshape(q.shape[0], end - start, *q.shape[2:])


def _attend(q, k, v, seen, dtype):
    """q [B, C, K, G, H], k, v [B, S, K, H], seen bool[B, C, S] → float32[B, C, K, G, H]; weights are not kept."""

    @jax.checkpoint
    def run(q, k, v):
        B, C, K, G, H = q.shape
        rows = q.transpose(0, 2, 3, 1, 4).reshape(B, K, G * C, H)
        k, v = (x.transpose(0, 2, 1, 3).astype(dtype) for x in (k, v))
        scores = contract("bkmh,bksh->bkms", rows, k).reshape(B, K, G, C, -1)
        weights = jax.nn.softmax(jnp.where(seen[:, None, None], scores, _MASKED), axis=-1)
        out = contract("bkms,bksh->bkmh", weights.reshape(B, K, G * C, -1), v)
        return out.reshape(B, K, G, C, H).transpose(0, 3, 1, 2, 4)

    return run(q, k, v)
