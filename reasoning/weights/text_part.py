"""The text part of a vision-language checkpoint (Gemma 3 from 4B on): a configuration inside another, tensors behind a prefix.

Published files say `language_model.model.layers…` (and `language_model.lm_head`), files of transformers 5
`model.language_model.layers…`; both become the names of a text model. The vision tower and its projector are left in the file.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reasoning.errors import InputError
from reasoning.weights.safetensors import SafetensorsFiles

_NESTED = {"gemma3": "gemma3_text"}  # model_type of the whole → of its text part
_PREFIXES = (("language_model.", ""), ("model.language_model.", "model."))
_VISION = tuple(start + part for start in ("", "model.") for part in ("vision_tower.", "multi_modal_projector."))
# What stands beside text_config and belongs to the text model too; tying is decided here alone.
_OUTER = ("architectures", "id2label", "num_labels", "tie_word_embeddings", "token_classification_bias")
_IMAGES = frozenset(("vision_config", "mm_tokens_per_image", "boi_token_index", "eoi_token_index", "image_token_index"))


def text_config(values: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    """The config.json of the text model inside `values`, or `values` itself if it is not nested.

    Attributes beside `text_config` that concern images are dropped, all others kept for the reader to judge. Raises InputError.
    """
    kind, text = _NESTED.get(str(values.get("model_type"))), values.get("text_config")
    if kind is None:
        return values
    if not isinstance(text, dict) or text.get("model_type", kind) != kind:
        raise InputError(f"{file}: text_config of a {values['model_type']} model must be the configuration of a {kind} model")
    beside = {key: value for key, value in values.items() if key not in _IMAGES and key != "text_config"}
    inner = {key: value for key, value in text.items() if key not in _OUTER}
    classes = [str(name).replace("ForConditionalGeneration", "ForCausalLM") for name in values.get("architectures") or ()]
    return {**beside, **inner, "model_type": kind, "architectures": classes}


class TextTensors:
    """The tensors of the text part under the names of a text model; otherwise what `SafetensorsFiles` is."""

    path = property(lambda self: self._files.path)
    quantisation = property(lambda self: self._files.quantisation)

    def __init__(self, files: SafetensorsFiles):
        """Raises InputError if two tensors get one name."""
        self._files, self._names = files, {}
        for name in files.shapes:
            if name.startswith(_VISION):
                continue
            plain = next((new + name.removeprefix(old) for old, new in _PREFIXES if name.startswith(old)), name)
            if plain in self._names:
                raise InputError(
                    f"{files.origin(name)}: {self._names[plain]!r} and {name!r} are one tensor of the text part; keep one"
                )
            self._names[plain] = name
        self.shapes = {plain: files.shapes[name] for plain, name in self._names.items()}
        self.types = {plain: files.types[name] for plain, name in self._names.items()}

    def read(self, name: str, dtype: Any = np.float32) -> np.ndarray:
        """One tensor cast to `dtype`, in memory of its own."""
        return self._files.read(self._names[name], dtype)

    def origin(self, name: str) -> str:
        """The file that holds tensor `name`, for error messages."""
        return self._files.origin(self._names.get(name, name))


def text_tensors(files: SafetensorsFiles) -> SafetensorsFiles | TextTensors:
    """`files`, seen as a text model's if they hold one behind a prefix."""
    nested = any(name.startswith(old) for name in files.shapes for old, _ in _PREFIXES)
    return TextTensors(files) if nested else files
