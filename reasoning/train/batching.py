"""From examples to the arrays of a step: who learns together, and how they lie in memory.

    padded     an example a row, rows as long as the longest example of all
    bucketed   an example a row, examples of similar length together, rows as long as the bucket
    packed     several examples a row (`reasoning.train.packing`)

Which examples make up a step depends on (seed, epoch) and, if bucketed, on their lengths; packed and padded steps hold the same
examples, so packing changes how fast one trains and not what. A step has A micro-batches of B rows; A is a power of two
so that few programs are compiled, and a micro-batch of padding costs nothing (`reasoning.train.step`).

Axis legend: `A` micro-batches, `B` rows of all processes, `T` tokens of a row.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reasoning.errors import InputError
from reasoning.processes import ALONE, Processes
from reasoning.train.examples import Example
from reasoning.train.packing import pack

LAYOUTS = ("packed", "bucketed", "padded")
ROUND = 64  # rows are a multiple of this, in tokens
TRIED = 3200  # examples by which the lengths of rows are compared
WINDOW = 50  # batches of random examples within which similar lengths are brought together


class Batch(NamedTuple):
    """Arrays [A, B, T] of one step, or [B, T] of a micro-batch.

    Attributes:
      tokens: int32; 0 where there is padding. segments: int32, from 1 in each row, 0 is padding.
      positions: int32, from 0 in each segment. loss: bool, whether the token is a target.
    """

    tokens: Any
    segments: Any
    positions: Any
    loss: Any


class Step(NamedTuple):
    """One step's composition: rows of indices of examples, and T. A micro-batch is B rows in order."""

    rows: tuple[tuple[int, ...], ...]
    length: int


@dataclasses.dataclass(frozen=True)
class Layout:
    """How batches are made.

    Attributes:
      kind: one of `LAYOUTS`.
      examples: of a step (s1: 16).
      rows: B, in all processes together. On a mesh a multiple of data × fsdp.
      max_tokens: the longest row, T; 0 is the longest example's. In a packed layout every row is as long as this.
      seed: of the permutations.
    """

    kind: str = "packed"
    examples: int = 16
    rows: int = 1
    max_tokens: int = 0
    seed: int = 0


def rounded(length: int) -> int:
    """The row in which `length` tokens lie: a multiple of `ROUND`, or of an eighth of the next power of two, so there are few."""
    unit = max(ROUND, 1 << max((length - 1).bit_length() - 3, 0))
    return -(-length // unit) * unit


def plan(lengths: Sequence[int], layout: Layout, epoch: int) -> list[Step]:
    """The steps of an epoch; every example is in exactly one. Deterministic in its arguments. The last step may be smaller.

    Args:
      lengths: tokens of each example.

    Raises InputError.
    """
    limit = check(lengths, layout)
    rng = np.random.default_rng([layout.seed, epoch])
    order = rng.permutation(len(lengths)).tolist()
    size = layout.examples
    if layout.kind == "bucketed":
        window = WINDOW * size
        parts = [order[i : i + window] for i in range(0, len(order), window)]
        order = [one for part in parts for one in sorted(part, key=lambda index: (-lengths[index], index))]
    groups = [order[i : i + size] for i in range(0, len(order), size)]
    if layout.kind == "bucketed":
        groups = [groups[i] for i in rng.permutation(len(groups))]
    if layout.kind == "packed":
        return [Step(tuple(map(tuple, pack(group, lengths, limit))), limit) for group in groups]
    longest = limit if layout.kind == "padded" else 0
    return [
        Step(tuple((index,) for index in group), longest or min(limit, rounded(max(lengths[i] for i in group))))
        for group in groups
    ]


def check(lengths: Sequence[int], layout: Layout) -> int:
    """The longest row. Raises InputError for a layout that there is not, and for an example that no row can hold."""
    if layout.kind not in LAYOUTS:
        raise InputError(f"the layout of batches is one of {', '.join(LAYOUTS)}, got {layout.kind!r}")
    if layout.examples < 1 or layout.rows < 1:
        raise InputError(f"a step needs at least one example and one row, got {layout.examples} and {layout.rows}")
    if not len(lengths):
        raise InputError("there is no example to train on")
    limit, longest = layout.max_tokens or rounded(max(lengths)), max(lengths)
    if longest > limit:
        raise InputError(f"an example has {longest} tokens and a row {limit}; raise max_tokens, or leave long examples out")
    return limit


def filled(lengths: Sequence[int], layout: Layout) -> float:
    """Which share of the tokens of an epoch is no padding; micro-batches are filled up with rows of it. Raises InputError."""
    steps = plan(lengths, layout, 0)
    return sum(lengths) / sum(-(-len(step.rows) // layout.rows) * layout.rows * step.length for step in steps)


def fuller(lengths: Sequence[int], layout: Layout) -> tuple[int, float, float] | None:
    """(row length, its share that is no padding, the share now) of a packed layout that wastes less, or None.

    Where two examples nearly fit a row, half of it is lost. Rows of up to twice the longest example are tried, for the memory
    that longer ones take, on at most `TRIED` examples; a gain of less than 5 % is none. Raises InputError.
    """
    if layout.kind != "packed":
        return None
    limit, longest = check(lengths, layout), max(lengths)
    unit = 1 << max(4, longest.bit_length() - 6)
    rows = range(-(-longest // unit) * unit, 2 * longest + unit, unit)
    shares = {row: filled(lengths[:TRIED], dataclasses.replace(layout, max_tokens=row)) for row in {*rows, limit}}
    best, now = max(rows, key=lambda row: (shares[row], -row)), shares[limit]
    return (best, shares[best], now) if shares[best] > 1.05 * now else None


def micro_batches(step: Step, rows: int) -> int:
    """A of a step: enough for its rows, and a power of two."""
    return 1 << (-(-len(step.rows) // rows) - 1).bit_length()


def arrays(step: Step, examples: Sequence[Example], rows: int, micro: int, processes: Processes = ALONE) -> Batch:
    """This process's part of a step, [A, B / processes, T]: consecutive rows of every micro-batch."""
    share = rows // processes.count
    batch = Batch(*(np.zeros((micro, share, step.length), kind) for kind in (np.int32, np.int32, np.int32, np.bool_)))
    for place, row in enumerate(step.rows):
        a, b = divmod(place, rows)
        b -= processes.index * share
        if not 0 <= b < share:
            continue
        start = 0
        for segment, index in enumerate(row, 1):
            example = examples[index]
            at = np.s_[a, b, start : start + len(example.ids)]
            batch.tokens[at], batch.segments[at] = example.ids, segment
            batch.positions[at], batch.loss[at] = np.arange(len(example.ids)), example.loss
            start += len(example.ids)
    return batch


class Batches:
    """An endless stream of batches, epoch after epoch, that can be continued anywhere.

    `position` is that of the next batch, {"epoch", "index"}; `seek(position)` goes there.
    """

    def __init__(self, examples: Sequence[Example], layout: Layout, processes: Processes = ALONE):
        """Raises InputError as `plan` does, and for rows that the processes cannot share evenly."""
        if layout.rows % processes.count:
            raise InputError(f"{layout.rows} rows cannot be shared by {processes.count} processes; choose a multiple of them")
        self.examples, self.layout, self.processes = examples, layout, processes
        self._lengths = [len(example.ids) for example in examples]
        self._epoch, self._index = 0, 0
        self._open()

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-len(self.examples) // self.layout.examples)

    @property
    def position(self) -> dict[str, int]:
        """Of the next batch."""
        return {"epoch": self._epoch, "index": self._index}

    def seek(self, position: Mapping[str, int]) -> None:
        """The next batch is the one at `position`. Raises InputError for a position that these examples do not have."""
        epoch, index = position["epoch"], position["index"]
        if epoch < 0 or not 0 <= index <= self.steps:
            raise InputError(f"there is no batch {index} in epoch {epoch}: an epoch has {self.steps}; was this another data set?")
        if epoch != self._epoch:
            self._epoch = epoch
            self._open()
        self._index = index

    def shapes(self, epochs: int) -> set[tuple[int, int, int]]:
        """(A, B, T) of all batches of so many epochs: each is one compiled program."""
        plans = (plan(self._lengths, self.layout, epoch) for epoch in range(epochs))
        return {self._shape(step, steps) for steps in plans for step in steps}

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._index == len(self._plan):
            self._epoch, self._index = self._epoch + 1, 0
            self._open()
        step = self._plan[self._index]
        self._index += 1
        micro, rows, _ = self._shape(step, self._plan)
        return arrays(step, self.examples, rows, micro, self.processes)

    def _open(self) -> None:
        self._plan = plan(self._lengths, self.layout, self._epoch)

    def _shape(self, step: Step, steps: Sequence[Step]) -> tuple[int, int, int]:
        """Steps of one length get the A of the largest of them."""
        micro = max(micro_batches(one, self.layout.rows) for one in steps if one.length == step.length)
        return micro, self.layout.rows, step.length
