"""Decontamination of natural language: a question that shares a run of words with an evaluation set goes.

s1 takes runs of 8 normalised words (data/decontaminate_util.py is called with 8). A question of the evaluation set that is
shorter than that counts where a question of the pool is word for word the same.
"""

from collections.abc import Iterable, Sequence

from reasoning.data.curation.families import MOST, refuse_losses
from reasoning.data.curation.normal import runs, words
from reasoning.data.curation.why import Why
from reasoning.data.tasks import Problem
from reasoning.data.traces import Trace
from reasoning.errors import InputError

ADVICE = "its template shares the words: decontaminate generated pools by the filter 'instances', or raise most_lost"


def drop(traces: Iterable[Trace], against: Sequence[Problem], n: int = 8, most_lost: float = MOST) -> dict[str, Why]:
    """Drops traces whose question shares `n` words in a row with a question of `against`.

    Raises InputError if a family of a generated pool (metadata["family"]) loses more than the share `most_lost`.
    """
    if n < 1:
        raise InputError(f"ngrams: n is {n}; it is a number of words, at least 1")
    seen: dict[str, str] = {}
    for problem in against:
        seen |= dict.fromkeys(runs(words(problem.question), n), f"{problem.task}: {problem.id}")
    out, families = {}, []
    for trace in traces:
        hit = next((run for run in runs(words(trace.question), n) if run and run in seen), None)
        if hit is not None:
            out[trace.id] = Why(f"shares {n} words with {seen[hit].partition(': ')[0]}", f"{seen[hit]}, {hit!r}")
        if trace.metadata.get("family"):
            families.append((trace.id, trace.metadata["family"]))
    refuse_losses(families, out, ADVICE, most_lost)
    return out
