"""The model that is measured: one of the catalogue, a file, or random weights."""

from pathlib import Path
from typing import NamedTuple

import reasoning
from reasoning.bench.random_models import random_model
from reasoning.models.model import Model
from reasoning.weights import catalogue


class Measured(NamedTuple):
    """The model, and the GGUF file that peers read the same weights from; None where there is no such file."""

    model: Model
    gguf: Path | None


def open_model(name: str, dtype: str = "bfloat16") -> Measured:
    """`random:SIZE`, or whatever `reasoning.load` takes, in `dtype`. Raises InputError."""
    if name.startswith("random:"):
        return Measured(random_model(name.removeprefix("random:"), dtype=dtype), None)
    path = catalogue.fetch(name).path if name in catalogue.read_manifest() else Path(name).expanduser()
    return Measured(reasoning.load(name, dtype), path if path.suffix == ".gguf" and path.exists() else None)
