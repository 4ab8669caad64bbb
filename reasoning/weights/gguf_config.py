"""GGUF metadata → ModelConfig, refusing every key of the architecture that is not understood.

Numbers of a GGUF are float32; they are read as the shortest decimal that rounds to them (1e-06, not 9.99999997e-07), so
that the same model gets the same configuration from either format.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig, RopeScaling
from reasoning.weights.gguf import GgufFile

_KEYS = frozenset(
    """
    block_count context_length embedding_length feed_forward_length vocab_size
    attention.head_count attention.head_count_kv attention.layer_norm_rms_epsilon
    attention.key_length attention.value_length attention.sliding_window attention.sliding_window_pattern
    rope.freq_base rope.freq_base_swa rope.dimension_count
    rope.scaling.type rope.scaling.factor rope.scaling.original_context_length rope.scaling.finetuned
    """.split()  # noqa: SIM905 (a list to read)
)
ROPE_FREQS = "rope_freqs.weight"
# llama.cpp derives the query scale of Gemma 3 27B, told by its depth, from D/N instead of H.
_GEMMA3_27B_LAYERS = 62


class _Metadata:
    """The keys under `architecture.` and the file they came from."""

    def __init__(self, metadata: Mapping[str, Any], file: str):
        self.file, self.family = file, metadata.get("general.architecture")
        prefix = f"{self.family}."
        self.values = {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}

    def __call__(self, key: str, default: Any = None) -> Any:
        if key not in self.values and default is None:
            raise self.error(f"metadata {self.family}.{key} is missing")
        value = self.values.get(key, default)
        if isinstance(value, list):  # one number a layer: understood when they agree
            if len(set(value)) != 1:
                raise self.error(f"metadata {self.family}.{key} differs between layers")
            value = value[0]
        return float(str(np.float32(value))) if isinstance(value, float) else value

    def size(self, key: str, default: int | None = None) -> int:
        """The value of `key`, which must be a positive whole number."""
        value = self(key, default)
        if type(value) is not int or value < 1:
            raise self.error(f"metadata {self.family}.{key} is {value!r}, expected a positive whole number")
        return value

    def error(self, what: str) -> InputError:
        return InputError(f"{self.file}: {what}; load a model of a supported family, or extend reasoning/weights/gguf_config.py")


def read_config(tensors: GgufFile) -> ModelConfig:
    """ModelConfig of an open GGUF; its tensors decide what metadata leaves open: V, biases, whether the head is tied.

    A file with `output.weight` has an untied head, even if the original model was tied: quantisers write the copy of the
    embedding in another type. Raises InputError naming file and key.
    """
    metadata, shapes, file = tensors.metadata, tensors.shapes, str(tensors.path)
    m = _Metadata(metadata, file)
    if m.family not in _FAMILIES:
        raise m.error(f"architecture {m.family!r} is unknown, expected one of {', '.join(sorted(_FAMILIES))}")
    if unknown := sorted(set(m.values) - _KEYS):
        raise m.error(f"unknown metadata {m.family}.{unknown[0]} = {m.values[unknown[0]]!r} could change the mathematics")
    if metadata.get("split.count", 1) > 1:
        raise InputError(f"{file}: one of {metadata['split.count']} pieces; join them with llama.cpp's gguf-split --merge")
    if "token_embd.weight" not in shapes:
        raise m.error("tensor 'token_embd.weight' is missing")
    if m.size("block_count") > len(shapes):
        raise m.error(f"metadata {m.family}.block_count is {m('block_count'):,} but there are {len(shapes)} tensors")
    d_model, heads = m.size("embedding_length"), m.size("attention.head_count")
    head_dim = m.size("attention.key_length", d_model // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if m(key, head_dim) != head_dim:
            raise m.error(f"metadata {m.family}.{key} is {m(key)}, expected the head dimension {head_dim}")
    shared = {
        "family": m.family,
        "vocab_size": shapes["token_embd.weight"][0],
        "d_model": d_model,
        "num_layers": m.size("block_count"),
        "num_heads": heads,
        "num_kv_heads": m.size("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "d_ff": m.size("feed_forward_length"),
        "context": m.size("context_length"),
        "rope_theta": m("rope.freq_base", 10_000.0),
        "norm_eps": m("attention.layer_norm_rms_epsilon"),
        "tie_embeddings": "output.weight" not in shapes,
        "rope_scaling": _scaling(m, tensors),
        "qkv_bias": "blk.0.attn_q.bias" in shapes,
        "out_bias": "blk.0.attn_output.bias" in shapes,
        "qk_norm": m.family in ("qwen3", "gemma3"),
    }
    try:
        return ModelConfig(**{**shared, **(_gemma3(m, shared) if m.family == "gemma3" else _no_window(m))})
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise m.error(f"the metadata contradict each other ({error})") from error


_FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")


def _no_window(m: _Metadata) -> dict[str, Any]:
    if m("attention.sliding_window", 0):
        raise m.error(f"metadata {m.family}.attention.sliding_window is only understood for gemma3")
    return {}


def _gemma3(m: _Metadata, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The converter stores RMSNorm as w + 1, so the offset is 0 here and 1 in Hugging Face's files."""
    layers, width, period = shared["num_layers"], shared["head_dim"], m.size("attention.sliding_window_pattern", 6)
    if layers == _GEMMA3_27B_LAYERS:
        width = shared["d_model"] // shared["num_heads"]
    return {
        "activation": "gelu_tanh",
        "norm_offset": 0.0,
        "embed_scale": math.sqrt(shared["d_model"]),
        "query_scale": width**-0.5,
        "post_norms": True,
        "window": m.size("attention.sliding_window"),
        "local_layers": tuple((i + 1) % period != 0 for i in range(layers)),
        "rope_theta": m("rope.freq_base", 1_000_000.0),
        "rope_local_theta": m("rope.freq_base_swa", 10_000.0),
    }


def _scaling(m: _Metadata, tensors: GgufFile) -> RopeScaling | None:
    kind = m("rope.scaling.type", "none")
    if ROPE_FREQS in tensors.shapes:
        if kind != "none":
            raise m.error(f"tensor {ROPE_FREQS!r} and rope.scaling.type {kind!r} are not understood together")
        return _llama3(m, tensors.read(ROPE_FREQS))
    if kind == "none":
        return None
    if kind == "linear":
        return RopeScaling("linear", m("rope.scaling.factor"))
    if kind == "yarn":
        original = m("rope.scaling.original_context_length", m.size("context_length"))
        return RopeScaling("yarn", m("rope.scaling.factor"), original_context=original)
    raise m.error(f"metadata {m.family}.rope.scaling.type {kind!r} is unknown, expected none, linear or yarn")


def _llama3(m: _Metadata, divisors: np.ndarray) -> RopeScaling:
    """The scaling of Llama 3.1 that the tensor float32[H/2] tabulates; the converter writes it nowhere else.

    Only the factor differs between the published models: it is the largest entry, and the table that follows from it and
    the other constants must be the tensor.
    """
    scaling = RopeScaling("llama3", float(divisors.max()), 8192, 1.0, 4.0)
    expected = rope_divisors(scaling, 2 * divisors.size, m("rope.freq_base", 10_000.0))
    if not np.allclose(divisors, expected, rtol=1e-4):
        raise m.error(f"tensor {ROPE_FREQS!r} is not the frequency table of Llama 3 with factor {scaling.factor}")
    return scaling


def rope_divisors(scaling: RopeScaling, head_dim: int, theta: float) -> np.ndarray:
    """float32[H/2]: what Llama 3's scaling divides each rotary frequency by (the tensor `rope_freqs.weight`)."""
    turns = scaling.original_context * theta ** (-np.arange(0, head_dim, 2) / head_dim) / (2 * math.pi)
    smooth = np.clip((turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0, 1)
    return (1 / ((1 - smooth) / scaling.factor + smooth)).astype(np.float32)
