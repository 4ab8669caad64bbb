"""A method whose prompts have an attacker's text in them. All else (samples, votes, cost) is the defender's own."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reasoning.decode.requests import Request, Response
from reasoning.methods.base import Method, mappings
from reasoning.methods.robustness.families import target_of
from reasoning.methods.robustness.none import Nothing
from reasoning.methods.robustness.soft_tokens import SoftTokens
from reasoning.methods.robustness.span import Span
from reasoning.methods.rounds import Rounds


@dataclasses.dataclass(frozen=True)
class Attacked(Method):
    """A defender under attack.

    Attributes:
      attack: what fills the span (`reasoning.methods.robustness.families`).
      span: how the span is marked, and the rule about it.
      defender: the method that answers; its parts are this one's.
    """

    attack: Any = dataclasses.field(default_factory=Nothing)
    span: Span = dataclasses.field(default_factory=Span)
    defender: Method | None = None

    def requests(
        self, problems: Iterable[Mapping[str, Any]], samples: Mapping[str, Sequence[int]] | None = None
    ) -> list[Request]:
        """The defender's, each with rule and span before its question. Raises InputError, also for a problem without a goal."""
        problems = mappings(problems)
        asked = super().requests(problems, samples)
        by_id = {problem["id"]: problem for problem in problems}
        return [dataclasses.replace(one, messages=self.span.wrap(one.messages, self.filling(by_id[one.id]))) for one in asked]

    def filling(self, problem: Mapping[str, Any]) -> str:
        """What stands in the span. Raises InputError."""
        if self.attack == Nothing():
            return ""
        target = target_of(problem)
        if isinstance(self.attack, SoftTokens):
            self.attack.check(target, self.span.ambiguous)
        return self.attack.text(target)

    @property
    def tries(self) -> int | None:
        """Attempts at most, None for an attack that asks once."""
        return self.attack.attempts if isinstance(self.attack, Rounds) else None

    def generate(self, engine, problems, *rest: Any, **options: Any) -> Iterator[Response]:
        """As `Method.generate`, on the engine that the attack needs."""
        mine = self.attack.engine(engine) if isinstance(self.attack, SoftTokens) else engine
        return super().generate(mine, problems, *rest, **options)

    def fit(self, engine, problems) -> None:
        """As `Method.fit`; an engine of the attack's own is made with what the plan is then."""
        if not isinstance(self.attack, SoftTokens):
            super().fit(engine, problems)
            return
        engine.fit(self.attack.plain(self.requests(problems), engine.model), max_tokens=self.max_tokens)

    def answer(self, response: Response) -> str | None:
        """As the defender reads it."""
        return self.defender.answer(response) if self.defender else super().answer(response)
