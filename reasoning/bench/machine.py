"""What this machine can do, measured in the same run as what it is compared with: bytes and FLOPs a second.

Bandwidth is the best of three kernels over arrays far larger than any cache (two reads and the triad of STREAM,
McCalpin 1995), with the bytes that the program names: what a cache fetches before it overwrites is not counted. Peak is
the best square matrix product of XLA in float32 and in bfloat16 with float32 sums.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_ARRAY_BYTES = {"cpu": 1 << 28}  # of one array; elsewhere 2 GiB
_MATRIX = {"cpu": 1536}  # rows and columns; elsewhere 8,192


class Machine(NamedTuple):
    """Attributes:
    device: its name. bandwidth: bytes/s. peak: {"float32", "bfloat16"} → FLOP/s.
    """

    device: str
    bandwidth: float
    peak: dict[str, float]

    @property
    def best_peak(self) -> float:
        """FLOP/s of the faster dtype: no bound that holds for either may be lower."""
        return max(self.peak.values())

    def to_json(self) -> dict:
        """In GB/s and GFLOP/s."""
        peak = {f"gflops_{name}": round(value / 1e9, 1) for name, value in self.peak.items()}
        return {"device": self.device, "gbytes_per_second": round(self.bandwidth / 1e9, 2), **peak}


def measure(array_bytes: int | None = None, matrix: int | None = None, repeats: int = 3) -> Machine:
    """The machine as it is at this moment; a second or two.

    Args:
      array_bytes: size of one array of the bandwidth kernels. matrix: rows of the square product. Defaults by platform.
    """
    platform = jax.default_backend()
    array_bytes = array_bytes or _ARRAY_BYTES.get(platform, 1 << 31)
    matrix = matrix or _MATRIX.get(platform, 8192)
    return Machine(jax.devices()[0].device_kind, bandwidth(array_bytes, repeats), peaks(matrix, repeats))


def bandwidth(array_bytes: int, repeats: int) -> float:
    """Bytes/s of the best kernel."""
    width = 4096
    a = jnp.ones((max(array_bytes // (4 * width), 1), width), jnp.int32)
    b = a + 1
    kernels: dict[Callable[..., Any], int] = {
        jax.jit(lambda a, b: a.sum(0)): 1,  # integers: float sums keep their order and do not use vectors
        jax.jit(lambda a, b: a.sum(1)): 1,
        jax.jit(lambda a, b: a + 3 * b): 3,
    }
    return max(arrays * a.nbytes / _best(kernel, a, b, repeats=repeats) for kernel, arrays in kernels.items())


def peaks(matrix: int, repeats: int) -> dict[str, float]:
    """{dtype name: FLOP/s}."""
    found = {}
    for name in ("float32", "bfloat16"):
        x = jnp.ones((matrix, matrix), name)
        product = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32))
        found[name] = 2 * matrix**3 / _best(product, x, repeats=repeats)
    return found


def _best(function, *arguments, repeats: int) -> float:
    """Seconds of the fastest run after one that compiles."""
    jax.block_until_ready(function(*arguments))
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
