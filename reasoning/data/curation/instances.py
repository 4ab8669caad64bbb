"""Decontamination of generated pools: by what a question asks for, whatever template words it.

An instance is a family of problems with its numbers. The program that writes a question says which (metadata["family"] and
["instance"], a canonical form of the numbers), and of a problem of an evaluation set a function of the program's may. Where one
of two is not said, they are compared by family and the sorted numbers of the question (its words, if it has no number), which
is coarser: it also drops what holds the same numbers in another order. Templates share all n-grams, so
`reasoning.data.curation.ngrams` would drop every question of a family.
"""

import importlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from reasoning.data.curation.families import MOST, refuse_losses
from reasoning.data.curation.normal import plain, words
from reasoning.data.curation.why import Why, family_of
from reasoning.data.tasks import Problem
from reasoning.data.traces import Trace
from reasoning.errors import InputError

NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?")
ADVICE = "draw the pool with other seeds or larger numbers than the evaluation set, or raise most_lost"


def drop(
    traces: Iterable[Trace],
    against: Sequence[Problem],
    named_by: str = "",
    repeats: bool = True,
    most_lost: float = MOST,
) -> dict[str, Why]:
    """Drops traces that ask for an instance of `against`, and, if `repeats`, one that is in the pool already.

    Args:
      named_by: dotted name of a module whose `instance(problem)` returns what the program writes into metadata["instance"], or
        None for a problem that it does not know; "" if problems say it themselves.
    Raises InputError for an unknown module, and if a family loses more than the share `most_lost` to the evaluation sets.
    """
    named, unnamed, every, said = {}, {}, {}, _namer(named_by)
    for problem in against:
        family = problem.metadata.get("family") or problem.metadata.get("generator") or problem.task
        label, coarse, key = f"{problem.task}: {problem.id}", (family, content(problem.question)), instance(family, said(problem))
        every[coarse] = label
        (unnamed if key is None else named)[coarse if key is None else key] = label
    out, there, families, hits = {}, {}, [], set()
    for trace in traces:
        family = family_of(trace)
        key, coarse = instance(family, trace.metadata.get("instance")), (family, content(trace.question))
        hit = every.get(coarse) if key is None else named.get(key) or unnamed.get(coarse)
        families.append((trace.id, family))
        if hit:
            hits.add(trace.id)
            out[trace.id] = Why(f"is a problem of {hit.partition(': ')[0]}", hit)
        elif repeats and key is not None and there.setdefault(key, trace.id) != trace.id:
            out[trace.id] = Why("repeated problem", there[key])
    refuse_losses(families, hits, ADVICE, most_lost)
    return out


def instance(family: str, value: Any) -> tuple[str, str] | None:
    """The key of what the program said, None if it said nothing; tuples are lists, and the order of names is no matter."""
    return None if value is None else (family, json.dumps(value, sort_keys=True))


def content(question: str) -> tuple:
    """The unsigned numbers of a question, ascending: 1,200 is 1200 and 033 is 33. Its words where it has no number."""
    found = NUMBER.findall(plain(question))
    return tuple(sorted(Decimal(match.replace(",", "")).normalize() for match in found)) or tuple(words(question))


def _namer(module: str) -> Callable[[Problem], Any]:
    if not module:
        return lambda problem: problem.metadata.get("instance")
    try:
        function = importlib.import_module(module).instance
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(f"instances: named_by is {module!r}, which is no module with a function instance ({error})") from None
    return lambda problem: problem.metadata.get("instance") or function(problem)
