"""What a method says about its steps: where they end, how long they may be, who scores them and how rows are selected."""

import dataclasses
import importlib
import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reasoning.errors import InputError
from reasoning.rewards.base import Scorer
from reasoning.search.base import Search
from reasoning.search.driver import Searching

_MADE: weakref.WeakKeyDictionary[Any, dict[Any, Scorer]] = weakref.WeakKeyDictionary()  # by engine: a model is loaded once


@dataclasses.dataclass(frozen=True)
class Named:
    """A scorer by the name of its module: `scorer(engine, **arguments)` of `reasoning/rewards/<kind>.py` or of your own.

    Attributes:
      kind: a name without dots is a file of `reasoning/rewards`. arguments: (name, value) pairs, hashable.
    """

    kind: str
    arguments: tuple[tuple[str, Any], ...] = ()

    @staticmethod
    def of(spec: Mapping[str, Any]) -> "Named":
        """From `{"kind": "prm", "model": …}`. Raises InputError."""
        arguments = dict(spec)
        kind = arguments.pop("kind", None)
        if not isinstance(kind, str) or not kind:
            raise InputError(f"a scorer is a mapping with its kind and arguments, got {dict(spec)!r}")
        return Named(kind, tuple(sorted(arguments.items())))

    def __call__(self, engine) -> Scorer:
        """The scorer for this engine, made once. Raises InputError for a module or argument that does not exist."""
        made = _MADE.setdefault(engine, {})
        if self not in made:
            name = self.kind if "." in self.kind else f"reasoning.rewards.{self.kind}"
            try:
                make = getattr(importlib.import_module(name), "scorer", None)
            except ModuleNotFoundError as error:
                if error.name is None or not name.startswith(error.name):
                    raise  # the module is there, one of its own imports is not
                raise InputError(f"there is no module {name!r} of scorers") from error
            if make is None:
                raise InputError(f"{name} cannot score the steps of a search: it has no scorer(engine, …)")
            known = list(inspect.signature(make).parameters)[1:]
            unknown = next((argument for argument, _ in self.arguments if argument not in known), None)
            if unknown is not None:
                raise InputError(f"scorer {self.kind!r} has no argument {unknown!r}; choose from {', '.join(known)}")
            made[self] = make(engine, **dict(self.arguments))
        return made[self]


@dataclasses.dataclass(frozen=True)
class Steps:
    """A search as a method states it; hashable.

    Attributes:
      search: how rows are selected. ends: strings that end a step. step_tokens: tokens of a step at most.
      rounds, aggregation: of `reasoning.search.driver.Searching`. scorer: engine → scorer; None takes the policy's likelihood.
    """

    search: Search
    ends: tuple[str, ...] = ("\n\n",)
    step_tokens: int = 128
    rounds: int = 40
    aggregation: str = "last"
    scorer: Callable[[Any], Scorer] | None = None

    def __post_init__(self):
        if isinstance(self.ends, str) or not all(isinstance(text, str) and text for text in self.ends):
            raise InputError(f"the ends of steps are a sequence of strings, got {self.ends!r}; write step_ends=(…,)")
        object.__setattr__(self, "ends", tuple(self.ends))

    def knobs(self, engine) -> dict[str, Any]:
        """Knobs of the controller that ends steps."""
        return {"step_ends": [engine.pattern(text) for text in self.ends], "step_tokens": self.step_tokens}

    def group(self, engine, width: int, keep: Callable[[dict[str, Any]], None] | None) -> Searching:
        """Who runs the requests, `width` rows each. Raises InputError for what cannot be searched."""
        scorer = None if self.scorer is None else self.scorer(engine)
        return Searching(self.search, width, self.step_tokens, self.rounds, self.aggregation, scorer, keep)


def last_of(scores: Sequence[float]) -> float:
    """The score of a finished response: that of its last step; −inf of a response without any."""
    return float(scores[-1]) if len(scores) else float("-inf")
