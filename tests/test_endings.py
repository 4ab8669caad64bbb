"""Reasons to end a thought: its loops against a search of the text, and what counts as an end that nearly came."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.contexts import make_context

from reasoning.decode import endings

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
