"""Questions that are almost there already: Jaccard similarity of their runs of five words and signs, found by MinHash.

Similarity 0.8 over five-grams is the threshold of Lee et al. 2022 (arXiv 2107.06499, section 4.2). What MinHash finds is checked
exactly, so nothing below the threshold goes; of pairs right at it 0.3 % are not found (`reasoning.data.curation.minhash`).
Not for generated pools, where all questions of a template are alike.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from reasoning.data.curation import minhash
from reasoning.data.curation.normal import runs, tokens
from reasoning.data.curation.why import Why
from reasoning.data.traces import Trace
from reasoning.errors import InputError

SLACK = 0.1  # four standard errors of an estimate


def drop(traces: Iterable[Trace], similarity: float = 0.8, shingle: int = 5) -> dict[str, Why]:
    """Drops a trace whose question is at least `similarity` like that of one that stays; the first by id stays.

    Args:
      similarity: of the sets of runs of `shingle` words and signs, from 0 (exclusive) to 1.
    Raises InputError for settings outside their range.
    """
    if not 0 < similarity <= 1 or shingle < 1:
        raise InputError(f"near_duplicates: similarity {similarity} is in (0, 1] and shingle {shingle} at least 1; correct them")
    names, sets, signatures, buckets = [], [], [], defaultdict(list)
    out = {}
    for trace in traces:
        found = minhash.shingles(runs(tokens(trace.question), shingle))
        signature = minhash.signature(found)
        keys = minhash.bands(signature)
        met = np.array(sorted({index for key in keys for index in buckets[key]}), int)
        if len(met):
            alike = np.mean(np.stack([signatures[index] for index in met]) == signature, axis=1)
            met = met[alike >= similarity - SLACK]
        scores = {index: minhash.jaccard(found, sets[index]) for index in met}
        twin = next((index for index, score in scores.items() if score >= similarity), None)
        if twin is not None:
            out[trace.id] = Why("almost repeated question", f"{names[twin]}, similarity {scores[twin]:.3f}")
            continue
        for key in keys:
            buckets[key].append(len(names))
        names.append(trace.id)
        sets.append(found)
        signatures.append(signature)
    return out
