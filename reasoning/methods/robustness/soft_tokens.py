"""Soft tokens: vectors in the span in place of tokens, trained by gradient through the model
(`reasoning.methods.robustness.gradient`).

Source: Zaremba et al. 2025, arXiv 2501.18841, section 3 (white-box embeddings, held-out test problems).

The engine never meets a vector: a model whose vocabulary is longer by S words has the vectors as their embeddings, and the span
holds S characters of Unicode's private use, which are those words to its tokenizer. So a soft prompt is defended against by every
method there is. The words are no ids of the tokenizer, so none is ever sampled; raw log-probabilities have them in their sum.

`S` soft tokens · `D` model · `V` vocabulary
"""

import dataclasses
import functools
import json
import re
import weakref
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request, prompt_ids
from reasoning.errors import InputError
from reasoning.models.model import Model

FIRST, MOST = 0xE000, 4096  # characters that stand for soft tokens, and how many there may be
PURPOSE = ("goal", "rule", "op")
WORDS = re.compile(f"([{chr(FIRST)}-{chr(FIRST + MOST - 1)}])")
_ENGINES: weakref.WeakKeyDictionary[Any, dict[tuple, Engine]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class SoftTokens:
    """The vectors of the file `path`."""

    path: str

    def text(self, target: Mapping[str, Any]) -> str:
        """A character for each vector. Raises InputError for a missing or damaged file."""
        del target
        return words(len(read(self.path)))

    def check(self, target: Mapping[str, Any], ambiguous: bool) -> None:
        """Raises InputError for a goal or a rule of the span that the vectors were not trained for.

        A file that does not say what it is for, as those that were written before it could, fits every attack.
        """
        wanted = {"goal": target["rule"], "rule": rule_of(ambiguous)}
        for name, given in purpose(self.path).items():
            if name in wanted and given != wanted[name]:
                raise InputError(
                    f"{self.path} was trained for the {name} {given!r}, and the attack has {wanted[name]!r}; train soft tokens "
                    f"for it with scripts/train_soft_tokens.py, or attack with the {name} that they are for"
                )

    def engine(self, engine: Engine) -> Engine:
        """The engine whose vocabulary holds the vectors; those of equally many share compiled programs. Raises InputError."""
        vectors = read(self.path)
        model = extended(engine.model, vectors)
        known = _ENGINES.setdefault(engine, {})
        key = (len(vectors), json.dumps(engine.plan, sort_keys=True))
        if key not in known:
            known[key] = Engine(model, plan=engine.plan)
        known[key].model = model
        return known[key]

    def plain(self, requests: Sequence[Request], model: Model) -> list[Request]:
        """The same requests as ids, some known word in place of each vector: for what only asks how long a prompt is."""
        tokenizer = SoftTokenizer(model.tokenizer, model.config.vocab_size)
        size = model.config.vocab_size
        return [
            dataclasses.replace(one, messages=None, tokens=np.minimum(prompt_ids(one, tokenizer, size + MOST), size - 1))
            for one in requests
        ]


class SoftTokenizer:
    """The tokenizer of a model with soft words behind its vocabulary of V: their characters are ids V, V + 1, …"""

    def __init__(self, tokenizer: Any, vocab_size: int):
        self._plain, self._first = tokenizer, vocab_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def encode_chat(self, messages: Sequence[Mapping[str, str]], **extra: Any) -> list[int]:
        """Ids of the rendered conversation."""
        out: list[int] = []
        for piece in WORDS.split(self._plain.render(messages, **extra)):
            if WORDS.fullmatch(piece):
                out.append(self._first + ord(piece) - FIRST)
            elif piece:
                out += self._plain.encode(piece, bos=False)
        return out


def words(count: int) -> str:
    """The characters of `count` soft tokens. Raises InputError for too many."""
    if not 1 <= count <= MOST:
        raise InputError(f"there may be 1 to {MOST} soft tokens, got {count}")
    return "".join(chr(FIRST + index) for index in range(count))


def extended(model: Model, vectors: np.ndarray) -> Model:
    """The model with float32[S, D] as the embeddings of S new words. Raises InputError for vectors that do not fit, or a mesh."""
    config, table = model.config, model.params["embed"]["embedding"]
    if model.mesh is not None:
        raise InputError("soft tokens need a model on one device; run without a mesh")
    if vectors.shape[1] != config.d_model:
        raise InputError(
            f"soft tokens of {vectors.shape[1]} numbers do not fit a model of {config.d_model}; train them on this model"
        )
    rows = jnp.asarray(vectors / (config.embed_scale or 1.0), table.dtype)
    params = {**model.params, "embed": {**model.params["embed"], "embedding": jnp.concatenate([table, rows])}}
    if not config.tie_embeddings:
        kernel = model.params["head"]["kernel"]
        params["head"] = {**model.params["head"], "kernel": jnp.pad(kernel, [(0, len(vectors)), (0, 0)])}
    wider = dataclasses.replace(config, vocab_size=config.vocab_size + len(vectors))
    tokenizer = SoftTokenizer(model.tokenizer, config.vocab_size)
    return dataclasses.replace(model, config=wider, params=params, tokenizer=tokenizer)


def rule_of(ambiguous: bool) -> str:
    """The rule of a span as a file of soft tokens names it."""
    return "ambiguous" if ambiguous else "clear"


@functools.lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> tuple[np.ndarray, dict[str, str]]:
    del changed
    try:
        with np.load(path) as file:
            vectors, said = file["soft"], {name: str(file[name]) for name in PURPOSE if name in file}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} holds no soft tokens; write it with scripts/train_soft_tokens.py") from error
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        raise InputError(f"{path} holds no finite float32 vectors; write it with scripts/train_soft_tokens.py")
    return vectors, said


def read(path: str | Path) -> np.ndarray:
    """float32[S, D] of a file of `scripts/train_soft_tokens.py`. Raises InputError."""
    return _found(path)[0]


def purpose(path: str | Path) -> dict[str, str]:
    """What such a file says it was trained for, of `PURPOSE`: the goal in words, the rule, the problems. Raises InputError."""
    return _found(path)[1]


def _found(path: str | Path) -> tuple[np.ndarray, dict[str, str]]:
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file of soft tokens; write it with scripts/train_soft_tokens.py")
    return _read(path, path.stat().st_mtime_ns)


def make(path: str) -> SoftTokens:
    """path: a file that `scripts/train_soft_tokens.py` has written."""
    return SoftTokens(path)
