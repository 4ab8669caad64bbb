"""`bench.py forcing`: budget forcing as a whole, by our engine and by the loop of s1's README over transformers' `generate`.

Both cut and prolong the same thoughts: s1's delimiters, `waits` suppressed ends with "Wait", greedy, one batch. The loop
generates round by round; a round lasts until its last row has stopped, and reads every prompt anew.

Source: github.com/simplescaling/s1, README (budget of all rounds together) and evaluation harness (what is appended).
"""

import time
from pathlib import Path
from typing import Any, NamedTuple

from reasoning.bench import workload
from reasoning.bench.pairing import interleave, ratio
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.decode.thinking import CHAIN
from reasoning.errors import InputError
from reasoning.methods.budget_forcing import FORMS, Texts
from reasoning.weights.load import load

DTYPES = {"transformers": "bfloat16", "transformers-f32": "float32"}  # of both, by the name of the peer
ANSWER = 16  # tokens of an answer at most


class Marks(NamedTuple):
    """Token ids of s1's delimiters: what stops a thought, and what is appended."""

    stops: tuple[int, ...]
    opening: list[int]
    wait: list[int]
    closing: list[int]
    tail: list[int]
    end: tuple[int, ...]


def marks(tokenizer: Any) -> Marks:
    """Raises InputError for a vocabulary without them."""
    form = FORMS["s1"]
    texts = (form.opening, "Wait", form.closing, form.tail)
    ids = [tokenizer.encode(text, bos=False) for text in texts]
    (stop,) = form.stops
    if len(tokenizer.encode(stop, bos=False)) != 1:
        raise InputError(f"this model has no token {stop!r}; measure with another, such as smollm2-135m-instruct")
    return Marks((*tokenizer.encode(stop, bos=False), *tokenizer.stop_ids), *ids, tuple(tokenizer.stop_ids))


def controls(engine: Engine, budget: int, waits: int) -> dict[str, Any]:
    """Knobs of s1's form for prompts that hold its opening already, greedy."""
    form = FORMS["s1"]
    knobs = Texts(form, "Wait", None)(engine) | {"max_thinking": budget, "num_ignore": waits, "temperature": 0.0}
    del knobs["forced_start"]
    return knobs | {"thinking_start": engine.pattern(form.start), "thinking_end": engine.pattern(form.end)}


def forcing(gguf: Path, dtype: str, batch: int, prompt: int, budget: int, waits: int, threads: int, rounds: int) -> dict:
    """Seconds of both for `batch` prompts, tokens written, and theirs over ours (median, low, high) by round.

    Args:
      gguf, dtype: the model of both.
    Raises ImportError without transformers, InputError for a model without s1's marks.
    """
    from reasoning.bench import peers_transformers

    model = load(str(gguf), dtype)
    found = marks(model.tokenizer)
    prompts = [ids.tolist() + found.opening for ids in workload.prompts(batch, prompt, model.tokenizer, model.config.vocab_size)]
    theirs = peers_transformers.load(gguf, threads, dtype)
    engine = Engine(model, max_slots=batch)
    knobs = controls(engine, budget, waits)
    requests = [Request(id=str(index), tokens=ids) for index, ids in enumerate(prompts)]
    limit = budget + len(found.tail) + ANSWER
    written: dict[str, int] = {}

    def ours() -> float:
        begin = time.perf_counter()
        written["ours"] = sum(len(r.tokens) for r in engine.generate(requests, chain=CHAIN, max_tokens=limit, **knobs))
        return time.perf_counter() - begin

    def readme() -> float:
        begin = time.perf_counter()
        texts = peers_transformers.think(theirs, prompts, found, budget, waits, ANSWER)
        written["transformers"] = sum(len(text) - len(ids) for text, ids in zip(texts, prompts, strict=True))
        return time.perf_counter() - begin

    seconds = interleave({"ours": ours, "transformers": readme}, rounds)
    return {
        "dtype": dtype,
        "batch": batch,
        "budget": budget,
        "waits": waits,
        "tokens": written,
        "seconds": seconds,
        "theirs_over_ours": list(ratio(seconds["transformers"], seconds["ours"])),
    }
