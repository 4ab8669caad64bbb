"""ProcessBench with our readers: does a process reward model find the first wrong step of a solution?

A solution is read step by step in the scorer's own spelling, its question as the format puts it. Its first wrong step is the
first with a score below the threshold.

Source: Zheng et al. 2024, ProcessBench, arXiv 2412.06559, section 3.3 (F1 of the accuracies on erroneous and on correct
solutions; the threshold of a trained model is chosen on the GSM8K part and used for all parts).
"""

import dataclasses
from collections.abc import Sequence

import tqdm

from reasoning.errors import InputError
from reasoning.evaluation.statistics.step_metrics import F1, Solution, best_threshold, process_f1
from reasoning.rewards.base import Scorer
from reasoning.rewards.responses import Candidate, run


@dataclasses.dataclass(frozen=True)
class Report:
    """scores: of the steps of each solution. at: F1 at the threshold that was asked for. best: at the one that suits best, which
    is chosen on these solutions themselves."""

    scores: list[tuple[float, ...]]
    at: F1
    best: F1


def judge(scorer: Scorer, solutions: Sequence[Solution], threshold: float = 0.5, *, show: bool = True) -> Report:
    """Reads all solutions.

    Args:
      scorer: that reads texts: `question` and `encode` are there. show: a progress bar on standard error.
    Raises:
      InputError: a scorer of the policy's ids, a solution longer than its context, solutions of one kind only.
    """
    if scorer.question is None or scorer.encode is None:
        raise InputError(f"the scorer {scorer.name!r} reads a policy's ids, and ProcessBench is text; name a format of text")
    texts = {index: (one.problem, list(one.steps)) for index, one in enumerate(solutions)}

    def spelled(candidate: Candidate) -> tuple[list[int], list[list[int]]]:
        question, steps = texts[candidate.sample]
        return scorer.question(question), scorer.encode(steps[:1], first=True) + scorer.encode(steps[1:])

    candidates = [
        Candidate(one.id, index, one.problem, "", (), (), "\n\n".join(one.steps), None, 0, None)
        for index, one in enumerate(solutions)
    ]
    found = run(scorer, candidates, spelled)
    read = {one.sample: reading.scores for one, reading in tqdm.tqdm(found, total=len(texts), disable=not show)}
    scores, labels = [read[index] for index in texts], [one.label for one in solutions]
    return Report(scores, process_f1(scores, labels, threshold), best_threshold(scores, labels))
