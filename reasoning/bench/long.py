"""`bench.py long`: 64 answers of lognormal length with a tail of the whole context, through an engine fitted to them.

What is set aside for keys and values, over what the answers fill in the end, summed over the bucket groups; and tokens/s.
"""

import time
from typing import Any

from reasoning.bench import workload
from reasoning.bench.ours import GREEDY
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.models.model import Model

SIGMA = 1.2  # of the logarithm of the lengths
TAIL = 3  # requests that fill the context


def long(model: Model, count: int, slots: int, prompt: int, median: int) -> dict[str, Any]:
    """Runs `count` requests once, TAIL of them to the end of the context, the rest lognormal (median, σ) below it.

    Returns requests, tokens written, seconds, groups as (bucket, rows), `allocated` and `used` cache positions.
    """
    longest = model.config.context - prompt
    lengths = workload.lognormal_lengths(count - TAIL, median, SIGMA, min(8, median), longest) + [longest] * TAIL
    prompts = workload.prompts(count, prompt, model.tokenizer, model.config.vocab_size)
    requests = [
        Request(id=str(index), tokens=ids.tolist(), max_tokens=length)
        for index, (ids, length) in enumerate(zip(prompts, lengths, strict=True))
    ]
    engine = Engine(model, max_slots=slots)
    engine.fit(requests)
    begin = time.perf_counter()
    written = sum(len(response.tokens) for response in engine.generate(requests, **GREEDY))
    seconds = time.perf_counter() - begin - engine.compile_seconds
    allocated, used = engine.cache_use
    groups = [(bucket, rows) for bucket, rows in engine.plan["rows"]]
    return {
        "requests": count,
        "longest": max(lengths),
        "tokens": written,
        "seconds": seconds,
        "groups": groups,
        "allocated": allocated,
        "used": used,
    }
