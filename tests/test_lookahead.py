"""Looking ahead: it decides by what it saw, costs what it ran, and leaves nothing behind."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
import pytest
from doubles.branching import branching_model, engine_of, letter_scorer, search

from reasoning.decode.engine import Engine
from reasoning.models import transformer
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching

# "a" leads to the good "x" and "b" to the poor "y", which nobody sees who looks at "a" and "b" alone.
FORK = branching_model({"": {"a": 1, "b": 1, "c": 1}, "a": {"x": 1}, "b": {"y": 1}}, depth=2)
FUTURE = letter_scorer({"x": 1.0, "b": 0.1}, how="last")
COMMON = {"step_tokens": 6, "rounds": 8}


@dataclasses.dataclass(frozen=True, eq=False)
class Watching(Searching):
    """A search whose rounds are `watch(arena, round)`: it calls `round()` once, and may look at the arena around it."""

    watch: Callable = None

    def __call__(self, *args):
        group = super().__call__(*args)
        plain = group.arena.round
        group.arena.round = lambda: self.watch(group.arena, plain)
        return group


def watching(setting, watch):
    fields = {field.name: getattr(setting, field.name) for field in dataclasses.fields(setting)}
    return Watching(**fields, watch=watch)


@pytest.fixture(scope="module")
def engine():
    return engine_of(FORK)


def test_a_rollout_is_paid_for_and_not_looked_at(engine):
    """k = 1 sees that "a" leads to "x"; k = 0 prefers "b". (A peer generates the rollout and scores the text without it.)"""
    setting = Searching(Beam(beam_width=8), 8, scorer=FUTURE, **COMMON)
    plain, _ = search(engine, setting)
    ahead, trees = search(engine, dataclasses.replace(setting, search=Beam(beam_width=8, rollout=1)))
    assert {response.text for response in plain["p1"]} == {"b\ny\n"}
    assert {response.text for response in ahead["p1"]} == {"a\nx\n"}
    first = trees["p1"]["rounds"][0]
    assert {(text, value) for text, value in zip(first["texts"], first["values"], strict=True)} >= {("a\n", 1.0), ("b\n", 0.0)}
    assert {(text, round(score, 3)) for text, score in zip(first["texts"], first["scores"], strict=True)} >= {("b\n", 0.1)}
    # The steps' own scores stay on the path: a vote at the end is not over rollouts.
    assert {tuple(response.scores) for response in ahead["p1"]} == {(0.0, 1.0)}


@pytest.mark.parametrize("k", [1, 2])
def test_cost_of_lookahead_is_nominal_or_forgets_early_ends(k):
    """Nominal is N (k + 1) steps a round; a rollout that meets the end of the response stops there, a stop is one token."""
    engine = engine_of(branching_model({"": {"a": 1, "b": 1}}, depth=4))
    found, _ = search(engine, Searching(Beam(beam_width=2, rollout=k), 4, scorer=letter_scorer({"a": 1.0}), **COMMON))
    ledgers = [response.ledger for response in found["p1"]]
    rollout = {1: [2, 2, 2, 1, 0], 2: [4, 4, 3, 1, 0]}[k]  # tokens that a row looks ahead in rounds 1 … 5
    assert sum(ledger.lookahead for ledger in ledgers) == 4 * sum(rollout) < 4 * k * 2 * 4
    assert sum(ledger.sampled + ledger.discarded for ledger in ledgers) == 4 * 9


def everything(arena):
    """All that the rows are, on the host: slots and scorer, of what is append-only only what lies before the next write."""
    slots = dataclasses.replace(arena.slots, key=jax.random.key_data(arena.slots.key))
    length, held = np.asarray(slots.length), np.asarray(arena.carry.small["n"])
    keys = [k for k, _ in jax.tree_util.tree_leaves_with_path(slots.cache)]
    cache = [
        [np.asarray(leaf)[row].take(range(length[row] - 1), -1 if _ends_with_length(path) else -2) for row in range(len(length))]
        for path, leaf in zip(keys, jax.tree.leaves(slots.cache), strict=True)
    ]
    kv = [np.asarray(arena.carry.kv)[row, : held[row]] for row in range(len(held))]
    rest = (dataclasses.replace(slots, cache=()), arena.carry.small, arena.paths)
    return jax.tree.map(np.array, (rest, cache, kv))


def _ends_with_length(path):
    """Whether a leaf of the cache has positions on its last axis: keys on a CPU, not values."""
    return getattr(path[-1], "name", "") == "k"


def test_looking_ahead_and_rolling_back_is_not_never_having_looked():
    """Every leaf of slots and scorer, on a model with sliding windows and beyond them."""
    config = ModelConfig(
        family="gemma3", vocab_size=257, d_model=32, num_layers=3, num_heads=4, num_kv_heads=2, head_dim=8, d_ff=48, context=256,
        rope_theta=1e4, norm_eps=1e-5, tie_embeddings=True, qk_norm=True, post_norms=True, norm_offset=1.0, embed_scale=5.65,
        activation="gelu_tanh", window=6, local_layers=(True, True, False),
    )  # fmt: skip
    params = transformer.init_params(config, jax.random.key(0))
    engine = Engine(Model(config, params, FORK.tokenizer, "tiny"), max_slots=10)
    setting = Searching(Beam(beam_width=2, rollout=2, rollout_temperature=1.0), 4, scorer=letter_scorer({"a": 1.0}), **COMMON)
    compared, looked = [], []

    def watch(arena, plain):
        arena._decode(), arena._score()
        before = everything(arena)
        arena._look(looked, [])
        after = everything(arena)
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
            np.testing.assert_array_equal(a, b)
        compared.append(int(arena.slots.length.max()))
        return plain()

    search(engine, watching(setting, watch), max_tokens=40, step_ends=[0])
    assert compared[-1] > 2 * config.window and sum(int(steps.sum()) for steps in looked) > 100
    never, _ = search(engine, dataclasses.replace(setting, search=Beam(beam_width=1)), max_tokens=40, step_ends=[0])
    free, _ = search(
        engine, dataclasses.replace(setting, search=Beam(beam_width=1, rollout=2)), max_tokens=40, step_ends=[0]
    )  # nothing is pruned, so looking may change nothing
    assert [r.tokens.tolist() for r in never["p1"]] == [r.tokens.tolist() for r in free["p1"]]
    assert [r.logprobs.tobytes() for r in never["p1"]] == [r.logprobs.tobytes() for r in free["p1"]]
    assert [r.scores.tolist() for r in never["p1"]] == [r.scores.tolist() for r in free["p1"]]


def test_a_rollout_draws_what_the_row_will_write(engine):
    """Both are samples of the same distribution; with one key they would be the same samples."""
    windows = []

    def watch(arena, plain):
        score = arena._score

        def listening():
            seen, n = score()
            windows.append(np.asarray(seen.new[:, 0]))
            return seen, n

        arena._score = listening
        report = plain()
        arena._score = score
        return report

    many = dict.fromkeys("cdefghijklmnopq", 1.0)
    engine = engine_of(branching_model({"": many}, depth=5))
    setting = Searching(Beam(beam_width=1, rollout=1, rollout_temperature=1.0), 8, scorer=letter_scorer({"c": 1.0}), **COMMON)
    search(engine, watching(setting, watch))
    own, ahead = windows[0:10:2], windows[1:10:2]
    same = np.mean([(a == b).mean() for a, b in zip(ahead[:4], own[1:], strict=True)])
    assert same < 0.3  # one in fifteen by chance
