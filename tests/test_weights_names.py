"""Names and shapes: both formats give the same parameters, and every tensor that does not fit is refused by name."""

import dataclasses

import gguf
import jax
import numpy as np
import pytest
from doubles import weight_files
from doubles.weight_files import D, F, H, K, N

from reasoning.errors import InputError
from reasoning.models.transformer import abstract_params
from reasoning.weights import names
from reasoning.weights.load import assemble, open_weights, read_params

FAMILIES = sorted(weight_files.CONFIGS.keys() - {"gemma3"})  # whose norms differ by 1: tests/test_weights_formats.py
Q8 = gguf.GGMLQuantizationType.Q8_0


def read(path, dtype=np.float32, **arguments):
    files, config = open_weights(path)
    return read_params(files, config, np.dtype(dtype), **arguments)


def assert_equal_trees(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert all(jax.tree.leaves(jax.tree.map(lambda x, y: x.dtype == y.dtype and np.array_equal(x, y), a, b)))


def refuse(path, *words):
    with pytest.raises(InputError) as error:
        read(path)
    assert all(word in str(error.value) for word in (str(path), *words)), str(error.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_gguf_and_safetensors_disagree(tmp_path, family):
    config, tensors = weight_files.config(family), weight_files.tensors(family)
    one = read(weight_files.write_hf(tmp_path / "one", config, tensors))
    assert_equal_trees(one, read(weight_files.write_hf(tmp_path / "three", config, tensors, shards=3)))
    assert_equal_trees(one, read(weight_files.write_gguf(tmp_path / "tiny.gguf", config, tensors)))


@pytest.mark.parametrize("family", FAMILIES)
def test_gguf_and_safetensors_configs_disagree(tmp_path, family):
    config, tensors = weight_files.config(family), weight_files.tensors(family)
    _, hf = open_weights(weight_files.write_hf(tmp_path / "hf", config, tensors))
    _, other = open_weights(weight_files.write_gguf(tmp_path / "tiny.gguf", config, tensors))
    assert hf == other


def test_quantised_tensor_lands_elsewhere(tmp_path):
    config, tensors = weight_files.config("qwen2"), weight_files.tensors("qwen2")
    rounded = {k: gguf.quants.dequantize(gguf.quants.quantize(v, Q8), Q8) if v.ndim == 2 else v for k, v in tensors.items()}
    types = {name: Q8 for name, array in tensors.items() if array.ndim == 2}
    quantised = read(weight_files.write_gguf(tmp_path / "tiny.gguf", config, tensors, types))
    assert_equal_trees(quantised, read(weight_files.write_hf(tmp_path / "hf", config, rounded)))


def test_head_or_slot_order_wrong(tmp_path):
    """Against plain indexing: query n = k·G + g, then the group's key and value; gate before up; kernels are [out, in]."""
    tensors = weight_files.tensors("qwen2")
    params = read(weight_files.write_hf(tmp_path / "hf", weight_files.config("qwen2"), tensors))
    layer, source = params["layers"]["1"], {k.removeprefix("model.layers.1."): v for k, v in tensors.items()}
    groups = N // K
    for n in range(N):
        k, g, rows = n // groups, n % groups, slice(n * H, (n + 1) * H)
        assert np.array_equal(layer["attention"]["qkv"]["kernel"][k, g], source["self_attn.q_proj.weight"][rows])
        assert np.array_equal(layer["attention"]["qkv"]["bias"][k, g], source["self_attn.q_proj.bias"][rows])
        assert np.array_equal(layer["attention"]["out"]["kernel"][:, k, g], source["self_attn.o_proj.weight"][:, rows])
    for k in range(K):
        for slot, name in ((-2, "k_proj"), (-1, "v_proj")):
            rows = slice(k * H, (k + 1) * H)
            assert np.array_equal(layer["attention"]["qkv"]["kernel"][k, slot], source[f"self_attn.{name}.weight"][rows])
            assert np.array_equal(layer["attention"]["qkv"]["bias"][k, slot], source[f"self_attn.{name}.bias"][rows])
    assert np.array_equal(layer["mlp"]["gate_up"]["kernel"][0], source["mlp.gate_proj.weight"])
    assert np.array_equal(layer["mlp"]["gate_up"]["kernel"][1], source["mlp.up_proj.weight"])
    assert np.array_equal(layer["mlp"]["down"]["kernel"], source["mlp.down_proj.weight"])
    assert np.array_equal(layer["mlp_norm"]["scale"], source["post_attention_layernorm.weight"])
    assert np.array_equal(params["head"]["kernel"], tensors["lm_head.weight"])


def test_norms_and_biases_rounded_to_bfloat16(tmp_path):
    params = read(weight_files.write_hf(tmp_path / "hf", weight_files.config("qwen2"), weight_files.tensors("qwen2")), "bfloat16")
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        assert leaf.dtype == (np.float32 if name.endswith(("scale", "bias")) else jax.numpy.bfloat16), name


def test_place_misses_a_leaf(tmp_path):
    files = weight_files.write_hf(tmp_path / "hf", weight_files.config("llama"), weight_files.tensors("llama"))
    seen = {}
    params = read(files, place=lambda path, array: seen.setdefault(path, jax.device_put(array)))
    assert len(seen) == len(jax.tree.leaves(params)) and params["layers"]["0"]["mlp"]["down"]["kernel"].shape == (D, F)
    assert params["layers"]["0"]["mlp"]["down"]["kernel"] is seen["layers/0/mlp/down/kernel"]


@pytest.mark.parametrize("write", [weight_files.write_hf, weight_files.write_gguf])
def test_unknown_tensor_ignored(tmp_path, write):
    tensors = {**weight_files.tensors("llama"), "model.layers.0.self_attn.sinks": np.zeros(4, np.float32)}
    refuse(write(tmp_path / "model.gguf", weight_files.config("llama"), tensors), "self_attn.sinks", "[4]", "no place")


@pytest.mark.parametrize("write", [weight_files.write_hf, weight_files.write_gguf])
def test_uncovered_parameter_left_random(tmp_path, write):
    tensors = weight_files.tensors("llama")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    path = write(tmp_path / "model.gguf", weight_files.config("llama"), tensors)
    refuse(path, "layers/1/mlp/gate_up/kernel up", "1.", "up", f"[{F}, {D}]")


@pytest.mark.parametrize("write", [weight_files.write_hf, weight_files.write_gguf])
def test_transposed_tensor_reshaped_silently(tmp_path, write):
    tensors = weight_files.tensors("llama")
    tensors["model.layers.0.mlp.down_proj.weight"] = tensors["model.layers.0.mlp.down_proj.weight"].T.copy()
    path = write(tmp_path / "model.gguf", weight_files.config("llama"), tensors)
    refuse(path, "down", f"has shape [{F}, {D}]", f"expects [{D}, {F}]")


def test_tensor_in_two_shards_read_from_either(tmp_path):
    tensors = weight_files.tensors("llama")
    path = weight_files.write_hf(tmp_path / "hf", weight_files.config("llama"), tensors, shards=2)
    files = sorted(path.glob("*.safetensors"))
    weight_files.safetensors.numpy.save_file(tensors, files[1])
    refuse(path, "also in", files[0].name)


def test_table_matches_a_tensor_twice():
    config = open_config("llama")
    with pytest.raises(InputError, match=r"model\.norm\.weight twice"):
        names.placements(config, "hf", (*names.TABLE, *(row for row in names.TABLE if row.leaf == "final_norm/scale")))


def test_leaf_without_rows_or_rows_without_leaf(tmp_path):
    config = open_config("llama")
    files, _ = open_weights(weight_files.write_hf(tmp_path, weight_files.config("llama"), weight_files.tensors("llama")))
    wanted, sizes = names.placements(config, "hf"), names.axis_sizes(config)
    less = {name: place for name, place in wanted.items() if "k_proj" not in name}
    with pytest.raises(InputError, match=r"layers/0/attention/qkv/kernel .* not covered"):
        assemble(files, less, abstract_params(config, "float32"), sizes)
    smaller = dataclasses.replace(config, num_layers=1)
    with pytest.raises(InputError, match="no parameter layers/1/"):
        assemble(files, wanted, abstract_params(smaller, "float32"), sizes)


def test_tied_head_that_differs_dropped(tmp_path):
    tensors = weight_files.tensors("llama")
    same = {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]}
    config = weight_files.config("llama")
    plain = read(weight_files.write_hf(tmp_path / "plain", config, tensors))
    assert_equal_trees(plain, read(weight_files.write_hf(tmp_path / "same", config, same)))
    changed = tensors["model.embed_tokens.weight"].copy()
    changed[3, 5] += 1e-6
    path = weight_files.write_hf(tmp_path / "changed", config, {**tensors, "lm_head.weight": changed})
    refuse(path, "lm_head.weight", "model.embed_tokens.weight", "tie_word_embeddings")


def test_quantised_head_of_a_tied_model_ignored(tmp_path):
    """A GGUF with output.weight has an untied head, whatever the original model was."""
    tensors = {**weight_files.tensors("llama"), "lm_head.weight": weight_files.tensors("qwen2", seed=9)["lm_head.weight"]}
    path = weight_files.write_gguf(tmp_path / "tiny.gguf", weight_files.config("llama"), tensors)
    _, config = open_weights(path)
    assert not config.tie_embeddings and np.array_equal(read(path)["head"]["kernel"], tensors["lm_head.weight"])


def open_config(family):
    from reasoning.weights.hf_config import from_dict

    return from_dict(weight_files.config(family))
