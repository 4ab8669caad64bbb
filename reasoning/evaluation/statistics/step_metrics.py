"""How good the scores of steps are: AUROC, calibration error, and ProcessBench's F1 with its file format.

Source of the benchmark: Zheng et al. 2024, "ProcessBench", arXiv 2412.06559, section 4.1; its files are JSON lines with `id`,
`problem`, `steps` and `label`, the index of the first wrong step or −1.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reasoning.errors import InputError
from reasoning.records import read_lines

BINS = 10


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Probability that a right step has a higher score than a wrong one, ties counting half. NaN if all labels are alike.

    Raises InputError for scores that are not finite.
    """
    values, right = _checked(scores, labels)
    order = np.argsort(values, kind="stable")
    _, place, counts = np.unique(values[order], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = np.empty(len(values))
    ranks[order] = (last - (counts - 1) / 2)[place]  # tied scores share the mean of their ranks
    positive = int(right.sum())
    negative = len(right) - positive
    if not positive or not negative:
        return float("nan")
    return float((ranks[right].sum() - positive * (positive + 1) / 2) / (positive * negative))


def auroc_interval(
    scores: Sequence[float], right: Sequence[bool], groups: Sequence[str], resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of `auroc` over groups: steps of one question share their fate and are drawn together.

    Args:
      groups: of each score, what it belongs to. Resamples with labels of one kind are left out.
    Raises InputError as `auroc` does.
    """
    values, labels = _checked(scores, right)
    order = list(dict.fromkeys(groups))
    members = [np.flatnonzero([group == one for group in groups]) for one in order]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = np.concatenate([members[index] for index in rng.integers(0, len(order), len(order))])
        found.append(auroc(values[drawn], labels[drawn]))
    low, high = np.nanquantile(found, (0.025, 0.975))
    return float(low), float(high)


def calibration_error(scores: Sequence[float], values: Sequence[float], bins: int = BINS) -> float:
    """Expected calibration error: mean |score − value| of bins of equal width, weighted by their sizes.

    Args:
      scores: probabilities. values: labels, or shares of right completions, in [0, 1].
    Raises InputError for scores that are no probabilities.
    """
    given, wanted = np.asarray(scores, float), np.asarray(values, float)
    if not len(given) or len(given) != len(wanted) or not ((given >= 0) & (given <= 1)).all():
        raise InputError("a calibration error needs as many probabilities as values, at least one")
    bin_of = np.minimum((given * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, given - wanted, minlength=bins)
    return float(np.abs(gaps).sum() / len(given))


@dataclasses.dataclass(frozen=True)
class Solution:
    """A line of ProcessBench. `label` is the index of its first wrong step, −1 if there is none."""

    id: str
    problem: str
    steps: tuple[str, ...]
    label: int


@dataclasses.dataclass(frozen=True)
class F1:
    """Share of erroneous and of correct solutions that were judged exactly right, and their harmonic mean, at a threshold."""

    error: float
    correct: float
    f1: float
    threshold: float


def read_process_bench(path: Path) -> list[Solution]:
    """The solutions of a file of ProcessBench. Raises InputError for a line without its fields, or a label that is no step."""
    found = []
    for number, line in enumerate(read_lines(path)[0], start=1):
        steps, label = line.get("steps"), line.get("label")
        strings = isinstance(steps, list) and steps and all(isinstance(step, str) for step in steps)
        if not strings or not isinstance(label, int) or not -1 <= label < len(steps) or not {"id", "problem"} <= line.keys():
            raise InputError(f"line {number} of {path} is no solution of ProcessBench: it needs id, problem, steps and a label")
        found.append(Solution(str(line["id"]), str(line["problem"]), tuple(steps), label))
    if not found:
        raise InputError(f"{path} holds no solutions; name a JSON-lines file of ProcessBench")
    return found


def first_below(scores: Sequence[float], threshold: float) -> int:
    """Index of the first step with a score below the threshold, −1 if none is."""
    return next((step for step, score in enumerate(scores) if score < threshold), -1)


def process_f1(scores: Sequence[Sequence[float]], labels: Sequence[int], threshold: float = 0.5) -> F1:
    """F1 of the first wrong step. Raises InputError unless there are both solutions with a mistake and without."""
    hits = {True: [], False: []}
    for one, label in zip(scores, labels, strict=True):
        hits[label >= 0].append(first_below(one, threshold) == label)
    if not hits[True] or not hits[False]:
        raise InputError("ProcessBench's F1 needs solutions with a mistake and solutions without; add the other kind")
    error, correct = (sum(hits[kind]) / len(hits[kind]) for kind in (True, False))
    return F1(error, correct, 2 * error * correct / (error + correct) if error + correct else 0.0, threshold)


def best_threshold(scores: Sequence[Sequence[float]], labels: Sequence[int]) -> F1:
    """F1 at the threshold that maximises it; the benchmark takes that of its GSM8K part for all parts. Raises InputError."""
    values = sorted({score for one in scores for score in one})
    middle = [(low + high) / 2 for low, high in itertools.pairwise(values)]
    cuts = [values[0], *middle, np.nextafter(values[-1], np.inf)]  # from "nothing is wrong" to "everything is"
    return max((process_f1(scores, labels, float(cut)) for cut in cuts), key=lambda found: found.f1)


def _checked(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    values, right = np.asarray(scores, float), np.asarray(labels, bool)
    if values.shape != right.shape or values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("an AUROC needs as many finite scores as labels")
    return values, right
