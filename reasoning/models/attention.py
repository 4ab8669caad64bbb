"""Grouped-query self-attention with one fused projection.

Axis legend: `B` sequences, `T` new tokens, `S` cache length, `D` model, `K` kv heads, `G` queries per kv head, `H` head
dim; `M` = G + 2: a kv head's queries, then its key, then its value (so tensor parallelism shards `K` and nothing else).
Source: GQA arXiv:2305.13245.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from reasoning.models import cache as kv
from reasoning.models.config import ModelConfig
from reasoning.models.layers import Linear, RMSNorm, rotate
from reasoning.models.packed import Packed


class Attention(nnx.Module):
    """Causal self-attention of one layer, local if the layer is."""

    def __init__(self, config: ModelConfig, local: bool, dtype, rngs):
        K, G, H, D = config.num_kv_heads, config.groups, config.head_dim, config.d_model
        self.window = config.window if local else None
        self.scale = H**-0.5 if config.query_scale is None else config.query_scale
        self.qkv = Linear((D,), (K, G + 2, H), dtype, rngs, config.qkv_bias)
        self.out = Linear((K, G, H), (D,), dtype, rngs, config.out_bias)
        self.q_norm = RMSNorm(H, config.norm_eps, config.norm_offset) if config.qk_norm else None
        self.k_norm = RMSNorm(H, config.norm_eps, config.norm_offset) if config.qk_norm else None

    def __call__(self, x: jax.Array, rope, positions: jax.Array, cache: kv.LayerCache | Packed | None):
        """x float32[B, T, D], rope (cos, sin), positions int32[B, T] → (float32[B, T, D], cache, Packed or None)."""
        q, k, v = jnp.split(self.qkv(x), [self.qkv.outputs[1] - 2, self.qkv.outputs[1] - 1], axis=3)
        k, v = k[:, :, :, 0], v[:, :, :, 0]
        if self.q_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate(q, rope) * self.scale, rotate(k, rope)
        if isinstance(cache, Packed):
            return self.out(cache.attend(q, k, v, positions, self.window, self.qkv.kernel.dtype)), cache
        if cache is None:
            at = jnp.broadcast_to(jnp.arange(x.shape[1]), positions.shape)
            return self.out(kv.attend(q, kv.hold(k, v), at, self.window)), None
        cache = kv.write(cache, k, v, positions)
        return self.out(kv.attend(q, cache, positions, self.window)), cache
