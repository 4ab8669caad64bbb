"""Methods in rounds, round by round: reward and accuracy of the best answer so far, its cost, and best-of-N at as many tokens.

The answer of TPO after d rounds is the best of the cache after round d, so one run gives every depth up to its own.

**Control at equal tokens.** From the pool of a `best_of_n` with the same scorer and sampling in the same run: on each problem
M is the smallest number of samples that cost as many tokens as the whole of TPO did there, at the mean length of the pool's
samples, and the control's accuracy is the expectation over subsets of M of the pool. Twice: counting the tokens after the
prompts, and all tokens, where best-of-M pays its one prompt once and TPO that of each request once. What scorers read is left
out: both have every answer read. Where M is more than the pool has, the whole pool is taken and the problem counted in `short`.
The control never answers with a sample that states no answer, as best-of-N does; TPO answers with the best of its cache.

Axis legend: `P` problems.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.pool import Record
from reasoning.evaluation.reports.scores import by_problem, samples_of
from reasoning.evaluation.statistics import metrics, stats
from reasoning.evaluation.statistics.stats import Comparison, Estimate
from reasoning.methods.base import Method
from reasoning.methods.best_of_n import Best
from reasoning.methods.tpo import Preference
from reasoning.records import read_lines

BASES = ("tokens after the prompts", "all tokens")
History = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Round:
    """What stands after one round; means per problem, cumulative but for `drawn`, `unparsed` and `lost`.

    Attributes:
      index: 0 is the first. calls: of the policy. generated: tokens after the prompts; total: these and the prompts.
      reward: of the best answer so far, (mean, low, high). drawn: mean reward of the answers of this round; NaN without any.
      accuracy: of the best answer so far. values: float[P], the same by problem.
      unparsed, lost: updates of this round that could not be read at first, and after the second try.
      gain: accuracy minus that of round 0; None in round 0.
    """

    index: int
    calls: float
    generated: float
    total: float
    reward: tuple[float, float, float]
    drawn: float
    accuracy: Estimate
    values: tuple[float, ...]
    unparsed: float
    lost: float
    gain: Comparison | None


@dataclasses.dataclass(frozen=True)
class Control:
    """Best of M from the pool `label`, matched by `basis`; mean `samples`, on `short` problems fewer than wanted."""

    label: str
    basis: str
    samples: float
    short: int
    accuracy: Estimate
    versus: Comparison  # the last round minus this


@dataclasses.dataclass(frozen=True)
class Worked:
    """One method in rounds.

    Attributes:
      rounds: from the first on. controls: two for each pool that is one.
      histories: as `rounds.jsonl` has them. grades: of what stands after each round, [line of `histories`][round].
    """

    label: str
    mode: str
    rounds: tuple[Round, ...]
    controls: tuple[Control, ...]
    histories: tuple[History, ...]
    grades: tuple[tuple[bool, ...], ...]


def measure(run: Finished) -> list[Worked]:
    """The methods of a run that have an answer after each round. Raises InputError for a damaged or lost file."""
    if "regraded" in run.identity:  # under other rules than those that rounds are graded by here
        return []
    labels = [label for label, method in run.methods.items() if isinstance(method.rounds, Preference)]
    return [_worked(run, label) for label in labels]


def _worked(run: Finished, label: str) -> Worked:
    histories = read_histories(run, label)
    grades = grade(run, histories)
    by_line = list(zip(histories, grades, strict=True))
    grouped = [list(group) for _, group in itertools.groupby(by_line, key=lambda pair: pair[0]["problem"])]
    rounds: list[Round] = []
    for index in range(len(histories[0]["rounds"])):
        rounds.append(_round(index, grouped, rounds[0] if rounds else None))
    controls = [control for pool in pools(run, label) for control in _controls(run, pool, grouped, rounds[-1])]
    return Worked(label, histories[0]["mode"], tuple(rounds), tuple(controls), tuple(histories), tuple(grades))


def read_histories(run: Finished, label: str) -> list[History]:
    """The lines of `rounds.jsonl`, ordered by problem and sample. Raises InputError if one is missing."""
    path = run.workdir / label / "rounds.jsonl"
    there = {(line["problem"], line["sample"]): line for line in read_lines(path)[0]}
    wanted = [(problem, sample) for problem in run.problems for sample in range(run.methods[label].n)]
    if missing := [key for key in wanted if key not in there]:
        raise InputError(
            f"{path} lacks {len(missing)} of {len(wanted)} lines; delete generations.jsonl beside it and run scripts/evaluate.py "
            "again, which finds everything in journal.jsonl"
        )
    return [there[key] for key in wanted]


def best_of(history: History, index: int) -> Mapping[str, Any]:
    """The answer that stands after a round."""
    number = history["rounds"][index]["best"]
    return next(answer for answer in history["answers"] if answer["number"] == number)


def grade(run: Finished, histories: Sequence[History]) -> list[tuple[bool, ...]]:
    """Whether what stands after each round is right, by history."""
    asked = {(one["problem"], best_of(one, index)["answer"]): None for one in histories for index in range(len(one["rounds"]))}
    with Grader() as grader:
        futures = {key: grader.submit_answer(run.problems[key[0]], key[1]) for key in asked}
        right = {key: future.result().correct for key, future in futures.items()}
    return [
        tuple(right[one["problem"], best_of(one, index)["answer"]] for index in range(len(one["rounds"]))) for one in histories
    ]


def _round(index: int, grouped, first: Round | None) -> Round:
    def mean(value) -> list[float]:
        """Of each problem, over its samples."""
        return [float(np.mean([value(history, grades) for history, grades in group])) for group in grouped]

    def so_far(*names: str) -> float:
        return float(np.mean(mean(lambda one, _: sum(part[name] for part in one["rounds"][: index + 1] for name in names))))

    def now(name: str) -> float:
        return float(np.mean(mean(lambda one, _: one["rounds"][index].get(name, 0))))

    values = mean(lambda _, grades: grades[index])
    drawn = [one["rounds"][index]["drawn"] for group in grouped for one, _ in group]
    drawn = [value for value in drawn if value is not None]
    return Round(
        index=index,
        calls=so_far("calls"),
        generated=so_far("generated"),
        total=so_far("prompt", "generated"),
        reward=interval(mean(lambda one, _: one["rounds"][index]["reward"])),
        drawn=float(np.mean(drawn)) if drawn else math.nan,
        accuracy=stats.estimate(values),
        values=tuple(values),
        unparsed=now("unparsed"),
        lost=now("lost"),
        gain=stats.paired(values, first.values) if first else None,
    )


def interval(rewards: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high) of float[P], 95 % over problems; the bootstrap where rewards leave [0, 1]."""
    if all(0.0 <= one <= 1.0 for one in rewards):
        found = stats.estimate(rewards)
        return found.value, found.low, found.high
    values = np.asarray(rewards)
    low, high = stats.bootstrap_interval(values) if len(values) > 1 else (math.nan, math.nan)
    return float(values.mean()), low, high


def pools(run: Finished, label: str) -> list[str]:
    """Methods of the run that draw and score as the first round of `label` does, and take the best."""
    ours = run.methods[label]

    def fits(other: Method) -> bool:
        same = all(getattr(ours, name) == getattr(other, name) for name in ("prompt", "max_tokens", "stop", "knobs", "seed"))
        scored = dict(other.scorer or {}) == dict(ours.rounds.scorer) and type(other.vote) is Best
        return scored and same and other.vote.aggregation == ours.rounds.aggregation

    return [name for name, other in run.methods.items() if fits(other)]


def _controls(run: Finished, pool: str, grouped, last: Round) -> list[Control]:
    groups, vote, out = by_problem(run.records(pool)), run.methods[pool].vote, []
    table = [samples_of(group, vote) for group in groups]
    for basis, names in zip(BASES, (("generated",), ("prompt", "generated")), strict=True):
        spent = [
            float(np.mean([sum(part[name] for part in one["rounds"] for name in names) for one, _ in group])) for group in grouped
        ]
        wanted = [
            samples_for(tokens - (group[0]["ledger"]["prompt"] if "prompt" in names else 0), group)
            for tokens, group in zip(spent, groups, strict=True)
        ]
        taken = [min(many, len(group)) for many, group in zip(wanted, groups, strict=True)]
        values = [metrics.best_at_k(samples, many) for samples, many in zip(table, taken, strict=True)]
        versus = stats.paired(last.values, values)
        short = sum(many > len(group) for many, group in zip(wanted, groups, strict=True))
        out.append(Control(pool, basis, float(np.mean(taken)), short, stats.estimate(values), versus))
    return out


def samples_for(tokens: float, group: Sequence[Record]) -> int:
    """The smallest number of samples ≥ 1 that cost so many tokens, at the mean of the group's."""
    names = ("sampled", "forced", "discarded", "lookahead")
    each = float(np.mean([sum(one["ledger"][name] for name in names) for one in group]))
    return max(1, math.ceil(round(tokens / each, 9)))
