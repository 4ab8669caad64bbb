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
from reasoning.decode.loop import Teams, make_decode
from reasoning.decode.plan import Plan, slots_of
from reasoning.decode.slots import Slots, resume
from reasoning.decode.spread import ROWS, WHOLE, Spread
from reasoning.decode.waiting import RoomPrograms
from reasoning.models.network import Network
from reasoning.sharding import mesh_of


def read_row(slots: Slots, row: jax.Array) -> dict[str, jax.Array]:
    """What a response is made of, for one row: int32[] → arrays without the slot axis."""
    progress = ("length", "prompt_length", "draws", "discarded", "reason", "thought")
    names = ("tokens", "forced", "logprob", "processed_logprob", "other_tokens", "other_logprobs", *progress)
    return {name: getattr(slots, name)[row] for name in names}


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """Compiled for (chain, bucket); `B` = `rows`.

    Attributes:
      empty(tables) → slots. decode(params, slots, tables, n) → (slots (donated), Report). read(slots, row) → dict.
      resume(slots, rows bool[B]) → slots (donated). slots: their shapes. bucket: cache length S. seconds: spent compiling.
      more: what others have compiled for these slots, by keys of their own; it lives as long as they do.
    """

    empty: Callable[..., Slots]
    decode: Callable[..., Any]
    read: Callable[..., dict[str, jax.Array]]
    resume: Callable[..., Slots]
    slots: Slots
    bucket: int
    rows: int
    seconds: float
    more: dict[Any, Any] = dataclasses.field(default_factory=dict)


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


def lower_programs(
    network: Network, chain: Chain, plan: Plan, bucket: int, params, tables, alternatives: int = 0, teams: Teams | None = None
) -> dict[str, jax.stages.Lowered]:
    """{attribute of `Programs`: program that is not compiled yet}, for the mesh on which `params` lie.

    `params` and `tables` may be arrays or ShapeDtypeStructs.
    """
    spread = Spread(mesh_of(params), network.cache_partition)
    rows = slots_of(plan, network, bucket, *spread.shards)
    params, tables = jax.tree.map(_shape, params), spread.place(tables, WHOLE)
    integers = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32, sharding=spread(WHOLE))  # noqa: E731

    empty = jax.jit(make_empty(network, chain, rows, bucket, alternatives), out_shardings=spread.slots).lower(tables)
    slots = jax.tree.map(_shape, empty.out_info)
    decode = spread.decode(make_decode(network, chain, alternatives, plan.unroll, spread.agree, teams))
    decode = jax.jit(decode, donate_argnums=1, out_shardings=(spread.slots, spread.report)).lower(
        params, slots, tables, integers()
    )
    read = jax.jit(spread.read(read_row), out_shardings=spread(WHOLE)).lower(slots, integers())
    go_on = jax.jit(resume, donate_argnums=0, out_shardings=spread.slots).lower(
        slots, jax.ShapeDtypeStruct((rows,), bool, sharding=spread(ROWS))
    )
    return {"empty": empty, "decode": decode, "read": read, "resume": go_on}


def compile_programs(
    network: Network, chain: Chain, plan: Plan, bucket: int, params, tables, alternatives: int, teams: Teams | None = None
) -> Programs:
    """Compiles everything that `bucket` needs; arguments as for `lower_programs`."""
    begin = time.perf_counter()
    lowered = lower_programs(network, chain, plan, bucket, params, tables, alternatives, teams)
    compiled = {name: program.compile() for name, program in lowered.items()}
    slots = jax.tree.map(_shape, lowered["empty"].out_info)
    return Programs(**compiled, slots=slots, bucket=bucket, rows=slots.done.shape[0], seconds=time.perf_counter() - begin)


def lower_admit(network: Network, chain: Chain, slots: Slots, room: Any, params, tables) -> jax.stages.Lowered:
    """admit(slots (donated), room, admission, tables) → slots for `slots` and a `room` of these shapes."""
    spread = Spread(mesh_of(params), network.cache_partition)
    admission = spread.place(blank_admission(chain, *slots.tokens.shape), ROWS)
    admit = jax.jit(spread.admit(make_admit(chain)), donate_argnums=0, out_shardings=spread.slots)
    return admit.lower(slots, room, admission, spread.place(tables, WHOLE))


def compile_admit(
    network: Network, chain: Chain, programs: Programs, room: RoomPrograms, params, tables
) -> tuple[Callable[..., Slots], float]:
    """(`lower_admit`'s program, seconds spent compiling) for a bucket and a kind of room."""
    begin = time.perf_counter()
    admit = lower_admit(network, chain, programs.slots, room.room, params, tables).compile()
    return admit, time.perf_counter() - begin


def _shape(leaf) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))
