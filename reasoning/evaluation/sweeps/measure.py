"""Methods of one run that differ in a setting: did they think as long as they were told, and what did thinking longer buy?

A configuration names them (`reasoning.evaluation.sweeps.plan`); `measure` and `Sweep` serve a script as well.

Accuracy is that of single samples, whatever a method votes. Axis legend: `P` problems.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reasoning.evaluation.pool import Record
from reasoning.evaluation.reports.scores import by_problem
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.statistics.stats import Comparison, Estimate
from reasoning.evaluation.sweeps import control
from reasoning.evaluation.sweeps.control import Point
from reasoning.evaluation.sweeps.plan import Plan
from reasoning.evaluation.thoughts.thinking import recorded

RESAMPLES = 2000  # of the slope, which takes every pair of runs each time


@dataclass(frozen=True)
class Run:
    """All samples of one method.

    Attributes:
      label: of the method.
      thinking: float[P], mean thinking tokens of a sample of each problem. values: float[P], share of right ones.
      accuracy: mean of `values` over problems.
      whole: bool[P], whether all samples of a problem ended by themselves (`ended_itself`).
      forced: share of all tokens of all samples that were forced. reasons: how many samples ended in which way.
    """

    label: str
    thinking: tuple[float, ...]
    values: tuple[float, ...]
    accuracy: Estimate
    forced: float
    reasons: Mapping[str, int]
    whole: tuple[bool, ...]

    @property
    def tokens(self) -> float:
        """Mean thinking tokens of a sample, every problem counting the same."""
        return sum(self.thinking) / len(self.thinking)


@dataclass(frozen=True)
class Sweep:
    """A plan with its runs, in the order of the plan; `among` is bool[P], the problems that gains are taken on.

    Runs that think not at all have no place on a logarithmic axis: the slope leaves them out.
    """

    plan: Plan
    runs: tuple[Run, ...]
    among: tuple[bool, ...]

    @property
    def points(self) -> list[Point]:
        """For `reasoning.evaluation.sweeps.control`."""
        found = ((run, self.plan.settings[run.label]) for run in self.runs)
        return [Point(run.tokens, run.accuracy.value, setting.low, setting.high) for run, setting in found]

    @property
    def control(self) -> float | None:
        """Share of the runs that were told how long to think which did; None if none was told."""
        told = [point for point in self.points if point.low > 0 or point.high < math.inf]
        return control.control(told) if told else None

    @property
    def scaling(self) -> float | None:
        """Points of accuracy per doubling of the thinking; None where all think equally long, and for a grid."""
        points = [point for point in self.points if point.tokens > 0]
        return control.scaling(points) if points and not self.plan.axes else None

    @property
    def performance(self) -> float:
        """The best accuracy of all runs, which luck raises."""
        return control.performance(self.points)

    def gain(self, run: Run) -> Comparison | None:
        """`run` minus the sweep's first run in accuracy, on `among` alone, so that thinking longer is told apart from being cut
        later; None for the first run, and where there is no such problem."""
        differences = self._paired(run, "values")
        return stats.difference(differences) if differences else None

    def extra(self, run: Run) -> float | None:
        """As `gain`, in thinking tokens."""
        differences = self._paired(run, "thinking")
        return sum(differences) / len(differences) if differences else None

    def _paired(self, run: Run, name: str) -> list[float]:
        first = self.runs[0]
        pairs = zip(getattr(run, name), getattr(first, name), self.among, strict=True)
        return [] if run is first else [a - b for a, b, whole in pairs if whole]

    def scaling_interval(self, seed: int = 0) -> tuple[float, float] | None:
        """95 % interval of `scaling`, problems resampled, for all runs the same ones.

        None where runs differ on fewer than `stats.SCARCE` problems: a bootstrap would call a small slope certain.
        """
        runs = [run for run in self.runs if run.tokens > 0]
        values = np.array([run.values for run in runs])
        if self.scaling is None or (values != values[0]).any(0).sum() < stats.SCARCE:
            return None
        tokens, right = (
            np.array([stats.resampled_means(np.array(row), seed, RESAMPLES) for row in rows])
            for rows in ([run.thinking for run in runs], values)
        )
        draws = zip(tokens.T, right.T, strict=True)
        slopes = [control.scaling([Point(*one) for one in zip(*draw, strict=True)]) for draw in draws if draw[0].all()]
        return stats.expanded_percentiles(np.array([slope for slope in slopes if slope is not None]), values.shape[1])


def measure(label: str, records: Sequence[Record], count: Callable[[Record], int] = recorded) -> Run:
    """The numbers of one method.

    Args:
      records: all its samples, ordered by problem and sample.
      count: thinking tokens of a record. The default is what the record says, counted between the method's delimiters; for
        others `reasoning.evaluation.thoughts.thinking.between` makes a counter.
    """
    groups = by_problem(records)
    values = tuple(sum(one["correct"] for one in group) / len(group) for group in groups)
    thinking = tuple(sum(map(count, group)) / len(group) for group in groups)
    tokens = sum(one["tokens"] for one in records)
    forced = sum(one["ledger"]["forced"] for one in records) / tokens if tokens else 0.0
    reasons = dict(Counter(map(how_ended, records)).most_common())
    whole = tuple(all(map(ended_itself, group)) for group in groups)
    return Run(label, thinking, values, stats.estimate(values), forced, reasons, whole)


def how_ended(record: Record) -> str:
    """ "budget → stop": how its thought ended, if it did, and then the response."""
    return " → ".join(filter(None, (record["thought_end"], record["stop_reason"])))


def ended_itself(record: Record) -> bool:
    """Whether neither the response nor its thought was cut off."""
    return record["stop_reason"] != "length" and record["thought_end"] in ("", "itself", "stop")


def sweeps(planned: Sequence[Plan], runs: Mapping[str, Run]) -> list[Sweep]:
    """The plans with their runs, {label: run}."""
    return [Sweep(plan, tuple(runs[label] for label in plan.settings), runs[plan.among].whole) for plan in planned]
