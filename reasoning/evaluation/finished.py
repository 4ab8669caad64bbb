"""A finished run directory, read back: what it was about and all its samples. Reports, regrading and the judge begin here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.evaluation.experiment import build_methods, build_task
from reasoning.evaluation.pool import Record
from reasoning.evaluation.scoring import attach
from reasoning.methods.base import Method
from reasoning.records import read_lines
from reasoning.rewards.judges import label as label_of


@dataclass(frozen=True)
class Finished:
    """One run.

    Attributes:
      workdir: its directory.
      identity: its config.json (`reasoning.evaluation.identity`).
      problems: by id, in the order of the task. methods: by label.
    """

    workdir: Path
    identity: Mapping[str, Any]
    problems: Mapping[str, Problem]
    methods: Mapping[str, Method]

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration."""
        return self.identity["config"]

    def method(self, label: str) -> Method:
        """A method by its label. Raises InputError for one that the run has not."""
        if label not in self.methods:
            raise InputError(f"{self.workdir} has no method {label!r}; choose from {', '.join(self.methods)}")
        return self.methods[label]

    def samples(self, label: str) -> list[Record]:
        """All samples of a method as they were written, ordered by problem and sample.

        Raises InputError if one is missing, or there is no such method.
        """
        directory = self.workdir / label
        there = {(one["problem"], one["sample"]): one for one in read_lines(directory / "generations.jsonl")[0]}
        wanted = [(problem, sample) for problem in self.problems for sample in range(self.method(label).n)]
        missing = sum(key not in there for key in wanted)
        if missing:
            raise InputError(
                f"{directory} lacks {missing} of {len(wanted)} samples; run scripts/evaluate.py on it again to finish them"
            )
        return [there[key] for key in wanted]

    def records(self, label: str) -> list[Record]:
        """The same with the scores that the method's own scorer gave, and their cost. Raises InputError."""
        scorer = self.methods[label].scorer
        return self.samples(label) if scorer is None else attach(self.samples(label), self.workdir / label, label_of(scorer))


def open_finished(workdir: Path) -> Finished:
    """Reads what a run was about. Raises InputError for a directory that holds none, or a damaged one."""
    try:
        identity = json.loads((workdir / "config.json").read_bytes())
        config = identity["config"]
    except OSError as error:
        raise InputError(
            f"{workdir} holds no run ({error.strerror}: config.json); name a --workdir of scripts/evaluate.py"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{workdir / 'config.json'} is damaged; name another --workdir") from error
    problems = {problem.id: problem for problem in build_task(config).problems}
    return Finished(workdir, identity, problems, build_methods(config))
