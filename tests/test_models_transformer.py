"""The decoder's structure: parameter tree, purity, numerics that a refactoring could lose."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.models import layers, transformer
from reasoning.models.config import ModelConfig, RopeScaling

SMALL = ModelConfig("llama", 96, 32, 3, 4, 2, 8, 48, 64, 1e4, 1e-5, True)
GEMMA = dataclasses.replace(
    SMALL, family="gemma3", qk_norm=True, post_norms=True, norm_offset=1.0, embed_scale=5.65, activation="gelu_tanh"
)
FULL = dataclasses.replace(SMALL, family="qwen2", tie_embeddings=False, qkv_bias=True, out_bias=True)


def paths(tree):
    """{path: leaf}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def test_leaf_names_and_shapes_do_not_move():
    """Name tables, sharding rules, LoRA and checkpoints address these paths."""
    shapes = {path: leaf.shape for path, leaf in paths(transformer.abstract_params(FULL)).items() if "layers/1" in path}
    assert shapes == {
        "layers/1/attention_norm/scale": (32,),
        "layers/1/attention/qkv/kernel": (2, 4, 8, 32),
        "layers/1/attention/qkv/bias": (2, 4, 8),
        "layers/1/attention/out/kernel": (32, 2, 2, 8),
        "layers/1/attention/out/bias": (32,),
        "layers/1/mlp_norm/scale": (32,),
        "layers/1/mlp/gate_up/kernel": (2, 48, 32),
        "layers/1/mlp/down/kernel": (32, 48),
    }
    assert {"embed/embedding", "final_norm/scale", "head/kernel"} <= paths(transformer.abstract_params(FULL)).keys()
    gemma = paths(transformer.abstract_params(GEMMA))
    assert {f"layers/2/{name}/scale" for name in ("attention/q_norm", "attention_post_norm", "mlp_post_norm")} <= gemma.keys()


def test_a_tied_head_is_one_parameter():
    assert not any(path.startswith("head") for path in paths(transformer.abstract_params(SMALL)))


@pytest.mark.parametrize("config", [SMALL, FULL, GEMMA], ids=["tied", "untied", "gemma3"])
def test_abstract_parameters_are_what_init_makes(config):
    abstract = transformer.abstract_params(config, "bfloat16")
    made = transformer.init_params(config, jax.random.key(0), "bfloat16")
    assert jax.tree.map(lambda a: (a.shape, a.dtype), abstract) == jax.tree.map(lambda a: (a.shape, a.dtype), made)
    for path, leaf in paths(made).items():
        assert leaf.dtype == (jnp.float32 if path.endswith(("scale", "bias")) else jnp.bfloat16), path


def test_layers_do_not_start_equal():
    made = transformer.init_params(SMALL, jax.random.key(0))["layers"]
    assert not np.array_equal(made["0"]["mlp"]["down"]["kernel"], made["1"]["mlp"]["down"]["kernel"])


@pytest.mark.parametrize("config", [SMALL, GEMMA], ids=["llama", "gemma3"])
def test_random_logits_have_standard_deviation_one(config):
    network, params = transformer.network(config), transformer.init_params(config, jax.random.key(0))
    hidden, _ = jax.jit(network.forward)(params, jnp.arange(64)[None] % 96, jnp.arange(64)[None], None)
    assert 0.7 < float(network.head(params, hidden).std()) < 1.4


def test_later_tokens_do_not_leak_into_earlier_positions():
    network, params = transformer.network(SMALL), transformer.init_params(SMALL, jax.random.key(0))
    tokens, positions, forward = jnp.arange(10)[None], jnp.arange(10)[None], jax.jit(network.forward)
    before, _ = forward(params, tokens, positions, None)
    after, _ = forward(params, tokens.at[0, 6].set(50), positions, None)
    assert np.array_equal(before[0, :6], after[0, :6])
    assert not np.allclose(before[0, 6:], after[0, 6:])


def test_all_layers_share_one_lowered_block():
    """Compile time: the block is traced once a kind, not once a layer."""
    network = transformer.network(SMALL)
    tokens = jax.ShapeDtypeStruct((2, 1), jnp.int32)
    lowered = jax.jit(network.forward).lower(transformer.abstract_params(SMALL), tokens, tokens, None).as_text()
    assert lowered.count("call @_block") == 3
    assert lowered.count("func.func private @_block") == 1


def test_bfloat16_weights_keep_float32_sums():
    """Every matrix product, the head's too, sums into float32: a bfloat16 result would be rounded, and slow on a CPU."""
    network, abstract = transformer.network(FULL), transformer.abstract_params(FULL, "bfloat16")
    tokens = jax.ShapeDtypeStruct((1, 12), jnp.int32)

    def logits(params, tokens):
        return network.head(params, network.forward(params, tokens, tokens, None)[0])

    text = jax.jit(logits).lower(abstract, tokens).as_text()
    products = re.findall(r"dot_general.*: \(tensor<(\S+)>, tensor<(\S+)>\) -> tensor<(\S+)>", text)
    assert len(products) == 4 + 2 + 1  # qkv, out, gate_up, down; scores and values; head
    assert all(result.endswith("xf32") for _, _, result in products), products
    assert sum(weight.endswith("xbf16") for _, weight, _ in products) == 5, products


@pytest.mark.parametrize("batch", [1, pytest.param(2, marks=pytest.mark.slow), 8])
@pytest.mark.parametrize("config", [SMALL, FULL], ids=["tied", "untied"])
def test_a_decode_call_copies_no_weight(config, batch):
    """XLA:CPU likes to hoist a widened embedding, a transposed head or a widened kernel out of the loop, into every call."""
    config = dataclasses.replace(config, vocab_size=1024, d_model=64)
    network = transformer.network(config)

    def decode(params, tokens, cache, steps):
        def body(carry):
            step, tokens, cache = carry
            hidden, cache = network.forward(params, tokens, jnp.full_like(tokens, step), cache)
            logits = network.head(params, hidden)
            return step + 1, logits.max(-1).astype(jnp.int32), cache

        return jax.lax.while_loop(lambda carry: carry[0] < steps, body, (0, tokens, cache))

    cache = jax.eval_shape(lambda: network.init_cache(batch, 16))
    tokens = jax.ShapeDtypeStruct((batch, 1), jnp.int32)
    lowered = jax.jit(decode, donate_argnums=2).lower(transformer.abstract_params(config, "bfloat16"), tokens, cache, 8)
    scratch = lowered.compile().memory_analysis().temp_size_in_bytes
    smallest_copy = 2 * config.vocab_size * config.d_model  # bytes of the head
    assert scratch < 0.75 * smallest_copy, scratch


def test_a_lone_row_of_bfloat16_is_the_row_of_a_batch():
    """One token alone takes a padded product on a CPU: it must be the same number."""
    network, params = transformer.network(FULL), transformer.init_params(FULL, jax.random.key(0), "bfloat16")
    forward, tokens, positions = jax.jit(network.forward), jnp.array([[5], [9]]), jnp.zeros((2, 1), int)
    together = network.head(params, forward(params, tokens, positions, None)[0])
    alone = network.head(params, forward(params, tokens[:1], positions[:1], None)[0])
    assert alone.shape == (1, 1, 96)
    np.testing.assert_allclose(alone[0], together[0], rtol=0, atol=1e-5)


def test_gradients_flow_to_every_parameter():
    """Training walks the same code: a stop_gradient or an integer leaf would show as a zero."""
    network, params = transformer.network(FULL), transformer.init_params(FULL, jax.random.key(0))
    tokens = jnp.arange(12)[None]

    def loss(params):
        hidden, _ = network.forward(params, tokens, jnp.arange(12)[None], None)
        logits = jax.nn.log_softmax(network.head(params, hidden)[:, :-1])
        return -jnp.take_along_axis(logits, tokens[:, 1:, None], -1).mean()

    for path, gradient in paths(jax.jit(jax.grad(loss))(params)).items():
        assert np.isfinite(gradient).all() and np.any(gradient), path


@pytest.mark.parametrize("rows", [1, 6, 7])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gradient_of_a_matrix_forgets_rows(rows, dtype):
    """On a CPU the rows of a bfloat16 gradient are summed in halves, in an odd number of rows and in others at once."""
    keys = jax.random.split(jax.random.key(rows), 3)
    x, weight, weights = (
        jax.random.normal(key, shape) for key, shape in zip(keys, ((2, rows, 5), (2, 3, 5), (2, rows, 3)), strict=True)
    )
    x, weight, weights = (one.astype(dtype).astype("float32") for one in (x, weight, weights))  # nothing is rounded below
    got = jax.jit(jax.grad(lambda w: jnp.sum(layers.product(x, w) * weights)))(weight.astype(dtype))
    assert got.dtype == dtype
    expected = np.einsum("pro,pri->poi", np.asarray(weights, np.float64), np.asarray(x, np.float64))
    np.testing.assert_allclose(np.asarray(got, np.float64), expected, rtol=2e-6 if dtype == "float32" else 2**-8, atol=1e-6)


def test_rotation_depends_on_distance_only():
    q, k = (jax.random.normal(jax.random.key(seed), (1, 1, 8)) for seed in (0, 1))

    def score(at_q, at_k):
        tables = (layers.rope_table(jnp.array([[at]]), 8, 100.0, None) for at in (at_q, at_k))
        return float(jnp.vdot(*(layers.rotate(x, table) for x, table in zip((q, k), tables, strict=True))))

    assert score(9, 4) == pytest.approx(score(25, 20), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-3)


def test_llama3_scaling_keeps_fast_and_divides_slow_frequencies():
    scaling = RopeScaling("llama3", 8.0, original_context=8192, low_freq_factor=1.0, high_freq_factor=4.0)
    plain, factor = layers.rope_frequencies(64, 500_000.0, None)
    scaled, same = layers.rope_frequencies(64, 500_000.0, scaling)
    assert (factor, same) == (1.0, 1.0)
    np.testing.assert_array_equal(scaled[:8], plain[:8])
    np.testing.assert_allclose(scaled[-4:], plain[-4:] / 8, rtol=1e-6)


def test_an_unknown_rope_scaling_is_refused():
    with pytest.raises(ValueError, match="longrope"):
        layers.rope_frequencies(8, 1e4, RopeScaling("longrope", 2.0))
