"""A stratified sample, where the next filter is too dear for the whole pool."""

from collections import defaultdict
from collections.abc import Iterable

from reasoning.data.curation.why import Why, family_of, lot
from reasoning.data.traces import Trace
from reasoning.errors import InputError


def drop(traces: Iterable[Trace], size: int = 4000, seed: int = 0) -> dict[str, Why]:
    """Drops all but `size`, drawn with `seed`; families and domains keep their shares (largest remainders). 0 drops none.

    Raises InputError for a negative size.
    """
    if size < 0:
        raise InputError(f"sample: size is {size}; it is a number of traces, 0 for all")
    strata = defaultdict(list)
    for trace in traces:
        strata[family_of(trace), trace.domain].append(trace.id)
    total = sum(map(len, strata.values()))
    if not size or total <= size:
        return {}
    room = {key: divmod(size * len(ids), total) for key, ids in strata.items()}
    left = size - sum(whole for whole, _ in room.values())
    favoured = sorted(room, key=lambda key: (-room[key][1], key))[:left]
    out = {}
    for key, ids in strata.items():
        for name in sorted(ids, key=lambda name: lot(seed, name))[room[key][0] + (key in favoured) :]:
            out[name] = Why("not in the sample")
    return out
