"""The cache of TPO: every answer of a problem with its score, and what each round did and cost."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from reasoning.decode.ledger import Ledger
from reasoning.decode.requests import Response
from reasoning.rewards.aggregate import aggregate
from reasoning.rewards.responses import Candidate, Reading


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """An answer: the response that wrote it, and how a scorer sees it; `round` and `score` once it is in the cache."""

    response: Response
    candidate: Candidate
    round: int = 0
    score: float = 0.0

    @property
    def number(self) -> int:
        """Its name among the answers to the problem: round · N + sample."""
        return self.candidate.sample


class Cache:
    """Grows by `add` and `note`, once a round.

    Attributes:
      entries: all answers, as drawn.
      rounds: JSON-able, what `note` said of each round.
      ledger: of everything so far; the prompt of a request is paid once for all its samples.
    """

    def __init__(self, aggregation: str):
        self.entries: list[Entry] = []
        self.rounds: list[dict[str, Any]] = []
        self.ledger = Ledger()
        self._aggregation = aggregation
        self._new: list[Entry] = []
        self._read: Sequence[Reading] = ()

    def add(self, new: Sequence[Entry], readings: Sequence[Reading]) -> None:
        """Takes in the answers of a round, maybe none."""
        index, self._read = len(self.rounds), readings
        self._new = [
            dataclasses.replace(entry, round=index, score=aggregate(self._aggregation, reading.scores))
            for entry, reading in zip(new, readings, strict=True)
        ]
        self.entries += self._new

    @property
    def best(self) -> Entry:
        """The highest score; of equal ones the first drawn."""
        return max(self.entries, key=lambda entry: entry.score)

    @property
    def worst(self) -> Entry:
        """The lowest score; of equal ones the last drawn, so that it is not `best` where there are two."""
        return min(reversed(self.entries), key=lambda entry: entry.score)

    def note(self, paid: Sequence[Sequence[Response]], said: dict[str, Any]) -> None:
        """Closes a round: the responses of each request, and what else there is to say."""
        cost = sum(map(once, paid), self._reading())
        self.ledger += cost
        scores = [entry.score for entry in self._new]
        self.rounds.append(
            {
                "calls": sum(map(len, paid)),
                "prompt": cost.prompt,
                "generated": cost.generated,
                "scorer": cost.scorer,
                "flops": cost.flops_prompt + cost.flops_generated,
                "best": self.best.number,
                "reward": self.best.score,
                "drawn": sum(scores) / len(scores) if scores else None,
                **said,
            }
        )

    def _reading(self) -> Ledger:
        """What the scorer read in this round; the question once in all rounds."""
        question = self._read[0] if self._read and not self.rounds else Reading(())
        return Ledger(
            scorer=question.question + sum(one.tokens for one in self._read),
            flops_prompt=question.flops_question,
            flops_generated=sum(one.flops for one in self._read),
        )

    def record(self) -> dict[str, Any]:
        """The history: rounds, and every answer with its score."""
        answers = [
            {
                "number": entry.number,
                "round": entry.round,
                "score": entry.score,
                "answer": entry.candidate.answer,
                "text": entry.candidate.text,
            }
            for entry in self.entries
        ]
        return {"rounds": self.rounds, "answers": answers}


def once(responses: Sequence[Response]) -> Ledger:
    """The cost of the samples of one request, its prompt paid once."""
    first = responses[0].ledger
    total = sum((one.ledger for one in responses[1:]), first)
    return dataclasses.replace(total, prompt=first.prompt, flops_prompt=first.flops_prompt)
