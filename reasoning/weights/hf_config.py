"""`config.json` of Hugging Face → ModelConfig, refusing every attribute that is not understood.

Each family lists what it reads, what must have one value, and everybody shares the list of metadata that cannot change the
mathematics. Anything else is refused (penzai's rule): a wrong guess here gives fluent nonsense, not an error. Read both as
transformers 4 writes it (`rope_theta`, `rope_scaling`) and as 5 does (`rope_parameters`, `layer_types`). The configuration of
a vision-language model is read for its text part.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig, RopeScaling
from reasoning.weights.text_part import text_config

_METADATA = frozenset(
    """
    architectures model_type _name_or_path name_or_path transformers_version torch_dtype dtype use_cache initializer_range
    attention_dropout hidden_dropout attn_implementation _attn_implementation _attn_implementation_autoset
    bos_token_id eos_token_id pad_token_id unk_token_id decoder_start_token_id
    id2label label2id num_labels problem_type task_specific_params return_dict output_attentions output_hidden_states
    finetuning_task tokenizer_class prefix torchscript gradient_checkpointing chunk_size_feed_forward
    is_llama_config transformers.js_config unsloth_fixed unsloth_version cache_implementation classifier_dropout
    temperature top_k top_p do_sample num_beams max_length min_length repetition_penalty
    """.split()  # noqa: SIM905 (a list to read)
)
# Attributes that are understood at one value only; the others would change the mathematics.
_ONLY = {
    "pretraining_tp": (1,),
    "mlp_bias": (False,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "use_bidirectional_attention": (False,),
    "is_decoder": (True, False),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "partial_rotary_factor": (1.0,),
    "rope_interleaved": (False,),
    "use_mrope": (False,),
    "auto_map": (),
}
_SHARED = frozenset(
    """
    vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim
    max_position_embeddings rms_norm_eps tie_word_embeddings hidden_act rope_theta rope_scaling rope_parameters layer_types
    token_classification_bias
    """.split()  # noqa: SIM905 (a list to read)
)
_CAUSAL, _, _TOKEN = _HEADS = ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification")
_ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu_tanh"}
ROPE_KEYS = {
    "default": set(),
    "linear": {"factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
    "yarn": {"factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor"},
}


class _Attributes:
    """The dictionary of one config.json and where it came from; `None` means absent, as in transformers."""

    def __init__(self, values: Mapping[str, Any], file: str):
        self.values = {key: value for key, value in values.items() if value is not None}
        self.file = file

    def __call__(self, key: str, default: Any = None) -> Any:
        """The value of `key`; without a default it must be there."""
        if key not in self.values and default is None:
            raise self.error(f"attribute {key!r} is missing")
        return self.values.get(key, default)

    def size(self, key: str, default: int | None = None) -> int:
        """The value of `key`, which must be a positive whole number."""
        value = self(key, default)
        if type(value) is not int or value < 1:
            raise self.error(f"attribute {key!r} is {value!r}, expected a positive whole number")
        return value

    def error(self, what: str) -> InputError:
        return InputError(f"{self.file}: {what}; load a model of a supported family, or extend reasoning/weights/hf_config.py")


def read_config(path: str | Path) -> ModelConfig:
    """ModelConfig of a directory with `config.json` (or of that file). Raises InputError naming file and attribute."""
    file = Path(path)
    file = file / "config.json" if file.is_dir() else file
    try:
        values = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as JSON ({error}); a model directory needs a config.json") from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: expected a JSON object; a model directory needs the config.json of its model")
    return from_dict(values, str(file))


def from_dict(values: Mapping[str, Any], file: str = "config.json") -> ModelConfig:
    """The content of a config.json → ModelConfig."""
    values = text_config(values, file)
    a = _Attributes({**_DEFAULTS.get(str(values.get("model_type")), {}), **values}, file)
    if str(a("model_type")) not in _FAMILIES:
        raise a.error(f"model_type {a('model_type')!r} is unknown, expected one of {', '.join(_FAMILIES)}")
    family, read, fields = _FAMILIES[a("model_type")]
    for key, value in a.values.items():
        if key in _ONLY:
            if value not in _ONLY[key]:
                raise a.error(f"attribute {key!r} is {value!r}, supported: {_ONLY[key] or 'absent'}")
        elif key not in _METADATA and key not in _SHARED and key not in fields:
            raise a.error(f"unknown attribute {key!r} = {value!r} could change the mathematics")
    return _config(a, family, read)


def _config(a: _Attributes, family: str, read: Callable) -> ModelConfig:
    d_model, heads, layers = a.size("hidden_size"), a.size("num_attention_heads"), a.size("num_hidden_layers")
    activation = a.values.get("hidden_activation", a("hidden_act", "silu"))
    if activation not in _ACTIVATIONS:
        raise a.error(f"activation {activation!r} is unknown, expected one of {', '.join(_ACTIVATIONS)}")
    shared = {
        "family": family,
        "vocab_size": a.size("vocab_size"),
        "d_model": d_model,
        "num_layers": layers,
        "num_heads": heads,
        "num_kv_heads": a.size("num_key_value_heads", heads),
        "head_dim": a.size("head_dim", d_model // heads),
        "d_ff": a.size("intermediate_size"),
        "context": a.size("max_position_embeddings"),
        "norm_eps": float(a("rms_norm_eps", 1e-6)),
        "activation": _ACTIVATIONS[activation],
    }
    try:
        return ModelConfig(**{**shared, **_heads(a), **read(a, layers)})
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise a.error(f"the configuration contradicts itself ({error})") from error


def _heads(a: _Attributes) -> dict[str, Any]:
    """Language head or score head, by the class that wrote the file; transformers writes the labels unless they are two."""
    classes, names = a.values.get("architectures", []), a.values.get("id2label")
    if not isinstance(classes, list) or not isinstance(names, dict | None):
        raise a.error(f"architectures {classes!r} must be a list and id2label {names!r} a dictionary")
    kinds = {next((kind for kind in _HEADS if str(name).endswith(kind)), name) for name in classes} or {_CAUSAL}
    kind = kinds.pop()
    if kinds or kind not in _HEADS:
        raise a.error(f"architectures {list(classes)} are not of one kind out of {', '.join('…' + name for name in _HEADS)}")
    if kind == _CAUSAL:
        return {}
    labels = len(names) if names else a.size("num_labels", 2)
    if a("num_labels", labels) != labels:
        raise a.error(f"num_labels is {a('num_labels')} and id2label has {labels}")
    bias = kind == _TOKEN and a.values.get("token_classification_bias", True)
    return {"language_head": False, "num_labels": labels, "score_bias": bias}


def _llama(a: _Attributes, layers: int) -> dict[str, Any]:
    bias = a("attention_bias", False)
    return {
        "tie_embeddings": a("tie_word_embeddings", False),
        "qkv_bias": bias,
        "out_bias": bias,
        **_windows(a, layers, [False] * layers),
        **_rope(a, 10_000.0),
    }


def _qwen2(a: _Attributes, layers: int) -> dict[str, Any]:
    first = a("max_window_layers", 28) if a("use_sliding_window", False) else layers
    return {
        "tie_embeddings": a("tie_word_embeddings", False),
        "qkv_bias": True,
        **_windows(a, layers, [i >= first for i in range(layers)]),
        **_rope(a, 10_000.0),
    }


def _qwen3(a: _Attributes, layers: int) -> dict[str, Any]:
    bias = a("attention_bias", False)
    return {**_qwen2(a, layers), "head_dim": a.size("head_dim", 128), "qk_norm": True, "qkv_bias": bias, "out_bias": bias}


def _gemma3(a: _Attributes, layers: int) -> dict[str, Any]:
    period = a("sliding_window_pattern", a("_sliding_window_pattern", 6))
    bias = a("attention_bias", False)
    return {
        "tie_embeddings": a("tie_word_embeddings", True),
        "head_dim": a.size("head_dim", 256),
        "qk_norm": True,
        "qkv_bias": bias,
        "out_bias": bias,
        "activation": _ACTIVATIONS[a("hidden_activation", "gelu_pytorch_tanh")],
        "norm_offset": 1.0,
        "embed_scale": math.sqrt(a("hidden_size")),
        "query_scale": a("query_pre_attn_scalar", 256) ** -0.5,
        "post_norms": True,
        **_windows(a, layers, [(i + 1) % period != 0 for i in range(layers)]),
        **_rope(a, 1_000_000.0),
        "rope_local_theta": _local_theta(a),
    }


# What Gemma 3's files leave out, as transformers' Gemma3TextConfig has it (the text_config inside the 4B's says little more
# than what differs). The other families' files are complete.
_DEFAULTS = {
    "gemma3_text": {
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131_072,
        "sliding_window": 4096,
    }
}
_WINDOW = {"use_sliding_window", "sliding_window", "max_window_layers"}
_GEMMA3 = {"hidden_activation", "query_pre_attn_scalar", "rope_local_base_freq", "sliding_window"}
# model_type → family, reader, and the attributes that it reads beside the shared ones.
_FAMILIES = {
    "llama": ("llama", _llama, {"attention_bias"}),
    "qwen2": ("qwen2", _qwen2, _WINDOW),
    "qwen3": ("qwen3", _qwen3, _WINDOW | {"attention_bias"}),
    "gemma3_text": ("gemma3", _gemma3, _GEMMA3 | {"attention_bias", "sliding_window_pattern", "_sliding_window_pattern"}),
}


def _windows(a: _Attributes, layers: int, local: list[bool]) -> dict[str, Any]:
    """Which layers are local: `layer_types` if written (transformers 5), else `local`, the family's rule."""
    if "layer_types" in a.values:
        kinds = a.values["layer_types"]
        if len(kinds) != layers or set(kinds) - {"full_attention", "sliding_attention"}:
            raise a.error(f"layer_types {kinds!r}: expected {layers} times full_attention or sliding_attention")
        local = [kind == "sliding_attention" for kind in kinds]
    if not any(local):
        return {}
    return {"window": a.size("sliding_window"), "local_layers": tuple(local)}


def _rope(a: _Attributes, theta: float) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling` of the global layers from either style of config."""
    rope = dict(a.values.get("rope_parameters") or a.values.get("rope_scaling") or {})
    rope = dict(rope.get("full_attention", rope))
    theta = float(rope.pop("rope_theta", a.values.get("rope_theta", theta)))
    kind = rope.pop("rope_type", rope.pop("type", "default"))
    rope.pop("type", None)  # old files repeat rope_type under its old name
    if rope.pop("partial_rotary_factor", 1.0) != 1.0:
        raise a.error("rotary embeddings on a part of the head are not supported (partial_rotary_factor)")
    if kind not in ROPE_KEYS or set(rope) - ROPE_KEYS[kind]:
        raise a.error(f"rope type {kind!r} with {sorted(rope)} is unknown, expected one of {', '.join(ROPE_KEYS)}")
    if kind == "default":
        return {"rope_theta": theta}
    if "factor" not in rope:
        raise a.error(f"rope type {kind!r} needs a factor")
    original = rope.pop("original_max_position_embeddings", 0 if kind == "linear" else a("max_position_embeddings"))
    return {"rope_theta": theta, "rope_scaling": RopeScaling(kind, original_context=original, **rope)}


def _local_theta(a: _Attributes) -> float:
    local = (a.values.get("rope_parameters") or {}).get("sliding_attention")
    if local is None:
        return float(a("rope_local_base_freq", 10_000.0))
    if local.get("rope_type", "default") != "default":
        raise a.error(f"rope type {local['rope_type']!r} of the local layers is not supported")
    return float(local["rope_theta"])
