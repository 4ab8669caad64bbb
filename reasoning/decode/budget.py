"""Budget forcing: how long a row thinks, decided inside the compiled loop.

Three things happen to a thought, each at the token that causes it:

    its end is suppressed   the delimiter is taken back and a string such as "Wait" is forced in its place
    it ends otherwise       an end-of-text token in mid-thought is taken back and the plain delimiter is forced
    its budget is used up   the delimiter and the beginning of the answer are forced; so they are where the thought repeats
                            itself, or past a soft limit where the model would as soon end it (`endings`)

A budget counts the tokens of the thought as they stand in the text, forced ones included, delimiters not. With an end and a
string of one token each this is the count of s1's published loop, which subtracts what was sampled, the suppressed end with
it, and adds the string for nothing.

Axis legend: `B` slots, `Q` tokens of the longest script.
Source: s1, arXiv 2501.19393, section 3.1; its README (one budget for all rounds) and evaluation harness (one a round).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.decode import endings, phases
from reasoning.decode.base import Context, Controller, Decision, Knob, Knobs, select_rows
from reasoning.decode.matching import advance, locate
from reasoning.decode.slots import (
    STOP_CONTROLLER,
    THOUGHT_BUDGET,
    THOUGHT_LOOP,
    THOUGHT_RESERVE,
    THOUGHT_ROUND,
    THOUGHT_SOFT,
    THOUGHT_STOP,
)

_UNLIMITED = jnp.iinfo(jnp.int32).max // 2

KNOBS = {
    "max_thinking": Knob("int32", (), -1, -1, None, "tokens of thinking at most, all rounds together; −1 is free"),
    "max_round": Knob("int32", (), -1, -1, None, "tokens of thinking between two suppressed ends at most; −1 is free"),
    "min_thinking": Knob("int32", (), 0, 0, None, "tokens of thinking before its end is accepted; earlier ends are suppressed"),
    "num_ignore": Knob("int32", (), 0, 0, None, "ends of thinking to suppress, besides those before min_thinking"),
    "ignore_script": Knob("int32", (), -1, -1, None, "script row forced for a suppressed end; −1 is no string", "scripts"),
    "end_script": Knob("int32", (), -1, -1, None, "script row that closes a thought ended by a stop id; −1 lets it", "scripts"),
    "tail_script": Knob("int32", (), -1, -1, None, "script row forced when the budget is used up; −1 ends the row", "scripts"),
    **endings.KNOBS,
    "answer_reserve": Knob("int32", (), 0, 0, None, "tokens of max_tokens kept for the answer; 0 is none"),
}


class State(NamedTuple):
    """ignored int32[B], ends suppressed so far; round int32[B], length at which this round began, 0 for the first;
    closed bool[B], the end of thinking was forced, so nothing is left to decide."""

    ignored: jax.Array
    round: jax.Array
    closed: jax.Array


def budget_forcing(reach: int = 32) -> Controller:
    """Suppresses, or forces, the end of thinking. It goes before `stop_ids` in a chain, or a thought could end the row.

    An end is the row's `thinking_end` delimiter or one of its `thinking_stop_ids` (`reasoning.decode.phases`). It is suppressed
    only while the string and one more token fit the budget. After a suppression the next sampled token may not begin another
    end. When the budget is used up in the middle of a delimiter, what there is of it is taken back first. Text that stood in
    one token with what is taken back is written again if it fits.

    Args:
      reach: tokens that a delimiter may touch; the default is the longest pattern of the default tables, in bytes.

    Knobs: `KNOBS`, a value a row.
    """

    def init(knobs: Knobs, context: Context) -> State:
        zero = jnp.zeros_like(context.length)
        return State(zero, zero, zero > 0)

    def update(token, state: State, knobs: Knobs, context: Context):
        patterns, scripts = context.tables.patterns, context.tables.scripts
        thinking = (context.phase == phases.THINKING) & ~state.closed

        match, hit = advance(patterns, knobs["thinking_end"], context.phase_match, token)
        delimiter = thinking & (hit > 0)
        stop = thinking & ~delimiter & (knobs["thinking_stop_ids"] == token[:, None]).any(1)
        ended = delimiter | stop

        # What may have to be taken back: the delimiter, or as much of one as the text ends with.
        size = jnp.where(delimiter, patterns.size[knobs["thinking_end"]].astype(jnp.int32), match)
        last = jnp.where(delimiter, hit, patterns.token_bytes[token].astype(jnp.int32))
        found = locate(patterns, knobs["thinking_end"], context.tokens, context.length, token, last, reach, size)
        touched = jnp.where(stop, 1, found.touched)
        residue = jnp.where(stop, 0, found.residue)

        begin = context.generated_from
        written = context.length + 1 - begin  # tokens of this thought, this one included
        budget = _budget(knobs, context, _size(scripts, knobs["tail_script"]))
        residue = jnp.where(written - touched + _size(patterns.residues, residue, none=0) > budget, 0, residue)
        no_round = thinking & ~ended & (knobs["max_round"] == 0)  # not even this token, nor that of a budget of 0
        kept = written - jnp.where(no_round, jnp.maximum(touched, 1), touched) + _size(patterns.residues, residue, none=0)
        string = _size(scripts, knobs["ignore_script"])
        fits = kept + string < budget

        early = ended & (kept < knobs["min_thinking"])
        wanted = state.ignored < knobs["num_ignore"]
        suppressed = ended & (early | wanted) & fits
        closes = stop & ~suppressed & (knobs["end_script"] >= 0)

        spent = thinking & ~ended & (written >= budget)
        this_round = context.length + 1 - jnp.maximum(state.round, begin)
        round_over = thinking & ~ended & ~spent & (knobs["max_round"] >= 0) & (this_round >= knobs["max_round"])
        next_round = round_over & wanted & fits
        ripe = thinking & ~ended & ~spent & ~(wanted & fits) & endings.would_end(knobs, context)  # where an end would stand
        looping = thinking & ~ended & endings.repeats(token, knobs, context)
        next_round &= ~looping
        cut = spent | (round_over & ~next_round) | ripe | looping

        by_name = (knobs["max_thinking"] >= 0) & (knobs["max_thinking"] <= budget)
        why = jnp.where(spent, jnp.where(by_name, THOUGHT_BUDGET, THOUGHT_RESERVE), THOUGHT_ROUND)
        why = jnp.where(looping & ~spent, THOUGHT_LOOP, jnp.where(ripe, THOUGHT_SOFT, why))

        goes_on = suppressed | next_round
        takes_back = (suppressed | closes | next_round | cut) & (touched > 0)
        beyond = (cut & ((written > budget) | ripe)) | (round_over & no_round)
        rewind = jnp.where(takes_back, touched - 1, jnp.where(beyond, 0, -1))
        script = jnp.where(goes_on, knobs["ignore_script"], jnp.where(closes, knobs["end_script"], knobs["tail_script"]))
        acts = goes_on | closes | cut
        done = cut & (knobs["tail_script"] < 0)
        decision = Decision(
            rewind=rewind,
            residue=jnp.where(takes_back, residue, 0),
            script=jnp.where(acts, script, -1),
            bar=goes_on,
            done=done,
            pause=jnp.zeros_like(done),
            reason=jnp.where(done, STOP_CONTROLLER, 0),
            thought=jnp.where(closes, THOUGHT_STOP, jnp.where(cut, why, 0)),
        )
        after = State(
            ignored=state.ignored + ((suppressed & ~early) | next_round),
            round=jnp.where(goes_on, begin + kept + string, state.round),
            closed=state.closed | closes | cut,
        )
        return decision, select_rows(acts & ~context.playing, after, state)

    return Controller(KNOBS, init, update, reach - 1)


def _budget(knobs: Knobs, context: Context, tail: jax.Array) -> jax.Array:
    """int32[B]: tokens that the thought may have, by `max_thinking` and by what the answer must be left."""
    named = jnp.where(knobs["max_thinking"] < 0, _UNLIMITED, knobs["max_thinking"])
    left = context.limit - context.generated_from - tail - knobs["answer_reserve"]
    return jnp.maximum(jnp.minimum(named, jnp.where(knobs["answer_reserve"] > 0, left, _UNLIMITED)), 0)


def _size(table: jax.Array, row: jax.Array, none: int = -1) -> jax.Array:
    """int32[B]: tokens in rows `row` int32[B] of a table int32[n, Q] padded with −1; rows ≤ `none` are no text."""
    return jnp.where(row > none, (table[jnp.maximum(row, 0)] >= 0).sum(1), 0)
