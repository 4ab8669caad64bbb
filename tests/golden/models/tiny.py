"""Tiny models of every family, with weights that follow from their names: the goldens store configurations and logits only.

`CASES` and, for models that score, `HEADS` hold what Hugging Face writes into config.json. `weight(name, shape)` is the value of
a tensor under its Hugging Face name; numpy alone, so that the interpreter that has torch and the one that has not make the same
model.
"""

import zlib

import numpy as np

VOCAB, LENGTH = 96, 14
PROMPT_LENGTHS = (14, 9, 5)  # ragged rows of one batch
VOCAB_STRIDE = 6  # a golden keeps the logits of every sixth id at every position

# Prompts are longer than the context that the scaled models were trained for (8), and than twice the windows (4 and 6).
_LLAMA = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8}


def _config(family, *, d=32, layers=3, heads=(4, 2), head_dim=None, theta=10_000.0, scaling=None, tied=False, **more):
    rope = {"rope_theta": theta, **(scaling or {"rope_type": "default"})}
    return {
        "model_type": family,
        "vocab_size": VOCAB,
        "hidden_size": d,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "head_dim": head_dim or d // heads[0],
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": tied,
        "rope_parameters": rope,
        **more,
    }


def _gemma(window, layer_types, scaling=None, **more):
    rope = {
        "full_attention": {"rope_theta": 1_000_000.0, **(scaling or {"rope_type": "default"})},
        "sliding_attention": {"rope_theta": 10_000.0, "rope_type": "default"},
    }
    types = [{"l": "sliding_attention", "g": "full_attention"}[letter] for letter in layer_types]
    gemma = {"hidden_activation": "gelu_pytorch_tanh", "sliding_window": window, "layer_types": types, "rope_parameters": rope}
    return _config("gemma3_text", layers=len(types), tied=True, **gemma, **more) | {"query_pre_attn_scalar": 24}


def _windowed(config, window, first):
    """Qwen2's sliding window: layers from `first` on are local."""
    types = ["full_attention" if i < first else "sliding_attention" for i in range(config["num_hidden_layers"])]
    return config | {"use_sliding_window": True, "sliding_window": window, "max_window_layers": first, "layer_types": types}


CASES = {
    "llama_gqa_tied": _config("llama", heads=(6, 2), d=48, tied=True, theta=100_000.0),
    "llama_mha_untied": _config("llama", heads=(4, 4)),
    "llama_mqa_bias": _config("llama", heads=(4, 1), attention_bias=True),
    "llama_scaled_llama3": _config("llama", scaling={**_LLAMA, "original_max_position_embeddings": 8}, tied=True),
    "llama_scaled_linear": _config("llama", scaling={"rope_type": "linear", "factor": 8.0}),
    "qwen2_tied": _config("qwen2", tied=True, theta=1_000_000.0),
    "qwen2_untied_g7": _config("qwen2", heads=(7, 1), d=56),
    "qwen2_scaled_yarn": _config("qwen2", scaling=_YARN),
    "qwen2_window": _windowed(_config("qwen2"), 4, 1),
    "qwen3_tied": _config("qwen3", head_dim=16, tied=True),
    "qwen3_untied_yarn": _config("qwen3", heads=(4, 1), head_dim=16, scaling=_YARN),
    "gemma3_local_global": _gemma(4, "llgl", heads=(4, 1), head_dim=16),
    "gemma3_scaled_linear": _gemma(6, "lg", {"rope_type": "linear", "factor": 8.0}, heads=(4, 2)),
}


def prompts() -> np.ndarray:
    """int32[3, 14]; row b is meaningful up to `PROMPT_LENGTHS[b]`, the rest is padding that must not matter."""
    return np.random.default_rng(7).integers(0, VOCAB, (len(PROMPT_LENGTHS), LENGTH)).astype(np.int32)


def padded_prompts() -> np.ndarray:
    """`prompts` with PAD behind each row, for transformers finds the end of a row by it."""
    return np.where(np.arange(LENGTH) < np.array(PROMPT_LENGTHS)[:, None], prompts(), PAD)


PAD = next(token for token in range(VOCAB) if token not in prompts())


def _scoring(case, kind, labels=None):
    """`case` with a score head; transformers writes no labels when they are two, its default."""
    names = {} if labels is None else {"id2label": {str(i): f"LABEL_{i}" for i in range(labels)}}
    return CASES[case] | {"architectures": [kind], "pad_token_id": PAD, **names}


HEADS = {
    "llama_sequence": _scoring("llama_gqa_tied", "LlamaForSequenceClassification", 3),
    "llama_token": _scoring("llama_scaled_llama3", "LlamaForTokenClassification", 4),
    "qwen2_reward": _scoring("qwen2_untied_g7", "Qwen2ForSequenceClassification", 1),
    "qwen2_token": _scoring("qwen2_window", "Qwen2ForTokenClassification", 1),
    "qwen3_sequence": _scoring("qwen3_tied", "Qwen3ForSequenceClassification"),
    "qwen3_token": _scoring("qwen3_untied_yarn", "Qwen3ForTokenClassification"),
    "gemma3_sequence": _scoring("gemma3_local_global", "Gemma3TextForSequenceClassification", 3),
    "llama_value": CASES["llama_mha_untied"] | {"architectures": ["LlamaForCausalLM"]},
    "qwen2_value": CASES["qwen2_tied"] | {"architectures": ["Qwen2ForCausalLM"]},
}
VALUE_HEAD = {"v_head.summary.weight": (1, 32), "v_head.summary.bias": (1,)}  # what TRL adds to a file; its config does not tell


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 tensor of Hugging Face's name: norms and biases far enough from neutral that forgetting one shows."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("norm.weight"):
        return (0.2 * noise + 1.0).astype(np.float32)
    if name.endswith("bias"):
        return (0.5 * noise).astype(np.float32)
    return (noise * (1.5 / shape[-1] ** 0.5)).astype(np.float32)
