"""Tiny random checkpoints as Hugging Face and llama.cpp write them, made without the name tables of `reasoning.weights`.

Axis legend: `D` model, `N` query heads, `K` kv heads, `H` head dim, `F` mlp, `V` vocabulary, `L` layers.
"""

import json

import gguf
import numpy as np
import safetensors.numpy

V, D, N, K, H, F, L = 100, 32, 4, 2, 8, 64, 2

CONFIGS = {
    "llama": {"model_type": "llama", "tie_word_embeddings": True, "rope_theta": 5e4},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": False, "rope_theta": 1e6},
    "qwen3": {"model_type": "qwen3", "tie_word_embeddings": True, "rope_theta": 1e6, "head_dim": H},
    "gemma3": {
        "model_type": "gemma3_text",
        "tie_word_embeddings": True,
        "rope_theta": 1e6,
        "head_dim": H,
        "hidden_act": None,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": H,
        "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}
_SHARED = {
    "architectures": ["TinyForCausalLM"],
    "vocab_size": V,
    "hidden_size": D,
    "intermediate_size": F,
    "num_hidden_layers": L,
    "num_attention_heads": N,
    "num_key_value_heads": K,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
}
_GEMMA_GGUF_NAMES = (("post_attention_layernorm", "post_attention_norm"), ("pre_feedforward_layernorm", "ffn_norm"))
_GEMMA_GGUF_NAMES += (("post_feedforward_layernorm", "post_ffw_norm"),)
_GGUF_NAMES = (
    ("model.embed_tokens", "token_embd"),
    ("lm_head", "output"),
    ("model.norm", "output_norm"),
    ("model.layers", "blk"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
)


def config(family: str, **changes) -> dict:
    """config.json of a tiny model; None in `changes` removes an attribute."""
    values = {**_SHARED, **CONFIGS[family], **changes}
    return {key: value for key, value in values.items() if value is not None}


def tensors(family: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 tensors with Hugging Face's names and shapes."""
    shapes = {"model.embed_tokens.weight": (V, D), "model.norm.weight": (D,)}
    if not CONFIGS[family]["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (V, D)
    for i in range(L):
        attention, mlp = f"model.layers.{i}.self_attn.", f"model.layers.{i}.mlp."
        shapes |= {attention + "q_proj.weight": (N * H, D), attention + "o_proj.weight": (D, N * H)}
        shapes |= {attention + name: (K * H, D) for name in ("k_proj.weight", "v_proj.weight")}
        shapes |= {mlp + name: (F, D) for name in ("gate_proj.weight", "up_proj.weight")}
        shapes |= {mlp + "down_proj.weight": (D, F)}
        shapes |= {f"model.layers.{i}.{name}_layernorm.weight": (D,) for name in ("input", "post_attention")}
        if family == "qwen2":
            shapes |= {
                attention + "q_proj.bias": (N * H,),
                attention + "k_proj.bias": (K * H,),
                attention + "v_proj.bias": (K * H,),
            }
        if family == "gemma3":
            norms = ("pre_feedforward", "post_feedforward")
            shapes |= {f"model.layers.{i}.{name}_layernorm.weight": (D,) for name in norms}
        if family in ("qwen3", "gemma3"):
            shapes |= {attention + "q_norm.weight": (H,), attention + "k_norm.weight": (H,)}
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def write_hf(path, config, tensors, shards: int = 1):
    """A directory with config.json and safetensors, in `shards` files."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    if shards == 1:
        safetensors.numpy.save_file(tensors, path / "model.safetensors")
        return path
    names, listed = sorted(tensors), {}
    for s in range(shards):
        file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        safetensors.numpy.save_file({name: tensors[name] for name in names[s::shards]}, path / file)
        listed |= dict.fromkeys(names[s::shards], file)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    return path


def write_gguf(file, config, tensors, types=None, metadata=None, extra=None):
    """The same model as llama.cpp's converter writes it: other names, q and k rows of the llama architecture permuted, and 1
    added to the norms of Gemma.

    Args:
      types: name → gguf.GGMLQuantizationType for quantised tensors (Hugging Face's names).
      metadata: additional uint32 keys under the architecture's name; extra: additional tensors under their GGUF names.
    """
    family = config["model_type"].removesuffix("_text")
    writer = gguf.GGUFWriter(file, family)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(H)
    writer.add_value_length(H)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if family == "gemma3":
        writer.add_sliding_window(config["sliding_window"])
        writer.add_sliding_window_pattern(2)
    writer.add_token_list([f"<{i}>" for i in range(config["vocab_size"])])
    for key, value in (metadata or {}).items():
        writer.add_uint32(f"{family}.{key}", value)
    for name, array in tensors.items():
        if family == "llama" and ("q_proj" in name or "k_proj" in name):
            array = permute(array, N if "q_proj" in name else K)
        if family == "gemma3" and name.endswith("norm.weight"):
            array = array + np.float32(1.0)
        kind = (types or {}).get(name)
        array = array if kind is None else gguf.quants.quantize(array, kind)
        for theirs, ours in (*(_GEMMA_GGUF_NAMES if family == "gemma3" else ()), *_GGUF_NAMES):
            name = name.replace(theirs, ours)
        writer.add_tensor(name, np.ascontiguousarray(array), raw_dtype=kind)
    for name, array in (extra or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def permute(array: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's convert_hf_to_gguf.py, LlamaModel.permute: the two rotary halves of a head become neighbours."""
    return array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
