"""Host side of string matching: what the tables hold, what they refuse. Matching itself: tests/test_matching.py."""

import dataclasses

import jax
import numpy as np
import pytest

from reasoning.errors import InputError
from reasoning.text.patterns import Capacity, TableBuilder

BYTES = [bytes([b]) for b in range(256)]
SMALL = Capacity(patterns=3, pattern_bytes=10, classes=40, scripts=2, script_tokens=4, sets=2, residues=12, residue_tokens=3)


def builder(*tokens, capacity=SMALL, **kwargs):
    """256 byte tokens (id = byte), then `tokens` from id 256."""
    return TableBuilder(BYTES + list(tokens), capacity=capacity, **kwargs)


def residue(tables, pattern, token, k):
    """The ids that rewrite what stands before `k` pattern bytes in `token`."""
    patterns = tables.patterns
    row = patterns.residues[patterns.residue_of[patterns.residue_row[pattern, token], k]]
    return row[row >= 0].tolist()


def test_text_before_a_match_is_not_lost():
    tables_of = builder(b".</", b"a>\n\nb", b"\n\n")
    think, paragraph = tables_of.pattern("</think>"), tables_of.pattern("\n\n")
    tables = tables_of.build()
    assert residue(tables, think, 256, 2) == [ord(".")]
    assert residue(tables, paragraph, 257, 2) == [ord("a"), ord(">")]
    assert residue(tables, paragraph, 258, 2) == residue(tables, think, 258, 2) == []
    assert not tables.patterns.residue_row[:, 258].any(), "a token that begins with the pattern takes no room"


def test_self_similar_pattern_keeps_a_residue_for_each_possible_beginning():
    tables_of = builder(b"xabab")
    pattern = tables_of.pattern("ababc")
    tables = tables_of.build()
    assert residue(tables, pattern, 256, 4) == [ord("x")]
    assert residue(tables, pattern, 256, 2) == [ord("x"), ord("a"), ord("b")]


def test_residue_that_cuts_a_character_is_written_with_byte_tokens():
    tables_of = builder(b"\xe2\x80\n\n", encode=lambda text: list(text.encode()))
    assert residue(tables_of.build(), tables_of.pattern("\n\n"), 256, 2) == []  # built before the pattern was added
    assert residue(tables_of.build(), 1, 256, 2) == [0xE2, 0x80]


def test_tokenizer_that_alters_text_does_not_write_the_residue():
    exact = builder(b"ab\n\n", b"ab", encode=lambda text: [ord(c) for c in text])
    spaced = builder(b"ab\n\n", b"ab", encode=lambda text: [ord(c) for c in " " + text])
    for tables_of in (exact, spaced):
        tables_of.pattern("\n\n")
    assert residue(exact.build(), 1, 256, 2) == [ord("a"), ord("b")], "the tokenizer's own ids when they are exact"
    assert residue(spaced.build(), 1, 256, 2) == [257], "the fewest tokens when they are not"


def test_residue_that_the_tokenizer_writes_at_length_is_shortened_to_fit():
    tables_of = builder(b"abcd\n\n", b"abcd", encode=lambda text: list(text.encode()))
    tables_of.pattern("\n\n")
    assert residue(tables_of.build(), 1, 256, 2) == [257]


def test_residue_never_uses_an_id_that_may_not_be_sampled():
    samplable = np.ones(257, bool)  # the mask may stop before the padded rows: id 257 is not samplable
    tables_of = builder(b"ab\n\n", b"ab", samplable=samplable, encode=lambda text: [257])
    tables_of.pattern("\n\n")
    tables = tables_of.build()
    assert residue(tables, 1, 256, 2) == [ord("a"), ord("b")]
    assert tables.samplable.tolist() == [True] * 257 + [False]


def test_vocabulary_that_cannot_write_a_residue_is_an_error():
    tables_of = TableBuilder([b"x\n", b"\n"], capacity=SMALL)
    with pytest.raises(InputError, match="cannot write"):
        tables_of.pattern("\n\n")


def test_new_string_changes_values_and_never_shapes():
    tables_of = builder(b"a>\n\nb")
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tables_of.build())]
    tables_of.pattern("\n\n")
    tables_of.script([1, 2])
    tables_of.vocabulary_set([5])
    assert [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tables_of.build())] == shapes


def test_tables_already_handed_out_do_not_change():
    tables_of = builder(b"a>\n\nb")
    before = tables_of.build()
    assert tables_of.build() is before, "unchanged tables are the same object: they are put on the device once"
    copy = jax.tree.map(np.copy, before)
    tables_of.pattern("\n\n")
    assert tables_of.build() is not before
    jax.tree.map(np.testing.assert_array_equal, copy, before)


def test_same_string_has_one_id():
    tables_of = builder()
    assert [tables_of.pattern(p) for p in ("a", "b", "a", b"b")] == [1, 2, 1, 2]
    assert [tables_of.script(s) for s in ([7], [8, 9], [7])] == [0, 1, 0]
    mask = np.zeros(256, bool)
    mask[[3, 4]] = True
    everything = range(256)
    assert [tables_of.vocabulary_set(s) for s in ([3, 4], mask, everything, [5])] == [1, 1, 0, 2]
    sets = tables_of.build().sets
    assert sets[0].all() and np.flatnonzero(sets[1]).tolist() == [3, 4] and np.flatnonzero(sets[2]).tolist() == [5]


def test_script_is_padded_with_minus_one():
    tables_of = builder(b"Wait", encode=lambda text: [256] if text == "Wait" else [])
    assert tables_of.script("Wait") == 0
    assert tables_of.build().scripts.tolist() == [[256, -1, -1, -1], [-1] * 4]
    assert builder(b"Wait").script("Wait!") == 0, "without a tokenizer a script is written with the fewest tokens"


@pytest.mark.parametrize(
    ("field", "add"),
    [
        ("patterns", lambda b: [b.pattern(p) for p in ("1", "2", "3", "4")]),
        ("pattern_bytes", lambda b: b.pattern("01234567890")),
        ("classes", lambda b: b.pattern("z")),
        ("residues", lambda b: b.pattern("y")),
        ("residue_tokens", lambda b: b.pattern("\n\n")),
        ("scripts", lambda b: [b.script([i]) for i in range(3)]),
        ("script_tokens", lambda b: b.script([1, 2, 3, 4, 5])),
        ("sets", lambda b: [b.vocabulary_set([i]) for i in range(3)]),
    ],
)
def test_capacity_used_up_says_which_and_adds_nothing(field, add):
    tokens = [b"z" * n for n in range(2, 8)] + [bytes([i]) + b"y" for i in range(97, 109)] + [b"long\n\n"]
    tables_of = builder(*tokens, *(b"." * n + b"z" for n in range(50)), capacity=dataclasses.replace(SMALL, classes=30))
    with pytest.raises(InputError, match=rf"Capacity\({field}=\d+\)$"):
        add(tables_of)
    tables_of.pattern("1"), tables_of.script([0]), tables_of.vocabulary_set([0])  # room for these, and they come first
    fresh = builder(*tokens, *(b"." * n + b"z" for n in range(50)), capacity=dataclasses.replace(SMALL, classes=30))
    fresh.pattern("1"), fresh.script([0]), fresh.vocabulary_set([0])
    if field not in ("patterns", "scripts", "sets"):
        jax.tree.map(np.testing.assert_array_equal, tables_of.build(), fresh.build())


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda b: b.pattern(""), "pattern is empty"),
        (lambda b: b.pattern("\ud83d"), "not valid Unicode"),
        (lambda b: b.script("\ud83d"), "not valid Unicode"),
        (lambda b: b.script([]), "script is empty"),
        (lambda b: TableBuilder([b"a"]).script("ab"), "cannot write the script 'ab'"),
        (lambda b: b.script([999]), "outside 0 … 255"),
        (lambda b: b.script([-1]), "outside 0 … 255"),
        (lambda b: b.vocabulary_set([999]), "outside 0 … 255"),
        (lambda b: b.vocabulary_set(np.ones(5, bool)), "5 entries for 256 tokens"),
        (lambda b: b.vocabulary_set([]), "no token that may be sampled"),
    ],
)
def test_text_that_means_nothing_is_one_clear_line(add, message):
    with pytest.raises(InputError, match=message) as error:
        add(builder())
    assert "\n" not in str(error.value)


def test_real_vocabulary_fits_the_default_capacity(qwen05_tokenizer):
    vocabulary = qwen05_tokenizer.token_bytes(151_936)
    tables_of = TableBuilder(vocabulary, qwen05_tokenizer.encode)
    think, paragraph, _ = (tables_of.pattern(p) for p in ("</think>", "\n\n", "<|im_start|>think"))
    tables = tables_of.build()
    assert len(np.unique(tables.patterns.classes[think])) == 22, "151,936 tokens act on </think> in 22 ways"
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(tables)) <= 40e6
    for pattern, text, k, before in ((think, b".</", 2, "."), (paragraph, b">\n\n", 2, ">")):
        assert qwen05_tokenizer.decode(residue(tables, pattern, vocabulary.index(text), k)) == before
    for pattern in (think, paragraph):  # every residue is the exact beginning of its token
        for token in np.flatnonzero(tables.patterns.residue_row[pattern]):
            for k in np.flatnonzero(tables.patterns.residue_of[tables.patterns.residue_row[pattern, token]]):
                written = b"".join(vocabulary[i] for i in residue(tables, pattern, token, k))
                assert written and vocabulary[token].startswith(written)
