"""Where arrays live: a mesh of data and tensor axes, and one table from parameter paths to partitions.

The first rule whose regular expression matches the whole path decides. Every parameter must be matched, so that a renamed
leaf cannot silently end up replicated.

Axis legend: `D` model, `K` kv heads, `G` queries per kv head, `H` head dim, `F` mlp, `V` vocabulary.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from reasoning.errors import InputError

Rules = Sequence[tuple[str, P]]

RULES: Rules = (
    (r"(embed/embedding|head/kernel)", P("tensor", None)),  # [V, D]
    (r"layers/\d+/attention/qkv/kernel", P(None, "tensor", None, None)),  # [D, K, G+2, H]
    (r"layers/\d+/attention/qkv/bias", P("tensor", None, None)),  # [K, G+2, H]
    (r"layers/\d+/attention/out/kernel", P("tensor", None, None, None)),  # [K, G, H, D]
    (r"layers/\d+/mlp/gate_up/kernel", P(None, None, "tensor")),  # [D, 2, F]
    (r"layers/\d+/mlp/down/kernel", P("tensor", None)),  # [F, D]
    (r".*(norm/scale|out/bias)", P()),
)


def make_mesh(data: int = 1, tensor: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the axes "data" (slots) and "tensor" (heads, mlp, vocabulary). Raises InputError if devices are missing.

    Axes are Auto: under Explicit ones every gather would need an output sharding.
    """
    devices = list(jax.devices() if devices is None else devices)
    if data < 1 or tensor < 1 or data * tensor > len(devices):
        raise InputError(f"a mesh of data {data} × tensor {tensor} needs {data * tensor} devices and there are {len(devices)}")
    grid = np.asarray(devices[: data * tensor]).reshape(data, tensor)
    return Mesh(grid, ("data", "tensor"), axis_types=(AxisType.Auto,) * 2)


def partition(path: str, shape: Sequence[int], mesh: Mesh, rules: Rules = RULES) -> P:
    """The partition of the parameter at `path`. An axis that the mesh does not divide stays whole. Raises InputError."""
    for pattern, spec in rules:
        if re.fullmatch(pattern, path):
            sizes = (1 if axis is None else mesh.shape[axis] for axis in spec)
            return P(*(axis if size % n == 0 else None for axis, size, n in zip(spec, shape, sizes, strict=False)))
    raise InputError(f"no sharding rule matches the parameter {path!r}; add one to reasoning/sharding.py")


def check_coverage(paths: Iterable[str], rules: Rules = RULES) -> dict[str, str]:
    """{path: pattern that decides it}. Raises InputError for a path without a rule."""
    decided = {}
    for path in paths:
        decided[path] = next((pattern for pattern, _ in rules if re.fullmatch(pattern, path)), "")
        if not decided[path]:
            raise InputError(f"no sharding rule matches the parameter {path!r}; add one to reasoning/sharding.py")
    return decided


@dataclasses.dataclass(frozen=True)
class Placer:
    """`place` for `reasoning.load`: puts each parameter on the mesh as soon as it is read, each device its own part."""

    mesh: Mesh
    rules: Rules = RULES

    def __call__(self, path: str, array: np.ndarray) -> jax.Array:
        """The parameter at `path` on the mesh."""
        return jax.device_put(array, self.sharding(path, array.shape))

    def sharding(self, path: str, shape: Sequence[int]) -> NamedSharding:
        """Where the parameter at `path` belongs, for readers that can fetch each device's part alone."""
        return NamedSharding(self.mesh, partition(path, shape, self.mesh, self.rules))


def placer(mesh: Mesh, rules: Rules = RULES) -> Placer:
    """`place` for `reasoning.load` on this mesh."""
    return Placer(mesh, rules)
