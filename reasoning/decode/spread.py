"""The decode programs on a mesh: rows over "data", kv heads over "tensor".

    slots                    P("data")                         their cache also P(…, "tensor"): the network says where
    waiting room             like a cache, whole over "data"   so that admission is local: a row copies from its own device
    parameters               reasoning.sharding.RULES
    tables, prompts, steps   P()

Admission and decode run under `shard_map` over "data": each shard is an engine of B / data rows that decides for itself
which stages to skip and whether to bisect a threshold, so that nothing is said between shards. "tensor" stays automatic
there: XLA splits the products as the parameters lie, and the logits are gathered once, before the stages. The price of the
whole waiting rooms is that "data" does not make prefill faster: every shard prefills every prompt.

Axis legend: `B` slots.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from reasoning.decode.loop import Report
from reasoning.decode.slots import Slots

ROWS, WHOLE = P("data"), P()


@dataclasses.dataclass(frozen=True)
class Spread:
    """Shardings for `jax.jit`, and row-wise functions under `shard_map`; without a mesh, nothing of either.

    Attributes:
      mesh: with the axes "data" and "tensor", or None. cache: partition of a cache's leaves (`Network.cache_partition`).
    """

    mesh: Mesh | None
    cache: P

    @property
    def shards(self) -> tuple[int, int]:
        """Parts of the rows, and parts of a row's cache."""
        if self.mesh is None:
            return 1, 1
        return self.mesh.shape["data"], self.mesh.shape["tensor"] if "tensor" in self.cache else 1

    def __call__(self, partition: P) -> NamedSharding | None:
        """The sharding of a partition."""
        return None if self.mesh is None else NamedSharding(self.mesh, partition)

    def place(self, tree: Any, partition: P) -> Any:
        """`tree` of host arrays as ShapeDtypeStructs that lie so."""
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self(partition)), tree)

    @property
    def slots(self) -> Slots | None:
        """Of slots: a tree prefix."""
        fields = dict.fromkeys((field.name for field in dataclasses.fields(Slots)), self(ROWS)) | {"cache": self(self.cache)}
        return None if self.mesh is None else Slots(**fields)

    @property
    def room(self) -> NamedSharding | None:
        """Of the waiting room's leaves."""
        return self(P(None, *self.cache[1:]))

    @property
    def report(self) -> Report | None:
        """Of a report: a tree prefix."""
        return None if self.mesh is None else jax.tree.map(self, _REPORT)

    def admit(self, admit: Callable[..., Slots]) -> Callable[..., Slots]:
        """admit(slots, room, admission, tables), shard by shard."""
        return self._by_row(admit, (ROWS, WHOLE, ROWS, WHOLE), ROWS)

    def decode(self, decode: Callable[..., tuple[Slots, Report]]) -> Callable[..., tuple[Slots, Report]]:
        """decode(params, slots, tables, n), shard by shard; the chunk took as many steps as its slowest shard."""

        def local(params, slots, tables, n):
            slots, report = decode(params, slots, tables, n)
            return slots, report._replace(steps=jax.lax.pmax(report.steps, "data"))

        return decode if self.mesh is None else self._by_row(local, (WHOLE, ROWS, WHOLE, WHOLE), (ROWS, _REPORT))

    def read(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """read(slots, row): the shard that holds the row answers and the others add zeros, so that only one row travels."""

        def local(slots: Slots, row: jax.Array) -> Any:
            rows = slots.length.shape[0]
            at = row - jax.lax.axis_index("data") * rows
            mine = (at >= 0) & (at < rows)
            values = read(slots, jnp.clip(at, 0, rows - 1))
            return jax.tree.map(lambda x: jax.lax.psum(jnp.where(mine, x, 0), "data").astype(x.dtype), values)

        return read if self.mesh is None else self._by_row(local, (ROWS, WHOLE), WHOLE)

    @property
    def agree(self) -> Callable[[jax.Array], jax.Array] | None:
        """What the loop's test asks of all shards: nothing while a step has no collective, else whether any shard goes on.

        Shards whose steps meet in collectives over "tensor" stay in step: not every backend lets them run apart.
        """
        if self.mesh is None or self.mesh.shape["tensor"] == 1:
            return None
        return functools.partial(jax.lax.pmax, axis_name="data")

    def _by_row(self, function: Callable, ins: Any, outs: Any) -> Callable:
        if self.mesh is None:
            return function
        # check_vma would have every stage mark its constants as varying over "data", in a fork's stages too.
        return jax.shard_map(function, mesh=self.mesh, in_specs=ins, out_specs=outs, axis_names={"data"}, check_vma=False)


ALONE = Spread(None, WHOLE)
_REPORT = Report(done=ROWS, pause=ROWS, length=ROWS, emitted=ROWS, steps=WHOLE)
