"""Cyclic reflection (CyclicReflex): reflection words become likelier and less likely in turn, by a triangular wave of position.

    logit[v] + A · wave(t / period)   if v is a reflection token, in the thinking phase; t tokens after thinking began

        +1     ╱╲
         0  ──╱──╲────╱─►  t / period          0 → +1 at 1/4 → −1 at 3/4 → 0 at 1, and again
        −1        ╲╱

Source: Fan et al. 2025, "CyclicReflex: Improving Large Reasoning Models via Cyclical Reflection Token Scheduling",
arXiv 2506.11077, with the wave of its published code. That counts t from the start of the text; thinking begins here with 0.

Axis legend: `B` slots (rows), `V` vocabulary.
"""

import jax
import jax.numpy as jnp

from reasoning.decode.base import Context, Knob, Knobs, Transform, stateless
from reasoning.decode.thought_switching import LARGEST, members, thinking

KNOBS = {
    "reflection_amplitude": Knob("float32", (), 0.0, -LARGEST, LARGEST, "logits added at the crest (5 in the paper); 0 is off"),
    "reflection_period": Knob("int32", (), 1200, 1, 100_000_000, "tokens from one wave to the next"),
    "reflection_set": Knob("int32", (), 0, 0, None, "vocabulary set of the reflection tokens; 0 is none", "sets"),
    "reflection_everywhere": Knob("int32", (), 0, 0, 1, "1: the whole response counts as thinking; 0: the thinking phase alone"),
}


def wave(along: jax.Array, period: jax.Array) -> jax.Array:
    """float32, the triangular wave through (0, 0), (period / 4, 1), (3 · period / 4, −1); 0 ≤ along < period, int32."""
    quarters = 4 * along  # whole numbers up to the one division: a difference of fractions would lose digits
    falling, rising = 2 * period - quarters, quarters - 4 * period
    return jnp.where(quarters <= period, quarters, jnp.where(quarters <= 3 * period, falling, rising)) / period


def cyclic_reflection() -> Transform:
    """The wave of the module's docstring, on the model's raw logits. Knobs: `KNOBS`."""

    def edit(logits: jax.Array, knobs: Knobs, context: Context) -> jax.Array:
        inside, start = thinking(context, knobs["reflection_everywhere"])
        period = knobs["reflection_period"]
        height = wave(jnp.maximum(context.length - start, 0) % period, period)
        offset = jnp.where(inside, knobs["reflection_amplitude"] * height, 0.0)
        chosen = members(context, knobs["reflection_set"]) & (offset != 0)[:, None]
        return jnp.where(chosen, logits + offset[:, None], logits)

    return stateless(KNOBS, edit, switches=("reflection_amplitude",))
