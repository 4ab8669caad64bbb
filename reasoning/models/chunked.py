"""The feed-forward layer of training over chunks of tokens: nothing of size T × F kept, and no weight moved in the loop.

Of a row of 32,768 tokens Qwen2.5-32B's gate, up, their product and the gradients of all three take 22 GB in float32. Chunks of
the row are computed one after another, and again in the backward pass. There each chunk's gradient of a kernel has the kernel's
dtype, as that of the whole row has (`layers.contract`), and they are added in float32.

Axis legend: `B` rows, `T` tokens, `D` model, `F` mlp, `n` chunks, `S` parts of the rows on a mesh, `C` tokens of a chunk.
"""

import jax
import jax.numpy as jnp

from reasoning.sharding import ROWS, constrain, row_shards

CHUNK = 2048  # tokens of a row at most


def in_chunks(mlp, x: jax.Array) -> jax.Array:
    """`mlp` (a module with kernels [D, F] and [2, F, D]) of float32[B, T, D]; the backward pass has `x` alone."""
    B, T, D = x.shape
    count = -(-T // CHUNK)
    if count == 1:
        return mlp(x)
    size, parts = -(-T // count), row_shards(B)
    chunks = jnp.pad(x, [(0, 0), (0, count * size - T), (0, 0)]).reshape(parts, B // parts, count, size, D)
    out = _mapped(mlp, jnp.moveaxis(chunks, 2, 0))
    return jnp.moveaxis(out, 0, 2).reshape(B, count * size, D)[:, :T]


@jax.custom_vjp
def _mapped(mlp, chunks):
    """float32[n, S, B / S, C, D] → the same."""
    mlp = _gathered(mlp)
    return jax.lax.map(jax.vmap(mlp), chunks)


def _forward(mlp, chunks):
    return _mapped(mlp, chunks), (mlp, chunks)


def _backward(kept, cotangents):
    mlp, chunks = kept
    narrow = _gathered(mlp)
    sums = jax.tree.map(lambda leaf: _summed(jnp.zeros((chunks.shape[1], *leaf.shape), jnp.float32)), mlp)

    def one(sums, chunk):
        # A part's own gradient of the kernels, [S, …]: a sum over parts would be one over devices, in each round.
        more, d_x = jax.vmap(lambda x, d_out: jax.vjp(lambda mlp, x: mlp(x), narrow, x)[1](d_out))(*chunk)
        return jax.tree.map(lambda total, part: _summed(total + part), sums, more), d_x

    sums, d_chunks = jax.lax.scan(one, sums, (chunks, cotangents))
    return jax.tree.map(lambda total, leaf: jnp.sum(total, axis=0).astype(leaf.dtype), sums, mlp), d_chunks


_mapped.defvjp(_forward, _backward)


def _gathered(mlp):
    """Kernels [D, F] and [2, F, D], F over "tensor" and all else on every device."""
    return jax.tree.map(lambda leaf: constrain(leaf, None, "tensor"), mlp)


def _summed(leaf):
    return constrain(leaf, ROWS, None, "tensor")
