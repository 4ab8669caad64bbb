"""GGUF files for llama.cpp: unquantised weights (F32, BF16, F16), one tensor at a time, with the tokeniser.

Metadata are the inverse of `gguf_config.read_config` and are checked by it before anything is written. Kernels and
embeddings keep their dtype; norms and biases are F32, as ggml demands. The q and k rows of the llama architecture are
permuted (names.py), Gemma's norms are stored as 1 + scale, and Llama 3's rope scaling as a table of divisors.
Quantised types are out of scope: llama.cpp's `llama-quantize` makes them from this file.
"""

import dataclasses
import types
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.text import gguf_vocab_export
from reasoning.weights import export, gguf_config

_TYPES = {
    "float32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "bfloat16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "float16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
}
_GEMMA_PERIOD = 6  # llama.cpp's own, where the file does not say


def write(model: Model, path: Path, progress: export.Progress) -> None:
    """Writes the file `path`; beside the model, memory holds one tensor. Raises InputError."""
    config, table = model.config, {}
    if config.rope_scaling is not None and config.rope_scaling.kind == "llama3":
        divisors = gguf_config.rope_divisors(config.rope_scaling, config.head_dim, config.rope_theta)
        table = {gguf_config.ROPE_FREQS: divisors}
    tensors = export.tensors(model, "gguf", norm_offset=0.0)
    values = metadata(config)
    shapes = {name: array.shape for name, array in table.items()} | {t.name: t.place.shape for t in tensors}
    _check(values, shapes, table, config)
    dtype = np.dtype(model.params["embed"]["embedding"].dtype).name
    values["general.file_type"] = int(_TYPES[dtype][1])
    if model.tokenizer is not None:
        values |= gguf_vocab_export.describe(model.tokenizer, config.vocab_size)

    writer = gguf.GGUFWriter(path, config.family)
    for key, value in values.items():
        _add(writer, key, value)
    for name, array in table.items():
        writer.add_tensor_info(name, array.shape, array.dtype, array.nbytes)
    for tensor in tensors:
        kind = _dtype(tensor)
        writer.add_tensor_info(tensor.name, tensor.place.shape, kind, _nbytes(tensor), raw_dtype=_TYPES[kind.name][0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for array in table.values():
        writer.write_tensor_data(array)
    for tensor in tensors:
        writer.write_tensor_data(tensor.array().astype(_dtype(tensor), copy=False))
        progress(tensor.nbytes)
    writer.close()


def metadata(config: ModelConfig) -> dict[str, Any]:
    """Key-value pairs of the architecture; whole numbers are uint32, others float32."""
    values = {
        "block_count": config.num_layers,
        "context_length": config.context,
        "embedding_length": config.d_model,
        "feed_forward_length": config.d_ff,
        "vocab_size": config.vocab_size,
        "attention.head_count": config.num_heads,
        "attention.head_count_kv": config.num_kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.norm_eps),
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": float(config.rope_theta),
    }
    if config.family == "gemma3":
        local = config.rope_theta if config.rope_local_theta is None else config.rope_local_theta
        period = next((i + 1 for i in range(config.num_layers) if not config.is_local(i)), _GEMMA_PERIOD)
        values |= {"attention.sliding_window": config.window or 0, "rope.freq_base_swa": float(local)}
        values |= {} if period == _GEMMA_PERIOD else {"attention.sliding_window_pattern": period}
    if config.rope_scaling is not None and config.rope_scaling.kind in ("linear", "yarn"):
        values |= {"rope.scaling.type": config.rope_scaling.kind, "rope.scaling.factor": float(config.rope_scaling.factor)}
        if config.rope_scaling.kind == "yarn":
            values["rope.scaling.original_context_length"] = config.rope_scaling.original_context
    return {"general.architecture": config.family, **{f"{config.family}.{key}": value for key, value in values.items()}}


def _check(values: dict[str, Any], shapes: dict, table: dict[str, np.ndarray], config: ModelConfig) -> None:
    """Refuses a configuration that a reader of the file would take for another one."""
    draft = types.SimpleNamespace(metadata=values, shapes=shapes, path="the GGUF to be written", read=table.get)
    expected = config
    if config.family == "gemma3":
        scale = config.head_dim**-0.5 if config.query_scale is None else config.query_scale
        expected = dataclasses.replace(config, norm_offset=0.0, query_scale=scale)
    try:
        read = gguf_config.read_config(draft)
    except InputError as error:
        reason = str(error).removeprefix(f"{draft.path}: ").split("; ")[0]
        raise InputError(f"this {config.family} model has no GGUF form ({reason}); save it to hf or orbax") from error
    export.require_same(read, expected, "GGUF form")


def _dtype(tensor: export.Tensor) -> np.dtype:
    return np.dtype(np.float32) if len(tensor.place.shape) == 1 else np.dtype(tensor.leaf.dtype)


def _nbytes(tensor: export.Tensor) -> int:
    return int(np.prod(tensor.place.shape)) * _dtype(tensor).itemsize


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if key == gguf.Keys.General.ARCHITECTURE:  # the writer has it
        return
    add = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    add[type(value)](key, value)
