"""The parts that every block is made of: linear map, RMS norm, token embedding, rotary position embedding.

Numerics, one rule everywhere: the residual stream, norms and rotations are float32; a matrix product casts its input to
the weight's dtype and accumulates in float32 (`preferred_element_type`), so bfloat16 weights never round a sum.

Axis legend: `B` sequences, `T` new tokens, `D` model, `H` head dim, `V` vocabulary.
Sources: RMSNorm arXiv:1910.07467; RoPE arXiv:2104.09864; YaRN arXiv:2309.00071; Llama 3 scaling as in Hugging Face
`modeling_rope_utils`.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from reasoning.models.config import RopeScaling

LINEAR = "...ri,...oi->...ro"  # of `contract`: rows by a matrix whose outputs come first


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def contract(pattern: str, x: jax.Array, y: jax.Array) -> jax.Array:
    """einsum(pattern, x, y) in the dtype of `y` with float32 sums, and so are both gradients.

    Left to itself JAX multiplies a float32 cotangent by a bfloat16 matrix and rounds every sum of the result to bfloat16. Here
    the cotangent is rounded once, the gradient of `x` keeps its dtype, and what waits for the backward pass is `x` as rounded.
    Every index of `x` and of `y` stands in the result or in the other one.
    """
    return jnp.einsum(pattern, x.astype(y.dtype), y, preferred_element_type=jnp.float32)


def _contract_forward(pattern, x, y):
    narrow = x.astype(y.dtype)
    return contract(pattern, narrow, y), (narrow, y, jnp.zeros((), x.dtype))


def _contract_backward(pattern, kept, cotangent):
    x, y, like = kept
    terms, out = pattern.split("->")
    first, second = terms.split(",")
    narrow = cotangent.astype(y.dtype)
    dx = jnp.einsum(f"{out},{second}->{first}", narrow, y, preferred_element_type=jnp.float32)

    if pattern == LINEAR:
        dy = sum_over_rows(narrow, x)
    else:
        dy = jnp.einsum(f"{out},{first}->{second}", narrow, x, preferred_element_type=jnp.float32)
    return dx.astype(like.dtype), dy.astype(y.dtype)


contract.defvjp(_contract_forward, _contract_backward)


def sum_over_rows(cotangent: jax.Array, x: jax.Array) -> jax.Array:
    """The gradient of a matrix: [..., rows, O] and [..., rows, I] → float32[..., O, I]."""

    def plain(cotangent, x):
        return jnp.einsum("...ro,...ri->...oi", cotangent, x, preferred_element_type=jnp.float32)

    def halves(cotangent, x):
        """XLA:CPU widens a bfloat16 product that sums over the first axis of both sides; one that sums over two axes it lays
        out anew, which takes half the time where the CPU has instructions for it. So half as many rows, twice."""
        each = (one.reshape(*one.shape[:-2], 2, one.shape[-2] // 2, one.shape[-1]) for one in (cotangent, x))
        return jnp.einsum("...hro,...hri->...oi", *each, preferred_element_type=jnp.float32)

    if x.dtype == jnp.bfloat16 and x.shape[-2] % 2 == 0:
        return jax.lax.platform_dependent(cotangent, x, cpu=halves, default=plain)
    return plain(cotangent, x)


def product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """float[…, rows, I] and […, O, I] → float32[…, rows, O]: `x` cast to the weight's dtype, float32 sums.

    Outputs come first in the weight, as in files: XLA:CPU multiplies few rows by such a matrix up to 2.7 × faster than by its
    transpose. Each side has one axis of its own, for from two on XLA:CPU copies the transposed weight when a program starts.
    Gradients are sums in float32 too (`contract`).
    """

    def plain(x, weight):
        return contract(LINEAR, x, weight)

    def two_rows(x, weight):
        """XLA:CPU widens the matrix of a bfloat16 matrix-vector product: a second row of zeros makes it 10 × faster."""
        return plain(jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, 1), (0, 0)]), weight)[..., :1, :]

    if x.shape[-2] == 1 and weight.dtype == jnp.bfloat16:
        return jax.lax.platform_dependent(x.astype(weight.dtype), weight, cpu=two_rows, default=plain)
    return plain(x, weight)


def lookup(table: jax.Array, tokens: jax.Array) -> jax.Array:
    """Rows of a table: [V, D], int32[...] → float32[..., D].

    XLA:CPU gathers bfloat16 by widening the table to float32, and hoists that out of a decode loop: 50 ms and 113 MB a call
    for SmolLM2, 545 MB for Qwen2.5-0.5B. The barrier makes the table look new in each step, so nothing is hoisted and the
    widening fuses into the gather.
    """
    table, tokens = jax.lax.optimization_barrier((table, tokens))
    return table[tokens].astype(jnp.float32)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def gaussian(key: jax.Array, shape: tuple[int, ...], fan_in: int, dtype) -> jax.Array:
    """Initial weights of variance 1 / fan_in. Consumes `key`. Compiled once a shape, which all layers share."""
    return (jax.random.normal(key, shape) * fan_in**-0.5).astype(dtype)


class Linear(nnx.Module):
    """A linear map from the last axes of [B, T, inputs…] to [B, T, outputs…], with a kernel [outputs…, inputs…].

    The kernel keeps heads as axes (sharding, LoRA and export see them); they are merged for the product.
    """

    def __init__(self, inputs: tuple[int, ...], outputs: tuple[int, ...], dtype, rngs, bias: bool = False):
        self.outputs = outputs
        self.kernel = nnx.Param(gaussian(rngs.params(), (*outputs, *inputs), math.prod(inputs), dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32)) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """float[B, T, inputs…] → float32[B, T, outputs…]."""
        B, T, outputs = *x.shape[:2], math.prod(self.outputs)
        out = product(x.reshape(B * T, -1), self.kernel[...].reshape(outputs, -1)).reshape(B, T, *self.outputs)
        return out if self.bias is None else out + self.bias[...].astype(jnp.float32)


class Pair(nnx.Module):
    """Two linear maps of one input in one product, with a kernel [2, F, D].

    A batch of two, not a map to 2 · F outputs: where a mesh splits F, merging the axes would move the kernel.
    """

    def __init__(self, inputs: int, outputs: int, dtype, rngs):
        self.kernel = nnx.Param(gaussian(rngs.params(), (2, outputs, inputs), inputs, dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """float[B, T, D] → float32[2, B, T, F]."""
        rows = x.reshape(-1, x.shape[-1])
        out = product(jnp.broadcast_to(rows, (2, *rows.shape)), self.kernel[...])
        return out.reshape(2, *x.shape[:2], -1)


class RMSNorm(nnx.Module):
    """x / rms(x) · (offset + scale) over the last axis, in float32."""

    def __init__(self, size, eps, offset):
        self.eps, self.offset = eps, offset
        self.scale = nnx.Param(jnp.full(size, 1.0 - offset, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """float[..., D] → float32[..., D]."""
        x = x.astype(jnp.float32)
        normed = x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return normed * (self.offset + self.scale[...].astype(jnp.float32))


class Embedding(nnx.Module):
    """Token embedding; its one Param also serves a tied head (`reasoning.models.heads`)."""

    def __init__(self, vocab_size, d_model, multiplier, dtype, rngs):
        self.multiplier = multiplier
        self.embedding = nnx.Param(gaussian(rngs.params(), (vocab_size, d_model), d_model, dtype))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """int32[B, T] → float32[B, T, D]."""
        x = lookup(self.embedding[...], tokens)
        return x if self.multiplier is None else x * self.multiplier


def rope_frequencies(head_dim: int, theta: float, scaling: RopeScaling | None) -> tuple[np.ndarray, float]:
    """float32[H/2] angles per position (radians) and the factor on cos and sin (1 except for YaRN)."""
    plain = theta ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    if scaling is None:
        return plain.astype(np.float32), 1.0
    slow = plain / scaling.factor
    if scaling.kind == "linear":
        return slow.astype(np.float32), 1.0
    if scaling.kind == "llama3":
        turns = scaling.original_context * plain / (2 * math.pi)  # of each frequency in the original context
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
        return (keep * plain + (1 - keep) * slow).astype(np.float32), 1.0
    if scaling.kind == "yarn":

        def dimension(turns):  # whose frequency turns this often in the original context
            return head_dim * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(theta))

        low = max(math.floor(dimension(scaling.beta_fast)), 0)
        high = min(math.ceil(dimension(scaling.beta_slow)), head_dim - 1)
        ramp = np.clip((np.arange(head_dim // 2) - low) / max(high - low, 0.001), 0.0, 1.0)
        factor = scaling.attention_factor
        if factor is None:
            factor = 0.1 * math.log(scaling.factor) + 1.0 if scaling.factor > 1 else 1.0
        return (ramp * slow + (1 - ramp) * plain).astype(np.float32), factor
    raise ValueError(f"rope scaling {scaling.kind!r} is none of linear, llama3, yarn")


def rope_table(positions: jax.Array, head_dim: int, theta: float, scaling: RopeScaling | None) -> tuple[jax.Array, jax.Array]:
    """int32[B, T] → cos, sin, each float32[B, T, H/2]."""
    frequencies, factor = rope_frequencies(head_dim, theta, scaling)
    angles = positions[..., None].astype(jnp.float32) * frequencies
    return jnp.cos(angles) * factor, jnp.sin(angles) * factor


def rotate(x: jax.Array, table: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotary embedding, halves split as in Hugging Face ("neox"): float32[B, T, heads…, H] → same."""
    between = tuple(range(2, x.ndim - 1))
    cos, sin = (jnp.expand_dims(t, between) for t in table)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
