"""Incremental text: the same as decoding everything at once, and never half a character on the way."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.text.stream import Detokenizer

# One token a byte, and some that begin or end inside a character.
PIECES = [bytes([byte]) for byte in range(256)]
PIECES += [b"", "é".encode(), "😀".encode()[:3], "😀".encode()[1:], "日本".encode(), "日本".encode()[2:5], b" the", b"<|end|>"]
SPECIAL = frozenset({len(PIECES) - 1})

ids_of_text = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=4).map(lambda text: list(text.encode())),
        st.integers(0, len(PIECES) - 1).map(lambda i: [i]),
    ),
    max_size=20,
).map(lambda parts: [i for part in parts for i in part])


@settings(max_examples=300, deadline=None)
@given(ids=ids_of_text, skip=st.booleans())
def test_streamed_text_differs_from_decoded_text(ids, skip):
    skipped = SPECIAL if skip else frozenset()
    whole = b"".join(PIECES[i] for i in ids if i not in skipped).decode("utf-8", "replace")
    stream = Detokenizer(PIECES, skipped)
    pushed = [stream.push(i) for i in ids]
    assert "".join(pushed) + stream.flush() == whole
    assert "\ufffd" in whole or not any("\ufffd" in text for text in pushed)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_push_shows_half_a_character(text):
    stream = Detokenizer(PIECES)
    seen = ""
    for byte in text.encode():
        seen += stream.push(byte)
        assert text.startswith(seen)
    assert seen == text
    assert stream.flush() == ""


def test_next_stream_begins_with_the_rest_of_the_last():
    stream = Detokenizer(PIECES)
    assert stream.push("é".encode()[0]) == ""
    assert stream.flush() == "\ufffd"
    assert stream.push(ord("a")) == "a"


def test_id_of_a_padding_row_breaks_the_stream():
    stream = Detokenizer(PIECES)
    first, second = "é".encode()
    assert [stream.push(i) for i in (first, 100_000, -1, second)] == ["", "", "", "é"]


def test_stream_of_a_real_vocabulary_differs_from_decode(qwen05_tokenizer):
    tokenizer = qwen05_tokenizer
    ids = tokenizer.encode("<|im_start|>naïve 👨‍👩‍👧‍👦 日本語 \u00e9\n\t𝔘")
    stream = tokenizer.stream()
    assert "".join(map(stream.push, ids)) + stream.flush() == tokenizer.decode(ids)
    bare = tokenizer.stream(skip_special=True)
    assert "".join(map(bare.push, ids)) == tokenizer.decode(ids, skip_special=True)
