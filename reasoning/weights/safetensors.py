"""Safetensors: one file, or shards listed by `model.safetensors.index.json`, opened lazily and read tensor by tensor."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from reasoning.errors import InputError

INDEX = "model.safetensors.index.json"
_FLOATS = ("F64", "F32", "F16", "BF16")


class SafetensorsFiles:
    """The weights of a directory in the format of Hugging Face.

    Attributes:
      path: the directory.
      shapes: tensor name → shape.
      types: tensor name → safetensors dtype name ("BF16").
    """

    quantisation = property(lambda self: max(self._bytes, key=self._bytes.get, default="empty"))

    def __init__(self, path: str | Path):
        """Reads the headers of all files. Raises InputError if one is missing, broken or contradicts the index."""
        self.path = Path(path)
        self.shapes, self.types, self._files, self._bytes = {}, {}, {}, {}
        listed = self._index()
        for file in sorted(set(listed.values())) if listed else [self._single()]:
            self._open(self.path / file)
        for name, file in listed.items():
            if name not in self._files or self._files[name][0].name != file:
                raise InputError(f"{self.path / INDEX}: tensor {name!r} is not in {file}; fetch the files again")

    def read(self, name: str, dtype: Any = np.float32) -> np.ndarray:
        """One tensor cast to `dtype`, in memory of its own."""
        return self._files[name][1].get_tensor(name).astype(dtype, copy=False)

    def origin(self, name: str) -> str:
        """The file that holds tensor `name`, for error messages."""
        return str(self._files[name][0]) if name in self._files else str(self.path)

    def _index(self) -> dict[str, str]:
        file = self.path / INDEX
        if not file.exists():
            return {}
        try:
            listed = dict(json.loads(file.read_text("utf-8"))["weight_map"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}: not an index of safetensors ({error!r}); fetch it again") from error
        if outside := [shard for shard in listed.values() if Path(str(shard)).name != shard]:
            raise InputError(f"{file}: shard {outside[0]!r} lies outside of the directory; fetch the files again")
        return listed

    def _single(self) -> str:
        files = sorted(file.name for file in self.path.glob("*.safetensors"))
        if "model.safetensors" in files:
            return "model.safetensors"
        if len(files) != 1:
            raise InputError(f"{self.path}: holds {len(files)} safetensors files and no {INDEX}; put model.safetensors there")
        return files[0]

    def _open(self, file: Path) -> None:
        try:
            handle = safetensors.safe_open(file, framework="numpy")
            names = list(handle.keys())
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(f"{file}: missing, truncated or corrupt safetensors ({error}); fetch it again") from error
        for name in names:
            if name in self._files:
                raise InputError(f"{file}: tensor {name!r} is also in {self._files[name][0].name}; keep one of the files")
            piece = handle.get_slice(name)
            if piece.get_dtype() not in _FLOATS:
                raise InputError(
                    f"{file}: tensor {name!r} has type {piece.get_dtype()}, expected one of {', '.join(_FLOATS)}; "
                    "quantised checkpoints are read from GGUF"
                )
            self._files[name] = (file, handle)
            self.shapes[name], self.types[name] = tuple(piece.get_shape()), piece.get_dtype()
            self._bytes[piece.get_dtype()] = self._bytes.get(piece.get_dtype(), 0) + math.prod(piece.get_shape())
