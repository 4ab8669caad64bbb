"""The field `sweep` of a configuration: which methods of a run differ in one setting, and in which.

{name: {label of a method: setting}}, and a setting is

    1024                         thinking tokens that were asked for at most (Control of s1)
    {"min": 6109}                or at least; "max" may stand beside it
    None                         nothing was asked for
    {"waits": 2}                 any other name: the sweep is a curve over it
    {"alpha": 3, "beta": 600}    any two: a grid over them, the alphabetically first to the right

The name AMONG beside the labels names the method whose self-ended problems gains are taken on; by default the sweep's first.
"""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reasoning.errors import InputError

BOUNDS = ("min", "max")
AMONG = "among"


@dataclass(frozen=True)
class Setting:
    """What one label was set to: thinking tokens between `low` and `high`, or a `place` (x,) on a curve or (x, y) in a grid."""

    low: float = 0.0
    high: float = math.inf
    place: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """One sweep of a configuration: `axes` are the names of a curve's setting or a grid's two, () for a sweep of lengths;
    `among` is a method's label."""

    name: str
    axes: tuple[str, ...]
    settings: Mapping[str, Setting]
    among: str


def plans(config: Mapping[str, Any]) -> list[Plan]:
    """The sweeps that a configuration names, none without the field. Raises InputError, also for labels that are no method's."""
    named = config.get("sweep") or {}
    if not isinstance(named, Mapping) or not all(isinstance(part, Mapping) and part for part in named.values()):
        raise InputError("the config's sweep is {name: {label of a method: setting}}; see reasoning/evaluation/sweeps/plan.py")
    return [_plan(name, part, config["methods"]) for name, part in named.items()]


def labels(planned: Sequence[Plan]) -> set[str]:
    """Of all methods that some sweep names."""
    return set(itertools.chain.from_iterable((*plan.settings, plan.among) for plan in planned))


def _plan(name: str, part: Mapping[str, Any], methods: Mapping[str, Any]) -> Plan:
    if "/" in name or name.startswith("."):
        raise InputError(f"{name!r} cannot name a sweep, since it names a file; choose another name")
    among = part.get(AMONG, next(iter(part)))
    part = {label: setting for label, setting in part.items() if label != AMONG}
    if not part:
        raise InputError(f"the sweep {name!r} has no method; name those that it is over")
    for label in (*part, among):
        if label not in methods:
            raise InputError(f"the sweep {name!r} names {label!r}, which is no method; choose from {', '.join(methods)}")
    settings = {label: _setting(f"sweep.{name}.{label}", value) for label, value in part.items()}
    axes = {tuple(sorted(value)) if settings[label].place else () for label, value in part.items()}
    if len(axes) > 1:
        raise InputError(f"the sweep {name!r} mixes settings of several kinds; make a sweep of each")
    places = Counter(setting.place for setting in settings.values() if setting.place)
    twice = next((place for place, times in places.items() if times > 1), None)
    if twice:
        raise InputError(f"the sweep {name!r} has two methods at {twice}; keep one of them")
    return Plan(name, axes.pop(), settings, among)


def _setting(where: str, value: Any) -> Setting:
    if value is None:
        return Setting()
    fields = value if isinstance(value, Mapping) else {"max": value}
    numbers = [one for one in fields.values() if isinstance(one, (int, float)) and not isinstance(one, bool)]
    if fields and len(numbers) == len(fields):
        if set(fields) <= set(BOUNDS):
            return Setting(fields.get("min", 0.0), fields.get("max", math.inf))
        if len(fields) <= 2 and not set(fields) & set(BOUNDS):
            return Setting(place=tuple(float(fields[name]) for name in sorted(fields)))
    raise InputError(
        f"the config's {where} must be thinking tokens, {{min, max}} of them, None, or one or two other names with a number "
        f"each, got {value!r}"
    )
