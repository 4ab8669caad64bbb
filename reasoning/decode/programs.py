"""The compiled programs of one bucket: decode, admission from a waiting room, the reading of a finished row.

Each is compiled ahead of time, so that compile seconds are known apart from run seconds and a shape that changes by
accident is an error instead of a silent recompilation.

Axis legend: `B` slots, `S` cache length.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.decode.admission import Admission, all_knobs, make_admit, make_empty
from reasoning.decode.base import Chain
from reasoning.decode.loop import make_decode
from reasoning.decode.plan import Plan, slots_of
from reasoning.decode.slots import Slots, resume
from reasoning.decode.waiting import RoomPrograms
from reasoning.models.network import Network


def read_row(slots: Slots, row: jax.Array) -> dict[str, jax.Array]:
    """What a response is made of, for one row: int32[] → arrays without the slot axis."""
    progress = ("length", "prompt_length", "draws", "discarded", "reason")
    names = ("tokens", "forced", "logprob", "other_tokens", "other_logprobs", *progress)
    return {name: getattr(slots, name)[row] for name in names}


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """Compiled for (chain, bucket); `B` = `rows`.

    Attributes:
      empty(tables) → slots. decode(params, slots, tables, n) → (slots (donated), Report). read(slots, row) → dict.
      resume(slots, rows bool[B]) → slots (donated). slots: their shapes. bucket: cache length S. seconds: spent compiling.
    """

    empty: Callable[..., Slots]
    decode: Callable[..., Any]
    read: Callable[..., dict[str, jax.Array]]
    resume: Callable[..., Slots]
    slots: Slots
    bucket: int
    rows: int
    seconds: float


def blank_admission(chain: Chain, rows: int, size: int) -> Admission:
    """Host arrays of an admission that admits nobody."""
    zero = np.zeros(rows, np.int32)
    return Admission(
        source=zero - 1,
        tokens=np.zeros((rows, size), np.int32),
        prompt_length=zero + 1,
        limit=zero + size,
        seed=np.zeros(rows, np.uint32),
        identity=np.zeros((rows, 2), np.uint32),
        sample=zero.copy(),
        knobs={name: np.full((rows, *knob.shape), knob.neutral, knob.dtype) for name, knob in all_knobs(chain).items()},
    )


def compile_programs(network: Network, chain: Chain, plan: Plan, bucket: int, params, tables, alternatives: int) -> Programs:
    """Compiles everything that `bucket` needs. `params` and `tables` may be arrays or ShapeDtypeStructs."""
    begin = time.perf_counter()
    rows = slots_of(plan, network, bucket)
    params, tables = (jax.tree.map(_shape, tree) for tree in (params, tables))
    integers = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32)  # noqa: E731

    empty = jax.jit(make_empty(network, chain, rows, bucket, alternatives)).lower(tables)
    slots = jax.tree.map(_shape, empty.out_info)
    decode = jax.jit(make_decode(network, chain, alternatives, plan.unroll), donate_argnums=1).lower(
        params, slots, tables, integers()
    )
    read = jax.jit(read_row).lower(slots, integers())
    go_on = jax.jit(resume, donate_argnums=0).lower(slots, jax.ShapeDtypeStruct((rows,), bool))
    compiled = [program.compile() for program in (empty, decode, read, go_on)]
    return Programs(*compiled, slots=slots, bucket=bucket, rows=rows, seconds=time.perf_counter() - begin)


def compile_admit(
    network: Network, chain: Chain, programs: Programs, room: RoomPrograms, tables
) -> tuple[Callable[..., Slots], float]:
    """(admit(slots (donated), room, admission, tables) → slots, seconds spent compiling) for a bucket and a kind of room."""
    begin = time.perf_counter()
    admission = jax.tree.map(_shape, blank_admission(chain, programs.rows, programs.bucket))
    admit = jax.jit(make_admit(network, chain), donate_argnums=0)
    lowered = admit.lower(programs.slots, room.room, admission, jax.tree.map(_shape, tables))
    return lowered.compile(), time.perf_counter() - begin


def _shape(leaf) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))
