"""Who goes on, and where: the rules of every search on plain numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reasoning.decode.slots import STOP_ID, STOP_PATTERN
from reasoning.errors import InputError
from reasoning.search.backtracking import SelfBacktracking
from reasoning.search.base import Rows, aggregate, best, copies_of, parents_of
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching
from reasoning.search.dvts import Dvts
from reasoning.search.particles import Particles, draw

KEY = jax.random.key(0)


def rows_of(live, **changes):
    """Rows of two tokens and one step each; those that are not live are complete."""
    live = np.asarray(live, bool)
    width = live.size
    ones = np.ones(width, np.int32)
    fields = {
        "live": live, "done": ~live, "reason": np.where(live, 0, STOP_ID), "length": 3 * ones, "prompt_length": ones,
        "tokens": np.zeros((width, 8), np.int32), "steps": ones, "starts": np.ones((width, 4), np.int32),
    }  # fmt: skip
    return Rows(**fields | changes)


@functools.partial(jax.jit, static_argnums=0)
def select(search, *args):
    return search.select(*args)


def counts(search, scores, live=None, key=KEY):
    scores = np.asarray(scores, np.float32)
    search.check(scores.size)
    rows = rows_of(np.ones(scores.size, bool) if live is None else live)
    return select(search, scores, rows, key, search.init(scores.size))[0].counts.tolist()


def test_the_two_rules_of_beam_search_are_one():
    scores = [0.1, 0.8, 0.3, 0.7, 0.2, 0.6, 0.5, 0.4]
    assert counts(Beam(beam_width=4, rule="text"), scores) == [0, 4, 0, 4, 0, 0, 0, 0]  # N / M = 2 kept, M = 4 times
    assert counts(Beam(beam_width=4, rule="caption"), scores) == [0, 2, 0, 2, 0, 2, 2, 0]  # M = 4 kept, N / M = 2 times
    assert counts(Beam(beam_width=1), scores) == [1] * 8
    assert counts(Dvts(beam_width=4), scores) == [0, 4, 0, 0, 0, 4, 0, 0]  # the best of each four


def test_a_complete_row_is_expanded_or_loses_its_slot():
    scores, live = [0.9, 0.8, 0.3, 0.7], [False, True, True, False]
    for search in (Beam(beam_width=2), Beam(beam_width=2, rule="caption"), Beam(beam_width=4), Dvts(beam_width=2), Particles()):
        found = counts(search, scores, live)
        assert found[0] == found[3] == 1 and sum(found) == 4
    assert counts(Beam(beam_width=2), scores, live) == [1, 2, 0, 1]
    assert counts(Beam(beam_width=4), scores, [False] * 4) == [1, 1, 1, 1]


def test_ties_and_dead_rows_are_decided_by_chance():
    for value in (0.5, -np.inf):
        assert counts(Beam(beam_width=2), [value] * 4) == [2, 2, 0, 0]
        assert counts(Beam(beam_width=2), [9.0, value, value, value], [False, True, True, True]) == [1, 2, 1, 0]
        assert sum(counts(Particles(weights="score"), [value] * 4)) == 4


@jax.jit
def placed(scores, live, keep):
    number = best(scores, live, keep)
    return number, parents_of(number), copies_of(parents_of(number))


@given(
    st.lists(st.tuples(st.floats(-5, 5, width=32, allow_subnormal=False), st.booleans()), min_size=6, max_size=6),
    st.integers(1, 8),
)
@settings(max_examples=30, deadline=None)
def test_parents_do_not_fill_the_slots_or_move_who_stays(pairs, keep):
    scores, live = np.array([a for a, _ in pairs], np.float32), np.array([b for _, b in pairs])
    number, parents, copies = map(np.asarray, placed(scores, live, np.int32(keep)))
    np.testing.assert_array_equal(np.bincount(parents, minlength=len(number)), number)
    for row, parent in enumerate(parents):
        assert number[row] == 0 or parents[row] == row
        assert (copies[row] == 0) == (parent == row)  # copy 0 keeps its parent's key, in its parent's slot
        siblings = sorted(copies[parents == parent])
        assert siblings == list(range(len(siblings)))
    kept = [row for row in np.flatnonzero(live) if number[row]]
    assert not kept or min(scores[kept]) >= max(scores[live & (number == 0)], default=-np.inf)
    assert len(kept) == min(keep, live.sum())


def test_copies_of_a_parent_that_lost_its_slot_have_no_first_one():
    assert copies_of(jnp.asarray([1, 2, 2, 1])).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("how", ["multinomial", "systematic"])
def test_resampling_has_another_expectation_than_its_weights(how):
    chance = jnp.asarray([0.5, 0.0, 0.2, 0.3])
    keys = jax.random.split(jax.random.key(7), 4000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: draw(how, key, chance, jnp.asarray(3))))(keys))
    assert (drawn.sum(1) == 3).all() and (drawn[:, 1] == 0).all()
    if how == "multinomial":
        assert stats.chisquare(drawn.sum(0)[[0, 2, 3]], [6000, 2400, 3600]).pvalue > 1e-3
    else:
        assert (np.abs(drawn - 3 * np.asarray(chance)) < 1).all()
        np.testing.assert_allclose(drawn.mean(0), 3 * np.asarray(chance), atol=0.04)


def test_particles_weigh_probabilities_by_their_logits():
    rows, scores = jnp.ones(3, bool), jnp.asarray([0.5, 0.8, 1.0])
    chance = np.asarray(Particles().probabilities(scores[:2], rows[:2]))
    np.testing.assert_allclose(chance, [0.2, 0.8], rtol=1e-5)  # odds 1 and 4
    assert np.isfinite(np.asarray(Particles().probabilities(scores, rows))).all()
    cold = np.asarray(Particles(weights="score", temperature=0.1).probabilities(scores, rows))
    np.testing.assert_allclose(cold, np.exp([5, 8, 10]) / np.exp([5, 8, 10]).sum(), rtol=1e-4)


def test_aggregation_is_always_the_last_score():
    history, steps = jnp.asarray([[0.5, 0.2, 0.8, 0.0]] * 2), jnp.asarray([3, 0])
    expect = {"last": 0.9, "min": 0.2, "prod": 0.09, "mean": 1.6 / 3}
    for how, value in expect.items():
        found = aggregate(how, history, steps, jnp.asarray([0.9, 0.7]))
        np.testing.assert_allclose(found, [value, 0.7], rtol=1e-6)


def walk(search, lengths, starts, done, before, state=None, tokens=None):
    """One selection of self-backtracking over rows given by lists."""
    width = len(lengths)
    padded = np.asarray([[*row, *[0] * (4 - len(row))] for row in starts], np.int32)
    rows = rows_of(
        ~np.asarray(done), reason=np.where(done, STOP_PATTERN, 0), length=np.asarray(lengths, np.int32),
        steps=np.asarray([len(row) for row in starts], np.int32), starts=padded,
        tokens=np.arange(8 * width, dtype=np.int32).reshape(width, 8) if tokens is None else tokens,
    )  # fmt: skip
    state = state or search.init(width)
    return select(search, np.zeros(width, np.float32), rows, KEY, state._replace(steps=np.asarray(before, np.int32)))


def test_going_back_keeps_the_wrong_line_or_takes_two():
    """Lines end at 3, 5, 7. Row 0 said so behind a whole line (its steps did not grow), row 1 within one (they did)."""
    search = SelfBacktracking(backtracks=1)
    choice, state = walk(search, [7, 6, 7, 7], [[1, 3, 5], [1, 3, 5], [1, 3, 5], [1]], [True, True, False, True], [3, 2, 3, 1])
    assert choice.length.tolist() == [5, 3, 7, 7]  # row 3 would go back to the prompt, which is no new state
    assert choice.counts.tolist() == [2, 1, 1, 0]
    assert state.used.tolist() == [1, 1, 0, 1] and state.dead.tolist() == [False] * 4
    again, _ = walk(search, [7, 6, 7, 7], [[1, 3, 5]] * 4, [True] * 4, [3] * 4, state)
    assert again.counts[0] == again.counts[1] == 0  # they went back once; row 2 has a state that nobody had


def test_a_state_is_expanded_twice():
    same = np.zeros((4, 8), np.int32)
    search, starts = SelfBacktracking(backtracks=9), [[1, 3, 5]] * 4
    choice, state = walk(search, [7] * 4, starts, [True, True, False, False], [3] * 4, tokens=same)
    assert choice.counts.tolist() == [2, 0, 1, 1]
    choice, _ = walk(search, [7] * 4, starts, [False, False, True, False], [3] * 4, state, same)
    assert choice.counts.tolist() == [1, 1, 1, 1] and choice.length.tolist() == [7] * 4  # it stays dead


@pytest.mark.parametrize(
    ("search", "width", "says"),
    [
        (Beam(beam_width=4), 6, "no multiple of the beam width 4; choose n = 4"),
        (Beam(beam_width=4), 2, "2 rows are fewer than the beam width 4"),
        (Beam(beam_width=0), 2, "whole number ≥ 1"),
        (Beam(rule="top"), 4, "rules text and caption"),
        (Dvts(beam_width=3), 4, "no multiple"),
        (Particles(resampling="roulette"), 4, "multinomial or systematic"),
        (Particles(temperature=0.0), 4, "above 0"),
        (SelfBacktracking(backtracks=-1), 4, "times ≥ 0"),
        (Beam(), 0, "width must be a whole number ≥ 1"),
    ],
)
def test_senseless_setting_is_found_on_the_device(search, width, says):
    with pytest.raises(InputError, match=says):
        Searching(search, width)


def test_lookahead_that_is_none():
    with pytest.raises(InputError, match="whole number of steps"):
        Beam(rollout=-1)
    with pytest.raises(InputError, match="temperature of a rollout"):
        Beam(rollout=1, rollout_temperature=-1.0)
