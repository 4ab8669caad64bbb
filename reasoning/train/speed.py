"""How fast training goes: seconds of steps, FLOPs of a batch, the peak that MFU compares with, memory.

    MFU = FLOPs of forward and backward (3 × forward; recomputation is not counted) / seconds / peak of all devices

Padding counts for nothing, and logits where a token is learnt. Axis legend: `A` micro-batches, `B` rows, `T` tokens.
"""

import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.models.config import ModelConfig
from reasoning.models.flops import head_flops, layer_matrix_entries
from reasoning.train.batching import Batch

# bfloat16 FLOP/s of a device, dense, from data sheets, by what its name holds; the first that fits.
PEAKS = (
    ("H200", 989e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("TPU v6", 918e12),
    ("TPU v5p", 459e12),
    ("TPU v5", 197e12),
    ("TPU v4", 275e12),
)
_ROWS = 1024  # of the product by which an unknown device is measured


class Clock:
    """Seconds from one look to the next; none where something else than steps went on in between."""

    def __init__(self):
        self._since: float | None = None

    def pause(self) -> None:
        """Something else happens, such as compiling: the next look says nothing."""
        self._since = None

    def look(self) -> float | None:
        """Seconds since the last look, None after a pause."""
        now, before = time.perf_counter(), self._since
        self._since = now
        return None if before is None else now - before


def step_flops(config: ModelConfig, batch: Batch) -> int:
    """FLOPs of forward and backward of a batch of host arrays [A, B, T]."""
    seen = np.asarray(batch.positions)[np.asarray(batch.segments) > 0].astype(np.int64) + 1  # keys that each token sees
    attention = 0
    for layer in range(config.num_layers):
        attention += int((np.minimum(seen, config.window) if config.is_local(layer) else seen).sum())
    matrices = 2 * config.num_layers * layer_matrix_entries(config) * len(seen)
    return 3 * (matrices + 4 * config.num_heads * config.head_dim * attention + int(np.sum(batch.loss)) * head_flops(config))


def peak_flops() -> float:
    """FLOP/s of one device: from a data sheet, or the best of three products of bfloat16 matrices here and now."""
    kind = jax.local_devices()[0].device_kind
    for name, peak in PEAKS:
        if name in kind:
            return peak
    x = jnp.ones((_ROWS, _ROWS), jnp.bfloat16)
    product = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32))
    jax.block_until_ready(product(x))
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        jax.block_until_ready(product(x))
        seconds.append(time.perf_counter() - begin)
    return 2 * _ROWS**3 / min(seconds)


def memory_gb() -> float:
    """The largest memory so far, GB: of the first device, or of the process where devices do not count it."""
    peak = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    if peak is None:
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak / 1e9
