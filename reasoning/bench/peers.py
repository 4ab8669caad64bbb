"""The other programs, as far as they are installed. Their libraries are imported here and in `peers_*` alone, when asked for."""

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reasoning.errors import InputError
from reasoning.home import cache_dir

# Label → the library that must be there. "transformers f32" and Q4_1 (the file as it is) are for information.
PEERS = {
    "transformers": "transformers",
    "transformers-f32": "transformers",
    "llama.cpp": "llama_cpp",
    "llama.cpp-file": "llama_cpp",
}
DEFAULT = ("transformers", "llama.cpp", "llama.cpp-file")

Make = Callable[[np.ndarray, int], Any]


def quiet_threads() -> None:
    """Lets the OpenMP threads of PyTorch and llama.cpp sleep while others run: by default they spin for a while on cores that
    the next contestant needs. To be called before either library is loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def open_peers(wanted: Sequence[str], gguf: Path | None, threads: int, say: Callable[[str], None]) -> dict[str, Make]:
    """{label: make(prompts int32[B, P], new) → contestant} of the wanted peers that can run; one line for each that cannot.

    Args:
      wanted: labels of `PEERS`. gguf: the weights that they read; None: no peer can run. threads: each may use.

    Raises InputError for an unknown label.
    """
    if unknown := sorted(set(wanted) - set(PEERS)):
        raise InputError(f"unknown peer {unknown[0]!r}; choose from {', '.join(PEERS)}")
    made = {}
    for label in wanted:
        if gguf is None:
            say(f"{label}: left out, it reads GGUF files and this model is none")
            continue
        try:
            importlib.import_module(PEERS[label])
        except ImportError as error:
            say(f"{label}: left out, not installed ({error}); pip install -e '.[bench]'")
            continue
        made[label] = _opener(label)(gguf, threads)
    return made


def _opener(label: str) -> Callable[[Path, int], Make]:
    return {
        "transformers": lambda gguf, threads: _transformers(gguf, threads, "bfloat16"),
        "transformers-f32": lambda gguf, threads: _transformers(gguf, threads, "float32"),
        "llama.cpp": lambda gguf, threads: _llama(_bfloat16(gguf), threads, "llama.cpp BF16"),
        "llama.cpp-file": lambda gguf, threads: _llama(gguf, threads, "llama.cpp, file as it is"),
    }[label]


def _transformers(gguf: Path, threads: int, dtype: str) -> Make:
    from reasoning.bench import peers_transformers

    model = peers_transformers.load(gguf, threads, dtype)
    return lambda prompts, new: peers_transformers.Transformers(model, f"transformers {dtype}", prompts, new)


def training_peer(gguf: Path, threads: int, dtype: str) -> Any:
    """transformers' fine-tuning steps from the weights of a GGUF file (`peers_transformers.Training`)."""
    from reasoning.bench import peers_transformers

    return peers_transformers.Training(gguf, threads, dtype)


def _llama(gguf: Path, threads: int, name: str) -> Make:
    from reasoning.bench import peers_llama

    model = peers_llama.load(gguf)
    return lambda prompts, new: peers_llama.LlamaCpp(model, name, prompts, new, threads)


def _bfloat16(gguf: Path) -> Path:
    from reasoning.bench.bfloat16_gguf import bfloat16_copy

    return bfloat16_copy(gguf, cache_dir() / "bench" / f"{gguf.stem}.bf16.gguf")
