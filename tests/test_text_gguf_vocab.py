"""GGUF vocabularies: each pre-tokeniser cuts where llama.cpp cuts, and damaged tables are refused."""

import json
from pathlib import Path

import pytest

from reasoning.errors import InputError
from reasoning.text import gguf_vocab

CROSSING = json.loads((Path(__file__).parent / "golden" / "text" / "crossing.json").read_text(encoding="utf-8"))


def metadata(**changes):
    plain = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": CROSSING["tokens"],
        "tokenizer.ggml.merges": CROSSING["merges"],
    }
    plain.update({f"tokenizer.ggml.{key}": value for key, value in changes.items()})
    return {key: value for key, value in plain.items() if value is not None}


@pytest.mark.parametrize("name", sorted(CROSSING["ids"]))
def test_pre_tokeniser_cuts_elsewhere_than_llama_cpp(name):
    backend = gguf_vocab.build(metadata(pre=name))
    backend.normalizer = None  # llama.cpp has none
    wrong = [
        text
        for text, ids in zip(CROSSING["texts"], CROSSING["ids"][name], strict=True)
        if backend.encode(text, add_special_tokens=False).ids != ids
    ]
    assert not wrong


def test_golden_vocabulary_cannot_tell_pre_tokenisers_apart():
    distinct = {json.dumps(ids) for ids in CROSSING["ids"].values()}
    # "llama-bpe" and "dbrx" differ in nothing but `ignore_merges`, and so do not differ here.
    assert len(distinct) >= len(CROSSING["ids"]) - 1


@pytest.mark.parametrize("name", ["qwen2", "qwen35"])
def test_decomposed_characters_get_other_ids_than_composed(name):
    backend = gguf_vocab.build(metadata(pre=name))
    assert backend.encode("e\u0301").ids == backend.encode("é").ids


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("tekken", ["Hello", "World", "Ġ", "1", "2", "Ġdon", "'t"]),
        ("gpt-4o", ["Hello", "World", "Ġ", "12", "Ġdon't"]),
        ("llama-bpe", ["HelloWorld", "Ġ", "12", "Ġdon", "'t"]),
    ],
)
def test_pattern_that_llama_cpp_only_approximates_cuts_elsewhere_than_published(name, pieces):
    backend = gguf_vocab.build(metadata(pre=name))
    assert [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str("HelloWorld 12 don't")] == pieces


def test_whole_entry_is_rebuilt_by_merges_where_the_model_ignores_them():
    tokens = [*CROSSING["tokens"], "qzqz"]
    assert gguf_vocab.build(metadata(pre="llama-bpe", tokens=tokens)).encode("qzqz").ids == [700]
    assert gguf_vocab.build(metadata(pre="dbrx", tokens=tokens)).encode("qzqz").ids != [700]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "t5"}, "'t5' vocabulary.*tokenizer.json"),
        ({"model": None}, "no vocabulary"),
        ({"pre": "novel"}, "unknown pre-tokeniser 'novel'.*qwen2"),
        ({"tokens": []}, "no tokens"),
        ({"tokens": ["a", "b", "a"], "merges": []}, "'a' twice"),
        ({"token_type": [1]}, "700 tokens but 1 token types"),
        ({"merges": None}, "no merges"),
        ({"merges": ["ab"]}, "'ab'"),
        ({"merges": ["q zzzz"]}, "merges do not fit"),
        ({"bos_token_id": 900, "add_bos_token": True}, "bos id 900"),
    ],
)
def test_damaged_vocabulary_gives_a_stack_trace(changes, message):
    with pytest.raises(InputError, match=message):
        gguf_vocab.build(metadata(**changes))


def test_end_token_that_the_file_demands_is_left_out():
    backend = gguf_vocab.build(metadata(bos_token_id=3, add_bos_token=True, eos_token_id=5, add_eos_token=True))
    assert backend.encode("a").ids == [3, *backend.encode("a", add_special_tokens=False).ids, 5]
