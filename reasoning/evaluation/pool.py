"""The samples of one run on disk: a line each, appended as they finish, in the order of the task once all are there.

One of several processes appends to a part of its own and draws its share of what the whole lacked when it began.
"""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reasoning.data.tasks import Problem
from reasoning.decode.requests import Response
from reasoning.errors import InputError
from reasoning.evaluation.grading.grader import Grade
from reasoning.evaluation.parts import part
from reasoning.methods.base import unique_ids
from reasoning.processes import ALONE, Processes
from reasoning.records import Lines, dumps, read_lines, write_atomic

Record = dict[str, Any]


def record(response: Response, grade: Grade, thinking: int) -> Record:
    """One line of `generations.jsonl`: all that is the same in every run, so neither seconds nor a clock.

    `thinking` is the number of its tokens that are (`reasoning.evaluation.thoughts.thinking`), `thought_end` why they ended.
    `ids` are all its tokens, `forced` the places of those that were forced: encoding `text` again may give other ids, and a
    prefix that is to be continued must be the one that was written.
    `scores` are those of a search after each step, under the name "search"; left out for samples drawn by themselves.
    `logprob` is the sum of the model's raw log p over the tokens that were sampled, in nats; None if it is not finite.
    """
    logprob = float(np.sum(response.logprobs[~response.forced], dtype=np.float64))
    ledger = {name: value for name, value in vars(response.ledger).items() if name != "seconds"}
    return {
        "problem": response.id,
        "sample": int(response.sample),
        "correct": grade.correct,
        "score": grade.score,
        "answer": grade.extracted,
        "grading": grade.status,
        "stop_reason": response.stop_reason,
        "tokens": len(response.tokens),
        "thinking": thinking,
        "thought_end": response.thought_end,
        "logprob": logprob if math.isfinite(logprob) else None,
        "ledger": ledger,
        "ids": response.tokens.tolist(),
        "forced": np.flatnonzero(response.forced).tolist(),
        "text": response.text,
        **({} if response.scores is None else {"scores": {"search": [float(score) for score in response.scores]}}),
    }


class Pool:
    """Which samples of a run are there, and which are missing.

    Attributes:
      records: {(problem id, sample): record}, as finished; those of other processes once they are gathered.
      wanted: all keys, problems in the order of the task.
      total: samples that will be there when this process has drawn its share.
    """

    def __init__(self, directory: Path, problems: Sequence[Problem], n: int, processes: Processes = ALONE):
        """Opens the run directory. Raises InputError for repeated problem ids, damaged lines, or samples of another run."""
        unique_ids(problem.id for problem in problems)
        self.path = directory / "generations.jsonl"
        self.wanted = [(problem.id, sample) for problem in problems for sample in range(n)]
        self._lines = Lines(part(self.path, processes))
        there = self._lines.records if processes.count == 1 else read_lines(self.path)[0]
        for number, line in enumerate(there, start=1):
            if not {"problem", "sample", "correct", "tokens"} <= line.keys():
                self._lines.close()
                raise InputError(f"line {number} of {self.path} is no sample; delete that line and run again")
        self.records = {(line["problem"], line["sample"]): line for line in there}
        wanted = set(self.wanted)
        stranger = next((key for key in self.records if key not in wanted), None)
        if stranger is not None:
            self._lines.close()
            raise InputError(
                f"{self.path} holds sample {stranger[1]} of {stranger[0]!r}, not part of this run; use another --workdir"
            )
        self._timings = Lines(part(directory / "timings.jsonl", processes))
        self._whole = processes.count == 1
        self._share = set(processes.share(self._lacking({problem.id for problem in problems})))
        self.total = len(self.records) + sum(map(len, self.missing.values()))

    @property
    def missing(self) -> dict[str, list[int]]:
        """Sample numbers still to be drawn by this process, by problem."""
        return self._lacking(self._share)

    def _lacking(self, problems: Collection[str]) -> dict[str, list[int]]:
        out: dict[str, list[int]] = {}
        for problem, sample in self.wanted:
            if problem in problems and (problem, sample) not in self.records:
                out.setdefault(problem, []).append(sample)
        return out

    def add(self, new: Record, seconds: float) -> None:
        """Keeps a finished sample. Raises InputError when the disk is full."""
        self._lines.append(new)
        self.records[new["problem"], new["sample"]] = new
        self._timings.append({"problem": new["problem"], "sample": new["sample"], "seconds": round(seconds, 6)})

    def note(self, line: dict[str, float]) -> None:
        """Adds a line about the run as a whole to timings.jsonl."""
        self._timings.append(line)

    def close(self) -> None:
        """Puts everything on the disk; once complete, in the order of the task."""
        self._lines.close()
        self._timings.close()
        if self._whole and not self.missing:
            ordered = b"".join(dumps(self.records[key]) for key in self.wanted)
            if ordered != self.path.read_bytes():
                write_atomic(self.path, ordered)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_) -> None:
        self.close()
