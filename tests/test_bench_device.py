"""The device report: what it reads out of compiled programs, and that it runs on the device at hand."""

import re

import jax
import jax.numpy as jnp
import pytest

from reasoning.bench import device, hlo, machine, trace
from reasoning.bench.random_models import random_config
from reasoning.bench.training import step_flops
from reasoning.models import flops

pytestmark = pytest.mark.slow

PROGRAM = """HloModule jit_decode

%fused (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %a = f32[2]{0} add(%p, %p)
}

%command_buffer (p: f32[2]) -> f32[2] {
  %p.1 = f32[2]{0} parameter(0)
  %fusion.7 = f32[2]{0} fusion(%p.1), kind=kLoop, calls=%fused
  ROOT %gemm = (f32[2]{0}, s8[4]{0}) custom-call(%fusion.7), custom_call_target="__cublas$gemm"
}

%inner (p: f32[2]) -> f32[2] {
  %p.2 = f32[2]{0} parameter(0)
  ROOT %fusion.8 = f32[2]{0} fusion(%p.2), kind=kLoop, calls=%fused
}

%body (p: f32[2]) -> f32[2] {
  %p.3 = f32[2]{0} parameter(0)
  %b = f32[2]{0} bitcast(%p.3)
  %top = (f32[2]{0}, s32[2]{0}) custom-call(%b), custom_call_target="__gpu$TopK"
  %c = f32[2]{0} call(%b), to_apply=%command_buffer
  ROOT %w = f32[2]{0} while(%c), condition=%cond, body=%inner, backend_config={"known_trip_count":{"n":"4"}}
}

%cond (p: f32[2]) -> pred[] {
  %p.4 = f32[2]{0} parameter(0)
  ROOT %t = pred[] constant(true)
}

ENTRY %main (x: f32[2]) -> f32[2] {
  %x = f32[2]{0} parameter(0)
  %before = f32[2]{0} fusion(%x), kind=kLoop, calls=%fused
  ROOT %loop = f32[2]{0} while(%before), condition=%cond, body=%body
}
"""


def test_launches_of_a_step_follow_calls_and_loops_and_nothing_else():
    assert hlo.step_kernels(PROGRAM) == {"custom-call": 2, "fusion": 5}
    assert hlo.command_buffers(PROGRAM) == 1
    assert hlo.top_k_lowering(PROGRAM) == {"__gpu$TopK": 1}


def test_real_programs_are_read():
    def body(carry):
        index, x = carry
        return index + 1, jnp.sort(x) @ jnp.ones((64, 64))

    loop = jax.jit(lambda x, n: jax.lax.while_loop(lambda carry: carry[0] < n, body, (0, x)))
    text = loop.lower(jnp.ones((8, 64)), 3).compile().as_text()
    assert hlo.step_kernels(text).total() >= 2
    assert hlo.top_k_lowering(text) == {"sort": 1}
    assert not hlo.step_kernels(jax.jit(jnp.cos).lower(1.0).compile().as_text())


def test_a_trace_sees_the_kernels_of_the_call_and_not_of_its_preparation():
    slow, fast = jax.jit(lambda x: jnp.sort(x * 2)), jax.jit(lambda x: x.at[3].set(5.0).cumsum())
    seen = trace.kernel_seconds(lambda: jax.block_until_ready(slow(jnp.ones(5000))), lambda x: jax.block_until_ready(fast(x)))
    assert seen and not any("sort" in name for name in seen)
    assert list(seen.values()) == sorted(seen.values(), key=lambda pair: -pair[1])


def test_kernels_are_summed_by_the_operation_that_they_came_from():
    line = '  ROOT %{} = f32[2]{{0}} fusion(%x), metadata={{op_name="jit(decode)/while/body/{}"}}'
    text = "\n".join([line.format("fusion.1", "bd,vd->bv/dot_general"), line.format("fusion.2", "bd,vd->bv/dot_general")])
    kernels = {"fusion.1": (1, 2.0), "fusion_2": (3, 4.0), "copy": (1, 7.0)}
    assert trace.by_operation(kernels, hlo.operations(text)) == {"copy": (1, 7.0), "bd,vd->bv/dot_general": (4, 6.0)}


def test_training_costs_three_forward_passes():
    config = random_config("tiny")
    forward = sum(flops.decode_flops(config, length) for length in range(1, 17))
    assert step_flops(config, 2, 16) == 3 * 2 * forward


def test_the_report_names_everything_that_a_gpu_has_to_show(capsys, monkeypatch):
    monkeypatch.setattr(device, "_CPU", {"size": "tiny", "batches": (2,), "training": (1, 16)})
    monkeypatch.setattr(machine, "_ARRAY_BYTES", {"cpu": 1 << 20})
    monkeypatch.setattr(machine, "_MATRIX", {"cpu": 64})
    device.main([])
    shown = capsys.readouterr().out
    for line in ("versions", "kernels", "top-k became", "command buffers", "batch 2", "memory", "trace", "training"):
        assert re.search(rf"^\s*{line}", shown, re.MULTILINE), line
    layer, rest, step = map(float, re.search(r"([\d.]+) a layer and ([\d.]+) besides, so ([\d.]+) a step", shown).groups())
    assert layer > 1 and step == rest + 2 * layer
    first, last = map(float, re.search(r"loss ([\d.]+) → ([\d.]+)", shown).groups())
    assert last < first
