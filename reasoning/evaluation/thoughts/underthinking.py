"""Underthinking: how much of a wrong response comes after a thought that was right, and was given up.

Source: arXiv 2501.18585, equations 1 and 3. For a response of T tokens whose first correct thought ends at token T̂ the share is
1 − T̂ / T; 0 where no thought is correct. The paper gives percent, this file shares in [0, 1]; higher is worse.

Which thoughts are correct is for a judge to say: `reasoning.evaluation.thoughts.verdicts`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reasoning.errors import InputError
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.statistics.stats import Estimate


@dataclass(frozen=True)
class Judged:
    """One response of which it is known where it was right first.

    Attributes:
      problem: its id. correct: the response as a whole. tokens: T.
      through: T̂, tokens through the end of the first correct thought; None if no thought is correct, or nobody asked because the
        response is.

    Raises InputError for a thought that ends outside the response.
    """

    problem: str
    correct: bool
    tokens: int
    through: int | None = None

    def __post_init__(self):
        if self.through is not None and not 0 <= self.through <= self.tokens:
            raise InputError(
                f"problem {self.problem}: a thought ends at token {self.through} of {self.tokens} of the response; count tokens "
                "without those of the prompt"
            )

    @property
    def share(self) -> float:
        """1 − T̂ / T of a wrong response, 0 of a correct one."""
        if self.correct or self.through is None or not self.tokens:
            return 0.0
        return 1.0 - self.through / self.tokens


def underthinking(responses: Sequence[Judged], seed: int = 0) -> Estimate | None:
    """ξ_UT: mean share over the incorrect responses (equation 1), problems resampled; None if all are correct.

    Raises InputError when there is no response.
    """
    groups = _by_problem(responses)
    wrong = [[one.share for one in group if not one.correct] for group in groups]
    return stats.ratio([sum(shares) for shares in wrong], [len(shares) for shares in wrong], seed) if any(wrong) else None


def weighted_underthinking(responses: Sequence[Judged], seed: int = 0) -> Estimate:
    """Mean over problems of the mean share over all samples, 0 for a correct one (equation 3).

    Raises InputError when there is no response.
    """
    return stats.estimate([sum(one.share for one in group) / len(group) for group in _by_problem(responses)], seed=seed)


def _by_problem(responses: Iterable[Judged]) -> list[list[Judged]]:
    groups: defaultdict[str, list[Judged]] = defaultdict(list)
    for one in responses:
        groups[one.problem].append(one)
    if not groups:
        raise InputError(stats.NOTHING)
    return list(groups.values())
