"""Where a reasoning step ends: the controller that holds a row there, so that a search can score and select.

    "a\\n\\n"  pause   "\\n\\n"  an end right after an end is no step   "b.\\n\\nc"  pause; "c" stays and begins the next step

Strings are rows of the pattern tables, so a delimiter that straddles tokens, or lies inside one, is found, and a new one
compiles nothing. A step also ends at its largest number of tokens.

Axis legend: `B` slots, `S` cache length, `n` delimiters of a row.
"""

import dataclasses

import jax
import jax.numpy as jnp

from reasoning.decode.base import Context, Controller, Decision, Knob, Knobs, select_rows
from reasoning.decode.matching import advance_any

MAX_ENDS = 4

KNOBS = {
    "step_ends": Knob("int32", (MAX_ENDS,), 0, 0, None, "pattern rows of the strings that end a step; 0 is none", "patterns"),
    "step_tokens": Knob("int32", (), 0, 0, None, "tokens of a step at most; 0 is no limit"),
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Step:
    """The step under way.

    Attributes:
      match: int32[B, n], bytes seen of each delimiter. start: int32[B], length at which the step began.
      text: int32[B], bytes of it so far, delimiters that ended nothing left out.
    """

    match: jax.Array
    start: jax.Array
    text: jax.Array


def _advance(knobs: Knobs, patterns, state: Step, token, length, playing) -> tuple[jax.Array, Step]:
    """(bool[B] whether the step ends with `token` int32[B], written at `length` int32[B]; the state after it)."""
    match, first = advance_any(patterns, knobs["step_ends"], state.match, token)
    size, hit = patterns.token_bytes[token].astype(jnp.int32), first.end > 0
    behind = jnp.where(hit, size - first.end, 0)
    before = state.text + size - behind - patterns.size[first.pattern].astype(jnp.int32)
    full = (knobs["step_tokens"] > 0) & (length + 1 - state.start >= knobs["step_tokens"])
    ends = ((hit & (before > 0)) | full) & ~playing
    nothing = hit & (before <= 0)
    text = jnp.where(ends | nothing, behind, state.text + size)
    return ends, Step(match, jnp.where(ends, length + 1, state.start), text)


def step_ends() -> Controller:
    """Pauses a row after the token that ends a step: by a delimiter, or because the step is as long as it may be.

    An end right after an end does not count, so no step is empty. Text behind the delimiter inside the same token stays and
    belongs to the next step. Forced text ends no step. Whoever runs the rows says `resume`.

    Knobs: `KNOBS`; no delimiter and no limit are neutral.
    """

    def init(knobs: Knobs, context: Context) -> Step:
        patterns, prompt, length = context.tables.patterns, context.prompt_length, context.length
        empty = jnp.zeros_like(length)

        def body(index, state):
            at = jnp.minimum(prompt + index, context.tokens.shape[1] - 1)
            token, forced = (jax.vmap(lambda row, i: row[i])(rows, at) for rows in (context.tokens, context.forced))
            _, after = _advance(knobs, patterns, state, token, at, forced)
            return select_rows(prompt + index < length, after, state)

        start = Step(jnp.zeros_like(knobs["step_ends"]), prompt, empty)
        return jax.lax.fori_loop(0, jnp.max(length - prompt), body, start)  # no pass at admission

    def update(token, state: Step, knobs: Knobs, context: Context):
        ends, state = _advance(knobs, context.tables.patterns, state, token, context.length, context.playing)
        return dataclasses.replace(Decision.none(token.shape[0]), pause=ends), state

    return Controller(KNOBS, init, update)
