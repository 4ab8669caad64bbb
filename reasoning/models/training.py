"""The decoder as training runs it: whole packed rows, no cache, layers in a loop or one by one, activations computed again.

A program that writes out 64 layers compiles for minutes; a loop over stacked leaves compiles one group. The group is the
period of the layers' kinds: 1 for most models, 6 for Gemma 3 (five local layers and a global one); layers that are left
over stand after the loop. `stack` and `unstack` are the only place that knows stacked leaves: outside of a step parameters,
gradients and optimizer states have a leaf a layer.

Axis legend: `B` rows, `T` tokens, `D` model, `V` vocabulary, `L` layers.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from reasoning.models.config import ModelConfig
from reasoning.models.packed import Packed
from reasoning.sharding import batch_rows

# What the backward pass finds in memory: everything, the matrix products' results, each layer's input, or the inputs of spans of
# about √L scanned layers: of 64 layers 8 + 8 inputs are held at once, for a forward pass more (arXiv 1604.06174, section 4).
REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
    "spans": jax.checkpoint_policies.nothing_saveable,
}


class Training(NamedTuple):
    """Pure functions of one architecture for training.

    Attributes:
      stack: parameters → the same with repeated layers as one group of stacked leaves. unstack: back again.
      cast: (parameters, dtype) → the same with the kernels of the layers in `dtype`; the embedding and an own head stay
        float32, since both of their gradients are sums over many tokens.
      hidden: (params, tokens int32[B, T], positions int32[B, T], segments int32[B, T], remat, stacked) → float32[B, T, D]
        after the final norm; see `reasoning.models.packed` for segments. remat: a key of `REMAT`.
      vocabulary: params → [V, D], what a hidden state is compared with; None for a model without a language head.
    """

    stack: Callable[[Any], Any]
    unstack: Callable[[Any], Any]
    cast: Callable[[Any, Any], Any]
    hidden: Callable[..., jax.Array]
    vocabulary: Callable[[Any], jax.Array] | None


def period(config: ModelConfig) -> int:
    """Layers after which their kinds repeat."""
    kinds = [config.is_local(layer) for layer in range(config.num_layers)]
    return next(p for p in range(1, len(kinds) + 1) if all(kinds[i] == kinds[i % p] for i in range(len(kinds))))


def shortened(config: ModelConfig) -> ModelConfig:
    """The decoder whose layers are those of one group, and those that are left over."""
    group = period(config)
    layers = group + config.num_layers % group
    return dataclasses.replace(config, num_layers=layers, local_layers=config.local_layers[:layers])


def stack(config: ModelConfig, params):
    """{"layers": {"0" … "L − 1"}} → {"layers": {"0" … "p − 1" with a leading axis of groups, then those left over}}."""
    group, layers = period(config), params["layers"]
    whole = config.num_layers // group * group
    stacked = {}
    for i in range(group):
        of_kind = [layers[str(layer)] for layer in range(i, whole, group)]
        stacked[str(i)] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *of_kind)
    rest = {str(group + i): layers[str(whole + i)] for i in range(config.num_layers - whole)}
    return {**params, "layers": stacked | rest}


def unstack(config: ModelConfig, params):
    """The inverse of `stack`."""
    group, layers = period(config), params["layers"]
    groups = config.num_layers // group
    single = {}
    for layer in range(groups * group):
        single[str(layer)] = jax.tree.map(lambda leaf, at=layer // group: leaf[at], layers[str(layer % group)])
    rest = {str(groups * group + i): layers[str(group + i)] for i in range(config.num_layers % group)}
    return {**params, "layers": single | rest}


def cast(params, dtype):
    """Kernels of the layers in `dtype`, all else as it is."""

    def one(path, leaf):
        return leaf.astype(dtype) if path[-1].key == "kernel" else leaf

    return {**params, "layers": jax.tree_util.tree_map_with_path(one, params["layers"])}


def hidden(decoder, tokens, positions, segments, remat: str, groups: int, group: int) -> jax.Array:
    """float32[B, T, D] of a `Decoder`; `groups` > 0: its first `group` layers hold stacked leaves of so many groups."""
    ropes, packed = decoder._ropes(positions), Packed(segments, remat=remat in ("full", "spans"))

    def layer(block, x):
        return batch_rows(block(x, ropes[block.local], positions, packed)[0])

    if REMAT[remat] is not None:
        layer = jax.checkpoint(layer, policy=REMAT[remat])
    blocks = [decoder.layers[str(i)] for i in range(len(decoder.layers))]
    x, rest = batch_rows(decoder.embed(tokens)), blocks
    if groups:
        rest = blocks[group:]
        x = scanned(lambda each, x: functools.reduce(lambda x, block: layer(block, x), each, x), blocks[:group], x, remat)
    for block in rest:
        x = layer(block, x)
    return decoder.final_norm(x)


def scanned(layers: Callable, stacked, x, remat: str):
    """`layers` (those of one group, x) → x over all groups; with remat "spans" in a loop of loops."""
    whole = jax.tree.leaves(stacked)[0].shape[0]

    def loop(each, x):
        return jax.lax.scan(lambda x, group: (layers(group, x), None), x, each)[0]

    if remat != "spans":
        return loop(stacked, x)
    span = math.isqrt(whole)
    count = whole // span
    outer = jax.checkpoint(loop, policy=REMAT[remat])
    spans = jax.tree.map(lambda leaf: leaf[: count * span].reshape(count, span, *leaf.shape[1:]), stacked)
    x = jax.lax.scan(lambda x, each: (outer(each, x), None), x, spans)[0]
    return x if count * span == whole else outer(jax.tree.map(lambda leaf: leaf[count * span :], stacked), x)


def make(config: ModelConfig, apply: Callable) -> Training:
    """`apply`: of `reasoning.models.transformer`, from a configuration to a function that merges parameters into a decoder."""
    group = period(config)
    runs = {False: apply(config), True: apply(shortened(config))}

    def forward(params, tokens, positions, segments, remat="none", stacked=False):
        groups = config.num_layers // group if stacked else 0
        run = functools.partial(hidden, remat=remat, groups=groups, group=group)
        return runs[stacked](run, params, tokens, positions, segments)

    def vocabulary(params):
        return params["embed"]["embedding"] if config.tie_embeddings else params["head"]["kernel"]

    return Training(
        functools.partial(stack, config),
        functools.partial(unstack, config),
        cast,
        forward,
        vocabulary if config.language_head else None,
    )
