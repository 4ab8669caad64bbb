"""Two recipes on the same problems, each trained several times: what is luck of the problems, and what is luck of the training.

    difference = mean over problems of (mean over the runs of A − mean over the runs of B)
    error²     = problems' error² + s²(runs of A) / S_A + s²(runs of B) / S_B

s²(runs) is the variance of the runs' accuracies; how hard the problems are is in all of them and cancels. The interval is
Student's with the degrees of freedom of Welch and Satterthwaite (Satterthwaite 1946, Biometrics Bulletin 2(6)): with three runs
a side about four, so it is wide, as it should be. Chance in single responses stands in both terms, which makes it cautious. An
interval over problems alone says what these runs did, and nothing about the next one.

Axis legend: `S` training runs, `P` problems.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats as distributions

from reasoning.errors import InputError
from reasoning.evaluation.statistics.power import ALPHA, POWER
from reasoning.evaluation.statistics.stats import paired_error


@dataclass(frozen=True)
class OverRuns:
    """A − B where another training would have given other runs.

    Attributes:
      difference; low, high: of its 95 % interval over problems and training runs.
      freedom: degrees of freedom. mde: smallest true difference that is found with probability 0.8. p_value: two-sided.
    """

    difference: float
    low: float
    high: float
    freedom: float
    mde: float
    p_value: float


def over_runs(a, b) -> OverRuns:
    """From one value in [0, 1] for each run and problem: float[S, P] of A, float[S', P] of B.

    A side with a single run is taken as it is, as a model that was not trained is. Raises InputError where both are single, or
    the numbers of problems differ.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape[1] != b.shape[1]:
        raise InputError(f"the runs answered {a.shape[1]} and {b.shape[1]} problems; compare runs of one task")
    if max(len(a), len(b)) < 2:
        raise InputError("one training run a side says nothing of other runs; train with more seeds, three at least")
    values = a.mean(0) - b.mean(0)
    parts = [(paired_error(values)[1] ** 2, len(values) - 1)]
    parts += [(runs.mean(1).var(ddof=1) / len(runs), len(runs) - 1) for runs in (a, b) if len(runs) > 1]
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / max(free, 1) for part, free in parts)
    error, student = math.sqrt(variance), distributions.t(freedom)
    half, gap = error * student.ppf(1 - ALPHA / 2), float(values.mean())
    return OverRuns(
        gap,
        max(-1.0, gap - half),
        min(1.0, gap + half),
        freedom,
        error * (student.ppf(1 - ALPHA / 2) + student.ppf(POWER)),
        2 * student.sf(abs(gap) / error),
    )
