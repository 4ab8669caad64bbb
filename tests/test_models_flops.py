"""The cost axis: closed forms against sums, and the formula against what XLA counts."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from reasoning.models import flops, transformer
from reasoning.models.config import ModelConfig

PLAIN = ModelConfig("llama", 512, 128, 3, 4, 2, 32, 256, 128, 1e4, 1e-5, True)
LOCAL = dataclasses.replace(PLAIN, window=5, local_layers=(True, False, True))


@pytest.mark.parametrize("config", [PLAIN, LOCAL], ids=["global", "local"])
@pytest.mark.parametrize(("prompt", "steps"), [(1, 1), (3, 9), (5, 4), (6, 7), (17, 2), (1, 0)])
def test_generated_flops_is_the_sum_of_its_steps(config, prompt, steps):
    each = sum(flops.decode_flops(config, prompt + i) for i in range(steps))
    assert flops.generated_flops(config, prompt, steps) == each


@pytest.mark.parametrize("config", [PLAIN, LOCAL], ids=["global", "local"])
@pytest.mark.parametrize("tokens", [0, 1, 4, 5, 6, 30])
def test_prefill_is_decoding_without_heads(config, tokens):
    decoded = flops.generated_flops(config, 1, tokens)
    assert flops.prefill_flops(config, tokens) == decoded - tokens * flops.head_flops(config)


def test_a_window_is_counted_only_in_local_layers():
    """Keys seen at length 12 with window 5: 5 + 12 + 5 instead of 3 · 12."""
    fewer = flops.decode_flops(PLAIN, 12) - flops.decode_flops(LOCAL, 12)
    assert fewer == 4 * PLAIN.num_heads * PLAIN.head_dim * 2 * (12 - 5)


def test_the_formula_does_not_drift_from_the_program():
    """One full decode step (length = S, so that nothing is masked) against XLA's own count, within 5 %."""
    network, batch, length = transformer.network(PLAIN), 2, 64

    def step(params, token, at, cache):
        hidden, cache = network.forward(params, token, at, cache)
        return network.head(params, hidden), cache

    tokens = jax.ShapeDtypeStruct((batch, 1), jnp.int32)
    cache = jax.eval_shape(lambda: network.init_cache(batch, length))
    counted = jax.jit(step).lower(transformer.abstract_params(PLAIN), tokens, tokens, cache).cost_analysis()["flops"]
    assert counted == pytest.approx(batch * flops.decode_flops(PLAIN, length), rel=0.05)
