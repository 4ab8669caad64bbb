"""Confidence-informed self-consistency (CISC): chains of thought vote, and the surer the model was of one, the more it weighs.

Source: Taubenfeld et al. 2025, "Confidence Improves Self-Consistency in LLMs", arXiv 2502.06233: sample i of a problem weighs
softmax(c / T)_i. The confidence c is here their "response probability", the likelihood of a token on average, which stands in
the record; the one that asks the model whether it was right takes a second call. They tune T for each model; 0.1 is ours.

This is the file to copy for a paper of your own, and docs/fork.md goes with it. Its parts, each to keep, change or drop:
1 what the model is asked, 2 how many answers become one, 3 which settings there are and what samples are drawn with.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.errors import InputError
from reasoning.methods.base import Method
from reasoning.methods.best_of_n import LIKELIHOOD, Scored
from reasoning.methods.prompts import FewShot, pairs
from reasoning.rewards.judges import check, label
from reasoning.text.answers import normalise

NAME = __name__.rpartition(".")[2]  # the file's, so that a copy is called by its own

# 1. What the model is asked. The last line is what answers are read off (`reasoning.text.answers`).
INSTRUCTION = "Think step by step. End with the final answer on a line of its own, in the form: Answer: <answer>"


# 2. The vote: (problem id, answer of each sample, None where none can be read) → answer or None. Through `Scored` it sees the
# scores too; lengths are seen as in shortest.py, neither in majority.py, and `base.only` is for one sample.
@dataclasses.dataclass(frozen=True)
class Confident(Scored):
    """The answer whose samples weigh most together; of equal ones, one drawn by problem.

    Attributes:
      temperature: T of the softmax; large is the majority vote, small the answer of the surest sample.
    """

    temperature: float = 0.1

    def __call__(self, problem: str, answers: Sequence[str | None], scores: Sequence[float] = ()) -> str | None:
        """scores: one a sample; without them all are alike, which is the majority vote."""
        scored = zip(map(normalise, answers), scores or [0.0] * len(answers), strict=True)
        readable = [(answer, score) for answer, score in scored if answer is not None]
        if not readable:
            return None
        best, weights = max(score for _, score in readable), collections.defaultdict(list)
        for answer, score in readable:  # the denominator of the softmax is the same for all
            weights[answer].append(math.exp((score - best) / self.temperature))
        sums = {answer: math.fsum(parts) for answer, parts in weights.items()}  # exact, so no order of samples shows
        return self.draw(problem, [answer for answer, total in sums.items() if total == max(sums.values())])


# 3. The method. Every argument is a field of the config, to be set on the command line; a default is the paper's or says whose.
def make(
    *,
    instruction: str = INSTRUCTION,
    examples: Sequence[Sequence[str]] = (),
    system: str = "",
    scorer: Mapping[str, Any] = LIKELIHOOD,
    confidence_temperature: float = 0.1,
    delimiters: Sequence[str] = ("", ""),
    n: int = 8,
    temperature: float = 0.7,
    top_p: float = 1.0,
    max_tokens: int = 256,
    stop: Sequence[str] = (),
    seed: int = 0,
    knobs: Mapping[str, Any] | None = None,
) -> Method:
    """The weighted vote of `n` sampled chains of thought.

    Args:
      instruction, examples, system: of `reasoning.methods.prompts.FewShot`.
      scorer: of the confidence, `kind` and its arguments (`reasoning.rewards.judges`); higher is surer.
      confidence_temperature: the paper's T, above 0.
      delimiters: what opens and closes thinking, as ("<think>", "</think>"); empty ones say that there is none.
      n: samples per problem, which differ with a temperature above 0 only. top_p: mass of the nucleus, in (0, 1].
      max_tokens, stop, seed, knobs: of `Method`; knobs are all settings of all stages, by name.

    Raises InputError for a temperature that is not above 0, or a scorer that there is not.
    """
    if not confidence_temperature > 0:
        raise InputError(f"method {NAME!r}: confidence_temperature must be above 0, got {confidence_temperature!r}")
    check(scorer)
    return Method(
        name=NAME,
        prompt=FewShot(instruction, pairs(examples), system),
        vote=Confident(label(scorer), seed=seed, temperature=confidence_temperature),
        scorer=scorer,
        n=n,
        max_tokens=max_tokens,
        stop=stop,
        seed=seed,
        delimiters=tuple(delimiters),
        knobs={"temperature": temperature, "top_p": top_p, **(knobs or {})},
        # More that a method can have (`Method`, docs/fork.md): chain= stages of its own, texts= strings to force or to
        # find, search= steps to select among, rounds= several calls.
    )
