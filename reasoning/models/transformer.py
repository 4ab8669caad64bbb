"""The decoder of the Llama / Qwen / Gemma line, and the only place where Flax modules become pure functions.

Modules describe the computation and own no state: `Decoder(tokens, positions, cache) → (hidden, cache)`. Outside of this
file parameters are a pure nested dict with string keys, and everything is `jax.jit`.

Axis legend: `B` sequences, `T` new tokens, `S` cache length, `D` model, `F` mlp, `V` vocabulary, `C` labels.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from reasoning.models import cache as kv
from reasoning.models import training
from reasoning.models.attention import Attention
from reasoning.models.config import ModelConfig
from reasoning.models.heads import ScoreHead, VocabularyHead, read_off
from reasoning.models.layers import Embedding, Linear, Pair, RMSNorm, rope_table
from reasoning.models.network import Network, Params
from reasoning.models.packed import Packed

_ACTIVATIONS = {"silu": jax.nn.silu, "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True)}


class MLP(nnx.Module):
    """Gated feed-forward layer: down(activation(gate(x)) · up(x)), gate and up in one kernel."""

    def __init__(self, config: ModelConfig, dtype, rngs):
        self.activation = config.activation
        self.gate_up = Pair(config.d_model, config.d_ff, dtype, rngs)
        self.down = Linear((config.d_ff,), (config.d_model,), dtype, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """float32[B, T, D] → float32[B, T, D]."""
        gate, up = self.gate_up(x)
        return self.down(_ACTIVATIONS[self.activation](gate) * up)


class Block(nnx.Module):
    """One layer: x + attention(norm(x)), then x + mlp(norm(x)); Gemma 3 norms both branches once more."""

    def __init__(self, config: ModelConfig, local: bool, dtype, rngs):
        norm = functools.partial(RMSNorm, config.d_model, config.norm_eps, config.norm_offset)
        self.local = local
        self.attention_norm = norm()
        self.attention = Attention(config, local, dtype, rngs)
        self.attention_post_norm = norm() if config.post_norms else None
        self.mlp_norm = norm()
        self.mlp = MLP(config, dtype, rngs)
        self.mlp_post_norm = norm() if config.post_norms else None

    def __call__(self, x, rope, positions, cache):
        """x float32[B, T, D] → (float32[B, T, D], cache)."""
        branch, cache = self.attention(self.attention_norm(x), rope, positions, cache)
        x = x + (branch if self.attention_post_norm is None else self.attention_post_norm(branch))
        branch = self.mlp_norm(x)
        branch = cache.feed(self.mlp, branch) if isinstance(cache, Packed) else self.mlp(branch)
        return x + (branch if self.mlp_post_norm is None else self.mlp_post_norm(branch)), cache


@jax.jit
def _block(block, x, rope, positions, cache):
    """A block under its own jit: all layers of one kind share one trace and one lowered function."""
    return block(x, rope, positions, cache)


class Decoder(nnx.Module):
    """Embedding, unrolled blocks, final norm. `logits` and `scores` are apart: prefill calls them for no token at all."""

    def __init__(self, config: ModelConfig, dtype, rngs):
        self.config = config
        self.embed = Embedding(config.vocab_size, config.d_model, config.embed_scale, dtype, rngs)
        self.layers = nnx.Dict({str(i): Block(config, config.is_local(i), dtype, rngs) for i in range(config.num_layers)})
        self.final_norm = RMSNorm(config.d_model, config.norm_eps, config.norm_offset)
        own_head = config.language_head and not config.tie_embeddings
        self.head = VocabularyHead(config.vocab_size, config.d_model, dtype, rngs) if own_head else None
        self.score = ScoreHead(config.num_labels, config.d_model, config.score_bias, rngs) if config.num_labels else None

    def __call__(self, tokens: jax.Array, positions: jax.Array, cache: kv.Cache | None):
        """int32[B, T] twice and a cache or None → (hidden float32[B, T, D] after the final norm, cache or None)."""
        return self.embedded(self.embed(tokens), positions, cache)

    def embedded(self, x: jax.Array, positions: jax.Array, cache: kv.Cache | None):
        """The same from float32[B, T, D], embeddings that need be no token's."""
        ropes, kept = self._ropes(positions), []
        for index in range(self.config.num_layers):
            block = self.layers[str(index)]
            x, layer = _block(block, x, ropes[block.local], positions, None if cache is None else cache[index])
            kept.append(layer)
        return self.final_norm(x), None if cache is None else tuple(kept)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """float32[..., D] → float32[..., V]."""
        return read_off(hidden, (self.embed.embedding if self.head is None else self.head.kernel)[...])

    def scores(self, hidden: jax.Array) -> jax.Array:
        """float32[..., D] → float32[..., C]."""
        return self.score(hidden)

    def _ropes(self, positions):
        """Rotations of global and of local layers; a local base comes without scaling (Gemma 3)."""
        c = self.config
        everywhere = rope_table(positions, c.head_dim, c.rope_theta, c.rope_scaling)
        if c.rope_local_theta is None:
            return {False: everywhere, True: everywhere}
        return {False: everywhere, True: rope_table(positions, c.head_dim, c.rope_local_theta, None)}


def _build(config: ModelConfig, key: jax.Array, dtype) -> Decoder:
    return Decoder(config, jnp.dtype(dtype), nnx.Rngs(params=key))


def abstract_params(config: ModelConfig, dtype="float32") -> Params:
    """Shapes and dtypes of the parameters without making any: kernels and embeddings in `dtype`; norms, biases
    and score heads float32.

    Returns a pure nested dict of `jax.ShapeDtypeStruct` with the names of `reasoning.weights.names`.
    """
    return nnx.to_pure_dict(nnx.state(nnx.eval_shape(lambda: _build(config, jax.random.key(0), dtype)), nnx.Param))


def init_params(config: ModelConfig, key: jax.Array, dtype="float32") -> Params:
    """Random parameters with logits of standard deviation about 1; consumes `key`. Same tree as `abstract_params`."""
    return nnx.to_pure_dict(nnx.state(_build(config, key, dtype), nnx.Param))


def apply(config: ModelConfig):
    """(function, params, *args) → function(Decoder holding params, *args): the one `nnx.merge` of the code base."""
    graph = nnx.graphdef(nnx.eval_shape(lambda: _build(config, jax.random.key(0), "float32")))

    def run(function, params, *args):
        return function(nnx.merge(graph, params), *args)

    return run


@functools.lru_cache(maxsize=64)
def network(config: ModelConfig, layout: kv.Layout | None = None) -> Network:
    """The pure functions of `config` (see `Network`); `layout` overrides the platform's cache layout."""
    run = apply(config)
    return Network(
        forward=functools.partial(run, Decoder.__call__),
        head=functools.partial(run, Decoder.logits) if config.language_head else None,
        init_cache=lambda batch, length: kv.init(config, batch, length, layout),
        cache_bytes=lambda batch, length: kv.nbytes(config, batch, length, layout),
        vocab_size=config.vocab_size,
        scores=functools.partial(run, Decoder.scores) if config.num_labels else None,
        cache_partition=kv.PARTITION,
        training=functools.partial(training.make, config, apply),
        embed=functools.partial(run, lambda decoder, tokens: decoder.embed(tokens)),
        embedded=functools.partial(run, Decoder.embedded),
    )
