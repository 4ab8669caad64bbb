"""An attack by name: `{"kind": "many_shot", "shots": 8}` is what `make(shots=8)` of `many_shot.py` in this directory gives.

An attack has `text(target)`, what stands in the span of a prompt; a target is what `reasoning.data.goals` gives a problem.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from reasoning.errors import InputError

KINDS = ("none", "many_shot", "injection", "think_less", "program", "soft_tokens")


def attack(spec: Mapping[str, Any]) -> Any:
    """The attack of a configuration. Raises InputError for an unknown kind or argument, and what an attack finds wrong."""
    kind = spec.get("kind") if isinstance(spec, Mapping) else None
    if kind not in KINDS:
        raise InputError(f"unknown kind of attack {kind!r}; write {{kind: …}} with one of {', '.join(KINDS)}")
    make = importlib.import_module(f"reasoning.methods.robustness.{kind}").make
    known = inspect.signature(make).parameters
    unknown = next((name for name in spec if name != "kind" and name not in known), None)
    if unknown is not None:
        raise InputError(f"attack {kind!r} has no argument {unknown!r}; choose from {', '.join(known) or 'none'}")
    lacking = next((name for name, one in known.items() if one.default is one.empty and name not in spec), None)
    if lacking is not None:
        raise InputError(f"attack {kind!r} needs the argument {lacking!r}; its arguments are {', '.join(known)}")
    return make(**{name: value for name, value in spec.items() if name != "kind"})


def count(kind: str, name: str, value: Any, least: int = 0) -> int:
    """`value`, a whole number ≥ `least`. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"attack {kind!r}: {name} must be a whole number ≥ {least}, got {value!r}")
    return value


def target_of(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an attacker knows about a problem. Raises InputError if its task names no goal."""
    target = (problem.get("metadata") or {}).get("target")
    if not target:
        raise InputError(
            f"problem {problem['id']!r} has no goal for an attack; use the task 'arithmetic' with goal=…, or 'targeted'"
        )
    return target
