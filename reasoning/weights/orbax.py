"""Our own layout: the parameter tree in an Orbax checkpoint, its configuration and the tokenizer's files beside it.

    reasoning.json      {"config": fields of ModelConfig}
    params/             Orbax, a nested dict with the names of our tree
    tokenizer.json …    as in a Hugging Face directory

It keeps every configuration and every bit, and is restored straight onto a mesh. Orbax takes three seconds to import, so it is
imported where it is needed.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig, RopeScaling
from reasoning.models.model import Model
from reasoning.models.network import Params
from reasoning.weights import export

_CONFIG, _PARAMS = "reasoning.json", "params"
_TYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


def write(model: Model, path: Path, progress: export.Progress) -> None:
    """Writes the directory `path`. Raises InputError."""
    from orbax.checkpoint import v1 as ocp

    path.mkdir()
    if model.tokenizer is not None:
        model.tokenizer.save(path, model.config.context)
    (path / _CONFIG).write_text(json.dumps({"config": dataclasses.asdict(model.config)}, indent=2) + "\n", "utf-8")
    ocp.save(path.resolve() / _PARAMS, model.params)
    progress(sum(leaf.nbytes for leaf in jax.tree.leaves(model.params)))


def is_checkpoint(path: Path) -> bool:
    """Whether `path` is a directory of this layout."""
    return (path / _CONFIG).is_file() and (path / _PARAMS).is_dir()


def read_config(path: Path) -> ModelConfig:
    """ModelConfig of a directory of this layout. Raises InputError."""
    file = path / _CONFIG
    try:
        values = dict(json.loads(file.read_text("utf-8"))["config"])
        scaling = values.pop("rope_scaling")
        values["local_layers"] = tuple(values["local_layers"])
        return ModelConfig(**values, rope_scaling=None if scaling is None else RopeScaling(**scaling))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not the configuration of a model ({error!r}); save the model again") from error


class OrbaxFiles:
    """The parameters of a directory of this layout.

    Attributes:
      path: the directory.
      shapes: path in our tree → shape.
      quantisation: type of most of the weights ("BF16").
    """

    def __init__(self, path: str | Path):
        """Reads what is stored, no array yet. Raises InputError for what Orbax does not recognise."""
        from orbax.checkpoint import v1 as ocp

        self.path = Path(path)
        try:
            if not (stored := export.flat(ocp.metadata(self.path.resolve() / _PARAMS).metadata)):
                raise ValueError("it lists no parameter")
            self.shapes = {name: tuple(entry.shape) for name, entry in stored.items()}
            sizes: dict[str, int] = {}
            for entry in stored.values():
                name = np.dtype(entry.dtype).name
                sizes[name] = sizes.get(name, 0) + math.prod(entry.shape)
        except Exception as error:  # Orbax and its storage raise errors of many kinds
            raise self._broken(error) from error
        largest = max(sizes, key=sizes.get)
        self.quantisation = _TYPES.get(largest, largest)

    def restore(self, abstract: Params, place: Any = None) -> Params:
        """The tree `abstract` (ShapeDtypeStruct leaves) in its dtypes.

        Args:
          place: as in `read_params`. With a `reasoning.models.placement.Placer` that stores every head once, Orbax reads each
            device's part alone; else the whole tree passes through the host.

        Raises InputError: another tree than `abstract`, a damaged checkpoint.
        """
        from orbax.checkpoint import v1 as ocp

        export.check_tree(self.shapes, export.shapes(abstract), f"{self.path}: ")
        direct = place is None or getattr(place, "copies", 0) == 1
        alone = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

        def target(path: str, spec: jax.ShapeDtypeStruct) -> Any:
            if not direct:
                return np.empty(spec.shape, spec.dtype)
            sharding = alone if place is None else place.sharding(path, spec.shape)
            return jax.ShapeDtypeStruct(spec.shape, spec.dtype, sharding=sharding)

        try:
            params = ocp.load(self.path.resolve() / _PARAMS, _mapped(target, abstract))
        except Exception as error:  # as above
            raise self._broken(error) from error
        return params if direct else _mapped(place, params)

    def _broken(self, error: Exception) -> InputError:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        return InputError(f"{self.path / _PARAMS}: not a complete Orbax checkpoint ({reason}); save the model again")


def _mapped(function, tree: Params) -> Params:
    """`function(path, leaf)` over a tree."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(jax.tree_util.keystr(path, simple=True, separator="/"), leaf), tree
    )
