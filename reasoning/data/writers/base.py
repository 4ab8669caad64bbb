"""What a writer is to everybody else, and how one is found.

    DOMAIN: str                                      subject of its traces
    instance(entry) -> str                           canonical numbers or statements of a problem: equal for equal problems,
                                                     however they are worded
    write(entry, tries, rng) -> Written              the trace of a problem, with about `tries` attempts

`entry` is what reasoning-gym made, read back (`reasoning.data.reasoning_gym.read_entry`). A writer raises InputError for a
problem that it cannot write about, and consumes `rng` and no other source of chance.
"""

import functools
import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType

import reasoning.data.writers
from reasoning.data.reasoning_gym import read_entry
from reasoning.data.tasks import Problem
from reasoning.errors import InputError

NOT_WRITERS = ("base", "pool", "summary")


@dataclass(frozen=True)
class Written:
    """A trace without its problem.

    Attributes:
      thinking: one attempt after the other, each but the first opened by "Wait, ".
      answer: as the scorer reads it.
      tries: attempts, the last of which succeeds; fewer than asked for where a problem has no more ways to fail.
      mistakes: what the thinking says and then finds wrong, word for word; all its other statements are true.
    """

    thinking: str
    answer: str
    tries: int
    mistakes: tuple[str, ...] = ()


@functools.cache
def families() -> tuple[str, ...]:
    """Names of the families that have a writer, sorted."""
    names = (found.name for found in pkgutil.iter_modules(reasoning.data.writers.__path__))
    return tuple(sorted(name for name in names if name not in NOT_WRITERS))


def writer(family: str) -> ModuleType:
    """The module that writes traces of `family`. Raises InputError."""
    if family not in families():
        raise InputError(f"there is no writer of traces for {family!r}; choose from {', '.join(families())}")
    return importlib.import_module(f"reasoning.data.writers.{family}")


def instance(problem: Problem) -> str | None:
    """The canonical instance of a problem, "<family>: <numbers>"; None where no writer knows its family.

    What pool and evaluation are kept apart by: the wording of a template is shared by all problems of a family.
    """
    family = problem.metadata.get("generator")
    if family not in families() or "entry" not in problem.metadata:
        return None
    return name_instance(family, read_entry(problem.metadata["entry"]))


def name_instance(family: str, entry: dict) -> str:
    """`instance` of an entry that is read already."""
    return f"{family}: {writer(family).instance(entry)}"
