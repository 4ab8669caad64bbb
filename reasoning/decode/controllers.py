"""Controllers that every engine has: stop ids and stop patterns; the pause at the end of a step is in `reasoning.decode.steps`.

Axis legend: `B` slots, `V` vocabulary.
"""

import dataclasses

import jax.numpy as jnp

from reasoning.decode.base import Context, Controller, Decision, Knob, Knobs
from reasoning.decode.matching import advance_any, fold_any, locate
from reasoning.decode.slots import STOP_ID, STOP_PATTERN
from reasoning.decode.steps import step_ends
from reasoning.decode.transforms import STOP_IDS

MAX_PATTERNS = 4


def stop_ids() -> Controller:
    """Ends a row when it writes one of its stop ids; the id stays in the tokens. Knob: stop_ids int32[8], −1 padded."""

    def update(token, state, knobs: Knobs, context: Context):
        none = Decision.none(token.shape[0])
        hit = jnp.any(knobs["stop_ids"] == token[:, None], axis=1)
        return dataclasses.replace(none, done=hit, reason=jnp.where(hit, STOP_ID, 0)), state

    return Controller({"stop_ids": STOP_IDS}, lambda knobs, context: (), update)


def stop_patterns(reach: int = 32) -> Controller:
    """Ends a row when one of its strings appears in the generated text, and takes the string back out.

    A match may straddle tokens: those that it touches are un-emitted, the text before it is emitted again, the text after
    it is dropped. A match that touches more than `reach` tokens would end the row and stay in the text; the default is the
    longest pattern of the default tables, in bytes, which no match exceeds.

    Knob: stop_patterns int32[4], pattern rows, 0 padded.
    """
    meaning = "pattern rows of the strings that end the response; 0 is none"
    knob = Knob("int32", (MAX_PATTERNS,), 0, 0, None, meaning, "patterns")

    def init(knobs: Knobs, context: Context):
        rows = knobs["stop_patterns"]
        return fold_any(context.tables.patterns, rows, context.tokens, context.length, context.prompt_length)

    def update(token, state, knobs: Knobs, context: Context):
        tables = context.tables.patterns
        state, first = advance_any(tables, knobs["stop_patterns"], state, token)
        match = locate(tables, first.pattern, context.tokens, context.length, token, first.end, reach)
        hit = first.end > 0
        decision = dataclasses.replace(
            Decision.none(token.shape[0]),
            rewind=jnp.where(hit, match.touched - 1, -1),
            residue=jnp.where(hit, match.residue, 0),
            done=hit,
            reason=jnp.where(hit, STOP_PATTERN, 0),
        )
        return decision, state

    return Controller({"stop_patterns": knob}, init, update, reach - 1)


def standard() -> tuple[Controller, ...]:
    """Stop ids, stop patterns, ends of steps; the first that decides wins."""
    return stop_ids(), stop_patterns(), step_ends()
