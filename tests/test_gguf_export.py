"""GGUF files of ours: the same bytes as llama.cpp's converter writes, the same model and ids when they are read."""

import dataclasses

import gguf
import jax
import numpy as np
import pytest
from doubles import vocabulary, weight_files
from golden.models import ours, tiny
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

import reasoning
from reasoning.errors import InputError
from reasoning.models.config import RopeScaling
from reasoning.models.model import Model
from reasoning.text import gguf_vocab
from reasoning.text.gguf_vocab_export import describe
from reasoning.text.tokenizer import Tokenizer
from reasoning.weights import catalogue
from reasoning.weights.gguf import GgufFile
from reasoning.weights.load import open_weights, read_params


def opened(path, dtype="float32") -> Model:
    files, config = open_weights(path)
    return Model(config, read_params(files, config, dtype))


def raw(path):
    """{name: (type, bytes)} as the gguf package reads a file."""
    return {tensor.name: (tensor.tensor_type.name, tensor.data.tobytes()) for tensor in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("family", sorted(weight_files.CONFIGS))
def test_rows_are_permuted_otherwise_than_the_converter_permutes_them(family, tmp_path):
    config, tensors = weight_files.config(family), weight_files.tensors(family)
    theirs = weight_files.write_gguf(tmp_path / "theirs.gguf", config, tensors)
    model = opened(weight_files.write_hf(tmp_path / "hf", config, tensors))
    mine = reasoning.save(model, tmp_path / "mine.gguf", "gguf")
    assert raw(mine) == raw(theirs)
    # Gemma's norms are w + 1 in a GGUF and w in Hugging Face's files.
    offset = dataclasses.replace(model.config, norm_offset=0.0)
    assert opened(mine).config == opened(theirs).config == offset
    again = reasoning.save(opened(mine), tmp_path / "again.gguf", "gguf")
    assert again.read_bytes() == mine.read_bytes()


@pytest.mark.parametrize(("dtype", "kind"), [("float32", "F32"), ("bfloat16", "BF16"), ("float16", "F16")])
def test_gguf_changes_on_the_way_through_hugging_face(dtype, kind, tmp_path):
    """GGUF → Hugging Face → GGUF, byte for byte, and every matrix has the type asked for."""
    source = weight_files.write_hf(tmp_path / "hf", weight_files.config("qwen2"), weight_files.tensors("qwen2"))
    first = reasoning.save(opened(source, dtype), tmp_path / "first.gguf", "gguf")
    types = GgufFile(first).types
    assert {types[name] for name in types if not name.endswith(("norm.weight", "bias"))} == {kind}
    assert {types[name] for name in types if name.endswith(("norm.weight", "bias"))} == {"F32"}
    assert GgufFile(first).quantisation == kind
    middle = reasoning.save(opened(first, dtype), tmp_path / "middle")
    last = reasoning.save(opened(middle, dtype), tmp_path / "last.gguf", "gguf")
    assert last.read_bytes() == first.read_bytes()


def gemma(**changes):
    """A tiny Gemma 3 that a GGUF can express: the query scale follows from the head, layers repeat with one period."""
    values = tiny.CASES["gemma3_local_global"] | {"query_pre_attn_scalar": 16, **changes}
    kinds = ["sliding_attention" if (i + 1) % 2 else "full_attention" for i in range(values["num_hidden_layers"])]
    tensors = {}
    config = values | {"layer_types": kinds}
    model = ours.build_from(config)
    for name in ("model.norm.weight", "model.layers.1.self_attn.q_norm.weight", "model.layers.3.input_layernorm.weight"):
        tensors[name] = tiny.weight(name, (16,) if "q_norm" in name else (32,))
    return model, tensors


def test_gemma_norms_are_stored_without_their_one(tmp_path):
    model, tensors = gemma()
    file = reasoning.save(model, tmp_path / "gemma.gguf", "gguf")
    stored = GgufFile(file)
    assert np.array_equal(stored.read("output_norm.weight"), tensors["model.norm.weight"] + 1)
    assert np.array_equal(stored.read("blk.1.attn_q_norm.weight"), tensors["model.layers.1.self_attn.q_norm.weight"] + 1)
    assert np.array_equal(stored.read("blk.3.attn_norm.weight"), tensors["model.layers.3.input_layernorm.weight"] + 1)
    assert stored.metadata["gemma3.attention.sliding_window_pattern"] == 2
    loaded = opened(file)
    assert loaded.config == dataclasses.replace(model.config, norm_offset=0.0)
    through = reasoning.save(opened(reasoning.save(loaded, tmp_path / "hf")), tmp_path / "again.gguf", "gguf")
    assert through.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("case", "scaling"),
    [
        ("llama_scaled_linear", None),
        ("llama_mha_untied", RopeScaling("llama3", 32.0, 8192, 1.0, 4.0)),
        ("qwen2_scaled_yarn", None),
        ("llama_mqa_bias", None),
    ],
)
def test_rope_scaling_or_bias_is_lost_in_a_gguf(case, scaling, tmp_path):
    model = ours.build(case)
    if scaling is not None:
        model = Model(dataclasses.replace(model.config, rope_scaling=scaling, rope_theta=5e5), model.params)
    loaded = opened(reasoning.save(model, tmp_path / "x.gguf", "gguf"))
    assert loaded.config == model.config
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, loaded.params, model.params)))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("qwen2_window", "window = 4"),
        ("llama_scaled_llama3", "rope_freqs"),  # a context of 16 where every reader of GGUF assumes 8192
        ("gemma3_local_global", "query_scale|local_layers"),
    ],
)
def test_model_that_a_gguf_cannot_be_is_written_as_another(case, words, tmp_path):
    with pytest.raises(InputError, match=f"{words}") as error:
        reasoning.save(ours.build(case), tmp_path / "x.gguf", "gguf")
    assert "no GGUF form" in str(error.value) and "orbax" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_vocabulary_changes_on_the_way_through_a_gguf(tmp_path):
    tensors = weight_files.tensors("llama")
    tensors["model.embed_tokens.weight"] = np.zeros((vocabulary.SIZE, weight_files.D), np.float32)
    config = weight_files.config("llama", vocab_size=vocabulary.SIZE)
    model = dataclasses.replace(opened(weight_files.write_hf(tmp_path / "hf", config, tensors)), tokenizer=vocabulary.tokenizer())
    first = reasoning.save(model, tmp_path / "first.gguf", "gguf")
    assert {key: value for key, value in GgufFile(first).metadata.items() if key.startswith("tokenizer.")} == {
        **vocabulary.metadata(),
    }
    loaded = reasoning.load(reasoning.save(reasoning.load(first, "stored"), tmp_path / "middle"), "stored")
    assert [loaded.tokenizer.encode(text) for text in vocabulary.TEXTS] == [
        model.tokenizer.encode(text) for text in vocabulary.TEXTS
    ]
    assert loaded.tokenizer.stop_ids == model.tokenizer.stop_ids
    assert reasoning.save(loaded, tmp_path / "last.gguf", "gguf").read_bytes() == first.read_bytes()


@pytest.mark.parametrize("name", ["smollm2", "qwen05"])
@pytest.mark.slow
def test_real_vocabulary_changes_on_the_way_through_a_gguf(name, request):
    """Every key that we write is what the published file says (tokens, types, merges, ids, template)."""
    model = request.getfixturevalue(name)
    published = GgufFile(catalogue.fetch(model.name).path).metadata
    written = describe(model.tokenizer, model.config.vocab_size)
    assert written.pop("tokenizer.ggml.add_eos_token") is False
    assert {key: published.get(key) for key in written} == written


@pytest.mark.parametrize("pre", sorted({pre: name for name, pre in reversed(gguf_vocab.PRE_TOKENIZERS.items())}.values()))
def test_pre_tokeniser_is_named_otherwise(pre):
    """Names with equal patterns are one to llama.cpp too; the first of them is written."""
    written = describe(vocabulary.tokenizer(pre), vocabulary.SIZE)["tokenizer.ggml.pre"]
    assert gguf_vocab.PRE_TOKENIZERS[written]._replace(add_bos=False) == gguf_vocab.PRE_TOKENIZERS[pre]._replace(add_bos=False)


def changed(**parts):
    """The small tokenizer with other parts of its pipeline."""
    backend = Backend.from_str(vocabulary.tokenizer().backend.to_str())
    for name, part in parts.items():
        setattr(backend, name, part)
    return Tokenizer(backend, special_tokens=vocabulary.tokenizer().special_tokens)


def test_published_spelling_of_a_pre_tokeniser_is_not_recognised():
    """SmolLM2's tokenizer.json says Digits and ByteLevel with GPT-2's pattern built in."""
    published = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    smollm = changed(pre_tokenizer=pre_tokenizers.Sequence(published), normalizer=None)
    assert describe(smollm, vocabulary.SIZE)["tokenizer.ggml.pre"] == "smollm"
    gpt2 = changed(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False), normalizer=None)
    assert describe(gpt2, vocabulary.SIZE)["tokenizer.ggml.pre"] == "gpt-2"


def test_beginning_and_end_of_a_text_are_forgotten():
    written = describe(vocabulary.tokenizer(**{"ggml.add_bos_token": True, "ggml.add_eos_token": True}), vocabulary.SIZE)
    assert written["tokenizer.ggml.add_bos_token"] is True and written["tokenizer.ggml.add_eos_token"] is True


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"pre_tokenizer": pre_tokenizers.Whitespace()}, "step Whitespace"),
        ({"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)}, "step ByteLevel"),
        ({"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)}, "no pre-tokeniser of llama.cpp"),
        ({"normalizer": normalizers.Lowercase()}, "normaliser Lowercase"),
        ({"decoder": decoders.Fuse()}, "not byte-level BPE"),
        ({"model": models.WordLevel({"a": 0}, "a")}, "WordLevel"),
        (
            {"post_processor": processors.TemplateProcessing(single="$A <think>", special_tokens=[("<think>", 704)])},
            "more than bos",
        ),
    ],
)
def test_tokeniser_without_a_gguf_form_is_written_as_another(parts, words):
    with pytest.raises(InputError, match=f"cannot be written into a GGUF: .*{words}.*save the model as hf or orbax"):
        describe(changed(**parts), vocabulary.SIZE)


def test_tokens_beyond_the_embedding_are_cut_off():
    with pytest.raises(InputError, match="705 tokens and the embedding 700 rows"):
        describe(vocabulary.tokenizer(), 700)
