"""The model that is measured: one of the catalogue, a file, or random weights with the shapes of a known one."""

from pathlib import Path
from typing import NamedTuple

import jax

import reasoning
from reasoning.errors import InputError
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.transformer import init_params
from reasoning.weights import catalogue

_FIXED = {"family": "qwen2", "context": 32768, "rope_theta": 1e6, "norm_eps": 1e-6, "qkv_bias": True, "tie_embeddings": True}
_SIZES = ("vocab_size", "d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff")
SHAPES = {
    "tiny": (512, 32, 2, 4, 2, 8, 64),
    "0.1b": (49152, 576, 12, 9, 3, 64, 1536),
    "0.5b": (151936, 896, 24, 14, 2, 64, 4864),
    "1.5b": (151936, 1536, 28, 12, 2, 128, 8960),
}


class Measured(NamedTuple):
    """The model, and the GGUF file that peers read the same weights from; None where there is no such file."""

    model: Model
    gguf: Path | None


def random_model(size: str, layers: int | None = None) -> Model:
    """bfloat16 weights with the shapes of Qwen2.5 (0.5b, 1.5b) or smaller; `layers` overrides the depth. Raises InputError."""
    if size not in SHAPES:
        raise InputError(f"there is no random model {size!r}; choose one of {', '.join(SHAPES)}")
    sizes = dict(zip(_SIZES, SHAPES[size], strict=True))
    config = ModelConfig(**_FIXED, **(sizes if layers is None else {**sizes, "num_layers": layers}))
    return Model(config, init_params(config, jax.random.key(0), "bfloat16"), name=f"random:{size}")


def open_model(name: str) -> Measured:
    """`random:SIZE`, or whatever `reasoning.load` takes, in bfloat16. Raises InputError."""
    if name.startswith("random:"):
        return Measured(random_model(name.removeprefix("random:")), None)
    path = Path(name).expanduser()
    if name in catalogue.read_manifest():
        path = catalogue.fetch(name).path
    return Measured(reasoning.load(name), path if path.suffix == ".gguf" and path.exists() else None)
