"""What an accelerator has to show, printed on whatever device JAX finds; scripts/gpu_check.sh runs it.

    python -m reasoning.bench.device [SIZE]      a size of reasoning/bench/random_models.py; default 1.5b, on a CPU 0.1b

Versions and flags, kernels a layer and step, whether the loop is captured in command buffers, what became of top-k, memory
against plan, decode speed as a share of the memory roofline, training MFU. docs/performance.md says what to look at. Needs
jax, flax, numpy and optax; fetches nothing.
"""

import importlib.util
import os
import sys
from importlib import metadata
from pathlib import Path

import jax
import numpy as np

from reasoning.bench import hlo, machine, trace
from reasoning.bench.loop import Loop
from reasoning.bench.ours import GREEDY, ClockedEngine
from reasoning.bench.random_models import random_config, random_model
from reasoning.bench.roofline import step_bytes
from reasoning.decode.admission import make_empty
from reasoning.decode.engine import STANDARD
from reasoning.decode.loop import make_decode
from reasoning.decode.plan import read_plan
from reasoning.models.model import Model

PROMPT, NEW = 128, 64
_GPU = {"size": "1.5b", "batches": (1, 32, 128), "training": (8, 512)}
_CPU = {"size": "0.1b", "batches": (1, 8), "training": (1, 128)}


def main(argv: list[str]) -> None:
    """Prints the report."""
    on_cpu = jax.default_backend() == "cpu"
    sizes = _CPU if on_cpu else _GPU
    size, new = (argv[0] if argv else sizes["size"]), NEW // 4 if on_cpu else NEW
    here = machine.measure()
    print(f"device          {here.device}, {jax.device_count()} of them; {jax.devices()[0].client.platform_version.strip()}")
    print(f"versions        jax {jax.__version__}, jaxlib {metadata.version('jaxlib')}, python {sys.version.split()[0]}")
    print(f"XLA_FLAGS       {os.environ.get('XLA_FLAGS', '(none)')}")
    print(f"measured        {', '.join(f'{key} {value}' for key, value in here.to_json().items() if key != 'device')}")
    kernels(size)
    model = random_model(size)
    for batch in sizes["batches"]:
        decode(model, batch, new, here)
    training(size, sizes["training"], here)


def _loop(model: Model, batch: int, new: int) -> Loop:
    prompts = np.random.default_rng(0).integers(0, model.config.vocab_size, (batch, PROMPT), dtype=np.int32)
    return Loop(ClockedEngine(model, max_slots=batch), prompts, new)


def kernels(size: str, batch: int = 8) -> None:
    """Launches a step and a layer from the programs of two depths, command buffers, top-k. Compiles and runs nothing."""
    counts = {}
    for layers in (2, 4):
        text, unroll = _decode_text(random_model(size, layers), batch)
        counts[layers] = {kind: count / unroll for kind, count in hlo.step_kernels(text).items()}
    step = {layers: sum(count.values()) for layers, count in counts.items()}
    layer = (step[4] - step[2]) / 2
    depth = random_config(size).num_layers
    by_kind = ", ".join(f"{kind} {count:g}" for kind, count in sorted(counts[4].items(), key=lambda item: -item[1]))
    print(f"kernels         {layer:g} a layer and {step[2] - 2 * layer:g} besides, so {step[2] + (depth - 2) * layer:g} a step")
    print(f"                with 4 layers: {by_kind}")
    lowered = ", ".join(f"{name} × {count}" for name, count in hlo.top_k_lowering(text).items())
    print(f"top-k became    {lowered or 'nothing of its own'}")
    captured = f"{hlo.command_buffers(text)} in the program, {dumped_command_buffers()} in dumped thunks"
    print(f"command buffers {captured} (0 of both: every kernel is launched alone)")


def _decode_text(model: Model, batch: int) -> tuple[str, int]:
    """(optimised HLO of the decode program, steps that a pass through its loop takes)."""
    engine = ClockedEngine(model, max_slots=batch)
    plan, tables, network = read_plan(engine.plan), engine.tables(), model.network
    slots = jax.eval_shape(make_empty(network, STANDARD, batch, plan.smallest_bucket, 0), tables)
    program = jax.jit(make_decode(network, STANDARD, 0, plan.unroll), donate_argnums=1)
    return program.lower(model.params, slots, tables, np.int32(1)).compile().as_text(), plan.unroll


def dumped_command_buffers() -> str:
    """Mentions of command buffers in the thunk sequences under `--xla_dump_to`, where newer versions of XLA decide about them."""
    folder = [flag.split("=", 1)[1] for flag in os.environ.get("XLA_FLAGS", "").split() if flag.startswith("--xla_dump_to=")]
    files = sorted(Path(folder[-1]).glob("*decode*thunk*")) if folder else []
    return str(sum(file.read_text(errors="replace").count("kCommandBuffer") for file in files)) if files else "unknown"


def decode(model: Model, batch: int, new: int, here: machine.Machine) -> None:
    """Tokens/s, share of the memory roofline, memory against plan, the longest kernels."""
    loop = _loop(model, batch, new)
    loop.seconds(GREEDY)
    step = min(loop.seconds(GREEDY) for _ in range(3)) / new
    least = step_bytes(model, batch, PROMPT + new // 2) / here.bandwidth
    speed = f"{batch / step:.0f} tokens/s, {1e3 * step:.2f} ms a step"
    print(f"\nbatch {batch:<9} {speed}, {100 * least / step:.0f} % of the memory roofline")
    print(f"  memory        {memory(model, loop)}")
    traced = trace.kernel_seconds(lambda: loop.ready(GREEDY), loop.run)
    launches, total = sum(count for count, _ in traced.values()), sum(seconds for _, seconds in traced.values())
    print(f"  trace         {launches / new:.0f} kernels a step; by operation, in % of {1e3 * total / new:.2f} ms:")
    grouped = trace.by_operation(traced, hlo.operations(loop.programs.decode.as_text()))
    for name, (count, seconds) in list(grouped.items())[:10]:
        print(f"                {100 * seconds / total:5.1f}  {count / new:7.1f} a step  {name[:80]}")


def memory(model: Model, loop: Loop) -> str:
    """What the plan foresaw, what the compiled program says, and the device's own peak so far."""
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    cache = model.network.cache_bytes
    planned = weights + cache(loop.programs.rows, loop.programs.bucket) + cache(loop.waiting.rows, loop.waiting.size)
    analysis = loop.programs.decode.memory_analysis()
    compiled = "unknown" if analysis is None else f"{(analysis.argument_size_in_bytes + analysis.temp_size_in_bytes) / 1e9:.3f}"
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    seen = "not counted on this device" if peak is None else f"{peak / 1e9:.3f} GB"
    return f"planned {planned / 1e9:.3f} GB; decode program {compiled} GB with temporaries; peak since the start {seen}"


def training(size: str, shape: tuple[int, int], here: machine.Machine) -> None:
    """Tokens/s and MFU of a training step."""
    if importlib.util.find_spec("optax") is None:
        print("\ntraining        left out, optax is not installed")
        return
    from reasoning.bench.training import measure

    batch, length = shape
    found = measure(random_config(size), batch, length, here.peak["bfloat16"])
    print(
        f"\ntraining        {batch} × {length}: {found.tokens_per_second:.0f} tokens/s, MFU {100 * found.mfu:.0f} % of "
        f"{here.peak['bfloat16'] / 1e12:.2f} TFLOP/s; loss {found.losses[0]:.2f} → {found.losses[-1]:.2f}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
