"""Results with their uncertainty: intervals over problems, sampling noise apart, paired comparison of two runs, minimum
detectable effect.

The unit that is resampled is the **problem**, with its value computed once from all its samples. Resampling the samples
inside a problem would repeat some and so bias pass@k and maj@k, which are expectations over distinct samples. An
interval over problems holds both sources of chance, problems and samples; `noise` is the part that more samples of the
same problems would remove.

Intervals are 95 %: the percentile bootstrap, widened for small numbers of problems (Hesterberg 2015, arXiv 1411.5279,
"expanded percentile"), and closed forms where so few problems differ from the rest that a bootstrap cannot see them (0
of 100 right would give an interval of width zero): Wilson's for one run, Bonett and Price's 2012 for a paired
difference. tests/test_stats_coverage.py measures the coverage.

`P` problems · `R` resamples
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from reasoning.errors import InputError
from reasoning.evaluation.statistics import metrics
from reasoning.evaluation.statistics.metrics import Metric, Samples
from reasoning.evaluation.statistics.power import ALPHA, minimum_detectable_effect

RESAMPLES = 10_000
SCARCE = 10  # with fewer problems than that off the commonest value, closed forms instead of the bootstrap
NOTHING = "there are no problems to average over; check that the run has finished at least one"
Z = NormalDist().inv_cdf(1 - ALPHA / 2)


@dataclass(frozen=True)
class Estimate:
    """One number of one run."""

    value: float  # mean over problems
    low: float  # 95 % interval over problems
    high: float
    n: int  # problems
    mde: float  # smallest true difference to another run on as many problems, unpaired, found with probability 0.8
    noise: float | None  # standard error from the finite number of samples of these problems; None where one sample hides it


@dataclass(frozen=True)
class Comparison:
    """Run A minus run B on the same problems."""

    difference: float  # mean over problems of A − B
    low: float  # 95 % interval over problems
    high: float
    n: int  # problems
    mde: float  # smallest true difference that this paired comparison finds with probability 0.8
    p_value: float  # two-sided, paired sign-flip permutation test

    @property
    def distinguishable(self) -> bool:
        """Whether the runs differ at the 5 % level; if not, say so instead of naming a winner."""
        return self.p_value < ALPHA


def pass_at_k(table: Sequence[Samples], k: int, seed: int = 0) -> Estimate:
    """Unbiased pass@k. Raises InputError where a problem has fewer than k samples."""
    return measure(table, metrics.pass_at_k, k, seed)


def measure(table: Sequence[Samples], metric: Metric, k: int = 1, seed: int = 0) -> Estimate:
    """Any per-problem metric over a run. Raises InputError for an empty run or a problem that occurs twice."""
    _by_id(table)
    return estimate([metric(samples, k) for samples in table], noise=_noise(table, metric, k), seed=seed)


def paired(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Comparison:
    """A minus B, each float[P] in [0, 1] in one order of the problems. Raises InputError for other lengths, or when empty."""
    if len(a) != len(b):
        raise InputError(f"values of {len(a)} and of {len(b)} problems cannot be paired; compare runs of one task")
    return difference([x - y for x, y in zip(a, b, strict=True)], seed=seed)


def estimate(values, noise: float | None = None, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """From one value in [0, 1] per problem, float[P]. Deterministic in `seed`. Raises InputError when there is none."""
    values = _vector(values)
    mean, count = float(values.mean()), len(values)
    if _dissenters(values) < SCARCE:
        low, high = wilson(mean, count)
        error = (high - low) / (2 * Z)
    else:
        low, high = bootstrap_interval(values, seed, resamples)
        error = float(values.std(ddof=1)) / math.sqrt(count)
    return Estimate(mean, low, high, count, minimum_detectable_effect(math.sqrt(2) * error), noise)


def ratio(totals, counts, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Mean over items that come in unequal numbers from the problems, such as the wrong responses; problems are resampled.

    Args:
      totals: float[P], sum of each problem's items, each in [0, 1]. counts: int[P], its items; problems without any are left out.

    Raises InputError when there is no item.
    """
    counts = np.asarray(counts, dtype=float)
    totals = np.asarray(totals, dtype=float)[counts > 0]
    counts = _vector(counts[counts > 0])
    mean, count = float(totals.sum() / counts.sum()), len(counts)
    if _dissenters(np.round(totals / counts, 12)) < SCARCE:
        low, high = wilson(mean, count)  # as if each problem had one item
        error = (high - low) / (2 * Z)
    else:
        low, high = bootstrap_interval(totals, seed, resamples, counts)
        error = float((totals - mean * counts).std(ddof=1)) / float(counts.mean()) / math.sqrt(count)
    return Estimate(mean, low, high, count, minimum_detectable_effect(math.sqrt(2) * error), None)


def difference(values, seed: int = 0, resamples: int = RESAMPLES) -> Comparison:
    """From one difference in [−1, 1] per problem, float[P]. Deterministic in `seed`. Raises InputError when empty."""
    values = _vector(values)
    centre, error = paired_error(values)
    if _dissenters(values) < SCARCE:
        low, high = max(-1.0, centre - Z * error), min(1.0, centre + Z * error)
    else:
        low, high = bootstrap_interval(values, seed, resamples)
    return Comparison(
        float(values.mean()),
        float(low),
        float(high),
        len(values),
        minimum_detectable_effect(error),
        sign_flip_p_value(values, seed, resamples),
    )


def paired_error(values) -> tuple[float, float]:
    """(centre, standard error) of the mean of one difference per problem, float[P] in [−1, 1].

    Where few problems differ, Bonett and Price's: as if one more had been won and one more lost. Raises InputError when empty.
    """
    values = _vector(values)
    if _dissenters(values) < SCARCE:
        padded = np.append(values, [1.0, -1.0])
        return float(padded.mean()), float(padded.std() / math.sqrt(len(padded)))
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def bootstrap_interval(
    values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """95 % interval of the mean of float[P], P ≥ 2: percentiles of R resampled means, a little wider than 2.5 and 97.5.

    With `weights` float[P], of the sum of the values over that of the weights.
    """
    means = resampled_means(values, seed, resamples)
    if weights is not None:
        means = means / resampled_means(weights, seed, resamples)
    return expanded_percentiles(means, len(values))


def expanded_percentiles(resampled: np.ndarray, count: int) -> tuple[float, float]:
    """95 % interval from float[R], a statistic of `count` ≥ 2 resampled problems."""
    freedom = count - 1
    student = Z + (Z**3 + Z) / (4 * freedom)  # first Cornish–Fisher term of Student's quantile
    tail = NormalDist().cdf(-student * math.sqrt(count / freedom))
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of `count`: never of width zero; cautious if the values are not all 0 or 1."""
    scale = 1 + Z**2 / count
    centre = (share + Z**2 / (2 * count)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def sign_flip_p_value(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Two-sided p-value of "the differences float[P] are as often up as down".

    Exact for up to 12 non-zero differences, else by R random sign flips.
    """
    values = values[values != 0]
    if not len(values):
        return 1.0
    observed = abs(values.sum()) * (1 - 1e-12)  # sums of equal terms in another order are equal
    if len(values) <= 12:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
        return float((np.abs(signs @ values) >= observed).mean())
    generator = np.random.default_rng(seed)
    extreme = 0
    for rows in _chunks(resamples, len(values)):
        signs = generator.integers(0, 2, (rows, len(values)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ values) >= observed).sum())
    return (extreme + 1) / (resamples + 1)


def _dissenters(values: np.ndarray) -> int:
    """Problems whose value is not the commonest one: what a bootstrap has to live on."""
    return len(values) - int(np.unique(values, return_counts=True)[1].max())


def resampled_means(values: np.ndarray, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """float[R]: means of float[P] over P problems drawn with replacement; the same seed and P draw the same problems."""
    generator = np.random.default_rng(seed)
    count = len(values)
    return np.concatenate([values[generator.integers(0, count, (rows, count))].mean(1) for rows in _chunks(resamples, count)])


def _chunks(resamples: int, count: int) -> list[int]:
    """Rows at a time, so that an index matrix stays below 4 million entries whatever the size of the data set."""
    rows = max(1, 4_000_000 // count)
    return [min(rows, resamples - start) for start in range(0, resamples, rows)]


def _noise(table: Sequence[Samples], metric: Metric, k: int) -> float | None:
    variances = [metrics.sampling_variance(samples, metric, k) for samples in table]
    return None if None in variances else math.sqrt(sum(variances)) / len(table)


def _by_id(table: Sequence[Samples]) -> dict[str, Samples]:
    if not table:
        raise InputError(NOTHING)
    keyed = {samples.id: samples for samples in table}
    if len(keyed) != len(table):
        raise InputError(
            f"{len(table) - len(keyed)} problem ids occur more than once in the run; give each problem its samples in one row"
        )
    return keyed


def _vector(values) -> np.ndarray:
    values = np.round(np.asarray(values, dtype=float), 12)  # values that are equal but for rounding must compare equal
    if not len(values):
        raise InputError(NOTHING)
    return values
