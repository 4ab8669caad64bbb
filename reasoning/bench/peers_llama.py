"""llama.cpp on the clock, through the C interface of llama-cpp-python: all rows in one `llama_decode`.

Two choices in its favour: a cache of its own for each sequence (`kv_unified=False`; one shared cache makes it up to six
times slower), and the clock runs during `llama_decode` alone, not while the next tokens are chosen from the logits.
"""

import ctypes
import time
from pathlib import Path

import llama_cpp
import numpy as np

from reasoning.bench.contest import Timing
from reasoning.errors import InputError

_UBATCH = 512  # tokens of prefill at once: llama.cpp's default


@llama_cpp.llama_log_callback
def _silent(level, text, data):
    pass


def load(path: Path):
    """The model of a GGUF file, with logging off. Raises InputError."""
    llama_cpp.llama_log_set(_silent, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise InputError(f"llama.cpp cannot load {path}; delete it to have it written again")
    return model


class LlamaCpp:
    """The contestant; see the module."""

    def __init__(self, model, name: str, prompts: np.ndarray, new: int, threads: int):
        self.name, self._new, self._prompts = name, new, prompts
        rows, length = prompts.shape
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = rows * (-(-(length + new) // 256) * 256), rows
        params.n_batch, params.n_ubatch = max(_UBATCH, rows), _UBATCH
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified, params.no_perf = False, True
        self._vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self._context = llama_cpp.llama_init_from_model(model, params)
        if not self._context:
            raise InputError(f"llama.cpp makes no context for {rows} sequences of {length + new} tokens; lower --batch")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        self._first = self._read_prompts()

    def close(self) -> None:
        """Frees the context; the contestant cannot run any more."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)

    def decode(self) -> Timing:
        """`new − 1` steps: the first token comes out of prefill."""
        rows, length = self._prompts.shape
        for row in range(rows):
            llama_cpp.llama_memory_seq_rm(self._memory, row, length, -1)
        tokens, seconds, everyone = [self._first], 0.0, np.arange(rows)
        for step in range(self._new - 1):
            seconds += self._run(tokens[-1], np.full(rows, length + step), everyone, np.ones(rows, bool))
            tokens.append(self._argmax(rows))
        return Timing(seconds, self._new - 1, np.stack(tokens, 1))

    def prefill(self) -> float:
        """Seconds to read all prompts, with logits of the last position of each."""
        begin = time.perf_counter()
        self._read_prompts()
        return time.perf_counter() - begin

    def _read_prompts(self) -> np.ndarray:
        """int32[B]: the first new token of each row."""
        llama_cpp.llama_memory_clear(self._memory, False)
        first, (rows, length) = np.zeros(len(self._prompts), np.int32), self._prompts.shape
        for row in range(rows):
            for start in range(0, length, _UBATCH):
                part = self._prompts[row, start : start + _UBATCH]
                at = start + np.arange(len(part))
                self._run(part, at, np.full(len(part), row), at == length - 1)
            first[row] = self._argmax(1)[0]
        return first

    def _run(self, tokens, positions, sequences, wanted) -> float:
        """Seconds of one `llama_decode`; `wanted` says which tokens get logits."""
        batch, count = self._batch, len(tokens)
        batch.n_tokens = count
        for i in range(count):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(tokens[i]), int(positions[i]), 1
            batch.seq_id[i][0], batch.logits[i] = int(sequences[i]), int(wanted[i])
        begin = time.perf_counter()
        status = llama_cpp.llama_decode(self._context, batch)
        llama_cpp.llama_synchronize(self._context)
        seconds = time.perf_counter() - begin
        if status:
            raise RuntimeError(f"llama_decode returned {status}")
        return seconds

    def _argmax(self, rows: int) -> np.ndarray:
        pointer = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (rows, self._vocab)).argmax(-1).astype(np.int32)
