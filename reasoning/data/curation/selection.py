"""The last step: a thousand of many, difficult and diverse (Muennighoff et al. 2025, arXiv 2501.19393, Algorithm 1).

    curated  the seeds, then again and again: a domain, uniformly of those that are not empty; in it a trace, by its rank in
             length (longest 0), with weight 2^−rank; without replacement
    random   s1's ablation "1K-random": uniformly
    diverse  "1K-diverse": a domain uniformly, in it a trace uniformly
    longest  "1K-longest"

What programs write is long where the problem is large and where attempts fail, so length draws the largest problems and failures
alone (docs/results.md, "Which traces?"). `keep` names what length may not choose: "tries" keeps the shares of failures.

Each is a function of (traces, lengths, size, seed) and of no order: equal lengths are ranked by id. s1's code differs from its
paper: from 700 on it draws domains in proportion to a mix of benchmarks. This file follows the paper.
"""

import fnmatch
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reasoning.data.curation.why import lot
from reasoning.data.traces import Trace
from reasoning.errors import InputError

Lengths = Mapping[str, int]  # of the thinking, by id
SEEDS = ()
# s1's: right answers to competition and graduate questions, and to MATH if the thinking is long (in tokens of Qwen2.5).
S1_SEEDS = (("*aime*", 0), ("*gpqa*", 0), ("*openaimath*", 5600))


def curated(
    traces: Sequence[Trace],
    lengths: Lengths,
    size: int,
    seed: int,
    seeds: Sequence[tuple[str, int]] = SEEDS,
    keep: str = "",
) -> list[str]:
    """Ids, the seeds first, then in the order of their draw.

    Args:
      seeds: (pattern of the source, length): traces with metadata["correct"], of such a source and longer than that, are taken
        without a draw.
      keep: of the metadata; in each domain its values are drawn with the shares that they have there, and ranks in length are
        those among traces of one value. "" is s1's rule.
    Raises InputError when there are fewer than `size` traces, more seeds, or traces of which `keep` cannot be told.
    """
    enough(traces, size)
    if any(isinstance(trace.metadata.get(keep), list | dict) for trace in traces):
        raise InputError(f"selection: {keep!r} is a list in the metadata, which has no shares; keep a number or a word")
    if keep and (lacking := [trace.id for trace in traces if keep not in trace.metadata]):
        raise InputError(
            f"selection: {len(lacking)} of {len(traces)} traces, {lacking[0]!r} among them, have no {keep!r} in their metadata "
            "whose shares could be kept; name another selection.keep, or none"
        )
    chosen = sorted(trace.id for trace in traces if is_seed(trace, lengths[trace.id], seeds))
    if len(chosen) > size:
        raise InputError(f"selection: the seed rules take {len(chosen)} traces, more than size {size}; narrow them")
    left = _by_domain(traces, lambda name: (-lengths[name], name), keep, without=set(chosen))
    return chosen + _draw(left, size - len(chosen), seed, _geometric)


def random_draw(traces: Sequence[Trace], lengths: Lengths, size: int, seed: int) -> list[str]:
    """Ids, uniformly. Raises InputError when there are fewer than `size` traces."""
    enough(traces, size)
    return sorted((trace.id for trace in traces), key=lambda name: lot(seed, name))[:size]


def diverse(traces: Sequence[Trace], lengths: Lengths, size: int, seed: int) -> list[str]:
    """Ids, uniformly over domains and inside of each. Raises InputError when there are fewer than `size` traces."""
    enough(traces, size)
    left = _by_domain(traces, lambda name: name)
    return _draw(left, size, seed, lambda count, chance: int(count * chance))


def longest(traces: Sequence[Trace], lengths: Lengths, size: int, seed: int) -> list[str]:
    """Ids, the longest first. Raises InputError when there are fewer than `size` traces."""
    enough(traces, size)
    return sorted((trace.id for trace in traces), key=lambda name: (-lengths[name], name))[:size]


ABLATIONS = {"random": random_draw, "diverse": diverse, "longest": longest}


def is_seed(trace: Trace, length: int, seeds: Sequence[tuple[str, int]]) -> bool:
    """Whether one of the rules takes this trace."""
    source = trace.source.lower()
    right = trace.metadata.get("correct") is True
    return right and any(fnmatch.fnmatchcase(source, pattern.lower()) and length > least for pattern, least in seeds)


def _by_domain(
    traces: Sequence[Trace], order: Callable[[str], Any], keep: str = "", without: set[str] = frozenset()
) -> dict[str, list[list[str]]]:
    """{domain: [ids of a value of `keep`, in their order, …]}."""
    left = defaultdict(lambda: defaultdict(list))
    for trace in traces:
        if trace.id not in without:
            left[trace.domain][str(trace.metadata[keep]) if keep else ""].append(trace.id)
    return {domain: [sorted(left[domain][value], key=order) for value in sorted(left[domain])] for domain in sorted(left)}


def _draw(left: dict[str, list[list[str]]], count: int, seed: int, place) -> list[str]:
    """`count` ids; consumes `left`. `place(length of a list, chance)` says which of a list a uniform number means."""
    # Of `random` only random() is the same in all versions of Python, and a seed that is text is hashed the same everywhere.
    chances, domains, out = random.Random(f"selection/{seed}"), list(left), []
    for _ in range(count):
        domain = domains[int(chances.random() * len(domains))]
        parts = left[domain]
        ids = parts[0] if len(parts) == 1 else _by_share(parts, chances.random())
        out.append(ids.pop(place(len(ids), chances.random())))
        left[domain] = [part for part in parts if part]
        if not left[domain]:
            domains.remove(domain)
    return out


def _by_share(parts: list[list[str]], chance: float) -> list[str]:
    """The part that holds the uniform number `chance` if each is as wide as it is long."""
    place = int(chance * sum(map(len, parts)))
    ends = itertools.accumulate(map(len, parts))
    return next(part for part, end in zip(parts, ends, strict=True) if place < end)


def _geometric(count: int, chance: float) -> int:
    """The rank, of 0 … count − 1, whose share of the weights 2^−rank holds the uniform number `chance`."""
    return min(count - 1, int(-math.log2(1 - chance * (1 - 2.0**-count))))


def enough(traces: Sequence, size: int) -> None:
    """Raises InputError when there are fewer than `size` traces."""
    if not 1 <= size <= len(traces):
        raise InputError(
            f"selection: size is {size}, but {len(traces)} traces are left; choose between 1 and that, loosen the filters or "
            "enlarge the pool"
        )
