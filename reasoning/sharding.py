"""Where arrays live: a mesh of data and tensor axes, and one table from parameter paths to partitions.

The first rule whose regular expression matches the whole path decides. Every parameter must be matched, so that a renamed
leaf cannot silently end up replicated.

Axis legend: `D` model, `K` kv heads, `G` queries per kv head, `H` head dim, `F` mlp, `V` vocabulary.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from reasoning.errors import InputError

AXES = ("data", "tensor")
ROWS = ("data", "fsdp")  # of a mesh for training (`reasoning.train.mesh`), which share the rows of a batch

Rules = Sequence[tuple[str, P]]

RULES: Rules = (
    (r"(embed/embedding|head/kernel)", P("tensor", None)),  # [V, D]
    (r"layers/\d+/attention/qkv/kernel", P("tensor", None, None, None)),  # [K, G+2, H, D]
    (r"layers/\d+/attention/qkv/bias", P("tensor", None, None)),  # [K, G+2, H]
    (r"layers/\d+/attention/out/kernel", P(None, "tensor", None, None)),  # [D, K, G, H]
    (r"layers/\d+/mlp/gate_up/kernel", P(None, "tensor", None)),  # [2, F, D]
    (r"layers/\d+/mlp/down/kernel", P(None, "tensor")),  # [D, F]
    (r".*(norm/scale|out/bias)|score/(kernel|bias)", P()),
)


def make_mesh(data: int = 1, tensor: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the axes "data" (slots) and "tensor" (heads, mlp, vocabulary), of this process's own devices unless others are
    given. Raises InputError if devices are missing.

    Axes are Auto: under Explicit ones every gather would need an output sharding.
    """
    devices = list(jax.local_devices() if devices is None else devices)
    if data < 1 or tensor < 1 or data * tensor > len(devices):
        raise InputError(f"a mesh of data {data} × tensor {tensor} needs {data * tensor} devices and there are {len(devices)}")
    grid = np.asarray(devices[: data * tensor]).reshape(data, tensor)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * 2)


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


def mesh_of(tree: Any) -> Mesh | None:
    """The mesh on which the leaves of `tree` (arrays or ShapeDtypeStructs) lie; None for the default device."""
    for leaf in jax.tree.leaves(tree):
        sharding = getattr(leaf, "sharding", None)
        if isinstance(sharding, NamedSharding) and sharding.mesh.axis_names == AXES:
            return sharding.mesh
    return None


def device_bytes(tree: Any) -> int:
    """Bytes of `tree` (arrays or ShapeDtypeStructs) on each device."""

    def one(leaf):
        sharding = getattr(leaf, "sharding", None)
        shape = leaf.shape if sharding is None else sharding.shard_shape(leaf.shape)
        return math.prod(shape) * leaf.dtype.itemsize

    return sum(map(one, jax.tree.leaves(tree)))


def whole(x: jax.Array) -> jax.Array:
    """Under a mesh, `x` on every device of the automatic axes: one gather here instead of a collective per use. Else `x`."""
    mesh = jax.sharding.get_abstract_mesh()
    return jax.lax.with_sharding_constraint(x, P()) if AxisType.Auto in mesh.axis_types else x


def constrain(x: jax.Array, *axes) -> jax.Array:
    """Under a mesh for training, `x` with its first axes over these mesh axes (a name, several, None) and whole else. Else `x`.

    For loops over chunks: weights are gathered before the loop, in it each part of the rows adds up a gradient of its own
    (`row_shards`), and behind it these are added once. Left to itself XLA gathers and adds in every round.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if "fsdp" not in mesh.axis_names:
        return x
    parts = (math.prod(mesh.shape[name] for name in ((axis,) if isinstance(axis, str) else axis or ())) for axis in axes)
    fitting = (axis if size % n == 0 else None for axis, size, n in zip(axes, x.shape, parts, strict=False))
    return jax.lax.with_sharding_constraint(x, P(*fitting))


def batch_rows(x: jax.Array) -> jax.Array:
    """`constrain` for activations [B, …]: XLA may else split them as weights are split, and move them in every layer."""
    return constrain(x, ROWS)


def row_shards(rows: int) -> int:
    """Parts that a mesh for training makes of the rows of a batch; 1 if they do not divide, and without such a mesh."""
    mesh = jax.sharding.get_abstract_mesh()
    parts = math.prod(mesh.shape[axis] for axis in ROWS) if "fsdp" in mesh.axis_names else 1
    return parts if rows % parts == 0 else 1
