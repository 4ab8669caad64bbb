"""What is read off the hidden states. Heads are apart from the decoder: prefill needs none, a reward model has its own.

Axis legend: `D` model, `V` vocabulary.
"""

import jax
from flax import nnx

from reasoning.models.layers import gaussian, product


class VocabularyHead(nnx.Module):
    """An untied language head; its kernel is [V, D] like an embedding, so that tied and untied run the same product."""

    def __init__(self, vocab_size, d_model, dtype, rngs):
        self.kernel = nnx.Param(gaussian(rngs.params(), (vocab_size, d_model), d_model, dtype))


def vocabulary_logits(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
    """float32[..., D] and [V, D] → float32[..., V]; `kernel` is the embedding itself when the head is tied."""
    return product("...d,vd->...v", hidden, kernel)
