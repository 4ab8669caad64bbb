"""KV heads repeated over devices: the same function, its queries dealt to the right copies, and a clear refusal otherwise."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.apart import apart
from doubles.mesh_run import random_params

from reasoning.errors import InputError
from reasoning.models import placement
from reasoning.models.config import ModelConfig
from reasoning.models.transformer import abstract_params, network

# Qwen2.5-0.5B's heads: 14 queries on 2 kv heads, so G = 7.
QWEN = ModelConfig("qwen2", 96, 32, 1, 14, 2, 8, 48, 64, 1e4, 1e-5, True, qkv_bias=True, out_bias=True, qk_norm=True)


def mesh(tensor):
    return SimpleNamespace(shape={"data": 1, "tensor": tensor})


def repeated(params, config, tensor):
    copies = placement.stored(config, mesh(tensor)).num_kv_heads // config.num_kv_heads

    def one(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return placement.replicate(name, np.asarray(leaf), config, copies)

    return jax.tree_util.tree_map_with_path(one, params)


@pytest.mark.parametrize(("heads", "tensor", "groups"), [(14, 4, 4), (14, 6, 3), (2, 8, 1)])
def test_repeated_heads_compute_the_same_logits(heads, tensor, groups):
    config = dataclasses.replace(QWEN, num_heads=heads)
    stored = placement.stored(config, mesh(tensor))
    assert (stored.num_kv_heads, stored.groups) == (tensor, groups)
    params = random_params(config)
    copied = repeated(params, config, tensor)
    assert jax.tree.map(jnp.shape, copied) == jax.tree.map(lambda leaf: leaf.shape, abstract_params(stored))
    tokens = np.arange(12, dtype=np.int32)[None]

    def logits(config, params):
        net = network(config)
        return jax.jit(lambda params: net.head(params, net.forward(params, tokens, np.arange(12)[None], None)[0]))(params)

    np.testing.assert_allclose(logits(stored, copied), logits(config, params), rtol=0, atol=2e-5)


def test_every_query_stands_with_its_own_key_and_padding_is_zero():
    """Q = 100 · its kv head + its place, K and V = 100 · the kv head: readable, so a wrong mapping is seen."""
    kernel = np.zeros((2, 9, 1, 1))
    kernel[:, :7, 0, 0] = 100 * np.arange(2)[:, None] + 1 + np.arange(7)
    kernel[:, 7:, 0, 0] = 100 * np.arange(2)[:, None]
    dealt = placement.replicate("layers/0/attention/qkv/kernel", kernel, QWEN, 2)[:, :, 0, 0]
    assert dealt.tolist() == [
        [1, 2, 3, 4, 0, 0],
        [5, 6, 7, 0, 0, 0],
        [101, 102, 103, 104, 100, 100],
        [105, 106, 107, 0, 100, 100],
    ]
    out = placement.replicate("layers/0/attention/out/kernel", kernel[None, :, :7, :, 0], QWEN, 2)[0, :, :, 0]
    assert out.tolist() == [row[:4] for row in dealt.tolist()]


def test_heads_that_devices_divide_are_left_alone():
    assert all(placement.stored(QWEN, one) is QWEN for one in (None, mesh(1), mesh(2)))


def test_a_tensor_axis_that_fits_no_heads_is_refused():
    with pytest.raises(InputError, match="tensor 3 neither divides the model's 2 kv heads nor is a multiple.* one of 1, 2, 4, …"):
        placement.stored(QWEN, mesh(3))


LOAD = """
import sys, jax, numpy as np, reasoning
from pathlib import Path
from doubles.mesh_run import SHAPE, random_params
from doubles.tokenizer import ByteTokenizer
from reasoning.models.model import Model
from reasoning.sharding import make_mesh
mesh = make_mesh(1, 4)
plain = Model(SHAPE, random_params(SHAPE), ByteTokenizer())
placed = plain.on(mesh)
assert placed.mesh == mesh and placed.on(mesh) is placed and placed.config is plain.config and plain.mesh is None
kernel = placed.params["layers"]["0"]["attention"]["qkv"]["kernel"]
assert kernel.shape == (4, 4, 8, 32) and kernel.addressable_shards[0].data.shape == (1, 4, 8, 32)
tokens = np.arange(12, dtype=np.int32)[None]
np.testing.assert_allclose(placed.logits(tokens), plain.logits(tokens), atol=1e-5)
try:
    placed.on(make_mesh(2, 2))
except reasoning.InputError as error:
    print(error)
"""


def test_a_model_moves_onto_a_mesh_once_and_keeps_its_configuration():
    assert "on another mesh already" in apart("-c", LOAD, devices=4)
