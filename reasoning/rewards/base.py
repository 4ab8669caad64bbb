"""What a scorer is to a search: pure functions whose state moves with the slots.

A round of a search decodes until enough problems have a new step in all their rows, scores these in one compiled call, selects,
and gathers policy and scorer alike. What a scorer remembers is its *carry*, so a row is never read twice.

    carry = init(rows, length)                              rows × what one row needs, all zero
    carry = begin(params, prompt, n, carry)                 the question, once a prompt
    score, carry = score(params, new, n, ended, carry)      one step of every row
    carry = gather(carry, parents)                          rows move with their slots
    carry = rollback(carry, small)                          a lookahead is forgotten; no cache is copied

Axis legend: `B` rows, `T` new tokens, `P` problems, `W` rows per problem.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import PartitionSpec

from reasoning.errors import InputError
from reasoning.models import cache

Carry = Any


class Cached(NamedTuple):
    """State of rows in two parts, every leaf with the slot axis first.

    Attributes:
      kv: append-only: what lies behind a row's position is masked, so an older position makes it the older state.
      small: everything else, positions included.
    """

    kv: Any
    small: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Scorer:
    """Scores prefixes of responses, step by step. Higher is better; whether a score is a probability or a log-probability each
    scorer documents. A score that is not a number is an error (`check_scores`).

    Attributes:
      name: of the scorer, in records and tables.
      params: pytree of arrays; an argument of compiled programs, never closed over.
      init: (rows, length) → a carry with room for `length` of the scorer's tokens in each row.
      begin: (params, prompt int32[B, T], n int32[B], carry) → carry that has read the question part; rows with n = 0 keep theirs.
      score: (params, new int32[B, T], n int32[B], ended bool[B], carry) → (float32[B] score of the prefix so far, carry). `new`
        are one step's tokens, `n` of them in each row; `ended` says whose response is complete. Rows with n = 0 keep their carry
        and get their last score. Markers that a format wants are inserted here. NaN where a row's room is used up.
      encode: None where the scorer reads the policy's own ids; else (texts of steps, first=False) → their ids, on the host:
        the scorer has a tokenizer of its own. `first` says that they are the first steps of their responses.
      question: None where `begin` reads the policy's prompt ids; else question text → ids for `begin`, on the host.
      extra: tokens at most that `score` inserts for a step, so that room can be planned.
      context: tokens that a row may hold at most; 0 is any number.
      flops: (tokens that a row holds, new tokens, scores read off them) → analytic FLOPs.
      peek: (params, slots) → float32[B], scores of the rows as they stand in the policy's own slots, for one token a read; None
        where there is no such way. Where there is, a search keeps no carry and asks for nothing else.
      partition: of the leaves of a carry's `kv`, where the scorer lies on a mesh; None is whole on each device.
    """

    name: str
    params: Any
    init: Callable[[int, int], Carry]
    begin: Callable[[Any, jax.Array, jax.Array, Carry], Carry]
    score: Callable[[Any, jax.Array, jax.Array, jax.Array, Carry], tuple[jax.Array, Carry]]
    encode: Callable[..., list[list[int]]] | None = None
    question: Callable[[str], list[int]] | None = None
    extra: int = 0
    context: int = 0
    flops: Callable[[int, int, int], float] = lambda held, new, reads: 0.0
    peek: Callable[[Any, Any], jax.Array] | None = None
    partition: PartitionSpec | None = None

    @property
    def reads(self) -> bool:
        """Whether a search has it read tokens, with a carry of its own."""
        return self.peek is None


def gather(carry: Carry, parents: jax.Array) -> Carry:
    """Row b becomes a copy of row `parents[b]`: int32[n], or int32[P, W] within each of P groups of consecutive rows."""
    return cache.gather(carry, parents)


def rollback(now: Cached, small: Any) -> Cached:
    """The carry as it was when its `small` was kept, from the one of `now`: later keys and values lie behind its position."""
    return Cached(now.kv, small)


def check_scores(name: str, scores: np.ndarray, rows: Sequence[str]) -> None:
    """Raises InputError if a score is not finite. `rows` says of each what it is ("problem 'p1', sample 3")."""
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        at = int(bad[0])
        raise InputError(
            f"scorer {name!r} gave {np.asarray(scores)[at]} for {rows[at]}; check its weights and format, "
            "and whether its context holds the whole response"
        )
