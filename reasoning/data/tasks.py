"""What a data set is to everybody else: `Problem`, `Task`, and `load_task`, which finds the file that makes one.

A task family is one module with a function `load(**parameters) -> Task`. Adding one changes no other file:
`load_task("asdiv")` imports `reasoning.data.asdiv`, `load_task("my_package.my_task")` imports your own module from
anywhere on the path.
"""

import importlib
import inspect
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reasoning.data
from reasoning.errors import InputError

# How an answer is judged; reasoning.evaluation.grading.grader explains each.
SCORES = ("math", "exact", "choice", "reasoning_gym")


@dataclass(frozen=True)
class Problem:
    """One question with the answer that is counted as right."""

    id: str  # unique in its task, the same in every run: generations are keyed by it
    question: str  # as the data set has it; a method wraps it in a prompt
    answer: str  # the reference answer; "" where only the task's own scorer can tell (a plan, a colouring)
    task: str  # name of the task it belongs to
    metadata: dict[str, Any] = field(default_factory=dict, hash=False)  # JSON-able; what the scorer and the analyses need
    score: str = "math"  # one of SCORES


@dataclass(frozen=True)
class Task:
    """A named, non-empty list of problems that are all judged the same way.

    Raises InputError when there is no problem, when two problems share an id, or when the kind of score is unknown.
    """

    name: str
    problems: tuple[Problem, ...]
    score: str = "math"

    def __post_init__(self):
        if self.score not in SCORES:
            raise InputError(f"task {self.name}: unknown score {self.score!r}; use one of {', '.join(SCORES)}")
        if not self.problems:
            raise InputError(f"task {self.name}: the data set is empty; check the file, the size and the filters")
        repeated = [key for key, count in Counter(problem.id for problem in self.problems).items() if count > 1]
        if repeated:
            raise InputError(
                f"task {self.name}: duplicate problem id {repeated[0]!r} ({len(repeated)} such ids); make ids unique"
            )
        odd = next((problem.id for problem in self.problems if problem.score != self.score), None)
        if odd is not None:
            raise InputError(
                f"task {self.name}: problem {odd!r} is not scored by {self.score!r}; make one task per kind of score"
            )

    def __len__(self) -> int:
        return len(self.problems)


def draw(problems: Sequence[Problem], size: int | None, seed: int = 0) -> tuple[Problem, ...]:
    """`size` of the problems, drawn with `seed` and left in order; None = all. Raises InputError when there are fewer."""
    if size is None:
        return tuple(problems)
    if not 1 <= size <= len(problems):
        raise InputError(f"size is {size}, but the data set has {len(problems)} problems; choose between 1 and {len(problems)}")
    chosen = sorted(random.Random(seed).sample(range(len(problems)), size))
    return tuple(problems[index] for index in chosen)


def available() -> list[str]:
    """Names of the task families in this package, sorted: its modules with a function `load`."""
    folders = map(Path, reasoning.data.__path__)
    return sorted(path.stem for folder in folders for path in folder.glob("*.py") if "\ndef load(" in path.read_text())


def load_task(family: str, /, **parameters) -> Task:
    """Import the module `family` and call its `load(**parameters)`.

    `family` is a module of `reasoning.data`, or the dotted name of a module of your own. Parameters are those of that
    module's `load`. Raises InputError for an unknown family or parameter, and whatever the loader finds wrong with the
    data.
    """
    module_name = family if "." in family else f"reasoning.data.{family}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # the module exists, one of its own imports does not
        raise InputError(
            f"unknown task {family!r}; available: {', '.join(available())}, or the dotted name of a module with a load()"
        ) from None
    except TypeError as error:  # a name that begins with a dot
        raise InputError(f"{family!r} is not the name of a module; available: {', '.join(available())}") from error
    if not hasattr(module, "load"):
        raise InputError(f"{module_name} is not a task: it has no function load(); available: {', '.join(available())}")
    load = module.load
    signature = inspect.signature(load)
    try:
        signature.bind(**parameters)
    except TypeError as error:
        raise InputError(f"task {family}: {error}; parameters: {', '.join(signature.parameters)}") from None
    return load(**parameters)
