"""The decode state: one row a sequence, every array with the slot axis first, so that refill, fork and rollback are tree maps.

A row holds no logits. Its last token is fed again by the next step (an idempotent KV write), so taking text back,
forking and completing by force only set `length`; what lies beyond `length` is masked and later overwritten.

Axis legend: `B` slots, `S` cache length, `R` tokens that a controller may take back, `A` alternatives kept for each token.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from reasoning.decode.base import Chain
from reasoning.decode.phases import PhaseState

# Why a row is done; index into STOP_REASONS.
RUNNING, STOP_ID, STOP_PATTERN, STOP_LENGTH, STOP_CONTROLLER = range(5)
STOP_REASONS = ("running", "stop", "pattern", "length", "controller")

# Why a thought ended; index into THOUGHT_ENDS. It did not; the model wrote the delimiter, or a stop id in its place; it was cut
# at its budget, at the room kept for the answer, at the budget of its round; it repeated itself; it was about to end anyway.
(NO_END, THOUGHT_ITSELF, THOUGHT_STOP, THOUGHT_BUDGET, THOUGHT_RESERVE, THOUGHT_ROUND, THOUGHT_LOOP, THOUGHT_SOFT) = range(8)
THOUGHT_ENDS = ("", "itself", "stop", "budget", "reserve", "round", "loop", "soft")

# Domains of randomness: folded into a row's key, so that no two uses ever draw the same number.
DRAW, FORK = 0x0D4A, 0x0F04


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Playing:
    """Forced text that the loop still has to write: first a residue, then a script, then the pending end or pause.

    Attributes:
      residue, script: int32[B], rows of the text tables (`residue` ≤ 0 and `script` < 0: none left).
      cursor: int32[B], next token of the residue, or of the script once the residue is written.
      done, pause: bool[B] and reason: int32[B], what takes effect when both are written.
    """

    residue: jax.Array
    script: jax.Array
    cursor: jax.Array
    done: jax.Array
    pause: jax.Array
    reason: jax.Array

    @staticmethod
    def nothing(batch: int) -> "Playing":
        """No forced text in any row."""
        zero, no = jnp.zeros(batch, jnp.int32), jnp.zeros(batch, bool)
        return Playing(zero, zero - 1, zero, no, no, zero)

    def active(self) -> jax.Array:
        """bool[B]: whether the next token of the row is forced."""
        return (self.residue > 0) | (self.script >= 0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class States:
    """Small states of all stages; every leaf is [B, R + 1, …], indexed by `length mod (R + 1)`.

    Entry `l mod (R + 1)` is the state before the step at length l, so un-emitting up to R tokens restores it by itself.
    """

    transforms: tuple[Any, ...]
    controllers: tuple[Any, ...]
    phase: PhaseState


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Slots:
    """All rows of one bucket.

    Attributes:
      tokens, forced: int32 and bool [B, S]; logprob, processed_logprob: float32[B, S], log p in nats of the model and of the
        distribution that was sampled from (after the transforms), 0 where forced.
      other_tokens, other_logprobs: int32 and float32 [B, S, A], the A likeliest tokens where each token was chosen.
      length: int32[B], tokens written with the prompt; prompt_length: int32[B]; limit: int32[B], length at which a row ends.
      draws: int32[B], model steps of the row; never decreases on a rewind, so that no uniform is used twice.
      discarded: int32[B], tokens sampled or forced and then taken back.
      key: typed key[B], the row's identity (run seed, problem, sample).
      done, pause: bool[B]; reason: int32[B], a STOP_* code. An empty slot is done.
      thought: int32[B], a THOUGHT_* code, why the thought ended.
      barred: bool[B], the next sampled token may not begin an end of thinking.
      playing: forced text under way. knobs: {name: [B, …]}. states: see `States`. cache: of the network.
    """

    tokens: jax.Array
    forced: jax.Array
    logprob: jax.Array
    processed_logprob: jax.Array
    other_tokens: jax.Array
    other_logprobs: jax.Array
    length: jax.Array
    prompt_length: jax.Array
    limit: jax.Array
    draws: jax.Array
    discarded: jax.Array
    key: jax.Array
    done: jax.Array
    pause: jax.Array
    reason: jax.Array
    thought: jax.Array
    barred: jax.Array
    playing: Playing
    knobs: dict[str, jax.Array]
    states: States
    cache: Any


def ring_read(states: Any, length: jax.Array) -> Any:
    """States before the step at `length` int32[B]: leaves [B, R+1, …] → [B, …]."""

    def read(leaf):
        return jax.vmap(lambda row, index: row[index])(leaf, length % leaf.shape[1])

    return jax.tree.map(read, states)


def ring_write(states: Any, length: jax.Array, value: Any, mask: jax.Array) -> Any:
    """Stores `value` [B, …] as the states before the step at `length`, where `mask` bool[B] holds."""

    def write(leaf, new):
        size = leaf.shape[1]
        index = jnp.where(mask, length % size, size)  # = size: outside, dropped
        return jax.vmap(lambda row, i, x: row.at[i].set(x, mode="drop"))(leaf, index, new)

    return jax.tree.map(write, states, value)


def ring_fill(value: Any, size: int) -> Any:
    """`value` [B, …] repeated over a ring of `size` entries: [B, size, …]."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:, None], (leaf.shape[0], size, *leaf.shape[1:])), value)


def gather(slots: Slots, parents: jax.Array) -> Slots:
    """Row b becomes a copy of row `parents[b]`, int32[B]; the identity is a no-op."""
    return jax.tree.map(lambda leaf: leaf[parents], slots)


def fork(slots: Slots, parents: jax.Array, copies: jax.Array) -> Slots:
    """`gather`, with a key of its own for each copy.

    Args:
      copies: int32[B], rank among the siblings of one parent. Copy 0 keeps the parent's key and so continues exactly as the
        parent would have; the others fold in (FORK, draws, rank), since two siblings with one key would never part.
    """
    out = gather(slots, parents)

    def rekey(key, draws, copy):
        return jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, FORK), draws), copy)

    return dataclasses.replace(out, key=jnp.where(copies == 0, out.key, jax.vmap(rekey)(out.key, out.draws, copies)))


def rollback(now: Slots, saved: Slots) -> Slots:
    """`saved` again, after the rows ran ahead to `now`. The cache is taken from `now`: what it holds beyond length is masked."""
    return dataclasses.replace(saved, cache=now.cache)


def resume(slots: Slots, rows: jax.Array) -> Slots:
    """Lets the paused rows of `rows` bool[B] run on."""
    return dataclasses.replace(slots, pause=slots.pause & ~rows)


def identity_key(seed: jax.Array, identity: jax.Array, sample: jax.Array) -> jax.Array:
    """A row's key from uint32 run seed, uint32[2] digest of the request's id, and int32 sample; scalars, vmap for rows."""
    key = jax.random.key(seed)
    return jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, identity[0]), identity[1]), sample)


def ring_size(chain: Chain) -> int:
    """Entries in the ring of states: the current one and one for each token that can be taken back."""
    return chain.reach + 1
