"""Reasons to end a thought besides its budget: it repeats itself, or the model would as soon end it.

Axis legend: `B` slots, `S` cache length, `V` vocabulary, `P` periods.
Sources: repeated "Wait" ends in loops, s1, arXiv 2501.19393, section 4.2; the soft window is the early exit of budgeted
decoding as served today: after a soft limit the end may come wherever it is among the likeliest tokens, a hard limit follows.
"""

import jax
import jax.numpy as jnp

from reasoning.decode import phases
from reasoning.decode.base import Context, Knob, Knobs

LONGEST_PERIOD = 64  # tokens of the longest passage whose repetition is seen

KNOBS = {
    "loop_repeats": Knob("int32", (), 0, 0, 64, "end a thought whose last passage stands there so often in a row; 0 is off"),
    "soft_thinking": Knob("int32", (), -1, -1, None, "tokens of thinking after which it may end early (soft_rank); −1 is off"),
    "soft_rank": Knob("int32", (), 0, 0, None, "end it there once the delimiter is among so many likeliest tokens; 0 is off"),
}


def repeats(token: jax.Array, knobs: Knobs, context: Context) -> jax.Array:
    """bool[B]: the thought ends, with `token` int32[B], in `loop_repeats` copies of one passage of up to LONGEST_PERIOD tokens.

    One token alone counts as a passage only from four times as many copies on, so that "000" is no loop.
    """
    size = context.tokens.shape[1]
    periods = jnp.arange(1, min(LONGEST_PERIOD, size) + 1)

    def row(tokens, length, start, token, times):
        tokens = tokens.at[length].set(token, mode="drop")
        at = jnp.arange(size)

        def run(period):  # tokens at the end that equal those one period before
            same = (tokens == jnp.roll(tokens, period)) & (at - period >= start)
            broken = jnp.where(~same & (at <= length), at, -1)
            return length - jnp.max(broken)

        needed = periods * (times - 1)
        needed = jnp.where(periods == 1, 4 * times - 1, needed)
        return (times > 1) & jnp.any(jax.vmap(run)(periods) >= needed)

    def some():
        return jax.vmap(row)(context.tokens, context.length, context.phase_start, token, knobs["loop_repeats"])

    return jax.lax.cond(jnp.any(knobs["loop_repeats"] > 1), some, lambda: jnp.zeros(token.shape, bool))


def would_end(knobs: Knobs, context: Context) -> jax.Array:
    """bool[B]: past `soft_thinking`, a token that begins or holds the delimiter is among the `soft_rank` likeliest.

    A delimiter that the text has begun already is left to come.
    """
    written = context.length - context.phase_start
    soft = (context.phase == phases.THINKING) & (context.phase_match == 0)
    soft &= (knobs["soft_thinking"] >= 0) & (written >= knobs["soft_thinking"])

    def row(logits, match, pattern, rank):
        best = jnp.max(jnp.where(phases.opening(context.tables.patterns, pattern, match), logits, -jnp.inf))
        return (logits > best).sum() < rank

    def some():
        return jax.vmap(row)(context.logits, context.phase_match, knobs["thinking_end"], knobs["soft_rank"]) & soft

    return jax.lax.cond(jnp.any(soft), some, lambda: jnp.zeros_like(soft))
