"""Progress of a run: `metrics.jsonl` is the truth, TensorBoard a view of it that can be made again at any time.

A step is a number of finished samples, so a resumed run goes on where the killed one stopped and no step comes twice:
lines beyond what `generations.jsonl` holds are dropped, and the event file is written anew from the lines that stay.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reasoning.events import Events
from reasoning.records import Lines, dumps, write_atomic

# Name in metrics.jsonl → tag, whose first part is the section in which TensorBoard shows the curve.
SCALARS = {
    "accuracy": "accuracy/so_far",
    "accuracy_low": "accuracy/interval_low",
    "accuracy_high": "accuracy/interval_high",
    "tokens_per_second": "engine/tokens_per_second",
    "live_slots": "engine/live_slots",
}


class Board:
    """Metrics of one run.

    Attributes:
      step: samples finished at the last line.
    """

    def __init__(self, directory: Path, records: Iterable[Mapping[str, Any]]):
        """Opens the metrics of a run directory.

        Args:
          records: the samples finished so far, as `generations.jsonl` holds them.
        """
        self._texts = {(record["problem"], record["sample"]): record for record in records}
        path = directory / "metrics.jsonl"
        with Lines(path) as lines:
            kept = [line for line in lines.records if line["step"] <= len(self._texts)]
        if len(kept) < len(lines.records):
            write_atomic(path, b"".join(map(dumps, kept)))
        self._lines = Lines(path)
        self._events = Events(directory / "tensorboard")
        self.step = kept[-1]["step"] if kept else 0
        for line in kept:
            self._view(line)

    def log(self, step: int, scalars: Mapping[str, float], lengths: Sequence[int], sample: Mapping[str, Any]) -> None:
        """Adds a line. Nothing happens for a step that is there already.

        Args:
          step: samples finished.
          scalars: the five of `SCALARS`; tokens_per_second is sampled tokens of this process per second without compiling.
          lengths: generated tokens of every finished sample.
          sample: the record whose text is shown.
        """
        if step <= self.step:
            return
        self.step = step
        self._texts[sample["problem"], sample["sample"]] = sample
        values, counts = np.unique(np.asarray(lengths, int), return_counts=True)
        line = {
            "step": step,
            "time": time.time(),
            **{name: float(scalars[name]) if math.isfinite(scalars[name]) else None for name in SCALARS},
            "lengths": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
            "shown": [sample["problem"], sample["sample"]],
        }
        self._lines.append(line)
        self._view(line)

    def close(self) -> None:
        """Ends both files."""
        self._lines.close()
        self._events.close()

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _view(self, line: Mapping[str, Any]) -> None:
        step, seconds = line["step"], line["time"]
        for name, tag in SCALARS.items():
            if line[name] is not None:
                self._events.scalar(tag, line[name], step, seconds)
        self._events.histogram("lengths", {int(value): count for value, count in line["lengths"].items()}, step, seconds)
        record = self._texts.get(tuple(line["shown"]))
        if record is not None:
            verdict = "right" if record["correct"] else "wrong"
            title = f"**{record['problem']}, sample {record['sample']}: {record['answer']} ({verdict})**"
            self._events.text("samples", f"{title}\n\n{record['text']}", step, seconds)
