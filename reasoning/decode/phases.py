"""Where a row is in its thought: before thinking (0), thinking (1) or answering (2), by two delimiter patterns a row.

The loop computes the phase itself, from knobs, so that every stage sees the same one and a rewind moves it back. The
prompt counts: a prompt that ends with the opening delimiter starts the row in phase 1.

Axis legend: `B` slots, `S` cache length.
"""

import dataclasses

import jax
import jax.numpy as jnp

from reasoning.decode.base import Knob, Knobs
from reasoning.decode.matching import advance

BEFORE, THINKING, ANSWER = range(3)

# 0 is the pattern that never matches. With an end and no start, thinking begins with the first generated token.
KNOBS = {
    "thinking_start": Knob("int32", (), 0, 0, None, "pattern row of the delimiter that opens thinking; 0 for none", "patterns"),
    "thinking_end": Knob("int32", (), 0, 0, None, "pattern row of the delimiter that closes thinking; 0 for none", "patterns"),
    "thinking_stop_ids": Knob("int32", (8,), -1, -1, None, "token ids that end thinking as the delimiter does; −1 is none"),
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PhaseState:
    """phase int32[B]; start int32[B], length at which it began; match int32[B], bytes of the awaited delimiter seen."""

    phase: jax.Array
    start: jax.Array
    match: jax.Array


def init(knobs: Knobs, tokens: jax.Array, length: jax.Array, prompt_length: jax.Array, tables) -> PhaseState:
    """State after the prefix `tokens[:length]`, int32[B, S] and int32[B]; one step for each token of the longest."""
    batch = tokens.shape[0]
    open_at_once = (knobs["thinking_start"] == 0) & (knobs["thinking_end"] > 0)
    begin = jnp.where(open_at_once, prompt_length, 0)
    zero = jnp.zeros(batch, jnp.int32)
    state = PhaseState(jnp.where(open_at_once, THINKING, BEFORE).astype(jnp.int32), begin, zero)

    def step(index, state):
        after = update(state, tokens[:, index], index, prompt_length, knobs, tables)
        # With no opening delimiter the prompt is not thought: its text cannot close what has not begun.
        keep = (index < length) & (~open_at_once | (index >= prompt_length))
        return jax.tree.map(lambda new, old: jnp.where(keep, new, old), after, state)

    used = jnp.any((knobs["thinking_start"] > 0) | (knobs["thinking_end"] > 0))
    return jax.lax.fori_loop(0, jnp.where(used, jnp.max(length), 0), step, state)


def update(
    state: PhaseState, token: jax.Array, position: jax.Array, prompt_length: jax.Array, knobs: Knobs, tables
) -> PhaseState:
    """State after `token` int32[B] was written at `position` int32[B].

    A response thinks once: when its thought has ended, another opening delimiter is text, or thinking would begin again outside
    of its budget. Thoughts of earlier turns, in the prompt, do not count.
    """
    thinking = state.phase == THINKING
    over = (state.phase == ANSWER) & (state.start > prompt_length)
    awaited = jnp.where(thinking, knobs["thinking_end"], knobs["thinking_start"])
    match, end = advance(tables.patterns, awaited, state.match, token)
    hit = (end > 0) & ~over
    phase = jnp.where(hit, jnp.where(thinking, ANSWER, THINKING), state.phase)
    start = jnp.where(hit, position + 1, state.start)
    return PhaseState(phase, start, jnp.where(hit, 0, match))


def opening(patterns, pattern: jax.Array, match: jax.Array) -> jax.Array:
    """bool[V]: tokens after which a text would end with a part of `pattern` int32[], or hold it; `match` int32[] bytes of it
    are there."""
    kinds = (patterns.next[pattern, match] > 0) | (patterns.end[pattern, match] > 0)
    return kinds[patterns.classes[pattern]]


def bar(logits: jax.Array, barred: jax.Array, state: PhaseState, knobs: Knobs, tables) -> jax.Array:
    """Logits in which, in rows `barred` bool[B], no token may end thinking or begin the delimiter that does; float32[B, V].

    "Begin": after the token the text would end with a part of the delimiter, or hold it.
    Source: `min_tokens=1` of s1's continued rounds (arXiv 2501.19393, evaluation code), which knows ends of one token only.
    """

    def row(logits, barred, match, pattern, ids):
        masked = jnp.where(opening(tables.patterns, pattern, match), -jnp.inf, logits)
        masked = masked.at[jnp.where(ids < 0, logits.shape[0], ids)].set(-jnp.inf, mode="drop")
        return jnp.where(barred, masked, logits)

    def some(logits):
        match = jnp.where(state.phase == THINKING, state.match, 0)
        return jax.vmap(row)(logits, barred, match, knobs["thinking_end"], knobs["thinking_stop_ids"])

    return jax.lax.cond(jnp.any(barred), some, lambda logits: logits, logits)
