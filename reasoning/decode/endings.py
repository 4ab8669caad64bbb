"""Reasons to end a thought besides its budget: it repeats itself, or the model would as soon end it.

Axis legend: `B` slots, `S` cache length, `V` vocabulary, `P` periods, `K` tokens compared at a time.
Sources: repeated "Wait" ends in loops, s1, arXiv 2501.19393, section 4.2; the soft window is the early exit of budgeted
decoding as served today: after a soft limit the end may come wherever it is among the likeliest tokens, a hard limit follows.
"""

import jax
import jax.numpy as jnp

from reasoning.decode import phases
from reasoning.decode.base import Context, Knob, Knobs

LONGEST_PERIOD = 64  # tokens of the longest passage whose repetition is seen
_BLOCK = 64  # K; at least LONGEST_PERIOD − 1, so that the first block tells whether a passage is one token over and over

KNOBS = {
    "loop_repeats": Knob("int32", (), 0, 0, 64, "end a thought whose last passage stands there so often in a row; 0 is off"),
    "soft_thinking": Knob("int32", (), -1, -1, None, "tokens of thinking after which it may end early (soft_rank); −1 is off"),
    "soft_rank": Knob("int32", (), 0, 0, None, "end it there once the delimiter is among so many likeliest tokens; 0 is off"),
}


def repeats(token: jax.Array, knobs: Knobs, context: Context) -> jax.Array:
    """bool[B]: the thought ends, with `token` int32[B], in `loop_repeats` copies of one passage of up to LONGEST_PERIOD tokens.

    One token over and over is a passage of one token, whatever the period, and counts only from four times as many copies
    on, so that "000" is no loop. Every other passage may be made of copies itself: they are then copies of a shorter one.

    Read back from the end, a block at a time until no period can be one any more: nothing has to be remembered, so a text
    taken back or copied needs no care, and where nothing repeats a row costs P × K comparisons, however long it is.
    """
    periods = jnp.arange(1, LONGEST_PERIOD + 1)
    ahead = periods[:, None] + jnp.arange(_BLOCK)  # P × K, of each token of a block, the one a period before it

    def row(tokens, length, start, token, times):
        needed = jnp.where(periods == 1, 4 * times - 1, periods * (times - 1))  # tokens like those one period before
        needed = jnp.where(times > 1, needed, 0)

        def going(state):
            read, run = state
            return jnp.any((run == read) & (run < needed))

        def block(state):  # `run`: tokens at the end, of the `read` last ones, like those one period before
            read, run = state
            position = length - read - jnp.arange(_BLOCK + LONGEST_PERIOD)
            window = jnp.where(position == length, token, tokens[jnp.clip(position, 0, tokens.shape[0] - 1)])
            same = (window[:_BLOCK] == window[ahead]) & (position[ahead] >= start)
            more = jnp.where(same.all(1), _BLOCK, jnp.argmin(same, axis=1))
            return read + _BLOCK, jnp.where(run == read, run + more, run)

        _, run = jax.lax.while_loop(going, block, (jnp.int32(0), jnp.zeros_like(periods)))
        one_token = (periods > 1) & (run[0] >= periods - 1)
        return (times > 1) & jnp.any((run >= needed) & ~one_token)

    def some():
        return jax.vmap(row)(context.tokens, context.length, context.phase_start, token, knobs["loop_repeats"])

    return jax.lax.cond(jnp.any(knobs["loop_repeats"] > 1), some, lambda: jnp.zeros(token.shape, bool))


def would_end(knobs: Knobs, context: Context) -> jax.Array:
    """bool[B]: past `soft_thinking`, a token that ends the thought is among the `soft_rank` likeliest of the model's own.

    Such are the tokens that hold the whole delimiter, the one with which the tokenizer begins to write it, and the stop ids of
    the thought. A token that only happens to end as the delimiter begins ("NASA" for "Answer:") is none, nor is "<" where
    "</think>" is a token. A delimiter that the text has begun already is left to come. A thought that may not end yet does not
    end here either: before `min_thinking`, and in a barred row, whose logits are read as they were before the bar.
    """
    written = context.length - context.generated_from
    soft = (context.phase == phases.THINKING) & (context.phase_match == 0) & ~context.barred
    soft &= (knobs["soft_thinking"] >= 0) & (written >= jnp.maximum(knobs["soft_thinking"], knobs["min_thinking"]))

    def row(logits, pattern, stop_ids, rank):
        best = jnp.max(jnp.where(_ending(context.tables.patterns, pattern, stop_ids), logits, -jnp.inf))
        return (logits > best).sum() < rank

    def some():
        return jax.vmap(row)(context.logits, knobs["thinking_end"], knobs["thinking_stop_ids"], knobs["soft_rank"]) & soft

    return jax.lax.cond(jnp.any(soft), some, lambda: jnp.zeros_like(soft))


def _ending(patterns, pattern: jax.Array, stop_ids: jax.Array) -> jax.Array:
    """bool[V]: tokens that hold `pattern` int32[], begin its own encoding, or are one of `stop_ids` int32[n], −1 padded."""
    classes = patterns.classes[pattern]
    ids = jnp.append(stop_ids, patterns.first[pattern])
    return (patterns.end[pattern, 0] > 0)[classes].at[jnp.where(ids < 0, classes.size, ids)].set(True, mode="drop")
