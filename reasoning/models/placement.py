"""Parameters on a mesh: each device gets its part, and kv heads are repeated where there are fewer of them than devices.

With `tensor` = r · K devices every kv head is stored r times and its G queries are dealt out to the copies, G' = ⌈G/r⌉ each,
so that a device holds one kv head and one G'-th of the work. Places that r · G' has too many hold queries of zeros, whose
rows of the output projection are zeros too: they add exactly nothing.

    K = 1, G = 3, tensor 2       device 0: k0 v0, queries 0 1        device 1: k0 v0, queries 2 ·

The rest of the code never sees it: the network is built for `stored` (its heads are what lies in memory), while
`Model.config`, and with it every FLOP count, stays the model's own.

Axis legend: `D` model, `K` kv heads, `G` queries per kv head, `H` head dim; `M` = G + 2: queries, key, value of a kv head.
"""

import dataclasses
import re
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig
from reasoning.sharding import RULES, Rules, partition


def stored(config: ModelConfig, mesh: Mesh | None) -> ModelConfig:
    """`config` with the heads that a mesh's parameters have. Raises InputError if they cannot be split over "tensor"."""
    tensor, K = 1 if mesh is None else mesh.shape["tensor"], config.num_kv_heads
    if K % tensor == 0:
        return config
    if tensor % K:
        fits = [n for n in range(1, 2 * K + 1) if K % n == 0 or n % K == 0]
        raise InputError(
            f"tensor {tensor} neither divides the model's {K} kv heads nor is a multiple of them; choose one of "
            f"{', '.join(map(str, fits))}, … for the mesh"
        )
    return dataclasses.replace(config, num_kv_heads=tensor, num_heads=tensor * -(-config.groups * K // tensor))


def replicate(path: str, leaf: np.ndarray, config: ModelConfig, copies: int) -> np.ndarray:
    """The leaf at `path` with every kv head `copies` times; leaves without kv heads come back as they are."""
    if re.fullmatch(r"layers/\d+/attention/qkv/(kernel|bias)", path):  # [K, M, H, …]
        heads = np.repeat(leaf[:, -2:], copies, axis=0)
        return np.concatenate([_deal(leaf[:, :-2], 0, config, copies), heads], axis=1)
    if re.fullmatch(r"layers/\d+/attention/out/kernel", path):  # [D, K, G, H]
        return _deal(leaf, 1, config, copies)
    return leaf


def _deal(leaf: np.ndarray, axis: int, config: ModelConfig, copies: int) -> np.ndarray:
    """[…, K, G, …] with K at `axis` → […, K · copies, G', …]: copy i of a head gets its queries i · G' … (i + 1) · G' − 1."""
    K, G = config.num_kv_heads, config.groups
    share = -(-G // copies)
    widths = [(0, 0)] * leaf.ndim
    widths[axis + 1] = (0, share * copies - G)
    return np.pad(leaf, widths).reshape(*leaf.shape[:axis], K * copies, share, *leaf.shape[axis + 2 :])


class Placer:
    """place(path, leaf of `config`) → leaf of `stored(config, mesh)`, each device its own part.

    One leaf at a time, so that weights stream onto the mesh. Raises InputError if "tensor" cannot split the kv heads.

    Attributes:
      copies: how often every kv head is stored.
    """

    def __init__(self, config: ModelConfig, mesh: Mesh, rules: Rules = RULES):
        self._config, self._mesh, self._rules = config, mesh, rules
        self.copies = stored(config, mesh).num_kv_heads // config.num_kv_heads

    def __call__(self, path: str, leaf: np.ndarray) -> jax.Array:
        leaf = leaf if self.copies == 1 else replicate(path, leaf, self._config, self.copies)
        return jax.device_put(leaf, self.sharding(path, leaf.shape))

    def sharding(self, path: str, shape: Sequence[int]) -> NamedSharding:
        """Where a leaf of `stored` lies."""
        return NamedSharding(self._mesh, partition(path, shape, self._mesh, self._rules))
