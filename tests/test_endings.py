"""Reasons to end a thought: its loops against a search of the text, and which likely tokens count as an end of it."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.contexts import make_context

from reasoning.decode import endings, phases
from reasoning.text.patterns import TableBuilder

ROWS, SIZE = 4, 280


def loops(thought, times):
    """Whether `thought` ends in `times` copies of a passage, by looking for each; of one token, in four times as many."""
    for period in range(1, 65):
        passage = thought[-period:]
        copies = 4 * times if period == 1 else times
        constant = period > 1 and len(set(passage)) == 1
        if not constant and len(passage) == period and thought[-period * copies :] == passage * copies:
            return times > 1
    return False


@pytest.fixture(scope="module")
def found():
    """[(text, start, times)] of up to ROWS rows → whether each loops."""
    compiled = jax.jit(lambda token, knobs, context: endings.repeats(token, knobs, context))

    def run(rows):
        full = [*rows, *[([0, 0], 0, 0)] * (ROWS - len(rows))]
        starts = jnp.asarray([start for _, start, _ in full], jnp.int32)
        # What is not written yet is full of a letter of the text.
        context = make_context([text[:-1] for text, _, _ in full], 1, SIZE, filler=0, phase_start=starts)
        token = jnp.asarray([text[-1] for text, _, _ in full], jnp.int32)
        knobs = {"loop_repeats": jnp.asarray([times for _, _, times in full], jnp.int32)}
        return np.asarray(compiled(token, knobs, context))[: len(rows)].tolist()

    return run


@st.composite
def texts(draw):
    """(text, start of the thought, loop_repeats): passages of few letters, each some times over, the last perhaps cut."""
    passages = st.lists(st.integers(0, 2), min_size=1, max_size=draw(st.sampled_from([2, 4, 20])))
    text = [0]
    for _ in range(draw(st.integers(1, 3))):
        text += draw(passages) * draw(st.integers(1, 13))
    text = text[: SIZE - 1][: len(text) - draw(st.sampled_from([0, 0, 1, 3]))]
    text = [0] * (2 - len(text)) + text
    start = draw(st.one_of(st.just(0), st.integers(0, len(text) - 1)))
    return text, start, draw(st.sampled_from([0, 1, 2, 2, 3, 3, 4, 7]))


SENTENCE = list(range(64))


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.lists(texts(), min_size=1, max_size=ROWS))
@hypothesis.example([([9] + SENTENCE * 4, 1, 4), ([9] + SENTENCE * 4, 1, 5), ([9] + SENTENCE * 4, 2, 4), ([1] * 279, 0, 64)])
@hypothesis.example([([1] * 256, 0, 64), ([1] * 255, 0, 64), ([0, 1, 1, 1] * 63 + [0, 1, 1, 1], 0, 64), ([0, 1] * 63, 0, 64)])
def test_a_loop_is_missed_or_seen_where_none_is(found, rows):
    assert found(rows) == [loops(text[start:], times) for text, start, times in rows]


def test_equal_tokens_end_a_thought_before_four_times_the_copies(found):
    """By hand, for three copies: six zeros are none of "00", nor eleven of "0", and what stood before the thought counts not."""
    assert found([([1] + [0] * count, 1, 3) for count in (6, 9, 11, 12)]) == [False, False, False, True]
    assert found([([0, 0, 1] * 3, 0, 3), ([0, 1] * 3, 0, 3), ([0, 1] * 3, 1, 3), ([0] * 12, 1, 3)]) == [True, True, False, False]


# ------------------------------------------------------------------------------------------------ the soft window

ANSWER, THINK, STOP = "Answer:", "</think>", b"<stop>"
LETTERS = [b"\n", *[bytes([byte]) for byte in range(32, 127)]]
SPLIT = [*LETTERS, b"NASA", b" A", b"An", b"Answer", b" Answer", b"</", b"think", b"x <", STOP]
WHOLE = [*SPLIT, b"</think>", b".</think>\n", b"\n\nAnswer: "]


def would_end(vocabulary, delimiter, rows, encode=None):
    """Whether each row ends. A row: the tokens from the likeliest on, and what else is special about it."""
    builder = TableBuilder(vocabulary, encode)
    pattern, batch = builder.pattern(delimiter), len(rows)
    logits = np.zeros((batch, len(vocabulary)), np.float32)
    for values, (top, _) in zip(logits, rows, strict=True):
        for place, token in enumerate(top):
            values[vocabulary.index(token)] = 9 - place
    given = {"soft_thinking": 2, "soft_rank": 1, "min_thinking": 0, "phase": phases.THINKING, "phase_match": 0, "barred": False}
    given |= {"thinking_end": pattern, "thinking_stop_ids": [vocabulary.index(STOP), -1]}
    value = {name: jnp.asarray([special.get(name, usual) for _, special in rows]) for name, usual in given.items()}
    fields = {name: value.pop(name) for name in ("phase", "phase_match", "barred")}
    patterns = jax.tree.map(jnp.asarray, builder.build().patterns)
    # One token of prompt, three of thought.
    context = make_context([[0, 1, 1, 1]] * batch, 1, 8, patterns=patterns, phase_start=jnp.ones(batch, jnp.int32), **fields)
    return endings.would_end(value, dataclasses.replace(context, logits=jnp.asarray(logits))).tolist()


def likeliest(*tokens):
    return [([token], {}) for token in tokens]


def test_a_token_that_ends_as_the_delimiter_begins_ends_the_thought():
    assert would_end(SPLIT, ANSWER, likeliest(b"NASA", b" A", b"A", b"An", b" Answer", b"Answer")) == [*[False] * 5, True]
    assert would_end(SPLIT, THINK, likeliest(b"x <", b"<", b"think", b"</")) == [False, False, False, True]
    assert would_end(WHOLE, THINK, likeliest(b"x <", b"<", b"</", b"</think>", b".</think>\n")) == [False] * 3 + [True] * 2


def test_an_odd_token_that_holds_the_delimiter_hides_the_usual_way_to_write_it():
    assert would_end(WHOLE, ANSWER, likeliest(b"Answer", b"\n\nAnswer: ", b" Answer")) == [True, True, False]


def test_first_token_is_not_the_one_that_the_tokenizer_writes():
    def by_letter(text):
        return [SPLIT.index(letter.encode()) for letter in text]

    assert would_end(SPLIT, ANSWER, likeliest(b"A", b"Answer"), by_letter) == [True, False]


def test_a_stop_id_or_a_rank_is_not_counted():
    rows = [([STOP], {}), ([b"q", b"r", STOP], {"soft_rank": 2}), ([b"q", b"r", b"</think>"], {"soft_rank": 3})]
    assert would_end(WHOLE, THINK, [*rows, ([STOP], {"soft_rank": 0})]) == [True, False, True, False]


def test_a_thought_ends_where_it_may_not():
    places = [{"barred": True}, {"phase": phases.ANSWER}, {"phase_match": 1}, {"min_thinking": 4}, {"soft_thinking": 4}]
    places += [{"soft_thinking": -1}, {"min_thinking": 3}]
    assert would_end(WHOLE, THINK, [([b"</think>"], place) for place in places]) == [False] * 6 + [True]
