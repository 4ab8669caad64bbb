"""Training on a mesh: where masters, optimizer states and batches lie, and the compiled step.

    data      batch rows; masters are copied
    fsdp      batch rows as well; masters and optimizer states are split, and gathered layer by layer when they are used
    tensor    heads, mlp and vocabulary

One table of path regex → partition, as for inference (`reasoning.sharding`); with fsdp 1 it is the same one. The devices of a
mesh may belong to several processes.

Axis legend: `A` micro-batches, `B` rows, `T` tokens, `D` model, `K` kv heads, `G` queries per kv head, `H` head dim, `F` mlp,
`V` vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from reasoning.errors import InputError
from reasoning.sharding import ROWS, Rules, check_coverage, partition
from reasoning.train.batching import Batch
from reasoning.train.step import Metrics, State

AXES = ("data", "fsdp", "tensor")
BATCH = P(None, ROWS)  # [A, B, T]

RULES: Rules = (
    (r"(embed/embedding|head/kernel)", P("tensor", "fsdp")),  # [V, D]
    (r"layers/\d+/attention/qkv/kernel", P("tensor", None, None, "fsdp")),  # [K, G+2, H, D]
    (r"layers/\d+/attention/qkv/bias", P("tensor", None, None)),  # [K, G+2, H]
    (r"layers/\d+/attention/out/kernel", P("fsdp", "tensor", None, None)),  # [D, K, G, H]
    (r"layers/\d+/mlp/gate_up/kernel", P(None, "tensor", "fsdp")),  # [2, F, D]
    (r"layers/\d+/mlp/down/kernel", P("fsdp", "tensor")),  # [D, F]
    (r".*(norm/scale|out/bias)|score/(kernel|bias)", P()),
    (r"layers/.*kernel/(down|up)", P()),  # low-rank adapters
)


def make_mesh(data: int = 1, fsdp: int = 1, tensor: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of the devices of all processes unless others are given; as many as data · fsdp · tensor. Raises InputError.

    Axes are Auto, as in `reasoning.sharding.make_mesh`.
    """
    devices, sizes = list(jax.devices() if devices is None else devices), (data, fsdp, tensor)
    if min(sizes) < 1 or np.prod(sizes) > len(devices):
        raise InputError(
            f"a mesh of data {data} × fsdp {fsdp} × tensor {tensor} needs {np.prod(sizes)} devices and there are {len(devices)}"
        )
    if jax.process_count() > 1 and np.prod(sizes) != len(devices):
        raise InputError(
            f"several processes train on all of their {len(devices)} devices; data × fsdp × tensor is {np.prod(sizes)}"
        )
    grid = np.asarray(devices[: np.prod(sizes)]).reshape(sizes)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * 3)


def path_of(path) -> str:
    """ "layers/0/mlp/down/kernel" of a key path."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def shardings(params: Any, mesh: Mesh, rules: Rules = RULES) -> Any:
    """The NamedSharding of every leaf (arrays or ShapeDtypeStructs). Raises InputError for a leaf without a rule."""
    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    check_coverage(paths, rules)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, partition(path_of(path), leaf.shape, mesh, rules)), params
    )


def put(tree: Any, where: Any) -> Any:
    """Host or device arrays that every process has in full → arrays on their mesh, each device its part."""

    def one(leaf, sharding):
        leaf = np.asarray(leaf)
        return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])

    return jax.tree.map(one, tree, where)


def state_shardings(optimizer: optax.GradientTransformation, params: Any, where: Any, mesh: Mesh) -> State:
    """Shardings of a whole state: a leaf of the optimizer that stands for a parameter lies as that does, others everywhere.

    Args:
      params: arrays or ShapeDtypeStructs; where: their shardings.
    """
    parameters = {path: (leaf.shape, sharding) for (path, leaf), sharding in zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(where), strict=True)}  # fmt: skip

    def one(path, leaf):
        for start in range(len(path)):
            shape, sharding = parameters.get(path[start:], (None, None))
            if shape == leaf.shape:
                return sharding
        return NamedSharding(mesh, P())

    opt_state = jax.tree_util.tree_map_with_path(one, jax.eval_shape(optimizer.init, params))
    return State(where, opt_state, NamedSharding(mesh, P()))


def init(params: Any, optimizer: optax.GradientTransformation, mesh: Mesh | None = None, rules: Rules = RULES) -> State:
    """The state before the first step. `params`: float32 masters, in full on every process; on a mesh they are placed by `rules`.

    The state's arrays are its own: a compiled step gives its state's memory away.
    """
    if mesh is None:
        params = jax.tree.map(lambda leaf: jax.numpy.array(leaf, copy=True), params)
        return State(params, jax.jit(optimizer.init)(params), jax.numpy.int32(0))
    where = shardings(params, mesh, rules)
    target = state_shardings(optimizer, params, where, mesh)
    placed = put(params, where)
    opt_state = jax.jit(optimizer.init, out_shardings=target.opt_state)(placed)
    return State(placed, opt_state, put(np.int32(0), target.step))


def put_batch(batch: Batch, mesh: Mesh | None) -> Batch:
    """This process's part of a batch → the batch on its mesh (or on the default device)."""
    if mesh is None:
        return Batch(*map(jax.numpy.asarray, batch))
    where = NamedSharding(mesh, BATCH)
    return Batch(*(jax.make_array_from_process_local_data(where, np.asarray(leaf)) for leaf in batch))


def compiled(step: Callable, mesh: Mesh | None = None) -> Callable[[State, Any, Batch], tuple[State, Metrics]]:
    """The jitted step; the new state takes the place of the old one, in its memory, device for device.

    Takes batches as `reasoning.train.batching.Batches` makes them.
    """
    if mesh is None:
        return jax.jit(step, donate_argnums=0)
    programs: dict[str, Callable] = {}

    def run(state: State, frozen: Any, batch: Batch):
        if "step" not in programs:
            where = jax.tree.map(lambda leaf: leaf.sharding, state)
            programs["step"] = jax.jit(step, donate_argnums=0, out_shardings=(where, NamedSharding(mesh, P())))
        with jax.set_mesh(mesh):
            return programs["step"](state, frozen, put_batch(batch, mesh))

    return run
