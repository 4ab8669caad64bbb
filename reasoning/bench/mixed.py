"""`bench.py mixed`: answers of very different lengths, with continuous batching and in static batches.

Static: the requests in groups of as many as there are slots, each group run to the end of its longest answer before the
next one starts. Both are the same engine, the same compiled programs and the same tokens; what differs is what stands
in a slot whose answer is finished. All requests have one cache capacity, since nobody knows beforehand where an answer ends.
"""

import statistics
import time
from collections.abc import Sequence

import numpy as np

from reasoning.bench import workload
from reasoning.bench.ours import GREEDY
from reasoning.bench.pairing import interleave, ratio
from reasoning.decode.engine import Engine
from reasoning.decode.plan import make_plan
from reasoning.decode.requests import Request
from reasoning.errors import InputError
from reasoning.models.model import Model

SIGMA = 0.8  # of the logarithm of the lengths


def mixed(model: Model, count: int, slots: int, prompt: int, median: int, longest: int, rounds: int) -> dict:
    """Compares the two on `count` requests with lognormal lengths (median, σ = 0.8, clipped to 4 … longest).

    Returns tokens/s of both, `speedup` (median, low, high) by round, and `bound`: the ratio of decode steps that the lengths
    allow when refilling costs nothing. Raises InputError if the two do not write the same tokens.
    """
    lengths = workload.lognormal_lengths(count, median, SIGMA, min(4, median), longest)
    prompts = workload.prompts(count, prompt, model.tokenizer, model.config.vocab_size)
    requests = [
        Request(id=str(index), tokens=ids.tolist(), max_tokens=length)
        for index, (ids, length) in enumerate(zip(prompts, lengths, strict=True))
    ]
    engine = Engine(model, plan=make_plan(0, slots, smallest_bucket=prompt + longest).to_json())
    written: dict[str, dict[str, np.ndarray]] = {}

    def run(name: str, groups: Sequence[Sequence[Request]]) -> float:
        begin = time.perf_counter()
        responses = [response for group in groups for response in engine.generate(group, **GREEDY)]
        seconds = time.perf_counter() - begin
        written[name] = {response.id: response.tokens for response in responses}
        return seconds

    static = [requests[first : first + slots] for first in range(0, count, slots)]
    runs = {"continuous": lambda: run("continuous", [requests]), "static": lambda: run("static", static)}
    seconds = interleave(runs, rounds)
    check_same(written["continuous"], written["static"])
    tokens = sum(lengths)
    return {
        "requests": count,
        "slots": slots,
        "tokens": tokens,
        **{f"{name}_tokens_per_second": tokens / statistics.median(seconds[name]) for name in runs},
        "speedup": list(ratio(seconds["static"], seconds["continuous"])),
        "bound": static_steps(lengths, slots) / continuous_steps(lengths, slots),
    }


def check_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    """Raises InputError naming the first request whose tokens differ."""
    for name in sorted(a.keys() | b.keys(), key=int):
        if name not in a or name not in b or not np.array_equal(a[name], b[name]):
            raise InputError(f"request {name} has other tokens in a static batch; that is a bug, please report it")


def static_steps(lengths: Sequence[int], slots: int) -> int:
    """Decode steps of groups in the given order, each as long as its longest."""
    return sum(max(lengths[first : first + slots]) for first in range(0, len(lengths), slots))


def continuous_steps(lengths: Sequence[int], slots: int) -> int:
    """Decode steps when each free slot takes the next request at once."""
    ends = [0] * slots
    for length in lengths:
        ends[ends.index(min(ends))] += length
    return max(ends)
