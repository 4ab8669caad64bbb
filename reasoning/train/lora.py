"""Low-rank adapters (LoRA, arXiv 2106.09685): a chosen kernel W is used as W + (alpha / rank) · up · down; W stays as it is.

Adapters are a tree of their own, and the only one that is trained: layers/0/mlp/down/kernel/up and …/kernel/down.
`down` maps a matrix's inputs to `rank` numbers, `up` maps these to its outputs. Queries, keys and values of a fused kernel are
matrices apart (`reasoning.train.parameters`), so each has a `down` of its own, as in models that keep three kernels.

Merging makes the whole kernel for a step, so a step computes as much as full fine-tuning does and saves what is kept: gradients,
moments and masters of all that is not adapted.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from reasoning.errors import InputError
from reasoning.models.layers import gaussian
from reasoning.records import write_atomic
from reasoning.train.parameters import chosen, kind
from reasoning.weights.export import flat


def init(base: Any, pattern: str, rank: int, key: jax.Array) -> dict[str, Any]:
    """float32 adapters of the matrices of `base` whose path `pattern` matches; `up` is zero, so nothing changes yet.

    Consumes `key`. `base` may hold ShapeDtypeStructs. Raises InputError: a pattern that matches none, a rank that is < 1 or
    above that of the matrix.
    """
    kernels = flat(base)
    tree: dict[str, Any] = {}
    for number, path in enumerate(chosen(kernels, pattern)):
        shape = kernels[path].shape
        outputs, inputs = (math.prod(shape[axis] for axis in axes) for axes in (kind(path).outputs, kind(path).inputs))
        if not 1 <= rank <= min(outputs, inputs):
            raise InputError(f"the rank of adapters must be from 1 to {min(outputs, inputs)}, that of {path}, got {rank}")
        up, down, _ = _axes(path, len(shape))
        sizes = {**dict(zip(_letters(len(shape)), shape, strict=True)), "r": rank}
        drawn = gaussian(jax.random.fold_in(key, number), tuple(sizes[axis] for axis in down), inputs, jnp.float32)
        *parents, leaf = path.split("/")
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
        node[leaf] = {"down": drawn, "up": jnp.zeros([sizes[axis] for axis in up], jnp.float32)}
    return tree


def merge(adapters: Mapping[str, Any], base: Any, scale: float) -> Any:
    """`base` with `scale` · up · down added to its adapted kernels, summed in float32, in the dtypes of `base`."""
    parts = flat(adapters)

    def one(key_path, kernel):
        path = jax.tree_util.keystr(key_path, simple=True, separator="/")
        if f"{path}/up" not in parts:
            return kernel
        up, down, whole = _axes(path, kernel.ndim)
        product = jnp.einsum(
            f"{up},{down}->{whole}", parts[f"{path}/up"], parts[f"{path}/down"], precision=jax.lax.Precision.HIGHEST
        )
        return (kernel.astype(jnp.float32) + scale * product).astype(kernel.dtype)

    return jax.tree_util.tree_map_with_path(one, base)


def save(adapters: Mapping[str, Any], path: Path, **about: Any) -> None:
    """Writes adapters as safetensors, with JSON-able facts (`rank`, `alpha`, `base`, …) as its metadata. Raises InputError."""
    arrays = {name: np.asarray(leaf) for name, leaf in flat(adapters).items()}
    write_atomic(path, safetensors.numpy.save(arrays, {name: json.dumps(value) for name, value in about.items()}))


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `save` wrote: {path of a leaf: array}, which `merge` takes as well as the tree, and the facts. Raises InputError."""
    try:
        with safe_open(path, framework="numpy") as file:
            about = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path} holds no adapters ({error}); name the adapters.safetensors of a run") from error


def _axes(path: str, ndim: int) -> tuple[str, str, str]:
    """The axes of `up`, of `down` and of the kernel at `path`, as letters; r is the rank.

    `up` keeps the order of the kernel with the rank for the inputs, which come last in all our kernels.
    """
    whole, inputs, outputs = _letters(ndim), kind(path).inputs, kind(path).outputs
    up = "".join(letter for axis, letter in enumerate(whole, -ndim) if axis not in inputs)
    down = "".join(letter for axis, letter in enumerate(whole, -ndim) if axis not in outputs + inputs)
    return up + "r", down + "r" + "".join(whole[axis] for axis in inputs), whole


def _letters(ndim: int) -> str:
    return "abcdefg"[:ndim]
