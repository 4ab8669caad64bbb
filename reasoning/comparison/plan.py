"""The field `compare` of a configuration: which curves of accuracy against cost its methods give, and what was asked beforehand.

    curves    {name: label of a method, list of labels, or {"labels": …, "vote": …, "scorer": {…}, "aggregation": …}}
    primary   [name, name]: the one contrast that was declared before the run, first minus second; the others are corrected
    pool      label of the method whose samples say how difficult a problem is; "" is the largest one
    axis      cost at which methods are compared: flops, generated, tokens or seconds
    price     of an hour of one device, in whatever unit; 0 leaves the column out. It is part of the run's identity: say it when
              the report is made (`--price` of scripts/compare.py), which overrides it and can be done again
    timed     problems of the timed runs (`reasoning.comparison.timed`); 0 for none

The methods of one curve are one idea at several budgets. One that votes gives a point for every N of its pool, and `vote` casts
another vote over the same samples: majority, best, weighted, shortest, or pass, which an oracle would cast and no contrast uses.
Without the field every method is a curve of its own.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reasoning.errors import InputError
from reasoning.evaluation.ledger import Cost
from reasoning.methods.base import Method, Vote
from reasoning.methods.best_of_n import Best, Weighted
from reasoning.methods.majority import Plurality
from reasoning.methods.shortest import Shortest
from reasoning.rewards import judges

AXES: dict[str, tuple[str, Callable[[Cost], float]]] = {
    "generated": ("generated tokens", lambda cost: cost.tokens),
    "tokens": ("all tokens", lambda cost: cost.prompt + cost.tokens + cost.scorer),
    "flops": ("FLOPs", lambda cost: cost.flops),
    "seconds": ("seconds", lambda cost: cost.seconds),
}
VOTES = ("majority", "best", "weighted", "shortest", "pass")
FIELDS = {"curves", "primary", "pool", "axis", "price", "timed"}


@dataclasses.dataclass(frozen=True)
class Line:
    """What one curve is made of.

    Attributes:
      name: of the curve. labels: of its methods.
      vote: one of `VOTES`, "" for the methods' own. scorer, aggregation: of a vote by scores.
    """

    name: str
    labels: tuple[str, ...]
    vote: str = ""
    scorer: Mapping[str, Any] | None = None
    aggregation: str = "last"

    @property
    def ceiling(self) -> bool:
        """Whether an oracle votes, so that no method reaches the curve."""
        return self.vote == "pass"

    def cast(self, seed: int) -> Vote:
        """The vote over the samples of a pool, of those that are not the method's own nor the oracle's."""
        if self.vote == "majority":
            return Plurality(seed)
        if self.vote == "shortest":
            return Shortest()
        return (Best if self.vote == "best" else Weighted)(judges.label(self.scorer), self.aggregation, seed)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The field, read. `primary` is empty if nothing was declared; the rest is described above."""

    lines: tuple[Line, ...]
    primary: tuple[str, ...] = ()
    pool: str = ""
    axis: str = "flops"
    price: float = 0.0
    timed: int = 0


def plan(config: Mapping[str, Any], methods: Mapping[str, Method]) -> Plan:
    """Of a run's configuration and its methods by label. Raises InputError for what does not fit."""
    part = config.get("compare") or {}
    unknown = next((key for key in part if key not in FIELDS), None)
    if unknown is not None:
        raise InputError(f"the config's compare has no field {unknown!r}; choose from {', '.join(sorted(FIELDS))}")
    given = part.get("curves") or {label: label for label in methods}
    lines = tuple(_line(name, value, methods) for name, value in given.items())
    names = [line.name for line in lines if not line.ceiling]
    primary, axis = tuple(part.get("primary") or ()), part.get("axis") or "flops"
    if primary and (len(primary) != 2 or primary[0] == primary[1] or not set(primary) <= set(names)):
        raise InputError(f"compare.primary names two curves of {', '.join(names)}; got {list(primary)}")
    if axis not in AXES:
        raise InputError(f"compare.axis is one of {', '.join(AXES)}, got {axis!r}")
    price, timed = part.get("price") or 0.0, part.get("timed") or 0
    if not isinstance(price, int | float) or price < 0 or isinstance(timed, bool) or not isinstance(timed, int) or timed < 0:
        raise InputError(f"compare.price is a number and compare.timed a number of problems, got {price!r} and {timed!r}")
    return Plan(lines, primary, _pool(part.get("pool") or "", methods), axis, float(price), timed)


def _line(name: str, value: Any, methods: Mapping[str, Method]) -> Line:
    where = f"compare.curves.{name}"
    if not isinstance(value, Mapping):
        value = {"labels": value}
    unknown = next((key for key in value if key not in ("labels", "vote", "scorer", "aggregation")), None)
    labels = value.get("labels") or ()
    labels = (labels,) if isinstance(labels, str) else tuple(labels)
    if unknown is not None or not labels:
        raise InputError(f"{where} needs labels, and may have vote, scorer and aggregation; got {dict(value)!r}")
    stranger = next((label for label in labels if label not in methods), None)
    if stranger is not None:
        raise InputError(f"{where} names {stranger!r}, which is no method of the config; choose from {', '.join(methods)}")
    line = Line(name, labels, value.get("vote") or "", value.get("scorer"), value.get("aggregation") or "last")
    if not line.vote:
        return line
    if line.vote not in VOTES:
        raise InputError(f"{where}.vote is one of {', '.join(VOTES)}, got {line.vote!r}")
    if any(methods[label].n < 2 or methods[label].search is not None or methods[label].rounds is not None for label in labels):
        raise InputError(f"{where} votes over a pool: its methods must draw several samples of a problem, each by itself")
    if line.vote in ("best", "weighted"):
        judges.check(line.scorer)
        line.cast(0)
    return line


def _pool(label: str, methods: Mapping[str, Method]) -> str:
    """The method whose samples say how difficult a problem is; "" if none draws four by themselves."""
    pools = {name: one.n for name, one in methods.items() if one.search is None and one.rounds is None and one.n >= 4}
    if label and label not in pools:
        raise InputError(f"compare.pool must draw at least 4 samples of a problem, each by itself; {label!r} does not")
    return label or max(pools, key=pools.__getitem__, default="")


def scorers(lines: Sequence[Line]) -> list[tuple[str, Mapping[str, Any]]]:
    """(label of a pool, scorer) for all that has to be read before the votes can be cast, each once."""
    wanted = {(label, judges.label(line.scorer)): line.scorer for line in lines if line.scorer for label in line.labels}
    return [(label, spec) for (label, _), spec in wanted.items()]
