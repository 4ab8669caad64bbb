"""Decode speed of the engine on this machine: tokens per second by number of slots, greedy and sampled.

COMMAND: python scripts/bench.py --model qwen2.5-coder-0.5b-instruct --slots 1,8,32
         python scripts/bench.py --model random:1.5b --slots 1,32,128,256   (random weights: speed does not depend on them)
Each row is the best of --repeats runs after one that compiles. The roofline is weights + cache read once a step.
"""

import time

import jax
import numpy as np
from absl import app, flags

from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.transformer import init_params
from reasoning.weights.load import load

MODEL = flags.DEFINE_string("model", "random:0.5b", "name for reasoning.load, or random:0.5b, random:1.5b")
SLOTS = flags.DEFINE_list("slots", ["1", "8", "32"], "rows that run at once")
PROMPT = flags.DEFINE_integer("prompt", 128, "prompt length, tokens")
NEW = flags.DEFINE_integer("new", 128, "new tokens a row")
REPEATS = flags.DEFINE_integer("repeats", 3, "timed runs, of which the best counts")
UNROLL = flags.DEFINE_integer("unroll", 0, "steps between two tests of the loop's end; 0 takes the platform's")

_QWEN = {"family": "qwen2", "vocab_size": 151936, "context": 32768, "rope_theta": 1e6, "norm_eps": 1e-6, "qkv_bias": True}
RANDOM = {
    "0.5b": ModelConfig(
        **_QWEN, d_model=896, num_layers=24, num_heads=14, num_kv_heads=2, head_dim=64, d_ff=4864, tie_embeddings=True
    ),
    "1.5b": ModelConfig(
        **_QWEN, d_model=1536, num_layers=28, num_heads=12, num_kv_heads=2, head_dim=128, d_ff=8960, tie_embeddings=True
    ),
}
KNOBS = {"greedy": {"temperature": 0.0}, "T 0.7 top-p 0.95": {"temperature": 0.7, "top_p": 0.95}}


def main(_) -> None:
    name = MODEL.value
    shape = RANDOM.get(name.removeprefix("random:"))
    model = load(name) if shape is None else Model(shape, init_params(shape, jax.random.key(0), "bfloat16"), name=name)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    tokens = np.random.default_rng(0).integers(0, 1000, PROMPT.value).tolist()
    print(f"{name} on {jax.devices()[0].device_kind}, prompt {PROMPT.value}, {NEW.value} new tokens")
    print("| slots | sampling | ms/step | tokens/s | GB/s read | compile s |\n|---|---|---|---|---|---|")
    for slots in map(int, SLOTS.value):
        engine = Engine(model, max_slots=slots)
        if UNROLL.value:
            engine = Engine(model, plan=engine.plan | {"unroll": UNROLL.value})
        for label, knobs in KNOBS.items():
            seconds = []
            for run in range(REPEATS.value + 1):
                request = Request(id="bench", tokens=tokens, n=slots, seed=run, max_tokens=NEW.value)
                begin = time.perf_counter()
                count = sum(len(r.tokens) for r in engine.generate([request], stop_ids=[], **knobs))
                seconds.append(time.perf_counter() - begin)
            best = min(seconds[1:])
            step = best / (count / slots)
            read = (weights + model.network.cache_bytes(slots, PROMPT.value + NEW.value // 2)) / step / 1e9
            row = (slots, label, f"{1e3 * step:.2f}", f"{count / best:.0f}", f"{read:.0f}", f"{engine.compile_seconds:.1f}")
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    app.run(main)
