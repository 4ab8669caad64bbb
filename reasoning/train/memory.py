"""What a training step holds on each device, without weights and without the devices: shapes, and the compiled step's memory.

    python -m reasoning.train.memory configs/sft_s1k.py:size=32b,fsdp=16 [TOKENS]

The step is compiled for a mesh of CPU devices. State, batch and gradients are those of an accelerator; temporaries are an upper
bound, for XLA:CPU fuses less and widens bfloat16 products to float32.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig
from reasoning.models.transformer import abstract_params, network
from reasoning.sharding import device_bytes
from reasoning.train import mesh as meshes
from reasoning.train.batching import Batch, rounded
from reasoning.train.optim import optimizer, schedule
from reasoning.train.step import State, make_step

_FIELDS = ("vocab_size", "d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff", "tie_embeddings")
QWEN25 = {
    "0.5B": (151936, 896, 24, 14, 2, 64, 4864, True),
    "1.5B": (151936, 1536, 28, 12, 2, 128, 8960, True),
    "3B": (151936, 2048, 36, 16, 2, 128, 11008, True),
    "7B": (152064, 3584, 28, 28, 4, 128, 18944, False),
    "14B": (152064, 5120, 48, 40, 8, 128, 13824, False),
    "32B": (152064, 5120, 64, 40, 8, 128, 27648, False),
}


class Memory(NamedTuple):
    """Bytes on each device, but for `parameters`, which counts all of the model's.

    state: masters and moments. whole: state, batch and temporaries of the compiled step. aliased: of the state that is
    updated in place.
    """

    parameters: int
    state: int
    whole: int
    aliased: int
    seconds: float  # spent compiling


def model_config(name: str) -> ModelConfig:
    """Of "hf:Qwen/Qwen2.5-7B-Instruct" without asking the hub. Raises InputError for another model."""
    for size, values in QWEN25.items():
        if f"Qwen2.5-{size}" in name:
            fixed = {"family": "qwen2", "context": 32768, "rope_theta": 1e6, "norm_eps": 1e-6, "qkv_bias": True}
            return ModelConfig(**fixed, **dict(zip(_FIELDS, values, strict=True)))
    raise InputError(f"the shapes of {name!r} are not known without its files; known are Qwen2.5-{', '.join(QWEN25)}")


def estimate(config: Mapping[str, Any], model: ModelConfig, length: int) -> Memory:
    """Compiles the step of a configuration (without adapters) for rows of `length` tokens.

    Needs as many devices as the configuration's mesh has. Raises InputError.
    """
    part = dict(config["optimizer"])
    rate = schedule(part.pop("schedule"), part.pop("learning_rate"), 315, part.pop("warmup"))
    made, mesh = optimizer(rate, **part), meshes.make_mesh(**config["mesh"])
    params = abstract_params(model, "float32")
    target = meshes.state_shardings(made, params, meshes.shardings(params, mesh), mesh)
    shapes = State(params, jax.eval_shape(made.init, params), jax.ShapeDtypeStruct((), jnp.int32))

    def placed(leaf, sharding):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    state, rows = jax.tree.map(placed, shapes, target), config["batches"]["rows"]
    micro = -(-config["batches"]["examples"] // rows)
    where = NamedSharding(mesh, meshes.BATCH)
    batch = Batch(*(jax.ShapeDtypeStruct((micro, rows, length), kind, sharding=where) for kind in ("int32",) * 3 + (bool,)))
    step = make_step(network(model), made, **config["step"])
    begin = time.perf_counter()
    with jax.set_mesh(mesh):
        program = jax.jit(step, donate_argnums=0, out_shardings=(target, NamedSharding(mesh, P())))
        found = program.lower(state, {}, batch).compile().memory_analysis()
    seconds = time.perf_counter() - begin
    whole = found.argument_size_in_bytes + found.temp_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    return Memory(count, device_bytes(state), whole, found.alias_size_in_bytes, seconds)


def main(argv: Sequence[str]) -> None:
    """Prints the estimate of a config file with its argument. Raises InputError."""
    file, _, argument = argv[0].partition(":")
    sys.path.insert(0, str(Path(file).resolve().parent.parent))
    spec = importlib.util.spec_from_file_location("config", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = json.loads(module.get_config(argument or None).to_json())
    length = rounded(int(argv[1]) if len(argv) > 1 else config["traces"]["max_tokens"])
    devices = config["mesh"]["data"] * config["mesh"]["fsdp"] * config["mesh"]["tensor"]
    # Machine code that nobody runs need not be good.
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    )
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    found = estimate(config, model_config(config["model"]), length)
    rest = found.whole - found.state
    print(
        f"{config['model']}: {found.parameters / 1e9:.2f} G parameters on {devices} devices, rows of {length} tokens\n"
        f"each device: {found.state / 1e9:.2f} GB of masters and moments, {found.aliased / found.state:.0%} of it updated in "
        f"place; at most {rest / 1e9:.2f} GB besides; compiled in {found.seconds:.0f} s"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
