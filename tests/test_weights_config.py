"""Configurations: both styles of config.json, and no attribute that changes the mathematics is let through unread."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from doubles import weight_files

from reasoning.errors import InputError
from reasoning.models.config import RopeScaling
from reasoning.models.transformer import abstract_params
from reasoning.weights.hf_config import from_dict, read_config
from reasoning.weights.load import open_weights

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
YARN = {"factor": 4.0, "original_max_position_embeddings": 32768}
GEMMA3 = {
    "model_type": "gemma3_text",
    "architectures": ["Gemma3ForCausalLM"],
    "hidden_size": 32,
    "num_hidden_layers": 7,
    "hidden_act": None,
    "hidden_activation": "gelu_pytorch_tanh",
    "head_dim": 16,
    "query_pre_attn_scalar": 64,
    "sliding_window": 5,
    "tie_word_embeddings": None,
    "rope_theta": None,
}


@pytest.mark.parametrize(("kind", "scaling"), [("llama3", LLAMA3), ("yarn", YARN), ("linear", {"factor": 2.0})])
def test_rope_of_transformers_4_and_5_differ(kind, scaling):
    four = weight_files.config("llama", rope_theta=5e5, rope_scaling={"rope_type": kind, **scaling})
    old = weight_files.config("llama", rope_theta=5e5, rope_scaling={"type": kind, **scaling})
    five = weight_files.config("llama", rope_theta=None, rope_parameters={"rope_type": kind, "rope_theta": 5e5, **scaling})
    config = from_dict(four)
    assert config == from_dict(old) == from_dict(five)
    assert config.rope_theta == 5e5 and config.rope_scaling.kind == kind and config.rope_scaling.factor == scaling["factor"]
    assert config.rope_scaling.original_context == scaling.get("original_max_position_embeddings", 0)


def test_plain_rope_of_transformers_4_and_5_differ():
    four = from_dict(weight_files.config("qwen2", rope_scaling=None))
    five = from_dict(
        weight_files.config(
            "qwen2",
            rope_theta=None,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            layer_types=["full_attention"] * 2,
            use_sliding_window=False,
            max_window_layers=21,
        )
    )
    assert four == five and four.rope_theta == 1e6 and four.rope_scaling is None and four.local_layers == ()


def test_gemma3_of_transformers_4_and_5_differ():
    four = weight_files.config("llama", **{**GEMMA3, "rope_theta": 1e6}, rope_local_base_freq=1e4, sliding_window_pattern=6)
    ropes = {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}
    ropes["sliding_attention"] = {"rope_type": "default", "rope_theta": 1e4}
    kinds = ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"]
    five = weight_files.config("llama", **GEMMA3, rope_parameters=ropes, layer_types=kinds, _sliding_window_pattern=6)
    config = from_dict(four)
    assert config == from_dict(five)
    assert config.local_layers == (True,) * 5 + (False, True) and config.window == 5 and config.rope_local_theta == 1e4
    assert (
        config.query_scale == 0.125 and config.norm_offset == 1.0 and config.tie_embeddings and config.activation == "gelu_tanh"
    )


def test_window_of_the_upper_layers_forgotten():
    window = {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}
    config = from_dict(weight_files.config("qwen2", **window))
    assert config.local_layers == (False, True) and config.window == 16
    assert from_dict(weight_files.config("qwen2", **{**window, "use_sliding_window": False})).local_layers == ()


def test_metadata_of_published_models_refused():
    """What SmolLM2's and Qwen2.5's config.json carry beside the mathematics."""
    smollm2 = {
        "is_llama_config": True,
        "rope_interleaved": False,
        "pretraining_tp": 1,
        "mlp_bias": False,
        "attention_bias": False,
    }
    smollm2 |= {"transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}}, "initializer_range": 0.04, "use_cache": True}
    assert from_dict(
        weight_files.config("llama", **smollm2, torch_dtype="bfloat16", bos_token_id=1, rope_scaling=None)
    ).tie_embeddings
    qwen = {"attention_dropout": 0.0, "max_window_layers": 21, "sliding_window": 32768, "use_sliding_window": False}
    assert from_dict(weight_files.config("qwen2", **qwen, transformers_version="4.43.1")).qkv_bias


@pytest.mark.parametrize(
    ("family", "changes", "word"),
    [
        ("llama", {"attention_sinks": 4}, "attention_sinks"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config"),
        ("llama", {"sliding_window": 128}, "sliding_window"),
        ("llama", {"mlp_bias": True}, "mlp_bias"),
        ("llama", {"pretraining_tp": 2}, "pretraining_tp"),
        ("llama", {"rope_interleaved": True}, "rope_interleaved"),
        ("llama", {"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ("llama", {"auto_map": {"AutoModel": "custom.py"}}, "auto_map"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ("llama", {"hidden_act": "relu2"}, "relu2"),
        ("llama", {"model_type": "mamba"}, "mamba"),
        ("llama", {"model_type": None}, "model_type"),
        ("llama", {"model_type": ["llama"]}, "model_type"),
        ("llama", {"architectures": ["LlamaForQuestionAnswering"]}, "LlamaForQuestionAnswering"),
        ("llama", {"hidden_size": None}, "hidden_size"),
        ("llama", {"hidden_size": "32"}, "hidden_size"),
        ("llama", {"num_attention_heads": 0}, "num_attention_heads"),
        ("llama", {"num_key_value_heads": 3}, "num_kv_heads 3"),
        ("llama", {"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "longrope"),
        ("llama", {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "dynamic"),
        ("llama", {"rope_scaling": {"rope_type": "linear"}}, "factor"),
        ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscale": 0.7}}, "mscale"),
        ("qwen2", {"attention_bias": False}, "attention_bias"),
        ("qwen2", {"layer_types": ["full_attention", "linear_attention"]}, "linear_attention"),
        ("qwen2", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding_window"),
        ("qwen2", {"layer_types": ["full_attention"]}, "layer_types"),
    ],
)
def test_attribute_that_changes_the_mathematics_ignored(tmp_path, family, changes, word):
    (tmp_path / "config.json").write_text(json.dumps(weight_files.config(family, **changes)))
    with pytest.raises(InputError) as error:
        read_config(tmp_path)
    assert str(tmp_path / "config.json") in str(error.value) and word in str(error.value)


# What their cards say: parameters (Gemma 3 4B: 4,300,079,472 with 419,816,304 of vision tower and projector), layers,
# context, tied or not, and what a reader that skips an attribute gets wrong.
PUBLISHED = {
    "qwen2.5-0.5b": (494_032_768, 24, 32768, True, {"qkv_bias": True, "rope_theta": 1e6}),
    "qwen2.5-1.5b": (1_543_714_304, 28, 131072, True, {"qkv_bias": True, "num_kv_heads": 2}),
    "qwen2.5-7b": (7_615_616_512, 28, 131072, False, {"vocab_size": 152_064, "norm_eps": 1e-6}),
    "qwen2.5-32b": (32_763_876_352, 64, 131072, False, {"norm_eps": 1e-5, "local_layers": ()}),
    "qwen3-0.6b": (596_049_920, 28, 40960, True, {"head_dim": 128, "qk_norm": True, "qkv_bias": False}),
    "llama-3.2-1b": (1_235_814_400, 16, 131072, True, {"rope_scaling": RopeScaling("llama3", 32.0, 8192, 1.0, 4.0)}),
    "r1-distill-qwen-1.5b": (1_777_088_000, 28, 131072, False, {"rope_theta": 1e4, "rope_scaling": None}),
    "s1.1-32b": (32_763_876_352, 64, 32768, False, {"norm_eps": 1e-6, "window": None}),
    "gemma-3-1b": (999_885_952, 26, 32768, True, {"window": 512, "rope_scaling": None, "vocab_size": 262_144}),
    "gemma-3-4b": (
        *(4_300_079_472 - 419_816_304, 34, 131072, True),
        {"window": 1024, "rope_scaling": RopeScaling("linear", 8.0), "num_heads": 8, "head_dim": 256, "vocab_size": 262_208},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_model_read_with_another_shape(name):
    """Files of tests/golden/configs, re-typed, keys as published; loaded abstractly."""
    config = read_config(Path(__file__).parent / "golden/configs" / f"{name}.json")
    parameters, layers, context, tied, traits = PUBLISHED[name]
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract_params(config))) == parameters
    assert (config.num_layers, config.context, config.tie_embeddings) == (layers, context, tied)
    assert {trait: getattr(config, trait) for trait in traits} == traits
    if config.family == "gemma3":
        assert [i for i in range(layers) if not config.is_local(i)] == list(range(5, layers, 6))
        assert (config.rope_theta, config.rope_local_theta, config.query_scale, config.norm_offset) == (1e6, 1e4, 1 / 16, 1.0)
        assert config.embed_scale == config.d_model**0.5 and config.post_norms and config.qk_norm


def test_labels_of_a_classification_model_are_miscounted():
    """Two if the file is silent, as in transformers; a list of labels that contradicts their number is refused."""
    heads = {"llama": "LlamaForSequenceClassification", "qwen2": "Qwen2ForTokenClassification"}

    def read(family, **changes):
        config = from_dict(weight_files.config(family, architectures=[heads[family]], **changes))
        return config.language_head, config.num_labels, config.score_bias

    assert read("llama") == (False, 2, False) and read("qwen2") == (False, 2, True)
    assert read("llama", id2label={"0": "LABEL_0"}) == (False, 1, False) == read("llama", num_labels=1)
    assert read("qwen2", id2label={"0": "a", "1": "b", "2": "c"}, token_classification_bias=False) == (False, 3, False)
    with pytest.raises(InputError, match="num_labels is 3 and id2label has 1"):
        read("llama", id2label={"0": "LABEL_0"}, num_labels=3)
    for broken in ({"id2label": ["a"]}, {"architectures": 3}, {"architectures": "LlamaForCausalLM"}):
        with pytest.raises(InputError, match="must be a list and id2label"):
            from_dict(weight_files.config("llama", **broken))
    with pytest.raises(InputError, match="not of one kind"):
        from_dict(weight_files.config("llama", architectures=[heads["llama"], "LlamaForCausalLM"]))


@pytest.mark.parametrize("text", ["{", "[]", "", '"llama"'])
def test_config_that_is_no_object(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        read_config(tmp_path)


def test_directory_without_config(tmp_path):
    with pytest.raises(InputError, match=r"needs a config\.json"):
        open_weights(tmp_path)


def write(path, metadata=None, extra=None, **changes):
    config = weight_files.config("llama", **changes)
    return weight_files.write_gguf(path / "tiny.gguf", config, weight_files.tensors("llama"), metadata=metadata, extra=extra)


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"attention.logit_softcapping": 30}, "logit_softcapping"),
        ({"expert_count": 8}, "expert_count"),
        ({"rope.dimension_count": 4}, "rope.dimension_count"),
        ({"attention.sliding_window": 64}, "sliding_window"),
        ({"rope.scaling.type": 3}, "rope.scaling.type"),
    ],
)
def test_gguf_metadata_that_changes_the_mathematics_ignored(tmp_path, metadata, word):
    with pytest.raises(InputError) as error:
        open_weights(write(tmp_path, metadata))
    assert "tiny.gguf" in str(error.value) and word in str(error.value)


def llama3_divisors(theta, factor, size=weight_files.H):
    """llama.cpp's convert_hf_to_gguf.py, generate_extra_tensors of LlamaModel."""
    divisors = []
    for frequency in 1.0 / theta ** (np.arange(0, size, 2) / size):
        wavelength = 2 * np.pi / frequency
        if wavelength < 8192 / 4:
            divisors.append(1)
        elif wavelength > 8192:
            divisors.append(factor)
        else:
            smooth = (8192 / wavelength - 1) / (4 - 1)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, np.float32)


def test_rope_frequencies_of_llama3_ignored(tmp_path):
    """The converter writes Llama 3's scaling as a tensor only; a table that we cannot explain is refused."""
    divisors = llama3_divisors(5e5, 8.0)
    _, config = open_weights(write(tmp_path, extra={"rope_freqs.weight": divisors}, rope_theta=5e5))
    assert config.rope_scaling == RopeScaling("llama3", 8.0, 8192, 1.0, 4.0)
    with pytest.raises(InputError, match=r"rope_freqs\.weight"):
        open_weights(write(tmp_path, extra={"rope_freqs.weight": divisors * [1, 1, 1.1, 1]}, rope_theta=5e5))


def test_architecture_that_is_not_supported(tmp_path):
    file = tmp_path / "x.gguf"
    weight_files.write_gguf(file, {**weight_files.config("llama"), "model_type": "mamba"}, {})
    with pytest.raises(InputError, match="architecture 'mamba' is unknown, expected one of gemma3, llama"):
        open_weights(file)
