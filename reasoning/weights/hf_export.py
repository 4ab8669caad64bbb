"""The Hugging Face layout: config.json, safetensors in one file or in shards, and the tokenizer's files.

`to_dict` is the inverse of `hf_config.from_dict` and is checked by it: what would be read back differently is refused.
Written as transformers 5 writes it. Kernels and embeddings keep their dtype; norms and biases, float32 in our tree, are
written in the kernels' dtype if that changes no value of any of them (a bfloat16 checkpoint comes back byte for byte).
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig, RopeScaling
from reasoning.models.model import Model
from reasoning.weights import export, hf_config
from reasoning.weights.safetensors import INDEX

_MODEL_TYPES = {
    "llama": ("llama", "LlamaForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
    "gemma3": ("gemma3_text", "Gemma3ForCausalLM"),
}
_ACTIVATIONS = {"silu": "silu", "gelu_tanh": "gelu_pytorch_tanh"}


def write(model: Model, path: Path, progress: export.Progress, shard_bytes: int = 5_000_000_000) -> None:
    """Writes the directory `path`; memory holds about one shard beside the model. Raises InputError."""
    if shard_bytes < 1:
        raise InputError(f"shard_bytes is {shard_bytes:,}; give the largest size of a file, in bytes")
    values, config = to_dict(model.config), _file_config(model.config)
    tensors = export.tensors(model, "hf", config.norm_offset)
    dtype = np.dtype(model.params["embed"]["embedding"].dtype)
    narrow = all(_exact(tensor.array(), dtype) for tensor in tensors if tensor.leaf.dtype != dtype)
    path.mkdir()
    if model.tokenizer is not None:
        model.tokenizer.save(path, model.config.context)
        values |= {"bos_token_id": model.tokenizer.bos_id, "pad_token_id": model.tokenizer.pad_id}
        values["eos_token_id"] = list(model.tokenizer.stop_ids)
    (path / "config.json").write_text(json.dumps({**values, "dtype": dtype.name}, indent=2) + "\n", "utf-8")
    shards, listed, total = _shards(tensors, shard_bytes), {}, 0
    for number, shard in enumerate(shards, 1):
        file = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        arrays = {}
        for tensor in shard:
            array = tensor.array()
            arrays[tensor.name] = array.astype(dtype, copy=False) if narrow else array
            listed[tensor.name] = file
            total += arrays[tensor.name].nbytes
            progress(tensor.nbytes)
        safetensors.numpy.save_file(arrays, path / file, metadata={"format": "pt"})
        shutil.copymode(path / "config.json", path / file)  # the library makes files that only their owner may read
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(listed.items()))}
        (path / INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def to_dict(config: ModelConfig) -> dict[str, Any]:
    """config.json of `config`, without token ids and dtype. Raises InputError for what Hugging Face's models cannot be."""
    if config.family not in _MODEL_TYPES:
        raise InputError(f"family {config.family!r} has no Hugging Face form; extend reasoning/weights/hf_export.py")
    kind, architecture = _MODEL_TYPES[config.family]
    activation = "hidden_activation" if config.family == "gemma3" else "hidden_act"
    values = {
        "architectures": [architecture],
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        activation: _ACTIVATIONS[config.activation],
        "rope_parameters": _rope(config.rope_theta, config.rope_scaling),
        **_OWN[config.family](config),
    }
    if not config.language_head:  # transformers' token classifiers have a bias, its sequence classifiers have none
        head = "ForTokenClassification" if config.score_bias else "ForSequenceClassification"
        values["architectures"] = [architecture.replace("ForCausalLM", head).replace("Gemma3For", "Gemma3TextFor")]
        values["id2label"] = {str(label): f"LABEL_{label}" for label in range(config.num_labels)}
    export.require_same(hf_config.from_dict(values), _file_config(config), "Hugging Face form")
    return values


def _file_config(config: ModelConfig) -> ModelConfig:
    """`config` as the file has it: Gemma's norms multiply by 1 + scale there, and its query scale is spelled out."""
    if config.family != "gemma3":
        return config
    scale = config.head_dim**-0.5 if config.query_scale is None else config.query_scale
    return dataclasses.replace(config, norm_offset=1.0, query_scale=scale)


def _llama(config: ModelConfig) -> dict[str, Any]:
    return {"attention_bias": config.qkv_bias}


def _qwen2(config: ModelConfig) -> dict[str, Any]:
    local = config.local_layers
    return {
        "use_sliding_window": any(local),
        "sliding_window": config.window,
        "max_window_layers": local.index(True) if any(local) else config.num_layers,
        "layer_types": _layer_types(config),
    }


def _qwen3(config: ModelConfig) -> dict[str, Any]:
    return {**_qwen2(config), "attention_bias": config.qkv_bias}


def _gemma3(config: ModelConfig) -> dict[str, Any]:
    window = {} if config.window is None else {"sliding_window": config.window}
    local = config.rope_theta if config.rope_local_theta is None else config.rope_local_theta
    return {
        "attention_bias": config.qkv_bias,
        "query_pre_attn_scalar": max(round(_file_config(config).query_scale ** -2), 1),  # transformers takes no fraction
        "layer_types": _layer_types(config),
        "rope_parameters": {
            "full_attention": _rope(config.rope_theta, config.rope_scaling),
            "sliding_attention": _rope(local, None),
        },
        **window,
    }


_OWN = {"llama": _llama, "qwen2": _qwen2, "qwen3": _qwen3, "gemma3": _gemma3}


def _layer_types(config: ModelConfig) -> list[str]:
    return ["sliding_attention" if config.is_local(i) else "full_attention" for i in range(config.num_layers)]


def _rope(theta: float, scaling: RopeScaling | None) -> dict[str, Any]:
    if scaling is None:
        return {"rope_type": "default", "rope_theta": theta}
    values = {
        "factor": scaling.factor,
        "original_max_position_embeddings": scaling.original_context,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "beta_fast": scaling.beta_fast,
        "beta_slow": scaling.beta_slow,
        "attention_factor": scaling.attention_factor,
    }
    known = hf_config.ROPE_KEYS[scaling.kind]
    read = {key: value for key, value in values.items() if key in known and value is not None}
    return {"rope_type": scaling.kind, "rope_theta": theta, **read}


def _shards(tensors: list[export.Tensor], limit: int) -> list[list[export.Tensor]]:
    """Tensors in their order, split where a file would pass `limit` bytes; a larger tensor gets a file of its own."""
    shards, size = [[]], 0
    for tensor in tensors:
        if shards[-1] and size + tensor.nbytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.nbytes
    return shards


def _exact(array: np.ndarray, dtype: np.dtype) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(array.astype(dtype).astype(array.dtype), array, equal_nan=True)
