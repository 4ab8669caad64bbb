"""Curves of accuracy against cost, measured on a finished run: every line of the plan at every budget that its methods give.

Between two of its budgets a curve is joined by a straight line over the *cost*: that is what tossing a coin between the two
methods buys, so every point of the line can be had. Beyond its last budget a curve stays where it is, since a method that has no
use for more money does not spend it; before its first it is not defined.

Axis legend: `P` problems, `K` budgets.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reasoning.comparison.plan import AXES, Line
from reasoning.evaluation import scoring
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.pool import Record
from reasoning.evaluation.reports import scores
from reasoning.evaluation.reports.scores import Row, sample_seconds
from reasoning.evaluation.scoring import attach
from reasoning.evaluation.selection import oracle_rows
from reasoning.rewards import judges


@dataclasses.dataclass(frozen=True)
class Point:
    """One budget of a curve.

    Attributes:
      label: of the method in the run. row: its accuracy, cost and values (`reasoning.evaluation.reports.scores.Row`).
      timed: whether the seconds are those of a run of its own. Else they are of slots, or of a scorer, in a full batch: all of
        them, or those of a scorer that read the samples for a vote, on top of what the timed run took to draw them.
      joules: of a problem in that run; NaN if nobody measured them, or not all of them.
    """

    label: str
    row: Row
    timed: bool = False
    joules: float = math.nan

    def cost(self, axis: str) -> float:
        """Mean cost of a problem; `axis` is one of `AXES`."""
        return AXES[axis][1](self.row.cost)


@dataclasses.dataclass(frozen=True)
class Curve:
    """Points of one line, ascending in FLOPs; `ceiling` for that of an oracle."""

    name: str
    points: tuple[Point, ...]
    ceiling: bool = False

    def along(self, axis: str) -> list[Point]:
        """Its points, ascending in the cost `axis`."""
        return sorted(self.points, key=lambda point: point.cost(axis))

    def title(self, point: Point) -> str:
        """The curve's name, with the point's method where the curve has several."""
        return self.name if len({one.label for one in self.points}) == 1 else f"{self.name} ({point.label})"

    def costs(self, axis: str) -> np.ndarray:
        """float[K], ascending."""
        return np.array([point.cost(axis) for point in self.along(axis)])

    def at(self, axis: str, budgets: Sequence[float]) -> np.ndarray:
        """float[P, K]: what each problem is worth at so much per problem; NaN before the first budget."""
        values = np.array([point.row.values for point in self.along(axis)])
        return np.array([np.interp(budgets, self.costs(axis), column, left=math.nan) for column in values.T])


@dataclasses.dataclass(frozen=True)
class Time:
    """Of one point in a timed run: seconds and joules of a problem (NaN if not measured)."""

    seconds: float
    joules: float = math.nan


def measure(
    run: Finished,
    lines: Sequence[Line],
    times: Mapping[tuple[str, int], Time] | None = None,
    half: str = "",
) -> list[Curve]:
    """The curves of `lines`.

    Args:
      times: {(label, N): what a timed run found}.
      half: label of a pool of which only the odd samples count, since the even ones were used for something else.
    Raises:
      InputError: samples or scores are missing.
    """
    return [Curve(line.name, _points(run, line, times or {}, half), line.ceiling) for line in lines]


def _points(run: Finished, line: Line, times: Mapping[tuple[str, int], Time], half: str) -> tuple[Point, ...]:
    points = []
    for label in line.labels:
        for row in _rows(run, line, label, half):
            time = times.get((label, row.samples))
            if time is None:
                points.append(Point(label, row))
                continue
            apart = _read_apart(run, line, label, row)  # a timed run draws the samples, and nobody reads them
            extra = row.samples * _reading_seconds(run, label, line.scorer) if apart else 0.0
            row = dataclasses.replace(row, cost=dataclasses.replace(row.cost, seconds=time.seconds + extra))
            points.append(Point(label, row, not apart, math.nan if apart else time.joules))
    return tuple(sorted(points, key=lambda point: point.cost("flops")))


def _read_apart(run: Finished, line: Line, label: str, row: Row) -> bool:
    """Whether the line's vote needed tokens to be read that the method itself does not read; likelihood needs none."""
    own = run.methods[label].scorer
    if not line.vote or line.scorer is None or row.cost.scorer == 0:
        return False
    return own is None or judges.label(own) != judges.label(line.scorer)


def _reading_seconds(run: Finished, label: str, spec: Mapping[str, Any]) -> float:
    """Mean seconds of a sample with the scorer `spec`, in the company of others; NaN if no time was kept."""
    return sample_seconds(scoring.timings(run.workdir / label, judges.label(spec)))


def _rows(run: Finished, line: Line, label: str, half: str) -> list[Row]:
    method, directory = run.methods[label], run.workdir / label
    seconds, records = sample_seconds(directory / "timings.jsonl"), run.records(label)
    spec = line.scorer if line.vote else method.scorer
    if spec is not None:
        seconds += _reading_seconds(run, label, spec)
    if line.vote:
        records = run.samples(label) if line.scorer is None else attach(run.samples(label), directory, judges.label(line.scorer))
    if label == half:
        records, method = odd(records), dataclasses.replace(method, n=method.n // 2)
    if line.ceiling:
        return [dataclasses.replace(row, label=line.name) for row in oracle_rows(method, records, seconds)]
    if line.vote:
        method = dataclasses.replace(method, vote=line.cast(method.seed))
    return scores.rows(line.name, method, records, seconds)


def odd(records: Sequence[Record]) -> list[Record]:
    """The samples with odd numbers."""
    return [record for record in records if record["sample"] % 2]


def even(records: Sequence[Record]) -> list[Record]:
    """The samples with even numbers."""
    return [record for record in records if not record["sample"] % 2]
