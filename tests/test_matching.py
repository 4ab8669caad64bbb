"""String matching on the device against a twin that searches bytes, and the laws of fold, rewind and compilation."""

import dataclasses
import re

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from reasoning.decode import matching
from reasoning.text.patterns import Capacity, TableBuilder

advance, advance_any = jax.jit(matching.advance), jax.jit(matching.advance_any)
fold, fold_any = jax.jit(matching.fold), jax.jit(matching.fold_any)
locate = jax.jit(matching.locate, static_argnames="reach")

B, S, V, N = 3, 24, 20, 2  # rows, stream length, vocabulary, patterns a row
CAPACITY = Capacity(patterns=N, pattern_bytes=8, classes=64, scripts=3, sets=3, script_tokens=4, residues=64, residue_tokens=8)
LETTERS = [b"a", b"b", b"\n", b"<", b"|", b">"]
many = hypothesis.settings(max_examples=100, deadline=None)


class ByteSearch:
    """The twin: keeps the pieces since the last match, or since the last token without text, and searches them."""

    def __init__(self, vocabulary, patterns):
        self.vocabulary, self.patterns, self.pieces = vocabulary, patterns, []

    def push(self, token):
        """None, or (pattern index, tokens touched, residue bytes, overflow bytes) of a match that ends in `token`."""
        piece = self.vocabulary[token]
        self.pieces = [*self.pieces, piece] if piece else []
        text = b"".join(self.pieces)
        found = [(text.find(p) + len(p), index) for index, p in enumerate(self.patterns) if p and p in text]
        if not found:
            return None
        stop, index = min(found)
        begin = stop - len(self.patterns[index])
        starts = np.cumsum([0, *map(len, self.pieces)])
        first = int(np.searchsorted(starts, begin, side="right")) - 1
        touched, self.pieces = len(self.pieces) - first, []
        return index, touched, text[starts[first] : begin], text[stop:]


@jax.jit
def run(tables, pattern, tokens):
    """After each token, (First, Match, state int32[S, B, N])."""

    def step(state, t):
        state, first = advance_any(tables.patterns, pattern, state, tokens[:, t])
        match = locate(tables.patterns, first.pattern, tokens, jnp.full(B, t), tokens[:, t], first.end)
        return state, (first, match, state)

    return jax.lax.scan(step, jnp.zeros((B, N), jnp.int32), jnp.arange(S))[1]


pieces = st.lists(st.sampled_from(LETTERS[:3]), min_size=1, max_size=6).map(b"".join)
vocabularies = st.lists(pieces, min_size=V - 8, max_size=V - 8).map(lambda drawn: [*LETTERS, b"", b"<|ab|>", *drawn])
texts = st.one_of(st.sampled_from([b"aab", b"\n\n", b"abab", b"aa", b"b", b"<|ab|>", b""]), pieces)
streams = st.lists(st.lists(st.integers(0, V - 1), min_size=S, max_size=S), min_size=B, max_size=B)
cases = st.tuples(vocabularies, st.lists(texts, min_size=N, max_size=N), streams)


def compiled(vocabulary, patterns):
    """Tables, and pattern ids int32[B, N]; an empty pattern is id 0."""
    tables_of = TableBuilder(vocabulary, capacity=CAPACITY)
    ids = [tables_of.pattern(pattern) if pattern else 0 for pattern in patterns]
    return tables_of.build(), np.tile(np.array(ids, np.int32), (B, 1))


def rewritten(tables, vocabulary, row):
    """Bytes of a row of `residues`."""
    return b"".join(vocabulary[token] for token in tables.patterns.residues[row] if token >= 0)


@many
@hypothesis.given(cases)
def test_match_across_tokens_is_what_a_search_in_the_bytes_finds(case):
    vocabulary, patterns, stream = case
    tables, pattern = compiled(vocabulary, patterns)
    first, match, _ = jax.tree.map(np.asarray, run(tables, pattern, np.array(stream, np.int32)))
    for row in range(B):
        twin = ByteSearch(vocabulary, patterns)
        for t, token in enumerate(stream[row]):
            got = None
            if first.end[t, row]:
                overflow = vocabulary[token][first.end[t, row] :]
                assert match.overflow[t, row] == len(overflow)
                residue = rewritten(tables, vocabulary, match.residue[t, row])
                got = (first.index[t, row], match.touched[t, row], residue, overflow)
            else:
                assert (first.index[t, row], first.pattern[t, row], match.touched[t, row]) == (-1, 0, 0)
            assert got == twin.push(token)
    assert run._cache_size() == 1, "a new vocabulary or string of the same capacity compiles nothing"


@many
@hypothesis.given(cases)
def test_rewinding_a_match_loses_no_text_before_it(case):
    vocabulary, patterns, stream = case
    tables, pattern = compiled(vocabulary, patterns)
    first, match, _ = jax.tree.map(np.asarray, run(tables, pattern, np.array(stream, np.int32)))
    for t, row in np.argwhere(first.end > 0):
        tokens = [vocabulary[token] for token in stream[row][: t + 1]]
        kept = b"".join(tokens[: t + 1 - match.touched[t, row]])
        residue = rewritten(tables, vocabulary, match.residue[t, row])
        overflow = tokens[-1][first.end[t, row] :]
        assert kept + residue + patterns[first.index[t, row]] + overflow == b"".join(tokens)


@many
@hypothesis.given(cases, st.data())
def test_state_of_a_prefix_is_the_state_reached_token_by_token(case, data):
    vocabulary, patterns, stream = case
    tables, pattern = compiled(vocabulary, patterns)
    tokens = np.array(stream, np.int32)
    length = np.array(data.draw(st.lists(st.integers(0, S), min_size=B, max_size=B)), np.int32)
    start = np.array([data.draw(st.integers(0, int(n))) for n in length], np.int32)
    got = fold_any(tables.patterns, pattern, tokens, length, start)
    got_one = fold(tables.patterns, pattern[:, 0], tokens, length, start)
    shifted = np.stack([np.roll(row, -first) for row, first in zip(tokens, start, strict=True)])
    for ids, state in ((pattern, got), (pattern[:, :1] * [1, 0], np.stack([got_one, 0 * got_one], 1))):
        states = np.concatenate([np.zeros((1, B, N), np.int32), run(tables, ids.astype(np.int32), shifted)[2]])
        np.testing.assert_array_equal(state, states[length - start, np.arange(B)])
    assert fold_any._cache_size() == fold._cache_size() == 1


def rows(*values):
    return jnp.array(values, jnp.int32)


def test_one_pattern_a_row_needs_no_list():
    tables, pattern = compiled([*LETTERS, b"", b"a\n"], [b"\n\n", b"b"])
    state, end = advance(tables.patterns, rows(*pattern[:, 0]), rows(0, 1, 1), rows(7, 2, 0))
    assert (state.tolist(), end.tolist()) == ([1, 0, 0], [0, 1, 0])


def test_token_without_text_breaks_a_match_so_that_touched_is_bounded():
    tables, pattern = compiled([*LETTERS, b""], [b"\n\n", b""])
    states = [rows([1, 0], [1, 0], [0, 0])]
    state, first = advance_any(tables.patterns, pattern, states[0], rows(6, 2, 6))
    assert state[:, 0].tolist() == [0, 0, 0] and first.index.tolist() == [-1, 0, -1]


def test_earliest_end_wins_then_the_first_of_the_list():
    vocabulary = [*LETTERS, b"", b"abb"]
    for patterns, index in (([b"bb", b"ab"], 1), ([b"b", b"ab"], 0), ([b"ab", b"b"], 0)):
        tables, pattern = compiled(vocabulary, patterns)
        state, first = advance_any(tables.patterns, pattern, jnp.zeros((B, N), jnp.int32), rows(7, 7, 6))
        assert first.index.tolist() == [index, index, -1]
        assert first.pattern.tolist() == [index + 1, index + 1, 0]
        assert not state.any(), "a match consumes the text for the other patterns too"


def test_pattern_zero_never_matches():
    tables, _ = compiled([*LETTERS, b""], [b"a", b"b"])
    state, end = advance(tables.patterns, rows(*[0] * 7), rows(*[0] * 7), jnp.arange(7))
    assert not state.any() and not end.any()


def test_match_longer_than_reach_rewinds_nothing_instead_of_too_little():
    tables, pattern = compiled([*LETTERS, b""], [b"abab", b""])
    tokens = jnp.array([[0, 1, 0, 0]] * B, jnp.int32)  # "aba", then token "b"
    for reach, touched in ((3, 0), (4, 4), (None, 4)):
        match = locate(tables.patterns, rows(*pattern[:, 0]), tokens, rows(3, 3, 3), rows(1, 1, 1), rows(1, 1, 1), reach)
        assert match.touched.tolist() == [touched] * B and not match.residue.any()


def test_match_does_not_look_before_the_first_token():
    tables, pattern = compiled([*LETTERS, b"", b"a\n"], [b"\n\n", b""])
    tokens = jnp.full((B, 4), 7, jnp.int32)
    match = locate(tables.patterns, rows(*pattern[:, 0]), tokens, rows(0, 1, 2), rows(2, 2, 2), rows(1, 1, 1))
    assert match.touched.tolist() == [0, 2, 2]


def decode_like(tables, pattern, tokens, length):
    """A loop that uses every table: match, locate, play a residue and a script, mask the vocabulary."""

    def step(carry):
        state, length, total = carry
        token = jnp.take_along_axis(tokens, length[:, None], axis=1)[:, 0]
        state, first = advance_any(tables.patterns, pattern, state, token)
        match = locate(tables.patterns, first.pattern, tokens, length, token, first.end)
        forced = tables.patterns.residues[match.residue].sum(1) + tables.scripts[first.index].sum(1)
        allowed = tables.sets[jnp.maximum(first.index, 0)] & tables.samplable
        return state, length + 1, total + forced + allowed.sum(1)

    zero = jnp.zeros(B, jnp.int32)
    return jax.lax.while_loop(lambda carry: (carry[1] < S).all(), step, (jnp.zeros((B, N), jnp.int32), length, zero))


def largest_constant(lowered):
    """Elements of the largest constant in the compiled program."""
    shapes = re.findall(r"= \w+\[([\d,]*)\]\S* constant\(", lowered.compile().as_text())
    return max((int(np.prod([int(n) for n in shape.split(",") if n])) for shape in shapes), default=0)


def test_new_string_compiles_nothing_and_tables_are_not_baked_in():
    tables_of = TableBuilder(
        [*LETTERS, *(b"%d" % n for n in range(70_000)), b"ab\n"], capacity=dataclasses.replace(CAPACITY, patterns=3)
    )
    tokens, length = jnp.zeros((B, S), jnp.int32), jnp.zeros(B, jnp.int32)
    program = jax.jit(decode_like)
    for text in ("\n\n", "b\n", "<|"):
        tables_of.script(text)
        tables_of.vocabulary_set([len(text)])
        tables = tables_of.build()
        program(tables, jnp.full((B, N), tables_of.pattern(text)), tokens, length)
    assert program._cache_size() == 1
    pattern = jnp.ones((B, N), jnp.int32)
    assert largest_constant(program.lower(tables, pattern, tokens, length)) * 4 < 1e6
    closed = jax.jit(lambda *rest: decode_like(jax.tree.map(jnp.asarray, tables), *rest))
    assert largest_constant(closed.lower(pattern, tokens, length)) * 4 > 1e6, "this test must see a table that is closed over"
