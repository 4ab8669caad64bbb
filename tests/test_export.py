"""`reasoning.save`, Hugging Face layout: what comes back is the same to the bit, and what cannot be written is not begun."""

import dataclasses
import errno
import json
import stat

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from doubles import vocabulary, weight_files
from golden.models import ours, tiny

import reasoning
from reasoning.errors import InputError
from reasoning.models.config import RopeScaling
from reasoning.models.model import Model
from reasoning.weights import export, hf_config, hf_export
from reasoning.weights.load import open_weights, read_params


def reread(path, dtype="float32") -> Model:
    files, config = open_weights(path)
    return Model(config, read_params(files, config, dtype))


def same_bits(a, b):
    equal = jax.tree.map(lambda x, y: x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes(), a, b)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(jax.tree.leaves(equal))


def contents(path):
    """{tensor name: array} of all safetensors files of a directory."""
    found = {}
    for file in path.glob("*.safetensors"):
        found |= safetensors.numpy.load_file(file)
    return found


@pytest.fixture(scope="module")
def llama():
    return ours.build("llama_gqa_tied")


@pytest.mark.parametrize("case", sorted(tiny.CASES))
def test_tensor_or_field_comes_back_changed(case, tmp_path):
    """Hugging Face → ours → Hugging Face byte for byte, and ours → Hugging Face → ours."""
    model = ours.build(case)
    path = reasoning.save(model, tmp_path / "out", shard_bytes=20_000)
    written = contents(path)
    for name, array in written.items():
        assert array.dtype == np.float32 and array.tobytes() == tiny.weight(name, array.shape).tobytes(), name
    again = reread(path)
    assert again.config == model.config and same_bits(again.params, model.params)


@pytest.mark.parametrize("case", sorted(case for case in tiny.HEADS if not case.endswith("_value")))
def test_a_score_head_is_lost_or_read_as_another(case, tmp_path):
    model = ours.build_from(tiny.HEADS[case])
    path = reasoning.save(model, tmp_path / "out")
    assert json.loads((path / "config.json").read_text())["architectures"] == tiny.HEADS[case]["architectures"]
    again = reread(path)
    assert again.config == model.config and same_bits(again.params, model.params)


def test_config_says_something_else_than_the_one_it_came_from():
    for case, values in tiny.CASES.items():
        written = hf_export.to_dict(hf_config.from_dict(values))
        written["rope_parameters"] = {key: written["rope_parameters"][key] for key in values["rope_parameters"]}
        assert not {key for key, value in values.items() if written[key] != value}, case


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_checkpoint_grows_or_its_norms_are_rounded(dtype, tmp_path):
    """All tensors of a checkpoint in half precision come back in it; a norm that does not fit stays float32, and all with it."""
    half = np.dtype(getattr(ml_dtypes, dtype, dtype))
    tensors = {name: array.astype(half) for name, array in weight_files.tensors("qwen2").items()}
    source = weight_files.write_hf(tmp_path / "source", weight_files.config("qwen2"), tensors)
    model = reread(source, dtype)
    written = contents(reasoning.save(model, tmp_path / "out"))
    assert written.keys() == tensors.keys()
    assert all(written[name].dtype == half and written[name].tobytes() == tensors[name].tobytes() for name in tensors)
    assert json.loads((tmp_path / "out/config.json").read_text())["dtype"] == dtype
    model.params["final_norm"]["scale"] = model.params["final_norm"]["scale"] + np.float32(1e-6)
    path = reasoning.save(model, tmp_path / "trained")
    assert {array.dtype for name, array in contents(path).items() if "norm" in name} == {np.dtype(np.float32)}
    assert same_bits(reread(path, dtype).params, model.params)


def test_shards_larger_than_asked_or_missing_from_the_index(llama, tmp_path):
    path = reasoning.save(llama, tmp_path / "out", shard_bytes=30_000)
    index = json.loads((path / "model.safetensors.index.json").read_text())
    files = sorted(path.glob("model-*.safetensors"))
    assert [file.name for file in files] == [f"model-{i + 1:05}-of-{len(files):05}.safetensors" for i in range(len(files))]
    assert set(index["weight_map"].values()) == {file.name for file in files} and len(files) > 2
    sizes = [sum(array.nbytes for array in safetensors.numpy.load_file(file).values()) for file in files]
    assert index["metadata"]["total_size"] == sum(sizes) and max(sizes) <= 30_000
    one = reasoning.save(llama, tmp_path / "one")
    assert [file.name for file in one.glob("*.safetensors*")] == ["model.safetensors"]
    modes = {stat.S_IMODE(file.stat().st_mode) for file in one.iterdir()}
    assert len(modes) == 1  # others may read the weights if they may read the rest


def test_tokenizer_gives_other_ids_after_a_round_trip(llama, tmp_path):
    model = dataclasses.replace(llama, tokenizer=vocabulary.tokenizer())
    loaded = reasoning.load(reasoning.save(model, tmp_path / "out"), "stored")
    before, after = model.tokenizer, loaded.tokenizer
    assert [after.encode(text) for text in vocabulary.TEXTS] == [before.encode(text) for text in vocabulary.TEXTS]
    for name in ("bos_id", "pad_id", "stop_ids", "special_ids", "special_tokens", "chat_template", "size"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.token_bytes(vocabulary.SIZE) == before.token_bytes(vocabulary.SIZE)
    assert loaded.params["embed"]["embedding"].dtype == np.float32
    again = reasoning.save(loaded, tmp_path / "again")
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files >= {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"}
    assert all((again / name).read_bytes() == (tmp_path / "out" / name).read_bytes() for name in files)


def test_half_a_model_left_behind_or_something_overwritten(llama, tmp_path, monkeypatch):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for target in ("taken", "file"):
        with pytest.raises(InputError, match="exists already and is never overwritten; remove it"):
            reasoning.save(llama, tmp_path / target)
    (tmp_path / "empty").mkdir()
    reasoning.save(llama, tmp_path / "empty")
    reasoning.save(llama, tmp_path / "new/deep")
    before = sorted(tmp_path.rglob("*"))

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", fail)
    with pytest.raises(InputError, match="the disk of .* is full; make room"):
        reasoning.save(llama, tmp_path / "full")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("case", "changes", "words"),
    [
        ("llama_mha_untied", {"qkv_bias": True}, "out_bias = False"),
        ("llama_mha_untied", {"window": 4, "local_layers": (True, False, False)}, "window = 4"),
        ("llama_mha_untied", {"embed_scale": 2.0}, "embed_scale = 2.0"),
        ("qwen2_tied", {"qkv_bias": False}, "qkv_bias = False"),
        ("qwen2_tied", {"query_scale": 0.1}, "query_scale"),
        ("gemma3_local_global", {"embed_scale": None}, "embed_scale"),
        ("gemma3_local_global", {"query_scale": 0.3}, "query_scale = 0.3"),
        ("llama_mha_untied", {"family": "mamba"}, "family 'mamba'"),
    ],
)
def test_model_that_transformers_cannot_be_is_written_as_another(case, changes, words):
    config = dataclasses.replace(hf_config.from_dict(tiny.CASES[case]), **changes)
    with pytest.raises(InputError, match=f"{words}.* Hugging Face form"):
        hf_export.to_dict(config)


def test_yarn_loses_its_own_factors():
    scaling = RopeScaling("yarn", 4.0, 16, beta_fast=8.0, beta_slow=2.0, attention_factor=1.3)
    config = dataclasses.replace(hf_config.from_dict(tiny.CASES["qwen2_scaled_yarn"]), rope_scaling=scaling)
    assert hf_config.from_dict(hf_export.to_dict(config)) == config


def test_gemma_norms_of_a_gguf_are_one_too_large(tmp_path):
    """A GGUF has 1 + scale, Hugging Face scale: ours (offset 0) → Hugging Face subtracts it again."""
    model = ours.build("gemma3_local_global")
    shifted = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf + 1 if "norm" in jax.tree_util.keystr(path) else leaf, model.params
    )
    from_gguf = Model(dataclasses.replace(model.config, norm_offset=0.0), shifted)
    written = contents(reasoning.save(from_gguf, tmp_path / "out"))
    for name, array in written.items():
        np.testing.assert_allclose(array, tiny.weight(name, array.shape), rtol=0, atol=1.2e-7 if "norm" in name else 0)
    assert reread(tmp_path / "out").config == model.config


def test_tree_of_another_model_or_with_a_head_of_its_own_is_cut_to_size(llama, tmp_path):
    layers = {name: layer for name, layer in llama.params["layers"].items() if name != "2"}
    with pytest.raises(InputError, match=r"parameter layers/2/.* the configuration has \[\d.*, the model nothing"):
        reasoning.save(dataclasses.replace(llama, params={**llama.params, "layers": layers}), tmp_path / "out")
    with pytest.raises(InputError, match=r"parameter value/kernel: the configuration has nothing, the model \[48, 1\]"):
        params = {**llama.params, "value": {"kernel": np.zeros((48, 1), np.float32)}}
        reasoning.save(dataclasses.replace(llama, params=params), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_unknown_format_or_shard_size_gives_a_stack_trace(llama, tmp_path):
    with pytest.raises(InputError, match="unknown format 'onnx'.*hf, gguf, orbax"):
        reasoning.save(llama, tmp_path / "out", "onnx")
    with pytest.raises(InputError, match="shard_bytes is 0"):
        reasoning.save(llama, tmp_path / "out", shard_bytes=0)


def test_whole_model_held_twice_while_saving(tmp_path, monkeypatch):
    """Between two shards nothing of the first is kept, and a shard is a small part of the model."""
    model, alive = ours.build("llama_mha_untied"), []
    monkeypatch.setattr(export.Tensor, "array", lambda self: alive.append(self.nbytes) or np.zeros(self.place.shape, np.float32))
    sizes = []

    def write(arrays, file, metadata):
        sizes.append(sum(alive))
        alive.clear()
        file.touch()

    monkeypatch.setattr(safetensors.numpy, "save_file", write)
    reasoning.save(model, tmp_path / "out", shard_bytes=20_000)
    assert max(sizes) <= 20_000 and sum(sizes) == sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
