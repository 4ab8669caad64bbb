"""The records of a run → its numbers: accuracy at every N that the pool allows, each with its interval and its cost.

Axis legend: `P` problems, `W` samples per problem.
"""

import collections
import dataclasses
import itertools
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reasoning.errors import InputError
from reasoning.evaluation.ledger import Cost, cost
from reasoning.evaluation.pool import Record
from reasoning.evaluation.statistics import metrics, stats
from reasoning.evaluation.statistics.metrics import Metric, Samples
from reasoning.evaluation.statistics.stats import Estimate
from reasoning.methods.base import Method, Vote, cast, only, sees_lengths, sees_scores
from reasoning.methods.best_of_n import Best, Weighted
from reasoning.methods.majority import Plurality
from reasoning.methods.shortest import Shortest
from reasoning.records import read_lines
from reasoning.text.answers import normalise

TIE = 1e-9  # sums of scores that are closer than this are equal; the order of a sum must not decide
SUBSETS = 256  # of a pool, where there are more than can be counted one by one


@dataclasses.dataclass(frozen=True)
class Row:
    """One method at one number of samples.

    Attributes:
      label: of the method in the configuration. samples: per problem, N.
      accuracy: mean over problems with its interval and the minimum detectable effect.
      cost: of one problem.
      values: float[P], the expected correctness on each problem, in the order of the task.
    """

    label: str
    samples: int
    accuracy: Estimate
    cost: Cost
    values: tuple[float, ...]

    @property
    def name(self) -> str:
        """ "majority, N = 8"; the number is left out where one sample is all there is to the method."""
        return f"{self.label}, N = {self.samples}" if self.samples > 1 else self.label


def by_problem(records: Sequence[Record]) -> list[list[Record]]:
    """Records ordered by problem and sample → P lists of W."""
    return [list(group) for _, group in itertools.groupby(records, key=lambda one: one["problem"])]


def samples_of(group: Sequence[Record], vote: Vote | None = None) -> Samples:
    """The samples of one problem as the statistics want them, with lengths and scores if a vote looks at them.

    Raises InputError for a sample without the scores that it looks at.
    """
    answers = tuple(normalise(one["answer"]) for one in group)
    tokens = tuple(one["tokens"] for one in group) if sees_lengths(vote) else ()
    scores = tuple(vote.value(steps_of(one, vote.scorer)) for one in group) if sees_scores(vote) else ()
    return Samples(group[0]["problem"], answers, tuple(one["correct"] for one in group), tokens, scores)


def steps_of(record: Record, scorer: str) -> Sequence[float]:
    """The scores of a record's steps. Raises InputError if `scorer` has given none."""
    try:
        return record["scores"][scorer]
    except KeyError:
        raise InputError(
            f"sample {record['sample']} of {record['problem']!r} has no scores of {scorer!r}; run the same command again"
        ) from None


def metric_of(vote: Vote) -> Metric:
    """The expected correctness of `vote` over k of a problem's samples."""
    if vote is only:
        return metrics.accuracy
    if type(vote) is Plurality:  # a subclass may vote in its own way
        return metrics.maj_at_k
    if type(vote) is Best:
        return metrics.best_at_k
    if type(vote) is Shortest:
        return metrics.shortest_at_k
    if type(vote) is Weighted:
        return weighted_at_k
    return lambda samples, k: over_subsets(vote, samples, k)


def over_subsets(vote: Vote, samples: Samples, k: int) -> float:
    """Mean correctness of any vote over all subsets of k samples, or over `SUBSETS` random ones, the same in every call.

    A winner that is no sample's answer counts as wrong: only samples were graded.
    """
    n = len(samples.answers)

    def right(winner: str | None) -> float:
        grades = [
            correct
            for answer, correct in zip(samples.answers, samples.correct, strict=True)
            if answer is not None and answer == normalise(winner)
        ]
        return sum(grades) / len(grades) if grades else 0.0

    def winner(subset: Sequence[int]) -> str | None:
        parts = (samples.answers, samples.lengths or (0,) * n, samples.scores or (0.0,) * n)
        return cast(vote, samples.id, *([part[index] for index in subset] for part in parts))

    drawn = subsets(samples.id, n, k)
    return sum(right(winner(subset)) for subset in drawn) / len(drawn)


def weighted_at_k(samples: Samples, k: int) -> float:
    """The same for a weighted vote, as one matrix product; tied answers share a subset alike."""
    names = sorted({answer for answer in samples.answers if answer is not None})
    given = np.array([[answer == name for name in names] for answer in samples.answers], float)  # [n, answers]
    chosen = np.zeros((len(drawn := subsets(samples.id, len(given), k)), len(given)))
    chosen[np.arange(len(drawn))[:, None], np.array(drawn)] = 1.0
    there = chosen @ given > 0
    sums = np.where(there, chosen @ (given * np.maximum(samples.scores, 0.0)[:, None]), -1.0)
    winners = there & (sums >= sums.max(1, keepdims=True, initial=-1.0) - TIE)
    shares = given.T @ np.array(samples.correct, float) / given.sum(0)
    return float((winners @ shares / np.maximum(winners.sum(1), 1)).mean())


def subsets(problem: str, n: int, k: int) -> list[Sequence[int]]:
    """All subsets of k of n samples, or `SUBSETS` random ones, the same in every call."""
    if math.comb(n, k) <= SUBSETS:
        return list(itertools.combinations(range(n), k))
    draw = random.Random(f"{problem}/{k}")
    return [sorted(draw.sample(range(n), k)) for _ in range(SUBSETS)]


def sizes(method: Method) -> list[int]:
    """The numbers of samples to report: 1, 2, 4, … and the whole pool; 1 alone for a method that does not vote, and the pool
    alone for a search, whose samples come of each other."""
    if method.search is not None:
        return [method.n]
    if method.vote is only:
        return [1]
    return sorted({2**power for power in range(method.n.bit_length()) if 2**power <= method.n} | {method.n})


def rows(label: str, method: Method, records: Sequence[Record], seconds: float = math.nan) -> list[Row]:
    """One row for each of `sizes(method)`.

    Args:
      records: all samples of the run, ordered by problem and sample.
      seconds: mean of a sample, `sample_seconds`.
    """
    groups, metric = by_problem(records), metric_of(method.vote)
    table = [samples_of(group, method.vote) for group in groups]
    return [
        Row(
            label=label,
            samples=k,
            accuracy=stats.measure(table, metric, k),
            cost=cost(groups, k, seconds),
            values=tuple(metric(samples, k) for samples in table),
        )
        for k in sizes(method)
    ]


def sample_seconds(path: Path) -> float:
    """Mean seconds of a sample from timings.jsonl, each sample once; NaN if the file tells none."""
    last = {(line["problem"], line["sample"]): line["seconds"] for line in read_lines(path)[0] if "sample" in line}
    return sum(last.values()) / len(last) if last else math.nan


def summary(rows: Sequence[Row], records: Sequence[Record]) -> dict[str, Any]:
    """What scores.json says: the rows, pass@k of the same pool, and how samples ended."""
    table = [samples_of(group) for group in by_problem(records)]
    pool = len(table[0].answers)
    powers = [2**power for power in range(pool.bit_length())]
    return {
        "problems": len(table),
        "samples_per_problem": pool,
        "rows": [
            {
                "samples": row.samples,
                "accuracy": dataclasses.asdict(row.accuracy),
                "cost_per_problem": plain(dataclasses.asdict(row.cost)),
            }
            for row in rows
        ],
        "pass_at_k": {str(k): dataclasses.asdict(stats.pass_at_k(table, k)) for k in powers},
        "unanswered": sum(one["answer"] is None for one in records) / len(records),
        "stop_reasons": dict(collections.Counter(one["stop_reason"] for one in records).most_common()),
        "grading": dict(collections.Counter(one["grading"] for one in records).most_common()),
    }


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same with None for NaN, which JSON lacks."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
