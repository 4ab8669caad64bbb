"""Did the phrase of "think_less" make the defender think less, and did it then give way more often? At equal shots, paired.

Source: Zaremba et al. 2025, arXiv 2501.18841, the section on attacks that reduce inference compute. The shots alone change both
numbers, so the same shots without the phrase are what a cell is compared with, by the same defender on the same problems.
"""

from dataclasses import dataclass

from reasoning.evaluation.attacks.plan import Place
from reasoning.evaluation.attacks.rates import Attempts, one_attempt, scaled_difference
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.statistics.stats import Comparison
from reasoning.methods.robustness.many_shot import ManyShot
from reasoning.methods.robustness.none import Nothing
from reasoning.methods.robustness.think_less import ThinkLess


@dataclass(frozen=True)
class Phrase:
    """One cell of think_less against the same shots without the phrase.

    Attributes:
      label, other: methods with and without it. shots, level: of both.
      thinking, goal: means with it and without it: thinking tokens of a problem, all votes together, and rate of the goal.
      less, gained: with it − without it, of the two.
    """

    label: str
    other: str
    shots: int
    level: float | str
    thinking: tuple[float, float]
    goal: tuple[float, float]
    less: Comparison
    gained: Comparison


def phrase(run: Finished, place: Place, found: Attempts, grader: Grader, n: int) -> Phrase | None:
    """The contrast of the cell at `place`; None where there is no phrase in it, or no method of the run is the same without it.

    Args:
      found: what the cell gave, voting over `n` samples.
    """
    attack = run.methods[place.label].attack
    if not isinstance(attack, ThinkLess) or attack.times == 0:
        return None
    other = _twin(run, place.label, attack.shots)
    if other is None:
        return None
    records = run.records(other)
    without = one_attempt(run.methods[other], records, run.problems, grader, n)
    return Phrase(
        place.label,
        other,
        attack.shots,
        place.level,
        (_mean(found.thinking), _mean(without.thinking)),
        (_mean(found.goal), _mean(without.goal)),
        scaled_difference([a - b for a, b in zip(found.thinking, without.thinking, strict=True)]),
        stats.paired(found.goal, without.goal),
    )


def _twin(run: Finished, label: str, shots: int) -> str | None:
    """The method that is `label` but for the phrase."""
    plain = (ManyShot(shots), ThinkLess(0, shots), *([Nothing()] if shots == 0 else []))
    settings = {name: {**one, "attack": None} for name, one in run.config["methods"].items()}
    return next(
        (name for name, one in settings.items() if one == settings[label] and run.methods[name].attack in plain),
        None,
    )


def _mean(values) -> float:
    return sum(values) / len(values)
