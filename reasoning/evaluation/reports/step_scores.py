"""How well a scorer tells right steps from wrong ones, by the labels of the same responses, and which of siblings is right.

    <label>/scores/<scorer>-<labels>.md    all steps, the first, the second, …; pairs of siblings

A search chooses between steps of one question at one depth. The AUROC over all steps also rewards knowing that later steps are
more often wrong, which chooses nothing; so the pairs are the row to look at.
"""

import collections
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.reports import tables
from reasoning.evaluation.rollouts import LABELS, read_labels
from reasoning.evaluation.scoring import SCORES, attach
from reasoning.evaluation.statistics.step_metrics import auroc, auroc_interval, calibration_error
from reasoning.records import write_atomic

HEADER = ("steps", "n", "right", "AUROC", "95 % interval", "calibration error")
RESAMPLES = 1000


class Step(NamedTuple):
    """question: of the response. depth: 0 is the first. score: of the scorer. value: share of right endings, or a verdict."""

    question: str
    depth: int
    score: float
    value: float


def steps(run: Finished, label: str, scorer: str, by: str) -> list[Step]:
    """The steps that are scored and labelled.

    Raises InputError: no labels, a response without scores, or one whose scores are not one a labelled step.
    """
    n, lines = labels_of(run, label, by)
    scores = {
        (one["problem"], one["sample"]): one.get("scores", {}).get(scorer)
        for one in attach(run.samples(label), run.workdir / label, scorer)
    }
    out = []
    for line in lines:
        problem, sample = line["problem"], line["sample"]
        given = scores.get((problem, sample))
        if given is None:
            raise InputError(
                f"sample {sample} of problem {problem!r} is labelled by {by} and not scored by {scorer}; score again"
            )
        if len(given) != len(line["right"]):
            raise InputError(
                f"sample {sample} of problem {problem!r} has {len(line['right'])} labelled steps and {len(given)} scores of"
                f" {scorer}; give scorer and scripts/label.py one separator; a scorer of whole responses has no steps"
            )
        out += [
            Step(problem, depth, score, right / n) for depth, (score, right) in enumerate(zip(given, line["right"], strict=True))
        ]
    return out


def labels_of(run: Finished, label: str, by: str) -> tuple[int, list[dict[str, Any]]]:
    """N and the lines of the labels `by` of a method. Raises InputError if there are none."""
    return read_labels(run.workdir / label / LABELS / f"{by}.jsonl")


def siblings(found: Sequence[Step]) -> dict[str, list[float]]:
    """{question: of each pair of steps at one depth, one right, one wrong: 1 if the right one scores higher, ½ if tied}."""
    groups = collections.defaultdict(lambda: ([], []))
    for one in found:
        groups[one.question, one.depth][one.value > 0].append(one.score)
    out = collections.defaultdict(list)
    for (question, _), (wrong, right) in groups.items():
        out[question] += [float(a > b) + (a == b) / 2 for a, b in itertools.product(right, wrong)]
    return {question: pairs for question, pairs in out.items() if pairs}


def share(pairs: dict[str, list[float]], seed: int = 0) -> tuple[float, float, float]:
    """(share of pairs in the right order, its 95 % bootstrap interval over questions); NaN without pairs."""
    if not pairs:
        return math.nan, math.nan, math.nan
    sums, counts = np.array([sum(one) for one in pairs.values()]), np.array([len(one) for one in pairs.values()])
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return float(sums.sum() / counts.sum()), float(low), float(high)


def report(run: Finished, label: str, scorer: str, by: str) -> str:
    """Writes and returns the table. Raises InputError as `steps` does."""
    found = steps(run, label, scorer, by)
    depths = range(1 + max((one.depth for one in found), default=-1))
    lines = [_cells("all", found)]
    lines += [_cells(str(depth + 1), [one for one in found if one.depth == depth]) for depth in depths]
    pairs = siblings(found)
    value, low, high = share(pairs)
    among = f"{sum(map(len, pairs.values()))} of {len(pairs)} questions"
    text = "\n\n".join(
        (
            f"{label}, scored by {scorer}, labelled by {by}; intervals over questions",
            tables.aligned(HEADER, lines),
            f"pairs of siblings, one right and one wrong: {among}, in the right order {value:.3f} [{low:.3f}, {high:.3f}]",
        )
    )
    write_atomic(run.workdir / label / SCORES / f"{scorer}-{by}.md", text + "\n")
    return text


def _cells(name: str, those: Sequence[Step]) -> list[Any]:
    scores, values = [one.score for one in those], [one.value for one in those]
    right = [value > 0 for value in values]
    mixed, likely = any(right) and not all(right), all(0 <= score <= 1 for score in scores)
    low, high = auroc_interval(scores, right, [one.question for one in those]) if mixed else (math.nan, math.nan)
    return [
        name,
        str(len(those)),
        f"{np.mean(values):.3f}" if those else "–",
        f"{auroc(scores, right):.3f}" if mixed else "–",
        f"{low:.3f} … {high:.3f}" if mixed else "–",
        f"{calibration_error(scores, values):.3f}" if those and likely else "–",
    ]
