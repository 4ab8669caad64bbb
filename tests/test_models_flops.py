"""The cost axis: closed forms against sums, and the formulas against what XLA counts in compiled programs."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from reasoning.models import flops, transformer
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.rewards import prm

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


BATCH, TWO = 2, dataclasses.replace(PLAIN, num_layers=2)


def counted(function, *shapes) -> float:
    """What XLA counts in the compiled program. Machine code, which it does not look at, is not optimised: half the time."""
    compiled = jax.jit(function).lower(*shapes).compile({"xla_backend_optimization_level": 0})
    return compiled.cost_analysis()["flops"]


def tokens(new):
    return jax.ShapeDtypeStruct((BATCH, new), jnp.int32)


def cache(network, length):
    return jax.eval_shape(lambda: network.init_cache(BATCH, length))


def test_a_decode_step_costs_what_its_program_does_not():
    """At full length (S), so that nothing is masked."""
    network, length = transformer.network(TWO), 64

    def step(params, token, at, cache):
        hidden, cache = network.forward(params, token, at, cache)
        return network.head(params, hidden), cache

    found = counted(step, transformer.abstract_params(TWO), tokens(1), tokens(1), cache(network, length))
    assert found == pytest.approx(BATCH * flops.decode_flops(TWO, length), rel=0.05)


def test_a_prefill_costs_what_its_program_does_not():
    """The program multiplies masked keys too, nearly half of the square; the formula leaves them out, so they are added here."""
    network, length = transformer.network(TWO), 256
    found = counted(network.forward, transformer.abstract_params(TWO), tokens(length), tokens(length), cache(network, length))
    masked = 4 * TWO.num_layers * TWO.num_heads * TWO.head_dim * length * (length - 1) // 2
    assert found == pytest.approx(BATCH * (flops.prefill_flops(TWO, length) + masked), rel=0.05)


def test_a_score_costs_what_its_program_does_not():
    """A reward model reads the last step of a full row, and one number of it."""
    config = dataclasses.replace(TWO, language_head=False, num_labels=2, score_bias=True)
    network, length, step = transformer.network(config), 256, 16
    made = prm.incremental(network, prm.reading(network, None), (), ())
    rows = jax.ShapeDtypeStruct((BATCH,), jnp.int32)
    carry = jax.eval_shape(lambda: made["init"](BATCH, length))
    found = counted(made["score"], transformer.abstract_params(config), tokens(step), rows, rows, carry)
    count = prm.flops_of(Model(config, transformer.abstract_params(config)))
    assert found == pytest.approx(BATCH * count(length - step, step, 1), rel=0.05)
