"""Decode speed of the engine on this machine by number of slots, greedy and sampled.

COMMAND: python scripts/bench.py --model qwen2.5-coder-0.5b-instruct --slots 8 --slots 32
Best of --repeats runs after one that compiles, prefill included; GB/s: weights and cache read once a step.
"""

import time

import jax
import numpy as np
from absl import flags

import reasoning
from reasoning import command
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.transformer import init_params

MODEL = flags.DEFINE_string("model", "", "what reasoning.load takes; unset: random weights, which are as fast")
RANDOM = flags.DEFINE_enum("random", "0.5b", ["0.5b", "1.5b"], "size of the random model, with the shapes of Qwen2.5")
SLOTS = flags.DEFINE_multi_integer("slots", [1, 8, 32], "rows that run at once; may be repeated", lower_bound=1)
PROMPT = flags.DEFINE_integer("prompt", 128, "prompt length, tokens", lower_bound=1)
NEW = flags.DEFINE_integer("new", 128, "new tokens a row", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 3, "timed runs; the best counts", lower_bound=1)

_QWEN = {"family": "qwen2", "vocab_size": 151936, "context": 32768, "rope_theta": 1e6, "norm_eps": 1e-6, "qkv_bias": True}
_SIZES = ("d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff")
_SHAPES = {"0.5b": (896, 24, 14, 2, 64, 4864), "1.5b": (1536, 28, 12, 2, 128, 8960)}
KNOBS = {"greedy": {"temperature": 0.0}, "T 0.7 top-p 0.95": {"temperature": 0.7, "top_p": 0.95}}


def random_model(size: str) -> Model:
    config = ModelConfig(**_QWEN, **dict(zip(_SIZES, _SHAPES[size], strict=True)), tie_embeddings=True)
    return Model(config, init_params(config, jax.random.key(0), "bfloat16"), name=f"random:{size}")


def main(_) -> None:
    model = reasoning.load(MODEL.value) if MODEL.value else random_model(RANDOM.value)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    tokens = np.random.default_rng(0).integers(0, 1000, PROMPT.value).tolist()
    print(f"{model.name} on {jax.devices()[0].device_kind}, prompt {PROMPT.value}, {NEW.value} new tokens\n")
    print("| slots | sampling | ms/step | tokens/s | GB/s read | compile s |\n|---|---|---|---|---|---|")
    for slots in SLOTS.value:
        engine = Engine(model, max_slots=slots)
        for label, knobs in KNOBS.items():
            seconds, request = [], Request(id="bench", tokens=tokens, n=slots, max_tokens=NEW.value)
            for _ in range(REPEATS.value + 1):
                begin = time.perf_counter()
                count = sum(len(r.tokens) for r in engine.generate([request], stop_ids=[], **knobs))
                seconds.append(time.perf_counter() - begin)
            step = (best := min(seconds[1:])) * slots / count
            read = (weights + model.network.cache_bytes(slots, PROMPT.value + NEW.value // 2)) / step / 1e9
            print(f"| {slots} | {label} | {1e3 * step:.2f} | {count / best:.0f} | {read:.0f} | {engine.compile_seconds:.1f} |")


if __name__ == "__main__":
    command.run(main)
