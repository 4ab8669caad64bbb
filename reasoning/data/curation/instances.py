"""Decontamination of generated pools: by what a question asks for, whatever template words it.

An instance is a family of problems with its numbers. The program that writes a question says which (metadata["family"] and
["instance"], a canonical form of the numbers); where one of two does not, they are compared by family and the sorted
numbers of the question, which is coarser: it also drops some that hold the same numbers in another order. Templates share all
n-grams, so `reasoning.data.curation.ngrams` would drop every question of a family.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from reasoning.data.curation.families import MOST, refuse_losses
from reasoning.data.curation.normal import plain
from reasoning.data.curation.why import Why, family_of
from reasoning.data.tasks import Problem
from reasoning.data.traces import Trace

NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?")
ADVICE = "draw the pool with other seeds or larger numbers than the evaluation set, or raise most_lost"


def drop(traces: Iterable[Trace], against: Sequence[Problem], repeats: bool = True, most_lost: float = MOST) -> dict[str, Why]:
    """Drops traces that ask for an instance of `against`, and, if `repeats`, one that is in the pool already.

    Raises InputError if a family loses more than the share `most_lost` to the evaluation sets.
    """
    named, unnamed, every = {}, {}, {}
    for problem in against:
        family = problem.metadata.get("family") or problem.metadata.get("generator") or problem.task
        label, coarse = f"{problem.task}: {problem.id}", (family, numbers(problem.question))
        every[coarse] = label
        key = instance(family, problem.metadata)
        (unnamed if key is None else named)[coarse if key is None else key] = label
    out, there, families, hits = {}, {}, [], set()
    for trace in traces:
        family = family_of(trace)
        key, coarse = instance(family, trace.metadata), (family, numbers(trace.question))
        hit = every.get(coarse) if key is None else named.get(key) or unnamed.get(coarse)
        families.append((trace.id, family))
        if hit:
            hits.add(trace.id)
            out[trace.id] = Why(f"is a problem of {hit.partition(': ')[0]}", hit)
        elif repeats and key is not None and there.setdefault(key, trace.id) != trace.id:
            out[trace.id] = Why("repeated problem", there[key])
    refuse_losses(families, hits, ADVICE, most_lost)
    return out


def instance(family: str, metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    """The key that the program gave, None if it gave none; lists and tuples, and orders of names, make no difference."""
    value = metadata.get("instance")
    return None if value is None else (family, json.dumps(value, sort_keys=True))


def numbers(question: str) -> tuple[Decimal, ...]:
    """The unsigned numbers of a question, ascending: 1,200 is 1200 and 033 is 33."""
    return tuple(sorted(Decimal(match.replace(",", "")).normalize() for match in NUMBER.findall(plain(question))))
