"""The field `robustness` of a configuration: which methods are the cells of a grid, attacker resource × defender compute.

    {name: {"attack": "shots", "defence": "thinking tokens", "cells": {label of a method: [resource, level]}}}

`attack` and `defence` name the axes. A resource is a number, and 0 is no attack: the cell of each level that the others are
compared with. A level is a number or a word; words stand behind numbers. A method that attacks in a loop has the largest number
of attempts as its resource, and gives the cells of fewer attempts too.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reasoning.errors import InputError

FIELDS = ("attack", "defence", "cells")
Level = float | str


@dataclass(frozen=True)
class Grid:
    """One grid.

    Attributes:
      name: in the configuration. attack, defence: names of the axes.
      places: {label: (resource, level)}.
    """

    name: str
    attack: str
    defence: str
    places: Mapping[str, tuple[float, Level]]

    @property
    def levels(self) -> list[Level]:
        """Defender compute, numbers first, in order."""
        return sorted({level for _, level in self.places.values()}, key=order)

    def clean(self, level: Level) -> str:
        """The label without an attack at this level."""
        return next(label for label, place in self.places.items() if place == (0, level))


def order(level: Level) -> tuple:
    """By which levels are sorted."""
    return (1, 0.0, level) if isinstance(level, str) else (0, level, "")


def grids(config: Mapping[str, Any]) -> list[Grid]:
    """The grids that a configuration names, none without the field. Raises InputError, also for labels that are no method's."""
    named = config.get("robustness") or {}
    if not isinstance(named, Mapping):
        raise InputError("the config's robustness is {name: {attack, defence, cells}}; see reasoning/evaluation/attack_plan.py")
    return [_grid(name, part, config["methods"]) for name, part in named.items()]


def _grid(name: str, part: Any, methods: Mapping[str, Any]) -> Grid:
    where = f"the config's robustness.{name}"
    if "/" in name or name.startswith("."):
        raise InputError(f"{name!r} cannot name a grid, since it names a file; choose another name")
    if not isinstance(part, Mapping) or set(part) != set(FIELDS) or not isinstance(part["cells"], Mapping) or not part["cells"]:
        raise InputError(f"{where} needs the fields {', '.join(FIELDS)}; see reasoning/evaluation/attack_plan.py")
    for label in part["cells"]:
        if label not in methods:
            raise InputError(f"{where} names {label!r}, which is no method; choose from {', '.join(methods)}")
        if methods[label].get("method") != "robustness":
            raise InputError(f"{where} names {label!r}, which is not attacked; make it a method 'robustness'")
    places = {label: _place(f"{where}.cells.{label}", place) for label, place in part["cells"].items()}
    place, times = Counter(places.values()).most_common(1)[0]
    if times > 1:
        raise InputError(f"{where} has {times} methods at {list(place)}; keep one of them")
    lacking = next((level for _, level in places.values() if (0, level) not in places.values()), None)
    if lacking is not None:
        raise InputError(
            f"{where} has no cell [0, {lacking!r}]; add the method without an attack, which others are compared with"
        )
    return Grid(name, str(part["attack"]), str(part["defence"]), places)


def _place(where: str, place: Any) -> tuple[float, Level]:
    if not isinstance(place, (list, tuple)) or len(place) != 2 or not _number(place[0]) or place[0] < 0:
        raise InputError(f"{where} is [resource, level], and a resource a number ≥ 0; got {place!r}")
    resource, level = place
    if not _number(level) and not isinstance(level, str):
        raise InputError(f"{where}: the level {level!r} must be a number or a word")
    return resource, level


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
