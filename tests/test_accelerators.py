"""What can be shown about accelerators without one: decode and prefill lower for them, and a large model fits.

Axis legend: `S` cache length, `H` head dim.
"""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.apart import apart
from doubles.mesh_run import SHAPE

from reasoning.decode.admission import make_empty
from reasoning.decode.base import Chain
from reasoning.decode.controllers import standard
from reasoning.decode.loop import make_decode
from reasoning.decode.transforms import temperature, top_p
from reasoning.decode.waiting import make_prefill
from reasoning.models import cache
from reasoning.models.transformer import abstract_params, network
from reasoning.text.patterns import TableBuilder

S, H, CHAIN = 64, SHAPE.head_dim, Chain((temperature(), top_p()), standard())


def exported(platform):
    """{program: StableHLO} of decode and prefill with the accelerators' cache; decode of one row, which has a path of its own."""
    net, params = network(SHAPE, cache.ACCELERATOR), abstract_params(SHAPE, "bfloat16")
    tables = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, TableBuilder([b""] * 512, None, np.ones(512, bool)).build()))
    slots = jax.eval_shape(make_empty(net, CHAIN, 1, S, 0), tables)
    integers = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32)  # noqa: E731
    room = jax.eval_shape(lambda: net.init_cache(2, S))
    calls = {
        "decode": (make_decode(net, CHAIN, unroll=2), (params, slots, tables, integers())),
        "prefill": (make_prefill(net), (params, room, integers(2, 32), integers(), integers(2))),
    }
    made = {name: jax.export.export(jax.jit(call), platforms=[platform])(*args) for name, (call, args) in calls.items()}
    assert all(one.platforms == (platform,) for one in made.values())
    return {name: one.mlir_module() for name, one in made.items()}


def widened(module):
    """How often keys or values become float32 in a module, and whether a lone row is padded to two."""
    casts = re.findall(rf"stablehlo.convert .*\(tensor<\d+x\d+x{S}x{H}xbf16>\) -> tensor<\d+x\d+x{S}x{H}xf32>", module)
    return len(casts), bool(re.search(r"stablehlo.pad .*tensor<1x\d+xbf16>.*-> tensor<2x\d+xbf16>", module))


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_an_accelerator_gets_the_code_written_for_the_cpu_that_lowers_it(platform):
    modules = exported(platform)
    assert {name: widened(module) for name, module in modules.items()} == {"decode": (0, False), "prefill": (0, False)}
    assert all("stablehlo.custom_call" not in module for module in modules.values()), "portable operations only"


def test_the_cpu_keeps_its_own_code():
    assert {name: widened(module) for name, module in exported("cpu").items()} == {"decode": (2, True), "prefill": (2, False)}


LARGE = """
import dataclasses, json, jax, numpy as np
from jax.sharding import NamedSharding
from reasoning.decode.base import Chain
from reasoning.decode.controllers import stop_ids
from reasoning.decode.plan import make_plan
from reasoning.decode.programs import lower_programs
from reasoning.decode.transforms import temperature
from reasoning.models import placement
from reasoning.models.config import ModelConfig
from reasoning.models.transformer import abstract_params, network
from reasoning.sharding import device_bytes, make_mesh, partition
from reasoning.text.patterns import TableBuilder

QWEN = ModelConfig("qwen2", 152064, 5120, 64, 40, 8, 128, 27648, 32768, 1e6, 1e-6, False, qkv_bias=True)  # Qwen2.5-32B
ROWS, S, CHAIN = 16, 32768, Chain((temperature(),), (stop_ids(),))
mesh = make_mesh(1, 8)
tables = TableBuilder([b""] * QWEN.vocab_size, None, np.ones(QWEN.vocab_size, bool)).build()

def parameters(config):
    def place(path, leaf):
        spec = partition(jax.tree_util.keystr(path, simple=True, separator="/"), leaf.shape, mesh)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))
    return jax.tree_util.tree_map_with_path(place, abstract_params(placement.stored(config, mesh), "bfloat16"))

def measure(layers):
    config = dataclasses.replace(QWEN, num_layers=layers)
    net, params = network(config), parameters(config)
    programs = lower_programs(net, CHAIN, make_plan(0, ROWS, mesh, memory=None), S, params, tables)
    memory = programs["decode"].compile().memory_analysis()
    sizes = {"weights": device_bytes(params), "cache": net.cache_bytes(ROWS, S) // 8, "temp": memory.temp_size_in_bytes}
    total = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes - memory.alias_size_in_bytes
    return sizes | {"rest": total - sum(sizes.values())}

weights, cache = device_bytes(parameters(QWEN)), network(QWEN).cache_bytes(ROWS, S) // 8
print(json.dumps([measure(1), measure(3), {"weights": weights, "cache": cache}]))
"""


@pytest.mark.slow
def test_qwen_32b_with_16_rows_of_32k_fits_on_eight_devices_of_80_gb():
    """Compiled at depths 1 and 3. Weights and cache of all 64 layers are counted exactly; only what depth adds to the rest is
    extrapolated, and it is next to nothing, since layers run one after the other and reuse the same temporaries.

    The cache is float32 on the CPU that compiles here, twice what an accelerator's is.
    """
    one, three, whole = json.loads(apart("-c", LARGE, devices=8))
    for name in ("weights", "cache"):
        per_layer = (three[name] - one[name]) / 2
        assert abs(one[name] + 63 * per_layer - whole[name]) < 1e-6 * whole[name], "every layer takes the same"
    rest = sum(one[name] + 63 * max(three[name] - one[name], 0) / 2 for name in ("temp", "rest"))
    assert rest < 1e9 and abs(three["temp"] - one["temp"]) < 1e6
    print({name: f"{size / 1e9:.2f} GB" for name, size in (whole | {"rest": rest}).items()})
    assert 8e9 < whole["weights"] < 8.5e9 and whole["weights"] + whole["cache"] + rest < 80e9
