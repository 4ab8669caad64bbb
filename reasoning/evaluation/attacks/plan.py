"""The field `robustness` of a configuration: which methods are the cells of a grid, attacker resource × defender compute.

    {name: {"attack": "shots", "defence": "thinking tokens", "cells": {label of a method: [resource, level]}}}

`attack` and `defence` name the axes. A resource is a number, and 0 is no attack: the cell of each level that the others are
compared with. A level is a number or a word; words stand behind numbers. A list of levels is numbers of votes: [4, [1, 2, 4]] has
a method that draws four samples give a cell for each. A method that attacks in a loop has the largest number of attempts as its
resource, and gives the cells of fewer attempts too.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from reasoning.errors import InputError

FIELDS = ("attack", "defence", "cells")
Level = float | str


class Place(NamedTuple):
    """Where a method stands in a grid; `votes` is the level where that is a number of votes, else None."""

    label: str
    resource: float
    level: Level
    votes: int | None = None


@dataclass(frozen=True)
class Grid:
    """One grid.

    Attributes:
      name: in the configuration. attack, defence: names of the axes.
      places: ordered by level and resource; there is one of resource 0 at each level.
    """

    name: str
    attack: str
    defence: str
    places: tuple[Place, ...]

    @property
    def levels(self) -> list[Level]:
        """Defender compute, numbers first, in order."""
        return list(dict.fromkeys(place.level for place in self.places))

    def at(self, level: Level) -> list[Place]:
        """The places of this level, that without an attack first."""
        return [place for place in self.places if place.level == level]


def grids(config: Mapping[str, Any]) -> list[Grid]:
    """The grids that a configuration names, none without the field. Raises InputError, also for labels that are no method's."""
    named = config.get("robustness") or {}
    if not isinstance(named, Mapping):
        raise InputError("the config's robustness is {name: {attack, defence, cells}}; see reasoning/evaluation/attacks/plan.py")
    return [_grid(name, part, config["methods"]) for name, part in named.items()]


def _grid(name: str, part: Any, methods: Mapping[str, Any]) -> Grid:
    where = f"the config's robustness.{name}"
    if "/" in name or name.startswith("."):
        raise InputError(f"{name!r} cannot name a grid, since it names a file; choose another name")
    if not isinstance(part, Mapping) or set(part) != set(FIELDS) or not isinstance(part["cells"], Mapping) or not part["cells"]:
        raise InputError(f"{where} needs the fields {', '.join(FIELDS)}; see reasoning/evaluation/attacks/plan.py")
    for label in part["cells"]:
        if label not in methods:
            raise InputError(f"{where} names {label!r}, which is no method; choose from {', '.join(methods)}")
        if methods[label].get("method") != "robustness":
            raise InputError(f"{where} names {label!r}, which is not attacked; make it a method 'robustness'")
    places = [place for label, value in part["cells"].items() for place in _places(where, label, value)]
    (resource, level), times = Counter((place.resource, place.level) for place in places).most_common(1)[0]
    if times > 1:
        raise InputError(f"{where} has {times} methods at [{resource:g}, {level!r}]; keep one of them")
    clean = {place.level for place in places if place.resource == 0}
    lacking = next((place.level for place in places if place.level not in clean), None)
    if lacking is not None:
        raise InputError(f"{where} has no cell [0, {lacking!r}]; add the method without an attack, to compare with")
    return Grid(name, str(part["attack"]), str(part["defence"]), tuple(sorted(places, key=_order)))


def _order(place: Place) -> tuple:
    word = isinstance(place.level, str)
    return (word, 0 if word else place.level, str(place.level), place.resource)


def _places(where: str, label: str, value: Any) -> list[Place]:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not _number(value[0]) or value[0] < 0:
        raise InputError(f"{where}.cells.{label} is [resource, level], and a resource a number ≥ 0; got {value!r}")
    resource, level = value
    if isinstance(level, (list, tuple)) and level and all(isinstance(votes, int) and votes > 0 for votes in level):
        return [Place(label, resource, votes, votes) for votes in level]
    if not _number(level) and not isinstance(level, str):
        raise InputError(f"{where}.cells.{label}: the level {level!r} must be a number, a word, or a list of numbers of votes")
    return [Place(label, resource, level)]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
