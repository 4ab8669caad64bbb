"""The network as the engine sees it: pure functions, whatever computes them.

Axis legend: `B` sequences, `T` new tokens, `S` cache length, `D` model, `V` vocabulary, `C` labels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import PartitionSpec as P

Params = dict[str, Any]


class Network(NamedTuple):
    """Pure functions of one architecture; a scripted double for tests implements the same.

    Attributes:
      forward: (params, tokens int32[B, T], positions int32[B, T], cache | None) → (hidden float32[B, T, D], cache).
        With a cache, token t of row b is written at `positions[b, t]` and sees cache positions ≤ its own; a position
        ≥ S writes nowhere (padding, frozen rows). Without one (None), attention is causal within the T tokens.
      head: (params, hidden float32[..., D]) → logits float32[..., V]; None for a classification model, which cannot generate.
      init_cache: (batch, length) → a zeroed cache; every leaf has the batch axis first.
      cache_bytes: (batch, length) → bytes of that cache, all parts of it together.
      vocab_size: V.
      scores: (params, hidden float32[..., D]) → float32[..., C] of the score head; None without one. A reward model keeps
        a cache of its own with `forward` and reads scores where it wants them.
      cache_partition: of every leaf of the cache on a mesh of "data" and "tensor".
      training: () → `reasoning.models.training.Training`, the functions of the same parameters that training uses; None for a
        network that is not trained.
      embed: (params, tokens int32[B, T]) → float32[B, T, D], what `forward` begins with. embedded: `forward` from there, so that
        what is no token's embedding can be read, and gradients reach it. None for a network without either.
    """

    forward: Callable[..., tuple[jax.Array, Any]]
    head: Callable[[Params, jax.Array], jax.Array] | None
    init_cache: Callable[[int, int], Any]
    cache_bytes: Callable[[int, int], int]
    vocab_size: int
    scores: Callable[[Params, jax.Array], jax.Array] | None = None
    cache_partition: P = P("data")
    training: Callable[[], Any] | None = None
    embed: Callable[..., jax.Array] | None = None
    embedded: Callable[..., tuple[jax.Array, Any]] | None = None
