"""`save`: a Model → the files of others, or a checkpoint of ours; the inverse of `load`, tensor by tensor.

What is written appears by one rename, when it is complete. This file knows what all formats share: the tensors of a model
under the names of a format, one at a time, and the staging.
"""

import contextlib
import dataclasses
import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.transformer import abstract_params
from reasoning.weights import names
from reasoning.weights.hub import disk_full

# Each module has write(model, path, progress, **options).
_FORMATS = {"hf": "reasoning.weights.hf_export", "gguf": "reasoning.weights.gguf_export", "orbax": "reasoning.weights.orbax"}
FORMATS = tuple(_FORMATS)
Progress = Callable[[int], Any]


def save(model: Model, path: str | os.PathLike, to: str = "hf", *, progress: Progress | None = None, **options: Any) -> Path:
    """Writes a model with its tokenizer where `load` (and others) find it again; returns the path.

    Args:
      path: a directory for "hf" and "orbax", a file for "gguf"; it must not exist yet, or be an empty directory.
      to: "hf" (config.json, safetensors, tokenizer files, for transformers), "gguf" (for llama.cpp) or "orbax" (our own tree).
      progress: called with the number of bytes written since the last call.
      options: of the format: "hf" takes `shard_bytes`, the size above which the weights are split (5 GB).

    Every parameter keeps its dtype (`hf_export` and `gguf_export` say what becomes of norms and biases). Raises InputError:
    unknown format, a path that is taken, a full disk, and a model that the format cannot express.
    """
    if to not in _FORMATS:
        raise InputError(f"unknown format {to!r} to save to; choose one of {', '.join(FORMATS)}")
    target = Path(path).expanduser()
    check_free(target)
    check_tree(shapes(model.params), shapes(abstract_params(model.config)))
    with staged(target) as draft:
        importlib.import_module(_FORMATS[to]).write(model, draft, progress or (lambda count: None), **options)
    return target


def check_free(target: Path) -> None:
    """Raises InputError unless something new can be put at `target`."""
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists already and is never overwritten; remove it, or choose another path")


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A path to write to (nothing is there yet), renamed to `target` in the end; on an error all of it is removed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as error:
        raise InputError(f"cannot write to {target.parent} ({error}); choose another path") from error
    try:
        yield home / target.name
        if target.is_dir():
            target.rmdir()  # an empty one, or else this fails and nothing is lost
        (home / target.name).rename(target)
    except OSError as error:
        if not disk_full(error):
            raise InputError(f"{target} cannot be written ({error}); choose another path") from error
        raise InputError(f"the disk of {target} is full; make room or choose another path") from error
    finally:
        shutil.rmtree(home, ignore_errors=True)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a file before it is made.

    Attributes:
      name: in the file.
      place: shape in the file, and where the parameter has it.
      leaf: the parameter. shift: added to it (a norm's offset that the format has and the model has not, or the reverse).
    """

    name: str
    place: names.Placement
    leaf: Any
    shift: float
    sizes: Mapping[str, int]

    @property
    def nbytes(self) -> int:
        """Size in the dtype of the parameter, bytes."""
        return int(np.prod(self.place.shape)) * np.dtype(self.leaf.dtype).itemsize

    def array(self) -> np.ndarray:
        """The tensor, contiguous."""
        array = names.extract(np.asarray(self.leaf), self.place, self.sizes)
        return np.ascontiguousarray(array + np.asarray(self.shift, array.dtype) if self.shift else array)


def tensors(model: Model, kind: str, norm_offset: float) -> list[Tensor]:
    """All tensors of a file of `kind` ("hf" or "gguf"), layer by layer, whose RMSNorm multiplies by `norm_offset` + scale."""
    leaves, sizes = flat(model.params), names.axis_sizes(model.config)
    found = []
    for name, place in names.placements(model.config, kind).items():
        shift = model.config.norm_offset - norm_offset if place.leaf.endswith("norm/scale") else 0.0
        found.append(Tensor(name, place, leaves[place.leaf], shift, sizes))
    return sorted(found, key=lambda tensor: (_layer(tensor.place.leaf), tensor.place.leaf))


def check_tree(have: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], origin: str = "") -> None:
    """Raises InputError unless the parameters `have` are those that the configuration wants, each with its shape."""
    for path in sorted(have.keys() | wanted.keys()):
        if have.get(path) != wanted.get(path):
            sides = [str(list(side[path])) if path in side else "nothing" for side in (wanted, have)]
            raise InputError(
                f"{origin}parameter {path}: the configuration has {sides[0]}, the model {sides[1]}; "
                "keep parameters and configuration together"
            )


def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """{path: shape} of a tree of arrays."""
    return {path: tuple(leaf.shape) for path, leaf in flat(tree).items()}


def flat(tree: Any) -> dict[str, Any]:
    """{path such as "layers/0/mlp/down/kernel": leaf}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def require_same(read: ModelConfig, config: ModelConfig, form: str) -> None:
    """Raises InputError naming the first field in which what a reader would get (`read`) differs from `config`."""
    for field in dataclasses.fields(ModelConfig):
        ours, theirs = getattr(config, field.name), getattr(read, field.name)
        if ours != theirs:
            raise InputError(
                f"a {config.family} model with {field.name} = {ours!r} has no {form} (it would be read as {theirs!r}); "
                "save it to orbax, which keeps every configuration"
            )


def _layer(leaf: str) -> int:
    found = re.match(r"layers/(\d+)/", leaf)
    return int(found[1]) if found else -1
