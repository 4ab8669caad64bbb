"""`load`: a name, a directory or a file → Model, one leaf at a time.

Each leaf is assembled in numpy in its final dtype (dequantised, cast, axes moved) and handed to `place`, which puts it on
the device or mesh, before the next one is read. So beside the model itself memory holds about one leaf.
"""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.network import Params
from reasoning.models.placement import Placer
from reasoning.models.transformer import abstract_params
from reasoning.weights import catalogue, gguf_config, hf_config, names, orbax
from reasoning.weights.gguf import GgufFile
from reasoning.weights.hub import snapshot
from reasoning.weights.orbax import OrbaxFiles
from reasoning.weights.safetensors import SafetensorsFiles
from reasoning.weights.text_part import TextTensors, text_tensors

_DTYPES = ("float32", "bfloat16", "float16")
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
Place = Callable[[str, np.ndarray], jax.Array]


def load(name: str | os.PathLike, dtype: Any = None, *, mesh: Mesh | None = None, place: Place | None = None) -> Model:
    """Loads a model with its tokenizer.

    Args:
      name: a model of the catalogue ("smollm2-135m-instruct"), "hf:org/name@revision", a directory with config.json and
        safetensors or one that `save` wrote, or a GGUF file.
      dtype: of kernels and embeddings: "float32", "bfloat16" or "float16"; None is bfloat16, "stored" what most of the
        file has (bfloat16 if that is quantised). Norms and biases are always float32.
      mesh: what `reasoning.sharding.make_mesh` returned: the weights stream onto it, tensor by tensor, each device its own
        part, and an engine of this model runs there. None is the default device.
      place: in place of a mesh, (path such as "layers/0/mlp/down/kernel", array) → what to keep as that leaf.

    Raises InputError: unknown name, failed download, broken file, unknown architecture or tensor, a mesh that does not fit.
    """
    stored = dtype == "stored"
    dtype = _dtype("bfloat16" if dtype is None or stored else dtype)
    path, source = _find(name)
    tensors, config = open_weights(path)
    if stored:
        dtype = _dtype(_STORED.get(tensors.quantisation, "bfloat16"))
    place = place if mesh is None else Placer(config, mesh)
    tokenizer = _tokenizer(tensors)  # before the weights, for a vocabulary that cannot be read should cost no wait
    params = read_params(tensors, config, dtype, place)
    return Model(config, params, tokenizer, str(name), f"{source} ({tensors.quantisation})")


def load_tokenizer(name: str | os.PathLike):
    """The tokenizer that `load` gives a model, without reading a weight; of a directory its tokenizer files are enough.

    Raises InputError for an unknown name, a failed download, a vocabulary that cannot be read.
    """
    from reasoning.text.tokenizer import Tokenizer

    path, _ = _find(name)
    return Tokenizer.from_directory(path) if path.is_dir() else _tokenizer(GgufFile(path))


def read_params(tensors, config: ModelConfig, dtype: Any = np.float32, place: Place | None = None) -> Params:
    """The parameter tree of `config` out of what `open_weights` opened, checked tensor by tensor.

    Args:
      place: (path such as "layers/0/mlp/down/kernel", array) → device array; None puts everything on the default device.
        The array is not used again, so `place` may keep it.
    """
    if isinstance(tensors, OrbaxFiles):
        return tensors.restore(abstract_params(config, dtype), place)
    kind = "gguf" if isinstance(tensors, GgufFile) else "hf"
    if config.num_layers > len(tensors.shapes):  # before a table of a corrupt number of layers fills the memory
        raise InputError(f"{tensors.path}: {config.num_layers:,} layers but {len(tensors.shapes)} tensors; fetch it again")
    wanted, shapes = names.placements(config, kind), dict(tensors.shapes)
    if kind == "hf":
        _drop_tied_head(tensors, config, shapes)
    else:
        shapes.pop(gguf_config.ROPE_FREQS, None)
    names.check(shapes, wanted, tensors.origin, config.family)
    return assemble(tensors, wanted, abstract_params(config, dtype), names.axis_sizes(config), place)


def assemble(tensors, wanted, abstract: Params, sizes, place: Place | None = None) -> Params:
    """Fills the tree `abstract` (ShapeDtypeStruct leaves) leaf by leaf; every leaf must be covered by `wanted` entirely."""
    parts: dict[str, list[str]] = {}
    for name, target in wanted.items():
        parts.setdefault(target.leaf, []).append(name)

    def build(key_path, spec):
        path = jax.tree_util.keystr(key_path, simple=True, separator="/")
        pieces = parts.pop(path, [])
        covered = sum(int(np.prod(wanted[name].shape)) for name in pieces)
        if covered != int(np.prod(spec.shape)):
            raise InputError(f"{tensors.path}: parameter {path} {list(spec.shape)} is not covered by {pieces}; extend names.py")
        try:
            with np.errstate(over="raise"):
                array = _leaf(tensors, pieces, wanted, spec, sizes)
        except FloatingPointError:
            raise InputError(f"{tensors.path}: {path} does not fit into {spec.dtype.name}; load it as bfloat16") from None
        return jax.device_put(array) if place is None else place(path, array)

    params = jax.tree_util.tree_map_with_path(build, abstract)
    if parts:
        raise InputError(f"{tensors.path}: the model has no parameter {next(iter(parts))}; remove its row from names.py")
    return params


def _leaf(tensors, pieces, wanted, spec, sizes) -> np.ndarray:
    """One leaf in its final dtype; a tensor that already lies as the leaf does is not copied again."""
    target = wanted[pieces[0]]
    if len(pieces) == 1 and target.file_axes == target.leaf_axes:
        return tensors.read(pieces[0], spec.dtype).reshape(spec.shape)
    leaf = np.empty(spec.shape, spec.dtype)
    for name in pieces:
        target = wanted[name]
        array = names.rearrange(tensors.read(name, spec.dtype), target.file_axes, target.leaf_axes, sizes)
        names.slot_view(leaf, target.slot)[...] = array
    return leaf


def _find(name: str | os.PathLike) -> tuple[Path, str]:
    """Local path of what the user named, and a line that says where it came from."""
    if isinstance(name, str):
        if name.startswith("hf:"):
            return snapshot(name.removeprefix("hf:"))
        known = catalogue.read_manifest()
        if name in known:
            if known[name].kind != "model":
                raise InputError(f"{name!r} is a {known[name].kind} artefact, not a model; `load` takes models")
            return catalogue.fetch(name)
    path = Path(name).expanduser()
    if not path.exists():
        models = ", ".join(sorted(entry.name for entry in catalogue.read_manifest().values() if entry.kind == "model"))
        raise InputError(f"{name!s} is neither a path nor a model of the catalogue; choose {models}, or hf:org/name")
    return path, str(path)


def open_weights(path: Path) -> tuple[GgufFile | SafetensorsFiles | TextTensors | OrbaxFiles, ModelConfig]:
    """Opens a directory or a GGUF file and reads its configuration; no tensor is read yet. Raises InputError."""
    if orbax.is_checkpoint(path):
        return OrbaxFiles(path), orbax.read_config(path)
    if path.is_dir():
        config = hf_config.read_config(path)
        tensors = text_tensors(SafetensorsFiles(path))
        if config.language_head and names.VALUE_HEAD in tensors.shapes:  # TRL's config.json does not tell
            config = dataclasses.replace(config, num_labels=1, score_bias=True)
        return tensors, config
    if path.suffix == ".safetensors":
        raise InputError(f"{path}: load the directory that holds this file, its config.json and its tokenizer.json")
    tensors = GgufFile(path)
    return tensors, gguf_config.read_config(tensors)


def _tokenizer(tensors: GgufFile | SafetensorsFiles | TextTensors | OrbaxFiles):
    from reasoning.text.tokenizer import Tokenizer  # converters that only move weights need no tokenizer library

    if isinstance(tensors, GgufFile):
        return Tokenizer.from_gguf(tensors.metadata)
    return Tokenizer.from_directory(tensors.path)


def _drop_tied_head(tensors: SafetensorsFiles | TextTensors, config: ModelConfig, shapes: dict[str, tuple[int, ...]]) -> None:
    """Tied models are sometimes saved with their head as well: it must be a copy of the embedding, bit for bit."""
    head, embedding = "lm_head.weight", "model.embed_tokens.weight"
    if not (config.language_head and config.tie_embeddings) or head not in shapes or embedding not in shapes:
        return
    if shapes[head] != shapes[embedding] or not np.array_equal(tensors.read(head), tensors.read(embedding)):
        raise InputError(
            f"{tensors.origin(head)}: tensor {head!r} differs from {embedding!r}, expected a copy because "
            'config.json ties them; set "tie_word_embeddings": false if the head is its own'
        )
    del shapes[head]


def _dtype(dtype: Any) -> np.dtype:
    try:
        found = np.dtype(jax.numpy.dtype(dtype))
    except TypeError:
        found = None
    if found is None or found.name not in _DTYPES:
        raise InputError(f"dtype {dtype!r} is not supported for weights; choose one of {', '.join(_DTYPES)}")
    return found
