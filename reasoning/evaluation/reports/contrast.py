"""Two models, or two ways of training one, on the same problems: runs of scripts/evaluate.py in two groups, paired.

A group has a run for each training seed. The difference is given over problems alone, for the runs that there are, and over
problems and training runs, for the runs that there might have been.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished, open_finished
from reasoning.evaluation.reports.scores import Row, rows
from reasoning.evaluation.reports.tables import aligned, p_value
from reasoning.evaluation.statistics.seeds import OverRuns, over_runs
from reasoning.evaluation.statistics.stats import Comparison, difference

HEADER = ("", "accuracy", "95 % interval", "MDE", "p")


@dataclass(frozen=True)
class Contrast:
    """A − B.

    Attributes:
      a, b: a row for each run, by its directory. given: over problems, these runs given. trained: over the runs of sides that
        have several too, or None where neither has. unlike: settings of the method that differ between the sides.
    """

    a: tuple[tuple[Path, Row], ...]
    b: tuple[tuple[Path, Row], ...]
    given: Comparison
    trained: OverRuns | None
    unlike: tuple[str, ...]

    @property
    def several(self) -> list[str]:
        """The sides that have more than one run."""
        return [side for side, group in (("A", self.a), ("B", self.b)) if len(group) > 1]

    def text(self) -> str:
        """The table and what it leaves open."""
        lines = []
        for side, group in (("A", self.a), ("B", self.b)):
            for path, row in group:
                one = row.accuracy
                lines.append((f"{side}  {path}, {row.name}", f"{one.value:.3f}", f"{one.low:.3f} … {one.high:.3f}", "", ""))
        lines.append(("A − B, of these runs", *_cells(self.given)))
        if self.trained is not None:
            lines.append((f"A − B, of any training of {' and '.join(self.several)}", *_cells(self.trained)))
        parts = [aligned(HEADER, lines), f"{self.given.n} problems, paired."]
        if self.trained is None:
            parts.append("One run a side: nothing is said of other training seeds.")
        else:
            single = {"A", "B"} - set(self.several)
            taken = f"; {single.pop()} has one run, which is taken as it is" if single else ""
            parts.append(f"Of any training: {self.trained.freedom:.1f} degrees of freedom{taken}.")
        if self.unlike:
            parts.append(f"The sides are asked differently: {', '.join(self.unlike)}.")
        return "\n\n".join((parts[0], " ".join(parts[1:])))


def contrast(a: Sequence[Path], b: Sequence[Path], label: str, label_b: str = "") -> Contrast:
    """The runs of A and B at the largest N of a method each. `label_b`: B's method, where it has another label.

    Raises InputError for runs that are not finished, answered other problems or were asked otherwise than the rest of their side,
    for a run that is named twice, and for an empty side.
    """
    if not a or not b:
        raise InputError("a contrast needs at least one finished run on each side")
    labels, groups = (label, label_b or label), [[open_finished(path) for path in paths] for paths in (a, b)]
    first = groups[0][0]
    for group, name in zip(groups, labels, strict=True):
        for index, run in enumerate(group):
            if any(run.workdir.resolve() == other.workdir.resolve() for other in group[:index]):
                raise InputError(f"{run.workdir} is named twice on one side; a run counts once")
            if _asked(run) != _asked(first):
                raise InputError(f"{run.workdir} and {first.workdir} asked different problems; compare runs of one task")
            run.method(name)
            if run.config["methods"][name] != group[0].config["methods"][name]:
                raise InputError(f"{run.workdir} and {group[0].workdir} have other settings of {name!r}; a side is one recipe")
    sides = [tuple((run.workdir, _row(run, name)) for run in group) for group, name in zip(groups, labels, strict=True)]
    values = [np.array([row.values for _, row in side]) for side in sides]
    several = max(map(len, values)) > 1
    settings = [group[0].config["methods"][name] for group, name in zip(groups, labels, strict=True)]
    unlike = sorted(key for key in settings[0].keys() | settings[1].keys() if settings[0].get(key) != settings[1].get(key))
    return Contrast(
        *sides, difference(values[0].mean(0) - values[1].mean(0)), over_runs(*values) if several else None, tuple(unlike)
    )


def _asked(run: Finished) -> list[tuple[str, str, str]]:
    return [(name, one.question, one.answer) for name, one in run.problems.items()]


def _row(run: Finished, label: str) -> Row:
    return rows(label, run.method(label), run.records(label), float("nan"))[-1]


def _cells(found: Comparison | OverRuns) -> tuple[str, ...]:
    interval = f"{found.low:+.3f} … {found.high:+.3f}"
    return f"{found.difference:+.3f}", interval, f"{found.mde:.3f}", p_value(found.p_value)
