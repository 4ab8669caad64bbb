"""Controllers and chains for tests of the loop itself: take back, force, pause on command."""

import dataclasses

import jax.numpy as jnp

from reasoning.decode.base import Chain, Context, Controller, Decision, Knob, Knobs, Transform
from reasoning.decode.controllers import stop_ids, stop_patterns
from reasoning.decode.transforms import temperature


def rewind_once(reach: int = 3) -> Controller:
    """At generated index `rewind_at` (knob, −1 never), takes back `rewind_by` tokens besides the sampled one, once, then
    forces script `rewind_script` (−1 none)."""
    knobs = {
        "rewind_at": Knob("int32", (), -1, -1, None, "generated index"),
        "rewind_by": Knob("int32", (), 0, 0, reach, "tokens"),
        "rewind_script": Knob("int32", (), -1, -1, None, "script row"),
    }

    def init(knobs: Knobs, context: Context):
        return jnp.zeros(context.length.shape, bool)

    def update(token, state, knobs: Knobs, context: Context):
        now = ~state & (context.length - context.prompt_length == knobs["rewind_at"]) & ~context.playing
        decision = dataclasses.replace(
            Decision.none(token.shape[0]),
            rewind=jnp.where(now, knobs["rewind_by"], -1),
            script=jnp.where(now, knobs["rewind_script"], -1),
        )
        return decision, state | now

    return Controller(knobs, init, update, reach)


def reject(token_id: int) -> Controller:
    """Takes back every sampled `token_id`, so that rejection sampling must give the renormalised rest."""

    def update(token, state, knobs: Knobs, context: Context):
        return dataclasses.replace(Decision.none(token.shape[0]), rewind=jnp.where(token == token_id, 0, -1)), state

    return Controller({}, lambda knobs, context: (), update, 0)


def pause_every(steps: int) -> Controller:
    """Pauses a row after every `steps` generated tokens."""

    def update(token, state, knobs: Knobs, context: Context):
        count = context.length - context.prompt_length + 1
        return dataclasses.replace(Decision.none(token.shape[0]), pause=count % steps == 0), state

    return Controller({}, lambda knobs, context: (), update)


def running_sum() -> Transform:
    """A transform with a state: adds the sum of all tokens so far to one logit, so a wrong state changes what is sampled."""

    def init(knobs: Knobs, context: Context):
        before = jnp.arange(context.tokens.shape[1])[None] < context.length[:, None] - 1
        return jnp.where(before, context.tokens, 0).sum(1)

    def update(logits, state, knobs: Knobs, context: Context):
        state = state + context.token
        favoured = state % logits.shape[1]
        bonus = jnp.where(knobs["sum_bonus"] != 0, knobs["sum_bonus"], 0.0)[:, None]
        return jnp.where(jnp.arange(logits.shape[1]) == favoured[:, None], logits + bonus, logits), state

    return Transform({"sum_bonus": Knob("float32", (), 0.0, None, None, "logits")}, init, update)


SMALL = Chain((running_sum(), temperature()), (stop_ids(), stop_patterns(4), rewind_once()))
