"""The device side of a round: programs that follow each other without a host read.

    decode ─► window ─► judge ─► [look ─► (decode ─► window ─► judge) × k ─► rollback] ─► choose
    policy    new ids   scorer    lookahead, if any                                       select, fork, gather, resume

A problem takes part in a round when all of its rows stand at the end of a step (`ready`); the others are in the middle of
theirs and stay as they are, so a problem's search is the same whatever its company.

They are compiled by `reasoning.search.programs`; what a search sets per problem or row is data.

Axis legend: `P` problems, `W` rows per problem, `B` slots = P · W and some that rest, `T` tokens of a step, `R` rounds.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from reasoning.decode.base import Chain, select_rows
from reasoning.decode.loop import at_rest, initial_states
from reasoning.decode.slots import RUNNING, STOP_ID, STOP_LENGTH, Playing, Slots, fork, identity_key, resume
from reasoning.rewards.base import Cached, Scorer, gather
from reasoning.search.base import SELECT, Rows, Search, aggregate, copies_of, parents_of


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Paths:
    """What is known of the steps of each row; moves with the rows.

    Attributes:
      scored: int32[B], length up to which the scorer has read. steps: int32[B], steps that it has scored.
      starts: int32[B, R] and scores: float32[B, R], of these steps. latest: float32[B], the score of the prefix.
    """

    scored: jax.Array
    steps: jax.Array
    starts: jax.Array
    scores: jax.Array
    latest: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Problems:
    """Of each problem: key[P], the round int32[P] that it is in, and the search's state."""

    key: jax.Array
    turn: jax.Array
    state: Any


class Window(NamedTuple):
    """The new step of each row.

    Attributes:
      new: int32[B, T], its tokens without a stop id, n: int32[B] of them; ended: bool[B], the response is complete.
      start: int32[B], length at which it began; kept, forced: int32[B], tokens that it added, and those of them forced. kept is
        negative where a stop string took back more than the step.
      ready: bool[B], the row's problem takes part in this round. Where it does not, n, kept and forced are 0.
    """

    new: jax.Array
    n: jax.Array
    ended: jax.Array
    start: jax.Array
    kept: jax.Array
    forced: jax.Array
    ready: jax.Array


class Choice(NamedTuple):
    """How a round ended, for the host to read whenever it likes.

    Attributes:
      value: float32[B], what was selected by. parents: int32[B], within the problem. length: int32[B], after a cut.
      done: bool[B] after the selection, for the rows that are in the slots then.
    """

    value: jax.Array
    parents: jax.Array
    length: jax.Array
    done: jax.Array


@dataclasses.dataclass(frozen=True)
class Shape:
    """Static sizes of one search in one bucket: P problems of W rows, T tokens a step, R rounds; `aggregation` of step scores."""

    problems: int
    width: int
    step_tokens: int
    rounds: int
    aggregation: str


def without_cache(slots: Slots) -> Slots:
    """Everything of the slots that is small."""
    return dataclasses.replace(slots, cache=())


def window(small: Slots, paths: Paths, shape: Shape) -> Window:
    """What each row wrote since it was scored; at most T tokens, the others come with the next step."""
    size, arrived = shape.step_tokens, jnp.repeat(at_rest(small, shape.width), shape.width)
    ready = jnp.zeros_like(small.done).at[: arrived.size].set(arrived)
    stops = small.done & (small.reason == STOP_ID) & (small.length > small.prompt_length)
    n = jnp.where(ready, jnp.clip(small.length - stops - paths.scored, 0, size), 0)
    at = paths.scored[:, None] + jnp.arange(size)[None]
    place = jnp.minimum(at, small.tokens.shape[1] - 1)
    inside = at < small.length[:, None]
    new = jnp.where(jnp.arange(size)[None] < n[:, None], jnp.take_along_axis(small.tokens, place, 1), 0)
    forced = (jnp.take_along_axis(small.forced, place, 1) & inside & ready[:, None]).sum(1)
    return Window(new, n, small.done & ready, paths.scored, jnp.where(ready, small.length - paths.scored, 0), forced, ready)


def likelihood(small: Slots) -> jax.Array:
    """float32[B]: mean log p in nats of the tokens that each row sampled, the score of a search without a scorer."""
    at = jnp.arange(small.tokens.shape[1])[None]
    own = (at >= small.prompt_length[:, None]) & (at < small.length[:, None]) & ~small.forced
    return jnp.where(own, small.logprob, 0.0).sum(1) / jnp.maximum(own.sum(1), 1)


def judge(scorer: Scorer | None, params, small: Slots, seen: Window, ids, paths: Paths, carry) -> tuple[Paths, Any]:
    """Scores the new steps: (paths that know them, carry). `ids`: (int32[B, T'], int32[B]), what the scorer reads of `seen`.

    small: the slots; their cache is there only for a scorer that peeks.
    """
    if scorer is None:
        score = likelihood(small)
    elif scorer.peek is not None:
        score = jnp.where(seen.n > 0, scorer.peek(params, small), paths.latest)
    else:
        score, carry = scorer.score(params, *ids, seen.ended, carry)
        score = jnp.where(ids[1] > 0, score, paths.latest)  # nothing to read: what is known, at first 0
    fresh = seen.n > 0
    index = jnp.where(fresh, paths.steps, paths.starts.shape[1])
    put = jax.vmap(lambda row, index, value: row.at[index].set(value, mode="drop"))
    behind = seen.start + seen.n
    whole = small.length - behind <= (small.reason == STOP_ID)
    paths = Paths(
        scored=jnp.where(whole & seen.ready, small.length, behind),
        steps=paths.steps + fresh,
        starts=put(paths.starts, index, seen.start),
        scores=put(paths.scores, index, score),
        latest=jnp.where(seen.ready, score, paths.latest),
    )
    return paths, carry


def choose(
    search: Search, chain: Chain, shape: Shape, slots: Slots, tables, paths: Paths, latest, carry, problems: Problems, ready
):
    """Selects and gathers: (slots, paths, carry, problems, Choice). `latest`: scores to select by, from a lookahead or not.
    `ready`: bool[B], see `Window`."""
    P, W = shape.problems, shape.width
    mine = ready[: P * W : W]
    value = aggregate(shape.aggregation, paths.scores, paths.steps, latest)
    of_problem = lambda leaf: leaf[: P * W].reshape(P, W, *leaf.shape[1:])  # noqa: E731
    fields = (~slots.done, slots.done, slots.reason, slots.length, slots.prompt_length, slots.tokens, paths.steps, paths.starts)
    key = jax.vmap(jax.random.fold_in)(problems.key, problems.turn)
    rows = Rows(*map(of_problem, fields))
    selection, state = jax.vmap(search.select)(of_problem(value), rows, key, problems.state)

    last = mine & (problems.turn + 1 >= shape.rounds)  # nothing more is expanded, so nothing is pruned either
    parents = jax.vmap(parents_of)(jnp.where((last | ~mine)[:, None], 1, selection.counts))
    own = jnp.arange(slots.done.size)
    absolute = own.at[: P * W].set((parents + W * jnp.arange(P)[:, None]).reshape(-1))
    copies = jnp.zeros_like(own).at[: P * W].set(jax.vmap(copies_of)(parents).reshape(-1))
    if search.cuts:
        length = slots.length.at[: P * W].set(jnp.where((last | ~mine)[:, None], rows.length, selection.length).reshape(-1))
        slots, paths = cut(chain, slots, tables, paths, length)
    slots = resume(fork(slots, absolute, copies), ready)
    paths, carry = gather(paths, absolute), gather(carry, absolute)
    over = jnp.zeros_like(slots.done).at[: P * W].set(jnp.repeat(last, W)) & ~slots.done
    slots = dataclasses.replace(slots, done=slots.done | over, reason=jnp.where(over, STOP_LENGTH, slots.reason))
    problems = Problems(problems.key, problems.turn + mine, select_rows(mine, state, problems.state))
    relative = own.at[: P * W].set(parents.reshape(-1))
    return slots, paths, carry, problems, Choice(value, relative, slots.length, slots.done)


def cut(chain: Chain, slots: Slots, tables, paths: Paths, length: jax.Array) -> tuple[Slots, Paths]:
    """Rows whose `length` int32[B] is below their own are taken back to it, whole steps at a time, and live again."""
    back = length < slots.length
    batch = slots.done.size
    shorter = dataclasses.replace(
        slots,
        length=length,
        done=slots.done & False,
        reason=jnp.full_like(slots.reason, RUNNING),
        thought=jnp.zeros_like(slots.thought),
        barred=jnp.zeros_like(slots.barred),
        playing=Playing.nothing(batch),
        cache=(),
    )
    shorter = dataclasses.replace(shorter, states=initial_states(chain, shorter, tables))
    kept = (jnp.arange(paths.starts.shape[1])[None] < paths.steps[:, None]) & (paths.starts < length[:, None])
    steps = jnp.where(back, kept.sum(1), paths.steps)
    paths = dataclasses.replace(paths, steps=steps, scored=jnp.where(back, length, paths.scored))
    cut_slots = select_rows(back, shorter, without_cache(slots))
    return dataclasses.replace(cut_slots, cache=slots.cache), paths


def enter(scorer, search: Search, shape: Shape, params, paths: Paths, carry, problems: Problems, entry: "Entry", length: int):
    """(paths, carry, problems) in which the problems of `entry` stand at the end of their prompt; the scorer reads it once."""
    W, batch = shape.width, paths.steps.size
    problem = jnp.minimum(jnp.arange(batch) // W, shape.problems - 1)
    new = entry.length > 0
    rows = new[problem] & (jnp.arange(batch) < shape.problems * W)
    zero = jnp.zeros_like
    fresh = Paths(entry.length[problem], zero(paths.steps), zero(paths.starts), zero(paths.scores), zero(paths.latest))
    paths = select_rows(rows, fresh, paths)
    if scorer is not None and scorer.reads:
        carry = read_prompts(scorer, params, entry, W, carry, length)
    key = jax.vmap(lambda seed, identity: jax.random.fold_in(identity_key(seed, identity, 0), SELECT))(entry.seed, entry.identity)
    state = jax.vmap(lambda _: search.init(W))(entry.n)
    begun = Problems(key, zero(problems.turn), state)
    return paths, carry, Problems(*(select_rows(new, a, b) for a, b in zip(_fields(begun), _fields(problems), strict=True)))


def read_prompts(scorer: Scorer, params, entry: "Entry", width: int, carry, length: int):
    """The carry in which all rows of an entering problem have read its prompt, one problem after the other: mostly few of the P
    enter at a time, and a prompt is long enough to be a batch of its own."""
    new = entry.length > 0
    order = jnp.argsort(~new)

    def one(k, carry):
        at = order[k]
        prompt, n = jax.lax.dynamic_slice_in_dim(entry.prompts, at, 1), jax.lax.dynamic_slice_in_dim(entry.n, at, 1)
        read = scorer.begin(params, prompt, n, scorer.init(1, length))
        put = lambda rows, leaf: jax.lax.dynamic_update_slice_in_dim(rows, jnp.repeat(leaf, width, 0), at * width, 0)  # noqa: E731
        return jax.tree.map(put, carry, read)

    return jax.lax.fori_loop(0, new.sum(), one, carry)


class Entry(NamedTuple):
    """Problems that enter, written on the host; those with length 0 stay as they are.

    Attributes:
      prompts: int32[P, T'], what the scorer reads before the response, n: int32[P] of it. length: int32[P], of the prompt.
      seed: uint32[P]; identity: uint32[P, 2], as in `reasoning.decode.admission.Admission`.
    """

    prompts: Any
    n: Any
    length: Any
    seed: Any
    identity: Any


def _fields(problems: Problems) -> tuple:
    return problems.key, problems.turn, problems.state


def empty(scorer: Scorer | None, search: Search, shape: Shape, batch: int, length: int) -> tuple[Paths, Any, Problems]:
    """Paths, carry and problems of which none has entered."""
    zero, many = jnp.zeros(batch, jnp.int32), (batch, shape.rounds)
    # An empty slot has length 1, and nothing of it is ever scored.
    paths = Paths(zero + 1, zero, jnp.zeros(many, jnp.int32), jnp.zeros(many, jnp.float32), jnp.zeros(batch, jnp.float32))
    carry = scorer.init(batch, length) if scorer is not None and scorer.reads else Cached((), ())
    state = jax.vmap(lambda _: search.init(shape.width))(jnp.arange(shape.problems))
    key = jax.vmap(jax.random.key)(jnp.zeros(shape.problems, jnp.uint32))
    return paths, carry, Problems(key, jnp.full(shape.problems, shape.rounds, jnp.int32), state)
