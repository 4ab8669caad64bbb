"""Decode speed of the engine on this machine by number of slots, greedy and sampled.

COMMAND: python scripts/bench.py --model qwen2.5-coder-0.5b-instruct --slots 1,8,32
Best of --repeats runs after one that compiles, prefill included; GB/s: weights and cache read once a step.
"""

import time

import jax
import numpy as np
from absl import app, flags

import reasoning
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.transformer import init_params

MODEL = flags.DEFINE_string("model", "random:0.5b", "name for reasoning.load, or random:0.5b, random:1.5b")
SLOTS = flags.DEFINE_list("slots", ["1", "8", "32"], "rows that run at once")
PROMPT = flags.DEFINE_integer("prompt", 128, "prompt length, tokens")
NEW = flags.DEFINE_integer("new", 128, "new tokens a row")
REPEATS = flags.DEFINE_integer("repeats", 3, "timed runs; the best counts")

_QWEN = {"family": "qwen2", "vocab_size": 151936, "context": 32768, "rope_theta": 1e6, "norm_eps": 1e-6, "qkv_bias": True}
_SIZES = ("d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff")
_SHAPES = {"0.5b": (896, 24, 14, 2, 64, 4864), "1.5b": (1536, 28, 12, 2, 128, 8960)}
KNOBS = {"greedy": {"temperature": 0.0}, "T 0.7 top-p 0.95": {"temperature": 0.7, "top_p": 0.95}}


def random_model(size: str) -> Model:
    """A model with the shapes of Qwen2.5 and random bfloat16 weights."""
    config = ModelConfig(**_QWEN, **dict(zip(_SIZES, _SHAPES[size], strict=True)), tie_embeddings=True)
    return Model(config, init_params(config, jax.random.key(0), "bfloat16"), name=f"random:{size}")


def main(_) -> None:
    name = MODEL.value
    model = random_model(name.removeprefix("random:")) if name.startswith("random:") else reasoning.load(name)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    tokens = np.random.default_rng(0).integers(0, 1000, PROMPT.value).tolist()
    print(f"{name} on {jax.devices()[0].device_kind}, prompt {PROMPT.value}, {NEW.value} new tokens")
    print("| slots | sampling | ms/step | tokens/s | GB/s read | compile s |\n|---|---|---|---|---|---|")
    for slots in map(int, SLOTS.value):
        engine = Engine(model, max_slots=slots)
        for label, knobs in KNOBS.items():
            seconds = []
            for run in range(REPEATS.value + 1):
                request = Request(id="bench", tokens=tokens, n=slots, seed=run, max_tokens=NEW.value)
                begin = time.perf_counter()
                count = sum(len(r.tokens) for r in engine.generate([request], stop_ids=[], **knobs))
                seconds.append(time.perf_counter() - begin)
            step = (best := min(seconds[1:])) * slots / count
            read = (weights + model.network.cache_bytes(slots, PROMPT.value + NEW.value // 2)) / step / 1e9
            print(f"| {slots} | {label} | {1e3 * step:.2f} | {count / best:.0f} | {read:.0f} | {engine.compile_seconds:.1f} |")


if __name__ == "__main__":
    app.run(main)
