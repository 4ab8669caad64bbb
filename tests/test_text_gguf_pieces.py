"""SentencePiece vocabularies of GGUF files: ids against llama.cpp's golden and against a twin that merges greedily."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from golden.text import strings
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.errors import InputError
from reasoning.text import gguf_entries, gguf_pieces
from reasoning.text.patterns import Capacity, TableBuilder
from reasoning.text.tokenizer import Tokenizer

GOLDEN = json.loads((Path(__file__).parent / "golden" / "text" / "gemma3.json").read_text(encoding="utf-8"))
OPENING = ["<unk>", "<s>", "</s>", "<think>", "\n\n"]  # unknown, control, control, user-defined, user-defined
KINDS = [2, 3, 3, 4, 4]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def metadata(pieces, /, **changes):
    """A vocabulary in the manner of Llama 2: special tokens, bytes, then `pieces` with their scores."""
    tokens = [*OPENING, *BYTES, *pieces]
    plain = {
        "model": "llama",
        "tokens": tokens,
        "scores": [0.0] * 261 + list(pieces.values()),
        "token_type": KINDS + [6] * 256 + [1] * len(pieces),
        "unknown_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    } | changes
    return {f"tokenizer.ggml.{key}": value for key, value in plain.items() if value is not None}


def twin(text, scores, prefix):
    """Ids as SentencePiece makes them: the best-scored adjacent pair first, the leftmost of equals; bytes for the rest."""
    ids = {token: i for i, token in enumerate([*OPENING, *BYTES, *scores])}
    out = []
    for stretch in re.split("(" + "|".join(map(re.escape, OPENING)) + ")", text):
        if stretch in OPENING:
            out.append(ids[stretch])
            continue
        symbols = list((" " * (prefix and stretch != "") + stretch).replace(" ", "▁"))
        while True:
            pairs = [(-scores[a + b], i) for i, (a, b) in enumerate(itertools.pairwise(symbols)) if a + b in scores]
            if not pairs:
                break
            at = min(pairs)[1]
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        for symbol in symbols:
            out += [ids[symbol]] if symbol in scores else [ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
    return out


@st.composite
def vocabularies(draw):
    """Pieces, each but the first three joined from two earlier ones, with distinct scores in any order."""
    pieces = list("ab▁")
    for _ in range(draw(st.integers(2, 14))):
        joined = draw(st.sampled_from(pieces)) + draw(st.sampled_from(pieces))
        if joined not in pieces:
            pieces.append(joined)
    return {piece: -float(rank) for piece, rank in zip(pieces, draw(st.permutations(range(len(pieces)))), strict=True)}


PARTS = st.sampled_from(
    ["a", "b", "ab", "aa", "ba", "bab", " ", "▁", "é", "😀", "\n", "<s>", "<think>", "<0x0A>", "\n\n", "<unk>"]
)


@settings(max_examples=250, deadline=None)
@given(scores=vocabularies(), text=st.lists(PARTS, max_size=24).map("".join), prefix=st.booleans())
def test_merges_join_other_pairs_than_sentencepiece(scores, text, prefix):
    tokenizer = Tokenizer.from_gguf(metadata(scores, add_space_prefix=prefix))
    assert tokenizer.encode(text) == [1, *twin(text, scores, prefix)]


SMALL = {piece: -float(rank) for rank, piece in enumerate(["ab", "▁ab", "▁a", "▁", "a", "b"])}


def test_forced_text_gets_a_space_that_nobody_wrote():
    """The prefix belongs to the beginning of a text, not to a script that continues one."""
    tokenizer = Tokenizer.from_gguf(metadata(SMALL))
    pieces = tokenizer.token_bytes(tokenizer.size)
    for text in ("ab", " ab", "\nab", "é", "<s>"):
        assert b"".join(pieces[i] for i in tokenizer.encode(text, bos=False)) == text.encode()
    assert tokenizer.encode("", bos=False) == []
    assert tokenizer.encode("ab") == [1, tokenizer.encode(" ab", bos=False)[0]]
    assert tokenizer.decode(tokenizer.encode("ab<s>ab", bos=False)) == "ab<s> ab"


def test_chat_text_loses_the_space_at_its_beginning():
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    tokenizer = Tokenizer.from_gguf(metadata(SMALL) | {"tokenizer.chat_template": template})
    assert tokenizer.decode(tokenizer.encode_chat([{"role": "user", "content": "ab"}])) == " ab"


def test_unknown_characters_are_lost_without_byte_tokens():
    tokens = {"tokens": [*OPENING, *SMALL], "token_type": KINDS + [1] * 6, "scores": [0.0] * 5 + list(SMALL.values())}
    assert Tokenizer.from_gguf(metadata(SMALL, add_space_prefix=False, **tokens)).encode("aéü") == [1, 9, 0]
    with pytest.raises(InputError, match="neither 256 byte tokens nor an unknown token"):
        Tokenizer.from_gguf(metadata(SMALL, unknown_token_id=None, **tokens))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": None}, "no scores"),
        ({"scores": [1.0]}, "267 tokens but 1 scores"),
        ({"scores": [0.0] * 261 + [-1.0, -1.0, -2.0, -3.0, -4.0, -5.0]}, "'ab' and '▁ab' one score.*tokenizer.json"),
        ({"bos_token_id": 900}, "bos id 900"),
    ],
)
def test_damaged_pieces_give_a_stack_trace(changes, message):
    with pytest.raises(InputError, match=message):
        Tokenizer.from_gguf(metadata(SMALL, **changes))


def test_gemma_gives_other_ids_than_llama_cpp_on_one_of_10_000_strings(gemma3_tokenizer):
    texts, encode = strings.strings(), gemma3_tokenizer.encode
    for i, ids in GOLDEN["sample"]:
        assert encode(texts[i], bos=False) == ids, texts[i]
    starts = range(0, strings.COUNT, strings.BLOCK)
    mine = [strings.digest([encode(text, bos=False) for text in texts[i : i + strings.BLOCK]]) for i in starts]
    assert mine == GOLDEN["digests"]


def test_gemma_reads_other_bytes_than_its_ids_stand_for(gemma3_tokenizer):
    """Decoded, streamed and as pattern tables see them; "▁" itself is written as the space that it means."""
    tokenizer = gemma3_tokenizer
    pieces = tokenizer.token_bytes(262_144)
    for text in strings.strings()[::37]:
        ids, wanted = tokenizer.encode(text, bos=False), text.replace("▁", " ")
        assert tokenizer.decode(ids).replace("▁", " ") == wanted
        assert b"".join(pieces[i] for i in ids).decode().replace("▁", " ") == wanted
        stream = tokenizer.stream()
        assert ("".join(map(stream.push, ids)) + stream.flush()).replace("▁", " ") == wanted
    assert (pieces[107], pieces[138], pieces[249], pieces[506]) == (b"\n", b"  ", b"\x0b", b" the")


def test_gemma_runs_past_its_end_of_turn_or_samples_padding(gemma3_tokenizer):
    tokenizer = gemma3_tokenizer
    assert (tokenizer.size, tokenizer.bos_id, tokenizer.pad_id) == (262_144, 2, 0)
    assert tokenizer.stop_ids == (1, 106)  # <eos>, <end_of_turn>, although a base model has no chat template
    assert tokenizer.encode("<start_of_turn>user\n") == [2, 105, 2364, 107]
    assert np.flatnonzero(~tokenizer.real_ids).size == 0
    with pytest.raises(InputError, match="no chat template"):
        tokenizer.encode_chat([{"role": "user", "content": "hi"}])


def test_pattern_over_a_piece_of_gemma_is_missed(gemma3_tokenizer):
    """Patterns begin and end inside tokens: "</think>" after "\\n\\n", "Answer:" inside " Answer", newlines in one token."""
    tokenizer = gemma3_tokenizer
    builder = TableBuilder(tokenizer.token_bytes(262_144), capacity=Capacity(patterns=3))
    numbers = [builder.pattern(text) for text in ("</think>", "Answer:", "\n\n")]
    tables = builder.build().patterns
    for number, text in zip(numbers, ("so.\n\n</think> x", "Final Answer: 5", "a\n\n\nb"), strict=True):
        state, ends = 0, []
        for token in tokenizer.encode(text, bos=False):
            kind = tables.classes[number, token]
            ends.append(int(tables.end[number, state, kind]))
            state = int(tables.next[number, state, kind])
        assert sum(end > 0 for end in ends) == 1, text


def test_entries_of_a_vocabulary_keep_unused_rows():
    tokens = {"tokens": ["a", "b", "[PAD2]"], "token_type": [1, 5, 4], "scores": [0.0, -1.0, -2.0]}
    assert [e.index for e in gguf_entries.read({f"tokenizer.ggml.{key}": value for key, value in tokens.items()})] == [0]


def test_every_cut_of_a_piece_is_a_merge():
    assert list(gguf_pieces.merges({"aaa": 1.0, "a": 0.0, "aa": 2.0})) == [("a", "a"), ("a", "aa"), ("aa", "a")]
