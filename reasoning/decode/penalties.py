"""Penalties on tokens that the text already holds, read from `context.tokens[:length]`: no state of vocabulary size.

Axis legend: `B` slots (rows), `S` cache length, `V` vocabulary.
"""

import jax
import jax.numpy as jnp

from reasoning.decode.base import Context, Knob, Transform, stateless

LARGEST = 100.0  # logits; OpenAI allows ±2, which is already strong


def repetition_penalty() -> Transform:
    """Divides positive logits, and multiplies negative ones, of every token in prompt or generated text (as HF does).

    Knob `repetition_penalty` float32 > 0; 1 is neutral, above 1 discourages repetition, below 1 encourages it.
    Source: Keskar et al. 2019, arXiv:1909.05858, section 4.1, in the sign-aware form of HF `RepetitionPenaltyLogitsProcessor`.
    """

    def edit(logits, knobs, context):
        def one(logits, tokens, penalty):
            seen = logits.at[tokens].get(mode="clip")
            return logits.at[tokens].set(jnp.where(seen < 0, seen * penalty, seen / penalty), mode="drop")

        return jax.vmap(one)(logits, _written(context, logits, jnp.zeros_like(context.length)), knobs["repetition_penalty"])

    meaning = "factor on the logits of tokens already in prompt or text; 1 is neutral"
    return stateless({"repetition_penalty": Knob("float32", (), 1.0, 0.01, 100.0, meaning)}, edit)


def presence_penalty() -> Transform:
    """Subtracts the penalty once from the logit of every token that was generated (forced text included, prompt not).

    Knob `presence_penalty` float32, logits; 0 is neutral, negative encourages repetition.
    Source: OpenAI API, "Frequency and presence penalties".
    """

    def edit(logits, knobs, context):
        def one(logits, tokens, penalty):
            return logits.at[tokens].set(logits.at[tokens].get(mode="clip") - penalty, mode="drop")

        return jax.vmap(one)(logits, _written(context, logits, context.prompt_length), knobs["presence_penalty"])

    return stateless({"presence_penalty": _additive("subtracted from the logits of tokens already generated")}, edit)


def frequency_penalty() -> Transform:
    """Subtracts penalty · count from the logit of every token that was generated (forced text included, prompt not).

    Knob `frequency_penalty` float32, logits a occurrence; 0 is neutral, negative encourages repetition.
    Source: OpenAI API, "Frequency and presence penalties".
    """

    def edit(logits, knobs, context):
        def one(logits, tokens, penalty):
            count = jnp.zeros_like(logits).at[tokens].add(1.0, mode="drop")  # whole numbers: exact in any order
            return logits - penalty * count

        return jax.vmap(one)(logits, _written(context, logits, context.prompt_length), knobs["frequency_penalty"])

    return stateless({"frequency_penalty": _additive("subtracted from a token's logit for each time it was generated")}, edit)


def _written(context: Context, logits: jax.Array, start: jax.Array) -> jax.Array:
    """int32[B, S]: the tokens at start ≤ position < length, and the id V, which scatters drop, elsewhere."""
    position = jnp.arange(context.tokens.shape[1])
    inside = (position >= start[:, None]) & (position < context.length[:, None])
    return jnp.where(inside, context.tokens, logits.shape[1])


def _additive(meaning: str) -> Knob:
    return Knob("float32", (), 0.0, -LARGEST, LARGEST, f"logits {meaning}; 0 is neutral")
