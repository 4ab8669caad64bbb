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
    """float32[..., D] and [V, D] → float32[..., V]; `kernel` is the embedding itself when the head is tied.

    The product has two axes a side: from three on XLA:CPU copies the transposed kernel at the start of every program.
    """
    logits = product("bd,vd->bv", hidden.reshape(-1, hidden.shape[-1]), kernel)
    return logits.reshape(*hidden.shape[:-1], kernel.shape[0])
