"""What is read off the hidden states. Heads are apart from the decoder: prefill needs none, a reward model has its own.

A score head gives `C` numbers for each token. What they mean is the model's: logits of classes or one reward, read at the
last token of a sequence (Hugging Face's …ForSequenceClassification) or at every token (…ForTokenClassification), or the
value of a state beside the language head (TRL's AutoModelForCausalLMWithValueHead, `v_head`).

Axis legend: `D` model, `V` vocabulary, `C` labels.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from reasoning.models.layers import gaussian, product


class VocabularyHead(nnx.Module):
    """An untied language head; its kernel is [V, D] like an embedding, so that tied and untied run the same product."""

    def __init__(self, vocab_size, d_model, dtype, rngs):
        self.kernel = nnx.Param(gaussian(rngs.params(), (vocab_size, d_model), d_model, dtype))


class ScoreHead(nnx.Module):
    """A linear map to C numbers. Kernel [C, D] and bias [C] are float32 in every model: scores are compared, and C is small."""

    def __init__(self, num_labels, d_model, bias, rngs):
        self.kernel = nnx.Param(gaussian(rngs.params(), (num_labels, d_model), d_model, "float32"))
        self.bias = nnx.Param(jnp.zeros(num_labels, jnp.float32)) if bias else None

    def __call__(self, hidden: jax.Array) -> jax.Array:
        """float32[..., D] → float32[..., C]."""
        scores = read_off(hidden, self.kernel[...])
        return scores if self.bias is None else scores + self.bias[...]


def read_off(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
    """float32[..., D] and [V, D] → float32[..., V]; `kernel` is the embedding itself when the language head is tied."""
    out = product(hidden.reshape(-1, hidden.shape[-1]), kernel)
    return out.reshape(*hidden.shape[:-1], kernel.shape[0])


def at_last_token(hidden: jax.Array, lengths: jax.Array) -> jax.Array:
    """float32[B, T, D] and int32[B] → float32[B, D], the hidden state of token `lengths - 1` of each row."""
    return jax.vmap(lambda row, length: row[length - 1])(hidden, lengths)
