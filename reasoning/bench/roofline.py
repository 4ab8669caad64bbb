"""The least time that a decode step can take on a machine: bytes over bandwidth or FLOPs over peak, whichever is larger.

Bytes are those that any implementation of this model must read: every weight once a step (of an untied embedding only the
rows that are looked up), and the keys and values written so far, not the padding of their buffers. FLOPs are those of
`reasoning.models.flops`.

Axis legend: `B` slots.
"""

import jax

from reasoning.bench.machine import Machine
from reasoning.models.flops import decode_flops
from reasoning.models.model import Model


def weight_bytes(model: Model) -> int:
    """Bytes of weights that one step reads, whatever the batch."""
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    return whole if model.config.tie_embeddings else whole - model.params["embed"]["embedding"].nbytes


def step_bytes(model: Model, batch: int, length: int) -> int:
    """Bytes that a step of `batch` rows reads, each with `length` tokens written. Local layers count as global ones."""
    return weight_bytes(model) + model.network.cache_bytes(batch, length)


def least_seconds(model: Model, machine: Machine, batch: int, length: int) -> float:
    """Of a decode step of `batch` rows at `length` tokens each."""
    by_bytes = step_bytes(model, batch, length) / machine.bandwidth
    return max(by_bytes, batch * decode_flops(model.config, length) / machine.best_peak)
