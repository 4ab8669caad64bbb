"""Laws of the KV cache, in every layout and with a sliding window."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.models import cache as kv
from reasoning.models import transformer
from reasoning.models.config import ModelConfig

B, S, V = 4, 16, 64
PLAIN = ModelConfig("qwen2", V, 32, 2, 4, 2, 8, 48, 64, 1e4, 1e-6, True, qkv_bias=True)
LOCAL = dataclasses.replace(PLAIN, window=3, local_layers=(True, False), rope_local_theta=100.0)
LAYOUTS = {"cpu": kv.CPU, "accelerator": kv.ACCELERATOR, "float32 rows": kv.Layout("float32", keys_transposed=False)}


@functools.cache
def make(config=PLAIN, layout=None):
    """(params, network, jitted forward), shared so that each shape compiles once."""
    network = transformer.network(config, layout)
    return transformer.init_params(config, jax.random.key(0)), network, jax.jit(network.forward)


def ids(seed, *shape):
    """int32 token ids."""
    return np.random.default_rng(seed).integers(0, V, shape).astype(np.int32)


def prefilled(config=PLAIN, layout=None, length=6):
    """(params, network, forward, cache) with `length` tokens in each of the B rows."""
    params, network, forward = make(config, layout)
    positions = np.tile(np.arange(length), (B, 1))
    return params, network, forward, forward(params, ids(1, B, length), positions, network.init_cache(B, S))[1]


def same(left, right):
    """Whether all leaves are equal bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("config", [PLAIN, LOCAL], ids=["global", "local"])
def test_decoding_token_by_token_equals_the_uncached_pass(config, layout):
    params, network, forward = make(config, LAYOUTS[layout])
    tokens = ids(2, B, S)
    whole, _ = make(config)[2](params, tokens, np.tile(np.arange(S), (B, 1)), None)
    cache, steps = network.init_cache(B, S), []
    for at in range(S):
        hidden, cache = forward(params, tokens[:, at : at + 1], np.full((B, 1), at), cache)
        steps.append(hidden)
    tolerance = 1e-5 if LAYOUTS[layout].dtype == "float32" else 0.1
    np.testing.assert_allclose(np.concatenate(steps, 1), whole, rtol=0, atol=tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_position_past_the_end_writes_nowhere(layout):
    """Frozen rows and padding: S, S + 1 and far beyond; neither clamped to S − 1 nor wrapped to 0."""
    params, _, forward, cache = prefilled(layout=LAYOUTS[layout])
    for beyond in (S, S + 1, 10 * S):
        _, after = forward(params, ids(3, B, 2), np.full((B, 2), beyond), cache)
        assert same(after, cache)


def test_padding_inside_a_chunk_is_not_attended():
    params, network, forward = make()
    tokens, positions = ids(4, B, 8), np.tile(np.arange(8), (B, 1))
    short = forward(params, tokens, np.where(positions < 5, positions, S), network.init_cache(B, S))[0][:, :5]
    other = np.where(positions < 5, tokens, (tokens + 1) % V)
    assert np.array_equal(
        short, forward(params, other, np.where(positions < 5, positions, S), network.init_cache(B, S))[0][:, :5]
    )


@pytest.mark.parametrize("config", [PLAIN, LOCAL], ids=["global", "local"])
def test_an_idle_row_makes_no_nan(config):
    """An empty slot is fed at position S of a zeroed cache; a local layer then sees no key at all."""
    params, network, forward = make(config)
    hidden, cache = forward(params, ids(5, B, 1), np.full((B, 1), 10 * S), network.init_cache(B, S))
    assert np.isfinite(hidden).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(cache))


def test_feeding_the_last_token_again_changes_no_bit():
    """The engine re-feeds `tokens[length - 1]`: rewind and fork rest on this write being idempotent."""
    params, _, forward, cache = prefilled()
    token, at = ids(6, B, 1), np.full((B, 1), 6)
    first, once = forward(params, token, at, cache)
    second, twice = forward(params, token, at, once)
    assert np.array_equal(first, second)
    assert same(once, twice)


def test_stale_keys_beyond_the_length_are_never_seen():
    params, _, forward, cache = prefilled()
    clean, _ = forward(params, ids(7, B, 1), np.full((B, 1), 6), cache)
    _, ahead = forward(params, ids(8, B, 5), np.tile(np.arange(6, 11), (B, 1)), cache)
    rewound, _ = forward(params, ids(7, B, 1), np.full((B, 1), 6), ahead)
    assert np.array_equal(clean, rewound)


@pytest.mark.parametrize("width", [1, 5])
def test_a_row_does_not_depend_on_its_neighbours(width):
    """Bit for bit at fixed B and S: other tokens, other lengths, another slot."""
    params, network, forward = make(LOCAL)
    tokens, positions = ids(9, B, width), np.tile(np.arange(width), (B, 1))
    alone, kept = forward(params, tokens, positions, network.init_cache(B, S))
    others, at = ids(10, B, width), positions + np.array([[0], [3], [S], [7]])
    others[2], at[2] = tokens[0], positions[0]
    moved, written = forward(params, others, at, network.init_cache(B, S))
    assert np.array_equal(alone[0], moved[2])
    assert same(jax.tree.map(lambda leaf: leaf[0], kept), jax.tree.map(lambda leaf: leaf[2], written))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_identity_gather_is_a_no_op(layout):
    cache = prefilled(layout=LAYOUTS[layout])[3]
    assert same(kv.gather(cache, jnp.arange(B)), cache)
    assert same(kv.gather(cache, jnp.tile(jnp.arange(2), (2, 1))), cache)


def test_gather_takes_the_whole_parent_and_no_other_row():
    cache = prefilled()[3]
    flat = kv.gather(cache, jnp.array([2, 2, 0, 3]))
    assert same(flat, jax.tree.map(lambda leaf: leaf[np.array([2, 2, 0, 3])], cache))
    grouped = kv.gather(cache, jnp.array([[1, 0], [1, 1]]))  # two problems of two rows: parents count inside a problem
    assert same(grouped, jax.tree.map(lambda leaf: leaf[np.array([1, 0, 3, 3])], cache))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_planned_bytes_are_the_bytes_allocated(layout):
    network = transformer.network(LOCAL, LAYOUTS[layout])
    leaves = jax.tree.leaves(network.init_cache(B, S))
    assert network.cache_bytes(B, S) == sum(leaf.nbytes for leaf in leaves)
    assert all(leaf.shape[0] == B for leaf in leaves)


def test_the_platform_chooses_the_layout_when_the_cache_is_made(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert transformer.network(PLAIN).init_cache(1, 4)[0].k.dtype == jnp.bfloat16
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert transformer.network(PLAIN).init_cache(1, 4)[0].k.shape == (1, 2, 8, 4)


def test_a_decode_step_reuses_the_donated_cache():
    """A step must update the cache in place: XLA has to alias every byte of it."""
    network = transformer.network(PLAIN)
    step = jax.jit(network.forward, donate_argnums=(3,))
    spec = jax.eval_shape(lambda: network.init_cache(B, S))
    token = jax.ShapeDtypeStruct((B, 1), jnp.int32)
    compiled = step.lower(transformer.abstract_params(PLAIN), token, token, spec).compile()
    assert compiled.memory_analysis().alias_size_in_bytes >= network.cache_bytes(B, S)
