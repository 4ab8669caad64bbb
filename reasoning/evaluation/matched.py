"""Thoughts of another method's lengths, problem by problem: what an added string is worth beyond the tokens that it costs.

The field `match` of a configuration is {label of a method: label of another}: the first thinks about each problem exactly as many
tokens as the other did, within the length of the string that it forces at an end that comes too early.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.errors import InputError
from reasoning.evaluation.pool import Record
from reasoning.evaluation.thoughts.thinking import recorded
from reasoning.methods.base import Method

KNOBS = ("min_thinking", "max_thinking")


def check(match: Any, labels: Sequence[str]) -> None:
    """Raises InputError for a field `match` that says something else, or names a method that runs later."""
    if not isinstance(match, Mapping):
        raise InputError("the config's match is {label of a method: label of the method that it is to think as long as}")
    for label, other in match.items():
        unknown = next((name for name in (label, other) if name not in labels), None)
        if unknown is not None:
            raise InputError(f"the config's match names {unknown!r}, which is no method; choose from {', '.join(labels)}")
        if labels.index(other) >= labels.index(label):
            raise InputError(f"{label!r} is to think as long as {other!r}, so {other!r} must stand before it among the methods")


def as_long(method: Method, others: Sequence[Record]) -> Method:
    """`method` told to think as many tokens about each problem as `others`, the records of a method with one sample each.

    Raises InputError if either draws several samples of a problem, or if the method's chain cannot be told.
    """
    lengths = {record["problem"]: recorded(record) for record in others}
    if method.n > 1 or len(lengths) < len(others):
        raise InputError("thoughts can be matched in length where both methods draw one sample of each problem; set n to 1")
    lacking = set(KNOBS) - method.chain.knobs.keys()
    if lacking:
        raise InputError(f"{method.name!r} cannot be told how long to think; match a method of budget forcing")
    return dataclasses.replace(method, each={problem: dict.fromkeys(KNOBS, length) for problem, length in lengths.items()})
