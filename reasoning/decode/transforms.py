"""Stages on the logits of a step, and their standard order. Penalties and truncation live in files of their own.

Axis legend: `B` slots (rows), `S` cache length, `V` vocabulary.
"""

import jax
import jax.numpy as jnp

from reasoning.decode.base import Knob, Transform, stateless
from reasoning.decode.penalties import frequency_penalty, presence_penalty, repetition_penalty
from reasoning.decode.sampling import argmax
from reasoning.decode.truncation import IMPOSSIBLE, min_p, top_k, top_p, typical_p

STOP_IDS = Knob("int32", (8,), -1, -1, None, "token ids that end a response; −1 is none")
TEMPERATURE = Knob("float32", (), 1.0, 0.0, 1000.0, "divides the logits; 0 is greedy, 1 the model's own distribution")
GREEDY_BELOW = 1e-5  # a smaller temperature would overflow the quotient


def standard() -> tuple[Transform, ...]:
    """All stages in their standard order, which is Hugging Face's `generate` (processors first, then warpers).

    Logit bias, forbidden ids, allowed set and minimum length say what may be emitted; then the penalties on the model's
    logits; then temperature; then top-k, top-p, min-p, typical-p, each on what the stages before it left over, renormalised.
    """
    return (
        logit_bias(),
        forbidden_ids(),
        allowed_set(),
        min_new_tokens(),
        repetition_penalty(),
        frequency_penalty(),
        presence_penalty(),
        temperature(),
        top_k(),
        top_p(),
        min_p(),
        typical_p(),
    )


def temperature() -> Transform:
    """Divides the logits by the temperature; 0 is greedy: the largest logit stays, lowest id on ties, the others are −inf.

    So any later stage, and the sampler, give the greedy token. Logits are compared in float32, where they rarely tie.
    Knob `temperature` float32 ≥ 0; 1 is neutral; below 1e-5 counts as 0.
    Source: HF `TemperatureLogitsWarper` (which refuses 0).
    """

    def edit(logits, knobs, context):
        value = knobs["temperature"][:, None]
        greedy = value < GREEDY_BELOW
        best = jnp.arange(logits.shape[1]) == argmax(logits)[:, None]
        return jnp.where(greedy, jnp.where(best, logits, IMPOSSIBLE), logits / jnp.where(greedy, 1.0, value))

    return stateless({"temperature": TEMPERATURE}, edit)


def logit_bias(capacity: int = 16) -> Transform:
    """Adds `bias_values[i]` to the logit of token `bias_ids[i]`; repeated ids add up, ids outside the vocabulary do nothing.

    Knobs: `bias_ids` int32[capacity], −1 unused; `bias_values` float32[capacity], logits.
    Source: OpenAI API, `logit_bias`; HF `SequenceBiasLogitsProcessor` for sequences of one token.
    """

    def edit(logits, knobs, context):
        ids = _dropped(knobs["bias_ids"], logits.shape[1])
        return jax.vmap(lambda logits, ids, values: logits.at[ids].add(values, mode="drop"))(logits, ids, knobs["bias_values"])

    knobs = {
        "bias_ids": Knob("int32", (capacity,), -1, -1, None, "token ids whose logits are changed; −1 is unused"),
        "bias_values": Knob("float32", (capacity,), 0.0, -1e9, 1e9, "what is added to the logit of the id at the same place"),
    }
    return stateless(knobs, edit, switches=("bias_values",))


def forbidden_ids(capacity: int = 16) -> Transform:
    """Makes a few tokens impossible in a row. For many tokens use `allowed_set`.

    Knob `forbidden_ids` int32[capacity], −1 unused; ids outside the vocabulary do nothing.
    Source: HF `SuppressTokensLogitsProcessor`.
    """

    def edit(logits, knobs, context):
        return _forbid(logits, knobs["forbidden_ids"])

    meaning = "token ids that are never sampled; −1 is unused"
    return stateless({"forbidden_ids": Knob("int32", (capacity,), -1, -1, None, meaning)}, edit)


def allowed_set() -> Transform:
    """Makes every token outside the row's vocabulary set impossible.

    Knob `allowed_set` int32: row of `context.tables.sets` bool[sets, V]; 0 is no restriction, whatever that row holds. The
    caller checks that the set exists: a gather clamps.
    Source: HF `PrefixConstrainedLogitsProcessor`, with a constant set.
    """

    def edit(logits, knobs, context):
        index = knobs["allowed_set"]
        return jnp.where(context.tables.sets[index] | (index == 0)[:, None], logits, IMPOSSIBLE)

    return stateless(
        {"allowed_set": Knob("int32", (), 0, 0, None, "which vocabulary set may be sampled; 0 is all tokens", "sets")}, edit
    )


def min_new_tokens() -> Transform:
    """Makes the stop ids impossible until so many tokens were generated, forced ones included.

    Knobs: `min_new_tokens` int32, tokens, 0 is neutral; `stop_ids` int32[8], shared with the stop controller.
    Source: HF `MinNewTokensLengthLogitsProcessor`.
    """

    def edit(logits, knobs, context):
        early = context.length - context.prompt_length < knobs["min_new_tokens"]
        return _forbid(logits, jnp.where(early[:, None], knobs["stop_ids"], -1))

    meaning = "tokens generated before a stop id may be sampled; 0 is no minimum"
    knobs = {"min_new_tokens": Knob("int32", (), 0, 0, None, meaning), "stop_ids": STOP_IDS}
    return stateless(knobs, edit, switches=("min_new_tokens",))


def _forbid(logits: jax.Array, ids: jax.Array) -> jax.Array:
    """Logits with the tokens `ids` int32[B, n] at −inf; negative ids are none."""
    ids = _dropped(ids, logits.shape[1])
    return jax.vmap(lambda logits, ids: logits.at[ids].set(IMPOSSIBLE, mode="drop"))(logits, ids)


def _dropped(ids: jax.Array, size: int) -> jax.Array:
    """Negative ids, which a scatter would wrap around, replaced by one that it drops."""
    return jnp.where(ids < 0, size, ids)
