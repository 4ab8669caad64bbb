"""The waiting room: prompts are prefilled a few at a time, and what they have in common is written once and forked.

Prefill writes `prompt[:-1]` into a cache of `W` rows, chunk by chunk from position 0; the last prompt token is left for
the first decode step. The room's length is a function of the prompt's length alone (the bucket of the prompt), so shapes
never depend on who else is waiting.

A room keeps what it wrote. When the next prompts begin with tokens that some row already holds, that row is copied to
theirs (`fork`) and prefill goes on from the first chunk that is new:

    chunk        0         1         2
    held     |few-shot |examples |question A|
    next     |few-shot |examples |question B|   fork row 0, prefill chunk 2 only

A chunk's keys and values are the same bits in whichever row and call they were computed, so sharing changes no sample.

Axis legend: `W` rows of the waiting room, `T` chunk, `S` cache length of the room.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.decode.plan import Plan, room_rows
from reasoning.decode.requests import Job
from reasoning.decode.spread import WHOLE, Spread
from reasoning.models.network import Network
from reasoning.sharding import mesh_of


def make_prefill(network: Network) -> Callable[..., Any]:
    """prefill(params, room, tokens int32[W, T], start int32[], lengths int32[W]) → room with this chunk written.

    Token t of the chunk stands at position start + t; positions ≥ lengths − 1 write nowhere.
    """

    def prefill(params, room, tokens, start, lengths):
        positions = start + jnp.arange(tokens.shape[1])[None, :]
        nowhere = jnp.iinfo(jnp.int32).max // 2
        positions = jnp.where(positions < lengths[:, None] - 1, positions, nowhere)
        return network.forward(params, tokens, positions, room)[1]

    return prefill


def fork(room: Any, parents: jax.Array) -> Any:
    """Row r becomes a copy of row `parents[r]`, int32[W]."""
    return jax.tree.map(lambda leaf: leaf[parents], room)


@dataclasses.dataclass(frozen=True, eq=False)
class RoomPrograms:
    """Compiled for rooms of one length.

    Attributes:
      empty() → room. prefill(params, room (donated), tokens, start, lengths) → room. fork(room, parents) → room.
      room: its shapes. size: S. rows: W. chunk: T. seconds: spent compiling.
    """

    empty: Callable[[], Any]
    prefill: Callable[..., Any]
    fork: Callable[..., Any]
    room: Any
    size: int
    rows: int
    chunk: int
    seconds: float


def lower_room(network: Network, plan: Plan, size: int, params) -> dict[str, jax.stages.Lowered]:
    """{attribute of `RoomPrograms`: program that is not compiled yet}, for the mesh on which `params` lie.

    `params` may be arrays or ShapeDtypeStructs.
    """
    spread = Spread(mesh_of(params), network.cache_partition)
    rows, chunk = room_rows(plan, size), min(plan.prefill_chunk, size)
    shape = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))  # noqa: E731
    integers = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32, sharding=spread(WHOLE))  # noqa: E731
    empty = jax.jit(lambda: network.init_cache(rows, size), out_shardings=spread.room).lower()
    room = jax.tree.map(shape, empty.out_info)
    prefill = jax.jit(make_prefill(network), donate_argnums=1, out_shardings=spread.room).lower(
        jax.tree.map(shape, params), room, integers(rows, chunk), integers(), integers(rows)
    )
    return {"empty": empty, "prefill": prefill, "fork": jax.jit(fork, out_shardings=spread.room).lower(room, integers(rows))}


def compile_room(network: Network, plan: Plan, size: int, params) -> RoomPrograms:
    """Compiles the programs of rooms of `size` tokens a row; arguments as for `lower_room`."""
    begin = time.perf_counter()
    lowered = lower_room(network, plan, size, params)
    compiled = {name: program.compile() for name, program in lowered.items()}
    room = lowered["empty"].out_info
    rows, chunk = room_rows(plan, size), min(plan.prefill_chunk, size)
    return RoomPrograms(**compiled, room=room, size=size, rows=rows, chunk=chunk, seconds=time.perf_counter() - begin)


class Room:
    """One waiting room and what its rows hold. `cache` is the device's; `calls` counts prefill calls."""

    def __init__(self, programs: RoomPrograms, params):
        self.programs, self._params = programs, params
        self.cache = programs.empty()
        self.calls = 0
        self._held = [np.zeros(0, np.int32)] * programs.rows

    def fill(self, prompts: Sequence[np.ndarray]) -> None:
        """Row r holds prompts[r] (int32, all but the last token written); at most W prompts."""
        fed = [prompt[:-1] for prompt in prompts]
        shared = np.array([[_common(new, old) for old in self._held] for new in fed])
        start = int(shared.max(1).min()) // self.programs.chunk * self.programs.chunk
        if start:
            # A row that holds enough itself stays; rows that get no prompt keep what they have.
            stays = np.arange(len(fed)) if (np.diagonal(shared) >= start).all() else shared.argmax(1)
            self._fork(np.concatenate([stays, np.arange(len(fed), self.programs.rows)]).astype(np.int32))
        self._prefill(fed, start)
        self._held[: len(fed)] = fed

    def _fork(self, parents: np.ndarray) -> None:
        if (parents != np.arange(len(parents))).any():
            self.cache = self.programs.fork(self.cache, jax.device_put(parents))
            self._held = [self._held[parent] for parent in parents]

    def _prefill(self, fed: Sequence[np.ndarray], start: int) -> None:
        chunk, longest = self.programs.chunk, max(map(len, fed))
        tokens = np.zeros((self.programs.rows, -(-max(longest, 1) // chunk) * chunk), np.int32)
        lengths = np.ones(self.programs.rows, np.int32)
        for row, ids in enumerate(fed):
            tokens[row, : len(ids)], lengths[row] = ids, len(ids) + 1
        for begin in range(start, longest, chunk):
            piece = jax.device_put((tokens[:, begin : begin + chunk], np.int32(begin), lengths))
            self.cache = self.programs.prefill(self._params, self.cache, *piece)
            self.calls += 1


class Queue:
    """Jobs whose prompts are still to be prefilled. Rooms come by size, so prompts of one size follow each other.

    Attributes:
      room: the one that was filled last. admit: the way from it into the slots. reserved: cache positions of all rooms so far.
    """

    def __init__(self, jobs: Iterable[Job], entrance: Callable[[int], tuple[RoomPrograms, Callable[..., Any]]], params):
        """entrance: prompt length → (programs of such rooms, admit)."""
        self._jobs = collections.deque(sorted(jobs, key=lambda job: entrance(len(job.prompt))[0].size))
        self._entrance, self._params = entrance, params
        self.room: Room | None = None
        self.admit: Callable[..., Any] | None = None
        self.reserved = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def prefill(self) -> list[Job]:
        """Writes the next few prompts into a room of their size; job i of the result is in its row i."""
        programs, self.admit = self._entrance(len(self._jobs[0].prompt))
        if self.room is None or self.room.programs is not programs:
            self.room = None  # before the next one is allocated
            self.room = Room(programs, self._params)
            self.reserved += programs.rows * programs.size
        jobs = [self._jobs.popleft()]
        while self._jobs and len(jobs) < programs.rows and self._entrance(len(self._jobs[0].prompt))[0] is programs:
            jobs.append(self._jobs.popleft())
        self.room.fill([job.prompt for job in jobs])
        return jobs


def _common(new: np.ndarray, old: np.ndarray) -> int:
    """Length of the longest common prefix."""
    size = min(len(new), len(old))
    different = np.flatnonzero(new[:size] != old[:size])
    return int(different[0]) if different.size else size
