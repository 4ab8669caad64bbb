"""Progress of training: two files of lines are the truth, TensorBoard a view of them that can be made again at any time.

    metrics.jsonl       a line a step
    evaluations.jsonl   a line an evaluation during training: scores, and texts of some samples
    tensorboard/        both, and the configuration as text, and as notes what of it changed on the way

A resumed run goes on behind the step of its checkpoint: lines of later steps, which a killed process had written, are dropped and
will be written again, and the event file is made anew from the lines that stay. So every step stands exactly once in each.
"""

import json
import math
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reasoning.errors import InputError
from reasoning.events import Events
from reasoning.records import Lines, dumps, write_atomic

# Name in metrics.jsonl → tag, whose first part is the section in which TensorBoard shows the curve.
SCALARS = {
    "loss": "train/loss",
    "token_accuracy": "train/token_accuracy",
    "grad_norm": "train/grad_norm",
    "update_norm": "train/update_norm",
    "learning_rate": "train/learning_rate",
    "epoch": "train/epoch",
    "tokens_per_second": "speed/tokens_per_second",
    "mfu": "speed/mfu",
    "memory_gb": "speed/memory_gb",
}


class Monitor:
    """Metrics of one run; one process of a run has it.

    Attributes:
      lines: of metrics.jsonl, as they stand. evaluated: steps of which there is an evaluation.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        step: int,
        total: int,
        show: bool = True,
        changes: Iterable[Mapping[str, Any]] = (),
    ):
        """Opens the files of a run directory.

        Args:
          step: steps that the run has taken; lines beyond are dropped. total: steps that it will take.
          show: a progress bar on standard error.
          changes: as `reasoning.train.identity` keeps them, for TensorBoard.
        Raises:
          InputError: a damaged line, a step without a line, a directory that cannot be written.
        """
        self.lines, self._metrics = _open(directory / "metrics.jsonl", step)
        if lacking := sorted(set(range(1, step + 1)) - {line["step"] for line in self.lines}):
            self._metrics.close()
            raise InputError(
                f"{directory / 'metrics.jsonl'} lacks step {lacking[0]}, which the checkpoint of step {step} has behind it; "
                "bring the file back, or remove checkpoints to go on from an earlier one"
            )
        evaluations, self._evaluations = _open(directory / "evaluations.jsonl", step)
        self._events = Events(directory / "tensorboard")
        began = self.lines[0]["time"] if self.lines else time.time()
        self._events.text("config", f"```json\n{json.dumps(config, indent=2, ensure_ascii=False)}\n```", 0, began)
        notes: dict[int, list[str]] = {}
        for change in changes:
            notes.setdefault(change["after_step"], []).append(change["what"])
        for after, what in notes.items():
            text = f"{'; '.join(what)}: behind step {after} the bits may differ from those of an unchanged run"
            self._events.text("notes", text, after, began)
        for line in self.lines:
            self._view(line)
        for line in evaluations:
            self._view_evaluation(line)
        self.evaluated = {line["step"] for line in evaluations}
        self.bar = tqdm(total=total, initial=step, desc="training", unit="step", file=sys.stderr, disable=not show)

    def step(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds the line of a step. `scalars` holds some of `SCALARS`, and more for the file alone; what is not finite is null."""
        values = {name: _finite(value) for name, value in scalars.items()}
        line = {"step": step, "time": time.time(), **values}
        self._metrics.append(line)
        self.lines.append(line)
        self._view(line)
        self.bar.set_postfix_str(f"loss {scalars['loss']:.3f}, {scalars.get('tokens_per_second') or 0:.0f} tok/s", refresh=False)
        self.bar.update()

    def evaluation(self, step: int, scores: Mapping[str, float], samples: Mapping[str, str]) -> None:
        """Adds an evaluation after `step` steps.

        Args:
          scores: tag such as "sums/accuracy" → value. samples: title → text of a sample.
        """
        values = {name: _finite(value) for name, value in scores.items()}
        line = {"step": step, "time": time.time(), "scores": values, "samples": dict(samples)}
        self._evaluations.append(line)
        self.evaluated.add(step)
        self._view_evaluation(line)

    def sync(self) -> None:
        """Puts the lines on the disk: a checkpoint may not be there without the lines of its steps. Raises InputError."""
        self._metrics.sync()
        self._evaluations.sync()

    def close(self) -> None:
        """Ends the files."""
        self.bar.close()
        self._metrics.close()
        self._evaluations.close()
        self._events.close()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _view(self, line: Mapping[str, Any]) -> None:
        for name, tag in SCALARS.items():
            if line.get(name) is not None:
                self._events.scalar(tag, line[name], line["step"], line["time"])

    def _view_evaluation(self, line: Mapping[str, Any]) -> None:
        for name, value in line["scores"].items():
            if value is not None:
                self._events.scalar(f"evaluation/{name}", value, line["step"], line["time"])
        for title, text in line["samples"].items():
            self._events.text(f"samples/{title}", text, line["step"], line["time"])


def _open(path: Path, step: int) -> tuple[list[dict[str, Any]], Lines]:
    """The lines up to `step`, and the file that holds these alone."""
    with Lines(path) as lines:
        kept = [line for line in lines.records if line["step"] <= step]
    if len(kept) < len(lines.records):
        write_atomic(path, b"".join(map(dumps, kept)))
    return kept, Lines(path)


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
