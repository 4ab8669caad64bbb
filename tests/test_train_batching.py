"""Batches: every example once an epoch, whatever the layout, and a stream that can be continued anywhere."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.errors import InputError
from reasoning.processes import Processes
from reasoning.train.batching import TRIED, Batch, Batches, Layout, filled, fuller, plan
from reasoning.train.examples import Example
from reasoning.train.packing import pack


def examples(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [Example(str(i), rng.integers(1, 99, n).astype(np.int32), np.arange(n) >= n // 3) for i, n in enumerate(lengths)]


MANY = examples(*np.random.default_rng(1).integers(3, 60, 41).tolist())


def found(batch: Batch) -> list[tuple]:
    """The segments of a batch as (ids, loss), with positions checked."""
    out = []
    for row in np.ndindex(batch.tokens.shape[:2]):
        for segment in range(1, batch.segments[row].max(initial=0) + 1):
            (at,) = np.nonzero(batch.segments[row] == segment)
            assert (np.diff(at) == 1).all() and (batch.positions[row][at] == np.arange(len(at))).all()
            out.append((tuple(batch.tokens[row][at]), tuple(batch.loss[row][at])))
        assert not batch.loss[row][batch.segments[row] == 0].any(), "padding is never learnt"
    return out


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(50, 90))
def test_an_example_is_lost_or_a_row_overflows(lengths, capacity):
    members = list(reversed(range(len(lengths))))
    rows = pack(members, lengths, capacity)
    assert sorted(index for row in rows for index in row) == sorted(members)
    assert all(sum(lengths[i] for i in row) <= capacity for row in rows)
    assert all(row == sorted(row, reverse=True) for row in rows), "in the order of members"
    assert len(rows) <= 2 * -(-sum(lengths) // capacity), "no two rows fit into one"


@pytest.mark.parametrize("kind", ["packed", "bucketed", "padded"])
@pytest.mark.parametrize("rows", [1, 2])
def test_an_epoch_is_not_every_example_once(kind, rows):
    batches = Batches(MANY, Layout(kind, examples=8, rows=rows, seed=3))
    epoch = [found(next(batches)) for _ in range(batches.steps)]
    assert sorted(one for step in epoch for one in step) == sorted((tuple(one.ids), tuple(one.loss)) for one in MANY)
    assert sorted(map(len, epoch)) == [1, 8, 8, 8, 8, 8]
    assert batches.position == {"epoch": 0, "index": 6}
    assert [found(next(batches)) for _ in range(batches.steps)] != epoch and batches.position == {"epoch": 1, "index": 6}


def test_packing_changes_who_learns_together():
    padded, packed = (Batches(MANY, Layout(kind, examples=8, seed=3)) for kind in ("padded", "packed"))
    for _ in range(12):
        one, other = next(padded), next(packed)
        assert sorted(found(one)) == sorted(found(other))
        assert len(found(other)) < 8 or other.segments.any(-1).sum() < one.segments.any(-1).sum(), "fewer rows"


@pytest.mark.parametrize("kind", ["packed", "bucketed", "padded"])
def test_a_continued_stream_is_another_one(kind):
    layout = Layout(kind, examples=4, rows=2, seed=5)
    batches = Batches(MANY, layout)
    seen = [(json.loads(json.dumps(batches.position)), next(batches)) for _ in range(25)]
    again = Batches(MANY, layout)
    for position, batch in [*seen[::3], *reversed(seen)]:
        again.seek(position)
        assert all(map(np.array_equal, next(again), batch))
    again.seek({"epoch": 0, "index": batches.steps})
    assert all(map(np.array_equal, next(again), seen[batches.steps][1])), "the end of an epoch is the start of the next"
    with pytest.raises(InputError, match="no batch 12 in epoch 0"):
        again.seek({"epoch": 0, "index": 12})


def test_the_seed_or_the_epoch_does_not_matter():
    lengths = [len(one.ids) for one in MANY]
    assert plan(lengths, Layout(seed=1), 4) == plan(lengths, Layout(seed=1), 4)
    assert len({str(plan(lengths, Layout(seed=seed), epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("kind", ["packed", "bucketed", "padded"])
def test_processes_do_not_make_up_the_whole(kind):
    layout = Layout(kind, examples=8, rows=4, seed=2)
    whole = Batches(MANY, layout)
    parts = [Batches(MANY, layout, Processes(index, 2)) for index in range(2)]
    for _ in range(8):
        shares = [next(part) for part in parts]
        for left, right, both in zip(*shares, next(whole), strict=True):
            assert left.shape == right.shape and np.array_equal(np.concatenate([left, right], axis=1), both)
    with pytest.raises(InputError, match="4 rows cannot be shared by 3 processes"):
        Batches(MANY, layout, Processes(0, 3))


def test_every_step_is_a_program_of_its_own():
    rng = np.random.default_rng(0)
    spread = examples(*np.minimum(rng.lognormal(5, 0.8, 300), 1000).astype(int).tolist())
    assert len(Batches(spread, Layout("packed", rows=2)).shapes(3)) <= 2
    assert len(Batches(spread, Layout("padded", rows=2)).shapes(3)) == 1
    bucketed = Batches(spread, Layout("bucketed", rows=2))
    assert 2 < len(bucketed.shapes(3)) <= 12
    waste = [1 - (batch.segments > 0).mean() for batch in (next(bucketed) for _ in range(bucketed.steps))]
    assert np.mean(waste) < 0.35


def test_rows_that_nearly_hold_two_examples_are_half_empty_and_nobody_is_told():
    lengths = np.random.default_rng(0).integers(170, 210, 160).tolist()
    layout = Layout("packed", examples=8)
    row, then, now = fuller(lengths, layout)
    assert 380 <= row <= 420 and row % 16 == 0 and then > 0.9 and now < 0.8
    better = Layout("packed", examples=8, max_tokens=row)
    assert next(Batches(examples(*lengths), better)).tokens.shape[2] == row
    assert fuller(lengths, better) is None and fuller(lengths, Layout("padded", examples=8)) is None
    # Advice counts all examples, though it tries it on the first of many, and short ones are no trouble.
    many = np.random.default_rng(0).integers(170, 210, TRIED).tolist() + [900] * 10
    row, then, now = fuller(many, layout)
    assert row >= 900 and now == filled(many[:TRIED], dataclasses.replace(layout, max_tokens=1024))
    assert fuller([5] * 100, layout)[0] == 16 and fuller([20, 25, 31] * 10, layout) is None
    # What is counted is what a step computes: micro-batches with a target, with all of their rows.
    for rows in (1, 2, 4):
        stream = Batches(examples(*lengths), Layout("packed", examples=8, rows=rows))
        micro = [(segments, loss) for _ in range(stream.steps) for _, segments, _, loss in [next(stream)]]
        computed = sum(one.size for segments, loss in micro for one, wanted in zip(segments, loss, strict=True) if wanted.any())
        assert filled(lengths, stream.layout) == sum(lengths) / computed


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout("sorted"), "packed, bucketed, padded, got 'sorted'"),
        (Layout(max_tokens=32), "an example has 58 tokens and a row 32"),
        (Layout(examples=0), "at least one example"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(layout, message):
    with pytest.raises(InputError, match=message):
        Batches(MANY, layout)
    with pytest.raises(InputError, match="no example"):
        Batches([], Layout())
