"""TensorBoard event files, written by hand: `tensorboard.summary.Writer` knows scalars only, and all else needs TensorFlow."""

import contextlib
import math
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

from reasoning.records import readable_errors


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
