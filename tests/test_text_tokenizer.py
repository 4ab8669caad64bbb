"""Ids and text: the real vocabularies against their witnesses, and both ways of loading a tokeniser."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from reasoning.errors import InputError
from reasoning.text.tokenizer import Tokenizer

GOLDEN = Path(__file__).parent / "golden" / "text"
CROSSING = json.loads((GOLDEN / "crossing.json").read_text(encoding="utf-8"))
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|turn|>\n{% endfor %}{% if add_generation_prompt %}<|say|>{% endif %}"
)


def tiny(**changes):
    """Metadata of a small vocabulary: 700 ordinary tokens, four control, one user-defined, three padding rows."""
    tokens = [
        *CROSSING["tokens"],
        "<|endoftext|>",
        "<|turn|>",
        "<|user|>",
        "<|say|>",
        "<think>",
        "[PAD705]",
        "[PAD706]",
        "[PAD707]",
    ]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * 700 + [3] * 4 + [4, 5, 5, 5],
        "tokenizer.ggml.merges": CROSSING["merges"],
        "tokenizer.ggml.bos_token_id": 700,
        "tokenizer.ggml.eos_token_id": 700,
        "tokenizer.chat_template": TEMPLATE,
    }
    metadata.update({f"tokenizer.{key}": value for key, value in changes.items()})
    return metadata


def directory(tmp_path, tokenizer, **configs):
    """A model directory with the tokeniser's pipeline and JSON files of the given names."""
    tokenizer.backend.save(str(tmp_path / "tokenizer.json"))
    for name, value in configs.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["smollm2", "qwen05"])
def test_real_vocabulary_gives_other_ids_than_its_witnesses(name, request):
    tokenizer = request.getfixturevalue(f"{name}_tokenizer")
    cases = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    wrong = [case["text"] for case in cases if tokenizer.encode(case["text"]) != case["ids"]]
    assert not wrong


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=40))
def test_text_is_lost_on_the_way_to_ids_and_back(text, qwen05_tokenizer):
    tokenizer = qwen05_tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


def test_padding_row_can_be_sampled(qwen05_tokenizer):
    tokenizer = qwen05_tokenizer
    assert tokenizer.size == 151_665
    assert tokenizer.real_ids.all()
    assert tokenizer.token_bytes(151_936)[151_665:] == [b""] * 271


def test_hole_between_real_ids_can_be_sampled():
    kinds = [1] * 700 + [3, 5, 3, 3, 4, 5, 5, 5]
    tokenizer = Tokenizer.from_gguf(tiny(**{"ggml.token_type": kinds}))
    assert tokenizer.size == 705
    assert np.flatnonzero(~tokenizer.real_ids).tolist() == [701]
    assert tokenizer.token_bytes(705)[701] == b""


def test_padding_row_that_an_old_converter_called_user_defined_can_be_sampled():
    tokenizer = Tokenizer.from_gguf(tiny(**{"ggml.token_type": [1] * 700 + [3] * 4 + [4, 4, 4, 4]}))
    assert tokenizer.size == 705


def test_bytes_of_tokens_do_not_join_to_the_text(qwen05_tokenizer):
    tokenizer = qwen05_tokenizer
    text = "<|im_start|>naïve 😀\n\t12 <tool_call>"
    pieces = tokenizer.token_bytes(151_936)
    assert b"".join(pieces[i] for i in tokenizer.encode(text)) == text.encode()
    assert pieces[tokenizer.encode("<|im_end|>")[0]] == b"<|im_end|>"


def test_special_token_text_survives_skip_special():
    tokenizer = Tokenizer.from_gguf(tiny())
    ids = tokenizer.encode("<|user|>a<think>b<|turn|>")
    assert tokenizer.decode(ids) == "<|user|>a<think>b<|turn|>"
    assert tokenizer.decode(np.array(ids, np.int32), skip_special=True) == "a<think>b"


def test_id_beyond_the_vocabulary_breaks_decoding():
    tokenizer = Tokenizer.from_gguf(tiny())
    assert tokenizer.decode([*tokenizer.encode("a"), 706, 100_000, -1]) == "a"


def test_response_runs_past_the_end_of_turn(smollm2_tokenizer, qwen05_tokenizer):
    assert smollm2_tokenizer.stop_ids == (0, 2)  # <|endoftext|>, <|im_end|>
    assert qwen05_tokenizer.stop_ids == (151_643, 151_645)
    assert Tokenizer.from_gguf(tiny()).stop_ids == (700, 701)  # the second is known from the chat template only


def test_template_that_fails_makes_the_model_unloadable():
    tokenizer = Tokenizer.from_gguf(tiny(chat_template="{{ raise_exception('no') }}"))
    assert tokenizer.stop_ids == (700,)


def test_bos_appears_twice_or_never():
    tokenizer = Tokenizer.from_gguf(tiny(**{"ggml.pre": "llama-bpe"}))
    plain = tokenizer.encode("hi", bos=False)
    assert tokenizer.encode("hi") == [700, *plain]
    chat = tokenizer.encode_chat([{"role": "user", "content": "hi"}])
    assert 700 not in chat
    assert tokenizer.decode(chat) == "<|user|>hi<|turn|>\n<|say|>"
    assert Tokenizer.from_gguf(tiny(**{"ggml.pre": "llama-bpe", "ggml.add_bos_token": False})).encode("hi") == plain


def test_chat_without_template_gives_a_stack_trace():
    with pytest.raises(InputError, match=r"no chat template.*prompt="):
        Tokenizer.from_gguf(tiny(chat_template=None)).render([{"role": "user", "content": "hi"}])


def test_half_a_surrogate_pair_gives_a_stack_trace():
    with pytest.raises(InputError, match="not Unicode"):
        Tokenizer.from_gguf(tiny()).encode("a\ud83d")


def test_directory_and_gguf_disagree(tmp_path):
    from_gguf = Tokenizer.from_gguf(tiny())
    config = {"bos_token": {"content": "<|endoftext|>"}, "eos_token": "<|endoftext|>", "chat_template": TEMPLATE}
    path = directory(tmp_path, from_gguf, tokenizer_config=config, generation_config={"eos_token_id": [700, 702]})
    loaded = Tokenizer.from_directory(path)
    for text in CROSSING["texts"]:
        assert loaded.encode(text) == from_gguf.encode(text)
    assert loaded.token_bytes(710) == from_gguf.token_bytes(710)
    assert (loaded.size, loaded.bos_id, loaded.special_ids) == (from_gguf.size, 700, from_gguf.special_ids)
    assert loaded.stop_ids == (700, 701, 702)
    messages = [{"role": "user", "content": "hi"}]
    assert loaded.render(messages) == from_gguf.render(messages)


def test_older_or_newer_place_of_special_tokens_and_template_is_missed(tmp_path):
    base = Tokenizer.from_gguf(tiny(chat_template=None))
    path = directory(tmp_path, base, special_tokens_map={"eos_token": {"content": "<|turn|>"}}, config={"eos_token_id": 700})
    assert Tokenizer.from_directory(path).stop_ids == (700, 701)
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "named"}]
    directory(path, base, tokenizer_config={"chat_template": named})
    assert Tokenizer.from_directory(path).chat_template == "named"
    (path / "chat_template.jinja").write_text("from a file")
    assert Tokenizer.from_directory(path).chat_template == "from a file"


def test_token_listed_only_in_the_config_is_cut_into_pieces(tmp_path):
    listed = {"705": {"content": "<extra>", "special": True, "lstrip": False}}
    path = directory(tmp_path, Tokenizer.from_gguf(tiny()), tokenizer_config={"added_tokens_decoder": listed})
    assert Tokenizer.from_directory(path).encode("<extra>") == [705]
    directory(tmp_path, Tokenizer.from_gguf(tiny()), tokenizer_config={"added_tokens_decoder": {"900": {"content": "<extra>"}}})
    with pytest.raises(InputError, match="<extra>"):
        Tokenizer.from_directory(path)


def test_saved_truncation_shortens_prompts(tmp_path):
    base = Tokenizer.from_gguf(tiny())
    base.backend.enable_truncation(4)
    base.backend.enable_padding(length=64)
    path = directory(tmp_path, base)
    base.backend.no_truncation()
    base.backend.no_padding()
    text = "one two three four five six"
    assert Tokenizer.from_directory(path).encode(text) == base.encode(text)


def test_sentencepiece_directory_writes_its_word_marks(tmp_path):
    backend = Backend(models.BPE({"<0x0A>": 0, "▁a": 1, "b": 2, "<0xF0>": 3}, [], byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer.from_directory(tmp_path).token_bytes(4) == [b"\n", b" a", b"b", b"\xf0"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no tokenizer.json"),
        ({"tokenizer.json": "{"}, "cannot be read as a tokeniser"),
        ({"tokenizer_config.json": "{"}, "is not JSON"),
        ({"tokenizer_config.json": "[]"}, "should hold a JSON object"),
        ({"tokenizer_config.json": '{"chat_template": [{"name": "rag", "template": ""}]}'}, "none called 'default'"),
    ],
)
def test_broken_directory_gives_a_stack_trace(tmp_path, files, message):
    if files:
        Tokenizer.from_gguf(tiny()).backend.save(str(tmp_path / "tokenizer.json"))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        Tokenizer.from_directory(tmp_path)


def test_tokens_without_bytes_of_their_own_are_accepted(tmp_path):
    backend = Backend(models.WordPiece({"[UNK]": 0, "##a": 1}))
    backend.decoder = decoders.WordPiece()
    backend.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match="WordPiece"):
        Tokenizer.from_directory(tmp_path).decode([1])
