"""Files: every quantisation, and no truncated or corrupt file that gets through or hangs."""

import dataclasses
import json
import struct

import gguf
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from doubles import weight_files
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.errors import InputError
from reasoning.models.model import Model
from reasoning.weights.gguf import GgufFile
from reasoning.weights.load import open_weights, read_params
from reasoning.weights.safetensors import SafetensorsFiles

_TYPES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S IQ4_NL"
_TYPES += " IQ4_XS TQ1_0 TQ2_0 MXFP4"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Path and bytes of a tiny llama GGUF, with its metadata and tensors."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    weight_files.write_gguf(file, weight_files.config("llama"), weight_files.tensors("llama"))
    return file


def raw_gguf(path, kind, data, shape):
    """A GGUF with one tensor "x" of `kind` whose bytes are `data`."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("x", data, raw_shape=shape, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GgufFile(path)


@pytest.mark.parametrize("name", _TYPES.split())
def test_type_that_the_package_knows_is_refused_or_shifted_by_chunks(tmp_path, monkeypatch, name):
    """Chunked dequantisation of random bytes equals the package's own, on shapes that end inside a chunk."""
    monkeypatch.setattr("reasoning.weights.gguf._CHUNK", 1024)
    kind = gguf.GGMLQuantizationType[name]
    block, width = gguf.GGML_QUANT_SIZES[kind]
    shape = (5, 3 * max(block, 32))
    size = shape[0] * shape[1] // block
    data = np.random.default_rng(0).integers(0, 120, size=(shape[0], size // shape[0] * width), dtype=np.uint8)  # no NaN scale
    file = raw_gguf(tmp_path / "x.gguf", kind, data, data.shape)
    expected = gguf.quants.dequantize(data, kind)
    assert file.types == {"x": name} and file.shapes == {"x": expected.shape}
    assert np.array_equal(file.read("x"), expected.reshape(shape), equal_nan=True)
    assert np.array_equal(file.read("x", ml_dtypes.bfloat16), expected.astype(ml_dtypes.bfloat16), equal_nan=True)


def test_norms_of_a_gemma_gguf_are_one_too_large_or_too_small(tmp_path):
    """Hugging Face stores w of (1 + w) and llama.cpp's converter 1 + w; logits agree, windows crossed and query scale read."""
    config, tensors = weight_files.config("gemma3"), weight_files.tensors("gemma3")
    tensors = {name: array * (0.3 if array.ndim == 1 else 0.1) for name, array in tensors.items()}
    paths = weight_files.write_hf(tmp_path / "hf", config, tensors), weight_files.write_gguf(tmp_path / "x.gguf", config, tensors)
    tokens = np.random.default_rng(0).integers(0, weight_files.V, (2, 11))
    logits = []
    for path in paths:
        files, found = open_weights(path)
        logits.append(np.asarray(Model(found, read_params(files, found)).logits(tokens)))
        offset = found.norm_offset
        assert dataclasses.replace(found, norm_offset=1.0) == open_weights(paths[0])[1]
    assert offset == 0.0 and logits[0].std() > 0.1
    np.testing.assert_allclose(logits[0], logits[1], rtol=0, atol=1e-5)


def test_header_differs_from_the_package(tiny):
    ours, theirs = GgufFile(tiny), gguf.GGUFReader(tiny)
    expected = {key: field.contents() for key, field in theirs.fields.items() if not key.startswith("GGUF.")}
    assert ours.metadata == expected
    assert {t.name: tuple(reversed(t.shape.tolist())) for t in theirs.tensors} == ours.shapes
    for tensor in theirs.tensors:
        assert np.array_equal(ours.read(tensor.name), tensor.data)


def test_metadata_types_garbled(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    values = {"bool": True, "int8": -3, "uint16": 65535, "int32": -70000, "uint64": 2**63, "int64": -(2**62), "float32": 0.5}
    for kind, value in {**values, "float64": 0.1, "string": "naïve ▁"}.items():
        getattr(writer, f"add_{kind}")(f"a.{kind}", value)
    writer.add_array("a.strings", ["x", "", "ü"])
    writer.add_array("a.floats", [1.5, -2.0])
    writer.add_array("a.bools", [True, False])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = GgufFile(tmp_path / "m.gguf").metadata
    assert {key: found[f"a.{key}"] for key in values} == values and found["a.float64"] == 0.1
    assert found["a.string"] == "naïve ▁" and found["a.strings"] == ["x", "", "ü"]
    assert found["a.floats"] == [1.5, -2.0] and found["a.bools"] == [True, False]


def test_truncated_gguf_loads(tiny, tmp_path):
    """Cut anywhere (header, vocabulary, tensor infos, last byte of the last tensor): one clear error with the path."""
    whole, file = tiny.read_bytes(), tmp_path / "cut.gguf"
    for size in [0, 3, 4, 7, 12, 24, 25, 60, *range(100, len(whole), 997), len(whole) - 40, len(whole) - 1]:
        file.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut\.gguf.*(fetch|path)"):
            GgufFile(file)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 3000), value=st.integers(0, 255))
def test_corrupt_header_hangs_or_escapes(tiny, tmp_path_factory, position, value):
    """A wrong byte in the header (claimed counts included) gives InputError or another readable file, and does it at once."""
    damaged = bytearray(tiny.read_bytes())
    damaged[position] = value
    file = tmp_path_factory.getbasetemp() / "damaged.gguf"
    file.write_bytes(damaged)
    try:
        files, config = open_weights(file)
        read_params(files, config)
    except InputError as error:
        assert str(file) in str(error) and "\n" not in str(error)


def test_claimed_layers_fill_the_memory(tmp_path):
    """Found by the test above: a block_count of 33 million made 14 GB of names before anything was compared."""
    config, tensors = weight_files.config("llama"), weight_files.tensors("llama")
    file = weight_files.write_gguf(tmp_path / "x.gguf", {**config, "num_hidden_layers": 1 << 25}, tensors)
    with pytest.raises(InputError, match="block_count is 33,554,432 but there are 20 tensors"):
        open_weights(file)
    files, found = open_weights(weight_files.write_hf(tmp_path / "hf", {**config, "num_hidden_layers": 1 << 25}, tensors))
    with pytest.raises(InputError, match="33,554,432 layers but 20 tensors"):
        read_params(files, found)


def test_weight_beyond_float16_becomes_infinite(tmp_path):
    tensors = weight_files.tensors("llama")
    tensors["model.layers.0.mlp.down_proj.weight"][1, 2] = 1e5
    files, config = open_weights(weight_files.write_hf(tmp_path / "hf", weight_files.config("llama"), tensors))
    assert np.isfinite(read_params(files, config, "float32")["layers"]["0"]["mlp"]["down"]["kernel"]).all()
    with pytest.raises(InputError, match=r"layers/0/mlp/down/kernel .*float16.*bfloat16"):
        read_params(files, config, np.float16)


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [(0, b"GGML", "not a GGUF"), (4, struct.pack("<I", 1), "version 1"), (16, struct.pack("<Q", 1 << 60), "breaks off")],
)
def test_wrong_magic_version_or_count(tiny, tmp_path, offset, value, words):
    damaged = bytearray(tiny.read_bytes())
    damaged[offset : offset + len(value)] = value
    (tmp_path / "x.gguf").write_bytes(damaged)
    with pytest.raises(InputError, match=words):
        GgufFile(tmp_path / "x.gguf")


def test_truncated_safetensors_loads(tmp_path):
    path = weight_files.write_hf(tmp_path / "hf", weight_files.config("llama"), weight_files.tensors("llama"))
    file = path / "model.safetensors"
    whole = file.read_bytes()
    for size in (0, 5, 100, 3000, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"model\.safetensors: .*fetch it again"):
            SafetensorsFiles(path)


def test_missing_shard_or_stale_index(tmp_path):
    path = weight_files.write_hf(tmp_path / "hf", weight_files.config("llama"), weight_files.tensors("llama"), shards=2)
    index, shard = path / "model.safetensors.index.json", path / "model-00002-of-00002.safetensors"
    listed = json.loads(index.read_text())
    listed["weight_map"]["extra"] = shard.name
    index.write_text(json.dumps(listed))
    with pytest.raises(InputError, match="'extra' is not in"):
        SafetensorsFiles(path)
    listed["weight_map"]["extra"] = "../secret.safetensors"
    index.write_text(json.dumps(listed))
    with pytest.raises(InputError, match="outside of the directory"):
        SafetensorsFiles(path)
    index.write_text("[]")
    with pytest.raises(InputError, match="not an index"):
        SafetensorsFiles(path)
    del listed["weight_map"]["extra"]
    index.write_text(json.dumps(listed))
    shard.unlink()
    with pytest.raises(InputError, match=r"00002.*missing"):
        SafetensorsFiles(path)


def test_directory_without_or_with_several_weight_files(tmp_path):
    with pytest.raises(InputError, match="holds 0 safetensors"):
        SafetensorsFiles(tmp_path)
    for name in ("a", "b"):
        safetensors.numpy.save_file({name: np.zeros(2, np.float32)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match="holds 2 safetensors"):
        SafetensorsFiles(tmp_path)


def test_integer_weights_cast_to_nonsense(tmp_path):
    safetensors.numpy.save_file({"w": np.zeros(4, np.int8)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"'w' has type I8.*GGUF"):
        SafetensorsFiles(tmp_path)


def test_bfloat16_safetensors_changed_on_the_way(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 6)).astype(ml_dtypes.bfloat16)
    safetensors.numpy.save_file({"w": values}, tmp_path / "model.safetensors")
    files = SafetensorsFiles(tmp_path)
    assert files.types == {"w": "BF16"} and files.quantisation == "BF16"
    assert np.array_equal(files.read("w", ml_dtypes.bfloat16).view(np.uint16), values.view(np.uint16))
    assert np.array_equal(files.read("w"), values.astype(np.float32))
