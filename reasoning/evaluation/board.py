"""Progress of a run: `metrics.jsonl` is the truth, TensorBoard a view of it that can be made again at any time.

A step is a number of finished samples, so a resumed run goes on where the killed one stopped and no step comes twice:
lines beyond what `generations.jsonl` holds are dropped, and the event file is written anew from the lines that stay.

Events are protos written by hand: `tensorboard.summary.Writer` knows scalars only, and everything else needs TensorFlow.
"""

import contextlib
import math
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

from reasoning.evaluation.records import Lines, dumps, readable_errors, write_atomic

# Name in metrics.jsonl → tag, whose first part is the section in which TensorBoard shows the curve.
SCALARS = {
    "accuracy": "accuracy/so_far",
    "accuracy_low": "accuracy/interval_low",
    "accuracy_high": "accuracy/interval_high",
    "tokens_per_second": "engine/tokens_per_second",
    "live_slots": "engine/live_slots",
}


class Events:
    """A TensorBoard event file, written in the caller's thread so that a full disk is seen where it can be reported."""

    def __init__(self, directory: Path):
        """Replaces the event files in `directory` by one new, empty file. Raises InputError when it cannot be written."""
        self.directory = directory
        with readable_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            for old in directory.glob("events.out.tfevents.*"):
                old.unlink()
            path = directory / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
            self._file = path.open("wb")
        self._writer = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int, seconds: float) -> None:
        """One point of a curve, at `seconds` since the epoch."""
        self._summary(Summary.Value(tag=tag, simple_value=value), step, seconds)

    def histogram(self, tag: str, counts: Mapping[int, int], step: int, seconds: float) -> None:
        """Counts by value, both whole numbers; buckets are the values themselves, thinned to powers of 2^(1/4)."""
        if not counts:
            return
        values = np.repeat(list(counts), list(counts.values())).astype(float)
        edges = np.unique(np.ceil(2 ** np.arange(0, math.log2(max(values.max(), 1)) + 0.5, 0.25)))
        bucket, _ = np.histogram(values, [-np.inf, *(edges + 0.5), np.inf])
        limits = [*edges, float(edges[-1]) + 1]
        histogram = HistogramProto(
            min=values.min(),
            max=values.max(),
            num=len(values),
            sum=values.sum(),
            sum_squares=(values**2).sum(),
            bucket_limit=limits,
            bucket=bucket.astype(float).tolist(),
        )
        self._summary(Summary.Value(tag=tag, histo=histogram), step, seconds)

    def text(self, tag: str, text: str, step: int, seconds: float) -> None:
        """A text, shown as Markdown."""
        plugin = SummaryMetadata.PluginData(plugin_name="text")
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode("utf-8", "replace")], tensor_shape=shape)
        self._summary(Summary.Value(tag=tag, tensor=tensor, metadata=SummaryMetadata(plugin_data=plugin)), step, seconds)

    def image(self, tag: str, png: bytes, step: int, seconds: float) -> None:
        """A picture."""
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))  # of the header of a PNG file
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        self._summary(Summary.Value(tag=tag, image=image), step, seconds)

    def close(self) -> None:
        """Ends the file."""
        with contextlib.suppress(OSError):  # of a full disk, which was reported when the event was written
            self._file.close()

    def _summary(self, value: Summary.Value, step: int, seconds: float) -> None:
        self._write(Event(wall_time=seconds, step=step, summary=Summary(value=[value])))

    def _write(self, event: Event) -> None:
        with readable_errors(self.directory):
            self._writer.write(event.SerializeToString())
            self._writer.flush()  # a viewer looks while the run goes on


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
