"""What n samples of one problem say about k of them: accuracy, pass@k and maj@k, each an expectation over all subsets
of size k, in closed form.

Sources: pass@k, Chen et al. 2021, arXiv 2107.03374, section 2.1; majority voting (self-consistency), Wang et al. 2022,
arXiv 2203.11171.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reasoning.errors import InputError


@dataclass(frozen=True)
class Samples:
    """The n graded samples of one problem."""

    id: str
    answers: tuple[
        str | None, ...
    ]  # in canonical spelling, so that equal answers are equal strings; None = nothing could be read
    correct: tuple[bool, ...]
    lengths: tuple[int, ...] = ()  # tokens; empty where no vote looks at them
    scores: tuple[float, ...] = ()  # one a sample; empty where no vote looks at them

    def __post_init__(self):
        if not self.correct or len(self.answers) != len(self.correct):
            raise InputError(
                f"problem {self.id}: {len(self.answers)} answers and {len(self.correct)} grades; need equally many, at least one"
            )

    def without(self, index: int) -> "Samples":
        """All samples but one."""
        kept = (part[:index] + part[index + 1 :] for part in (self.answers, self.correct, self.lengths, self.scores))
        return Samples(self.id, *kept)

    @property
    def kinds(self) -> list[tuple]:
        """What tells one sample from another, for each of them; those of equal kind can be exchanged."""
        none = (0,) * len(self.correct)
        return list(zip(self.answers, self.correct, self.lengths or none, self.scores or none, strict=True))


Metric = Callable[[Samples, int], float]  # (samples of a problem, k) → its value in [0, 1]


def accuracy(samples: Samples, k: int = 1) -> float:
    """Share of right samples; k is ignored."""
    return sum(samples.correct) / len(samples.correct)


def pass_at_k(samples: Samples, k: int) -> float:
    """Probability that at least one of k of the n samples is right: 1 − C(n−c, k) / C(n, k). Raises InputError if k > n."""
    n, right = _check(samples, k), sum(samples.correct)
    if n - right < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - right + 1, n + 1))


def best_at_k(samples: Samples, k: int) -> float:
    """Probability that the sample with the highest score among k of the n is right, ties broken uniformly at random.

    A sample without an answer is never chosen; if all k have none the choice is wrong. Of the C(n, k) subsets, those whose best
    score is s are C(≤ s, k) − C(< s, k), and the tied samples share them alike. Raises InputError if k > n.
    """
    n = _check(samples, k)
    groups: dict[float, list[bool]] = {}
    for answer, correct, score in zip(samples.answers, samples.correct, samples.scores, strict=True):
        if answer is not None:
            groups.setdefault(score, []).append(correct)
    below, expected = n - sum(map(len, groups.values())), 0.0
    for _, group in sorted(groups.items()):
        up_to = below + len(group)
        expected += sum(group) / len(group) * (math.comb(up_to, k) - math.comb(below, k)) / math.comb(n, k)
        below = up_to
    return expected


def shortest_at_k(samples: Samples, k: int) -> float:
    """Probability that the shortest among k of the n samples is right; of equally long ones the first.

    A sample without an answer is never chosen. One with r readable samples before it is the shortest of C(n − r − 1, k − 1)
    subsets. Raises InputError if k > n.
    """
    n = _check(samples, k)
    readable = [index for index, answer in enumerate(samples.answers) if answer is not None]
    readable.sort(key=lambda index: (samples.lengths[index], index))
    chances = (samples.correct[index] * math.comb(n - rank - 1, k - 1) for rank, index in enumerate(readable))
    return sum(chances) / math.comb(n, k)


def maj_at_k(samples: Samples, k: int) -> float:
    """Probability that the majority of k of the n samples is right, ties broken uniformly at random.

    A sample without an answer abstains; if all k abstain the vote is wrong. When every answer can be read, maj@2 equals
    maj@1 equals accuracy: two samples either agree, and the winner is both of them, or tie, and the winner is either
    with probability 1/2; so the winner is always one of the two drawn uniformly, which is one sample drawn uniformly.
    (Voting pays from k = 3 on. With abstentions maj@2 is larger: an abstainer gives way.)
    Raises InputError if k > n.
    """
    n = _check(samples, k)
    votes, right = Counter(), Counter()
    for answer, correct in zip(samples.answers, samples.correct, strict=True):
        if answer is not None:
            votes[answer] += 1
            right[answer] += correct
    # One spelling may be graded both ways where a scorer looks at more than the canonical form; its class then counts
    # as partly right.
    classes = sorted((count, right[answer] / count) for answer, count in votes.items())
    return _majority(tuple(classes), n, k)


@lru_cache(maxsize=65536)
def _majority(classes: tuple[tuple[int, float], ...], n: int, k: int) -> float:
    """Expected share right of the winner over subsets of size k; `classes` = (votes, share right) of each answer.

    The counts of a random subset are independent Binomial(m, k/n), given that they sum to k. So P(class wins with x
    votes, tied with t others) is a coefficient of a product of generating functions in z (votes) and a tie counter,
    over P(sum = k): no enumeration, no overflow.
    """
    sizes = [size for size, _ in classes]
    chance = k / n
    expected = 0.0
    for winner, (size, share) in enumerate(classes):
        if share == 0.0:
            continue
        others = sizes[:winner] + sizes[winner + 1 :]
        for x in range(1, min(size, k) + 1):
            # Classes with fewer than x samples, and abstainers, can neither win nor tie: together one binomial.
            rivals = [other for other in others if other >= x]
            idle = n - size - sum(rivals)
            table = np.zeros((len(rivals) + 1, k - x + 1))  # [others tied, votes of all others]
            table[0] = _binomial(idle, chance, k - x)
            for rival in rivals:
                weights = _binomial(rival, chance, x)
                fewer = np.apply_along_axis(np.convolve, 1, table, weights[:x])[:, : k - x + 1]
                tied = np.zeros_like(table)
                tied[1:, x:] = table[:-1, : max(0, k - 2 * x + 1)] * weights[x]
                table = fewer + tied
            shares = table[:, k - x] / (1.0 + np.arange(len(table)))
            expected += share * _binomial(size, chance, x)[x] * shares.sum()
    return float(expected / _binomial(n, chance, k)[k])


@lru_cache(maxsize=65536)
def _binomial(n: int, chance: float, top: int) -> np.ndarray:
    """float64[top + 1]: P(Binomial(n, chance) = 0 … top)."""
    values = np.zeros(top + 1)
    for y in range(min(n, top) + 1):
        if chance == 1.0:
            values[y] = float(y == n)
        else:
            log = math.lgamma(n + 1) - math.lgamma(y + 1) - math.lgamma(n - y + 1)
            values[y] = math.exp(log + y * math.log(chance) + (n - y) * math.log1p(-chance))
    values.setflags(write=False)
    return values


def sampling_variance(samples: Samples, metric: Metric, k: int) -> float | None:
    """Variance of a problem's value that comes from having drawn n samples and not infinitely many, by the jackknife.

    None where n samples cannot tell (n = 1, or n = k: leaving one out leaves too few).
    """
    n = len(samples.correct)
    if n - 1 < max(k, 1):
        return None
    kinds = Counter(samples.kinds)
    first = {kind: index for index, kind in reversed(list(enumerate(samples.kinds)))}
    left_out = np.array([metric(samples.without(first[kind]), k) for kind in kinds])
    weights = np.array(list(kinds.values()), dtype=float)
    mean = (weights * left_out).sum() / n
    return float((n - 1) / n * (weights * (left_out - mean) ** 2).sum())


def _check(samples: Samples, k: int) -> int:
    n = len(samples.correct)
    if not 1 <= k <= n:
        raise InputError(
            f"problem {samples.id} has {n} samples, so k must be between 1 and {n}, not {k}; draw more samples or lower k"
        )
    return n
