"""A policy that writes a letter a line and scorers that read it: every search on them can be worked out by hand.

    prompt [i] ─► letter ─► newline ─► letter ─► newline ─► … ─► stop      a stop after `depth` letters, or behind a "z"

Which letter comes is drawn from a row of weights that the letter before chooses. Both can count the positions that really
went through them, by a callback, so that a ledger can be checked against what happened and not against its own formula.

Axis legend: `B` rows, `T` new tokens, `S` cache length, `V` vocabulary.
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from doubles.models import DoubleModel, _network
from doubles.tokenizer import ByteTokenizer
from reasoning.decode.base import Chain
from reasoning.decode.controllers import stop_ids, stop_patterns
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.decode.steps import step_ends
from reasoning.decode.transforms import temperature
from reasoning.rewards.base import Cached, Scorer
from reasoning.search.driver import Searching

VOCAB, NEWLINE, STOP, LAST = 257, 10, 256, ord("z")
COUNTS: collections.Counter[str] = collections.Counter()


def counted(name: str) -> int:
    """Positions counted under `name` since the last call."""
    jax.effects_barrier()
    return COUNTS.pop(name, 0)


def _count(name: str, number) -> None:
    def add(number):
        COUNTS[name] += int(number)

    jax.debug.callback(add, number)


def branching_model(weights: Mapping[str, Mapping[str, float]], depth: int, count: bool = False) -> DoubleModel:
    """weights: {letter before, or the prompt's token: {letter: weight}}, "" for all that are not named. count: what it reads."""
    # Everything that makes a model is an argument of its programs, so that all of them share what is compiled.
    table = np.full((VOCAB, VOCAB), -1e4, np.float32)
    for before in ["", *(key for key in weights if key)]:
        rows = slice(None) if before == "" else ord(before)
        table[rows] = -1e4
        for letter, weight in weights[before].items():
            table[rows, ord(letter)] = np.log(weight)

    def hidden_of(params, seen, positions):
        def at(position):
            index = jnp.clip(position, 0, seen.shape[-1] - 1)[..., None]
            return jnp.where(position < 0, 0, jnp.take_along_axis(seen, index, -1)[..., 0] - 1)

        return jnp.stack([at(positions), at(positions - 1), positions], -1).astype(jnp.float32)

    def head(params, hidden):
        last, before, position = (hidden[..., i].astype(jnp.int32) for i in range(3))
        letter = (last >= ord("a")) & (last <= LAST)
        ends = (last == LAST) | (~letter & (position >= 2 * params["depth"]))
        free = params["letters"][jnp.where(position == 0, last, jnp.maximum(before, 0))]
        one = lambda token: 1e4 * jax.nn.one_hot(token, VOCAB)  # noqa: E731
        return jnp.where(ends[..., None], one(STOP), jnp.where(letter[..., None], one(NEWLINE), free))

    network = _network(hidden_of, head, VOCAB)

    def forward(params, tokens, positions, cache):
        if count and cache is not None:
            _count("policy", (positions < cache["seen"].shape[1]).sum())
        return network.forward(params, tokens, positions, cache)

    return DoubleModel(
        network._replace(forward=forward),
        {"letters": jnp.asarray(table), "depth": jnp.int32(depth)},
        ByteTokenizer(),
        VOCAB,
        2048,
    )


def letter_scorer(values: Mapping[str, float], how: str = "sum", noise: float = 0.0, seed: int = 0, count=False) -> Scorer:
    """Scores a prefix by its letters, read from a cache of its own: a wrong gather, rollback or position changes the score.

    values: of a letter wherever it stands ("a"), or as the first, second, … of the response ("a1").
    how: "sum" of the values of all letters, or that of the "last" one. noise: σ of a Gaussian that depends on the whole prefix,
    prompt included. count: count what it reads.
    """
    table = np.zeros((64, VOCAB), np.float32)
    for key, value in values.items():
        table[int(key[1:]) - 1 if len(key) > 1 else slice(None), ord(key[0])] = value
    noises = np.random.default_rng(seed).standard_normal(4099).astype(np.float32)
    params = {"values": jnp.asarray(table), "noise": jnp.asarray(noise * noises)}
    return Scorer(f"letters ({how})", params, *_reading(how, count))


@functools.cache
def _reading(how: str, count: bool):
    """(init, begin, score) of `letter_scorer`; cached, so that scorers of one kind share compiled programs."""

    def init(rows, length):
        kv = jnp.zeros((rows, length), jnp.int32)
        return Cached(kv, {"n": jnp.zeros(rows, jnp.int32), "score": jnp.zeros(rows)})

    def write(new, n, carry):
        if count:
            _count("scorer", n.sum())
        at = carry.small["n"][:, None] + jnp.arange(new.shape[1])[None]
        at = jnp.where(jnp.arange(new.shape[1])[None] < n[:, None], at, carry.kv.shape[1])
        kv = jax.vmap(lambda row, at, new: row.at[at].set(new, mode="drop"))(carry.kv, at, new)
        return kv, carry.small["n"] + n

    def begin(params, prompt, n, carry):
        kv, n = write(prompt, n, carry)
        return Cached(kv, {"n": n, "score": carry.small["score"]})

    def score(params, new, n, ended, carry):
        kv, total = write(new, n, carry)
        there = jnp.arange(kv.shape[1])[None] < total[:, None]
        letter = there & (kv >= ord("A"))
        order = jnp.cumsum(letter, 1) - 1
        values = jnp.where(letter, params["values"][jnp.clip(order, 0, 63), kv], 0.0)
        if how == "last":
            values = jnp.where(order == order[:, -1:], values, 0.0)
        place = jnp.uint32(2654435761) * jnp.arange(1, kv.shape[1] + 1, dtype=jnp.uint32)
        mixed = jnp.where(there, (kv + 1).astype(jnp.uint32) * place, 0)
        mixed = jnp.sum(mixed ^ (mixed >> 13), 1, dtype=jnp.uint32) * jnp.uint32(2246822519)
        value = values.sum(1) + params["noise"][(mixed >> 8) % 4099]
        value = jnp.where(n > 0, value, carry.small["score"])
        return value, Cached(kv, {"n": total, "score": value})

    return init, begin, score


CHAIN = Chain((temperature(),), (stop_ids(), stop_patterns(4), step_ends()))


_SHARED: dict[str, dict] = {"_programs": {}, "_rooms": {}, "_admits": {}}


def engine_of(model: DoubleModel, **changes) -> Engine:
    """An engine of two problems of four rows, and two rows that rest; `changes` of its plan.

    What makes a branching model is in its parameters, which programs take as arguments: so all that do not count share them.
    """
    engine = Engine(model, max_slots=10)
    engine = Engine(model, plan=engine.plan | changes)
    for name, programs in _SHARED.items():
        setattr(engine, name, programs)
    return engine


def search(engine: Engine, setting: Searching, problems=1, max_tokens: int = 24, tail=(), **knobs):
    """({id: its responses, by sample}, {id: its tree}) of a search on prompts of one token, and of `tail` behind it.

    problems: how many, or their first tokens.
    """
    prompts = range(1, problems + 1) if isinstance(problems, int) else problems
    trees: list[dict] = []
    setting = dataclasses.replace(setting, keep=trees.append)
    options = {"step_ends": [engine.pattern("\n")], "step_tokens": setting.step_tokens, "stop_ids": [STOP]} | knobs
    requests = [Request(id=f"p{prompt}", tokens=[prompt, *tail], n=setting.width) for prompt in prompts]
    out: dict[str, list] = {request.id: [] for request in requests}
    for response in engine.generate(requests, max_tokens=max_tokens, chain=CHAIN, group=setting, **options):
        out[response.id].append(response)
    return out, {tree["problem"]: tree for tree in trees}


def scorer(engine, letters: str = "") -> Scorer:
    """As configurations name it: counts letters."""
    del engine
    return letter_scorer(dict.fromkeys(letters, 1.0))
