"""How difficult a problem is for the model, said by samples that are used for nothing else, and what the methods do in each bin.

The even samples of a pool say it, the odd ones and the other methods are measured: a problem that was lucky in the samples that
binned it would otherwise look easy twice (Snell et al. 2024, arXiv 2408.03314, section 3.2, who take two folds for this reason).

    graded    share of the even samples that are right, which needs the answers: the bins of the table
    agreed    share of the even samples that give their commonest answer, which anybody can count: the bins of a real choice

Axis legend: `P` problems.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from reasoning.comparison.curves import Curve, even
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.ledger import cost
from reasoning.evaluation.reports.scores import by_problem, sample_seconds
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.statistics.stats import Estimate
from reasoning.text.answers import normalise

BINS, LEAST = 5, 30  # quintiles, and problems of a bin


@dataclasses.dataclass(frozen=True)
class Cell:
    """One curve in one bin, with its largest budget.

    Attributes:
      bin: from 0, the easiest. easiness: of its problems, low to high. curve: its name. samples: N.
    """

    bin: int
    easiness: tuple[float, float]
    curve: str
    samples: int
    found: Estimate


def easiness(run: Finished, pool: str, kind: str) -> np.ndarray:
    """float[P] in [0, 1], the higher the easier; `kind` is graded or agreed. Raises InputError."""
    groups = by_problem(even(run.samples(pool)))
    if kind == "graded":
        return np.array([np.mean([one["correct"] for one in group]) for group in groups])
    counts = [collections.Counter(normalise(one["answer"]) for one in group) for group in groups]
    for count in counts:
        count.pop(None, None)
    return np.array([max(count.values(), default=0) / len(group) for count, group in zip(counts, groups, strict=True)])


def bins_of(easy: np.ndarray, names: Sequence[str], bins: int = BINS, least: int = LEAST) -> np.ndarray:
    """int[P]: bins of equal size, 0 the easiest, never with fewer than `least` problems; ties by a hash of the problem's id."""
    count = max(1, min(bins, len(names) // least))
    hashed = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    order = sorted(range(len(names)), key=lambda index: (-easy[index], hashed[index]))
    out = np.empty(len(names), int)
    for number, members in enumerate(np.array_split(order, count)):
        out[members] = number
    return out


def cells(curves: Sequence[Curve], easy: np.ndarray, bins: np.ndarray) -> list[Cell]:
    """Every curve in every bin; none where there is one bin only."""
    out = []
    for number in range(bins.max() + 1) if bins.max() else ():
        members = np.flatnonzero(bins == number)
        ends = float(easy[members].min()), float(easy[members].max())
        for curve in curves:
            row = curve.points[-1].row
            values = np.asarray(row.values)[members]
            out.append(Cell(number, ends, curve.name, row.samples, stats.estimate(values)))
    return out


def price(run: Finished, pool: str, axis) -> float:
    """What the even samples of the pool cost a problem; `axis` is a function of `reasoning.evaluation.ledger.Cost`."""
    groups = by_problem(even(run.samples(pool)))
    return axis(cost(groups, len(groups[0]), sample_seconds(run.workdir / pool / "timings.jsonl")))
