"""Drawing from a row of logits, against numpy in float64."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from reasoning.decode import sampling

LAST = np.nextafter(np.float32(1), np.float32(0))  # the largest uniform number
INF = np.inf


def rows_of(key, batch):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(key), jnp.arange(batch))


def draw(logits, u):
    """Tokens of one row of logits for many `u`."""
    u = np.atleast_1d(np.asarray(u, np.float32))
    padded = np.resize(u, max(64, len(u)))  # few shapes: every shape compiles
    logits = np.broadcast_to(np.asarray(logits, np.float32), (len(padded), len(logits)))
    return np.asarray(jax.jit(sampling.sample)(logits, padded))[: len(u)]


@pytest.mark.parametrize("size", [1, 128, 129, 300])
def test_a_greedy_row_gives_its_token_whatever_the_draw(size):
    for token in {0, size // 2, size - 1}:
        logits = np.full(size, -INF)
        logits[token] = -37.5
        assert draw(logits, [0.0, 0.5, LAST]).tolist() == [token] * 3


def test_a_row_without_any_possible_token_stays_in_range():
    assert draw(np.full(300, -INF), [0.0, LAST]).tolist() == [0, 0]


@pytest.mark.parametrize("size", [128, 129, 300])
def test_rounding_at_the_upper_end_does_not_leave_the_vocabulary_or_reach_an_impossible_token(size):
    rng = np.random.default_rng(size)
    for possible in (range(size - 1), range(3), range(size // 2, size // 2 + 1), range(0, size, 60)):
        logits = np.full(size, -INF)
        logits[list(possible)] = rng.normal(size=len(possible))
        assert set(draw(logits, [0.0, 1e-30, 0.1, 0.9, LAST])) <= set(possible)


def test_impossible_blocks_are_skipped():
    logits = np.full(128 * 6 + 5, -INF)
    logits[[130, 128 * 4 + 127, 128 * 6 + 4]] = np.log([0.25, 0.5, 0.25])
    assert draw(logits, [0.0, 0.2, 0.3, 0.7, 0.8, LAST]).tolist() == [130, 130, 639, 639, 772, 772]


def test_a_cumulative_sum_that_rises_across_an_empty_block_does_not_end_there():
    rng = np.random.default_rng(0)
    full = rng.random(1187) < 0.5  # so many blocks are summed as a tree, whose rounding differs from one block to the next
    logits = np.full((1187, sampling.BLOCK), -INF, np.float32)
    logits[full, 64] = np.log(rng.exponential(size=full.sum()))
    peak = logits.max()
    total = np.asarray(jax.jit(lambda x: jnp.cumsum(jnp.exp(x - peak)))(logits[:, 64]))
    rises = np.flatnonzero((np.diff(total) > 0) & ~full[1:])
    assert len(rises)
    token = draw(logits.ravel(), total[rises[:64]] / total[-1])
    assert (logits.ravel()[token] > -INF).all()


def test_tiny_masses_lose_no_draw():
    logits = np.full(300, -80.0)  # together 300 e^-80 of the largest
    logits[299] = 5.0
    assert set(draw(logits, np.linspace(0, LAST, 50))[1:]) == {299}
    assert draw(logits - 1e4, LAST)[0] == 299


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.integers(0, 10**6), st.sampled_from([129, 300]), st.floats(0, float(LAST), width=32), st.floats(0.1, 60))
def test_every_draw_is_a_possible_token(seed, size, u, spread):
    rng = np.random.default_rng(seed)
    logits = np.where(rng.random(size) < rng.random(), rng.normal(size=size) * spread, -INF)
    logits[rng.integers(size)] = 0.0
    assert logits[draw(logits, u)[0]] > -INF


def test_inverse_cdf_agrees_with_float64():
    rng = np.random.default_rng(0)
    logits, u = rng.normal(size=300).astype(np.float32), rng.random(500).astype(np.float32)
    cdf = np.cumsum(np.exp(logits.astype(np.float64)))
    token = draw(logits, u)
    low, high = np.where(token > 0, cdf[token - 1], 0) / cdf[-1], cdf[token] / cdf[-1]
    assert ((low - 1e-6 <= u) & (u <= high + 1e-6)).all()


def test_draws_have_the_frequencies_of_the_softmax():
    probability = np.random.default_rng(1).dirichlet(np.full(300, 0.7))
    probability = np.maximum(probability, 5e-4) / np.maximum(probability, 5e-4).sum()
    key = jnp.broadcast_to(jax.random.key(3), (20_000,))
    u = jax.jit(sampling.uniform)(key, jnp.arange(20_000))
    counts = np.bincount(draw(np.log(probability), u), minlength=300)
    assert stats.chisquare(counts, 20_000 * probability).pvalue > 1e-3
    assert stats.kstest(np.asarray(u), "uniform").pvalue > 1e-3


def test_a_row_that_moves_to_another_slot_draws_the_same_number():
    keys, draws = rows_of(0, 6), jnp.asarray([3, 3, 9, 0, 1, 2])
    u = sampling.uniform(keys, draws)
    order = jnp.asarray([4, 2, 0, 1, 5, 3])
    assert np.array_equal(sampling.uniform(keys[order], draws[order]), u[order])
    assert len(set(np.asarray(u).tolist())) == 6
    assert not np.isin(sampling.uniform(keys, draws + 1), u).any()


def test_a_neighbour_does_not_change_a_draw():
    rng = np.random.default_rng(2)
    logits, u = jnp.asarray(rng.normal(size=(4, 300)), jnp.float32), jnp.asarray(rng.random(4), jnp.float32)
    sample, log_prob = jax.jit(sampling.sample), jax.jit(sampling.log_prob)
    token = sample(logits, u)
    other = jnp.concatenate([logits[:1], jnp.full((3, 300), -jnp.inf).at[:, 7].set(0.0)])
    assert sample(other, u)[0] == token[0]
    assert log_prob(other, token)[0] == log_prob(logits, token)[0]


@pytest.mark.parametrize("size", [1, 128, 300])
def test_greedy_ties_go_to_the_lowest_id(size):
    logits = np.zeros((3, size), np.float32)
    logits[1, size // 2 :] = 1
    logits[2, -1] = -INF
    assert np.array_equal(sampling.argmax(jnp.asarray(logits)), logits.argmax(-1))


@pytest.mark.parametrize(("size", "n"), [(50, 50), (1000, 5), (20_011, 128)])
def test_leading_tokens_are_those_of_a_stable_sort(size, n):
    rng = np.random.default_rng(size)
    ties = [rng.integers(0, 9, size), rng.geometric(0.5, size), np.where(rng.random(size) < 0.6, 1.0, -INF)]
    scores = np.stack([rng.normal(size=size), *ties])
    scores = scores.astype(np.float32)
    values, ids = jax.jit(sampling.top, static_argnums=1)(jnp.asarray(scores), n)
    order = np.argsort(-scores, axis=-1, kind="stable")[:, :n]
    assert np.array_equal(ids, order)
    assert np.array_equal(values, np.take_along_axis(scores, order, -1))


def test_padding_of_the_last_block_is_no_token():
    scores = np.full((1, 20_011), -INF, np.float32)
    scores[0, 20_010] = 0.0
    values, ids = sampling.top(jnp.asarray(scores), 128)
    assert ids[0, 0] == 20_010 and ids.max() < 20_011
    assert values[0, 0] == 0 and (values[0, 1:] == -INF).all()


def test_log_probabilities_are_normalised_and_masked_tokens_have_none():
    logits = np.random.default_rng(4).normal(size=(2, 333)).astype(np.float32) * 5
    logits[1, 10:] = -INF
    exact = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    assert np.allclose(sampling.log_prob(jnp.asarray(logits), jnp.asarray([300, 3])), exact[[0, 1], [300, 3]], atol=1e-5)
    assert sampling.log_prob(jnp.asarray(logits), jnp.asarray([0, 300]))[1] == -INF
    ids, values = sampling.top_log_probs(jnp.asarray(logits), 4)
    assert np.array_equal(ids, np.argsort(-exact, -1, kind="stable")[:, :4])
    assert np.allclose(values, -np.sort(-exact, -1)[:, :4], atol=1e-5)
