"""Random weights with the shapes of known models: as fast as real ones, and nothing to fetch."""

import jax

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.transformer import init_params

_FIXED = {"family": "qwen2", "context": 32768, "rope_theta": 1e6, "norm_eps": 1e-6, "qkv_bias": True, "tie_embeddings": True}
_SIZES = ("vocab_size", "d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff")
SHAPES = {
    "tiny": (512, 32, 2, 4, 2, 8, 64),
    "0.1b": (49152, 576, 12, 9, 3, 64, 1536),
    "0.5b": (151936, 896, 24, 14, 2, 64, 4864),
    "1.5b": (151936, 1536, 28, 12, 2, 128, 8960),
}


def random_config(size: str, layers: int | None = None) -> ModelConfig:
    """Shapes of Qwen2.5 (0.5b, 1.5b) or smaller; `layers` overrides the depth. Raises InputError for an unknown size."""
    if size not in SHAPES:
        raise InputError(f"there is no random model {size!r}; choose one of {', '.join(SHAPES)}")
    sizes = dict(zip(_SIZES, SHAPES[size], strict=True))
    return ModelConfig(**_FIXED, **(sizes if layers is None else {**sizes, "num_layers": layers}))


def random_model(size: str, layers: int | None = None, dtype: str = "bfloat16") -> Model:
    """A model of `random_config`, without a tokenizer."""
    config = random_config(size, layers)
    return Model(config, init_params(config, jax.random.key(0), dtype), name=f"random:{size}")
