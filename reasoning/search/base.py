"""The contract of a search: which prefixes of a problem go on, and how often.

A round decodes until enough problems have all their rows at the end of a step, scores these, and asks the search for one
number a row: how many copies of it go on. A row that is complete is one copy of itself for ever, so it keeps its slot and its
score, is never expanded again, and W rows give exactly W final responses. From the counts follow the parents: a row that goes
on stays in its slot, and its further copies take the slots of the rows that do not.

    slot       0    1    2    3        counts   [0, 3, 1, 0]
    before     a    b    c   (d)       parents  [1, 1, 2, 1]      b stays, and its copies take the places of a and d
    after      b    b    c    b        copies   [1, 0, 0, 2]      copy 0 keeps its parent's key and goes on as it would have

Functions here are written for one problem; `reasoning.search.rounds` vmaps them over the problems.

Axis legend: `P` problems, `W` rows per problem, `R` steps at most, `S` cache length.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from reasoning.errors import InputError

# Domains of randomness, beside DRAW and FORK of `reasoning.decode.slots`: a search's own draws, and rollouts.
SELECT, LOOKAHEAD = 0x05E1, 0x10A4

AGGREGATIONS = ("last", "min", "prod", "mean")


class Rows(NamedTuple):
    """The rows of one problem at the end of a round; a search reads what it needs.

    Attributes:
      live: bool[W], may go on. done: bool[W], complete. A row is one or the other.
      reason: int32[W], STOP_* code of `reasoning.decode.slots`.
      length, prompt_length: int32[W]. tokens: int32[W, S].
      steps: int32[W], steps of the row so far; starts: int32[W, R], length at which each of them began.
    """

    live: jax.Array
    done: jax.Array
    reason: jax.Array
    length: jax.Array
    prompt_length: jax.Array
    tokens: jax.Array
    steps: jax.Array
    starts: jax.Array


class Selection(NamedTuple):
    """What a search decides.

    Attributes:
      counts: int32[W], copies of each row that go on, W in all; 1 for a complete row.
      length: int32[W], length to which a row is cut before it is copied, or None: nothing is ever cut. A complete row that is
        cut lives again.
    """

    counts: jax.Array
    length: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class Search:
    """A way to select among the prefixes of a problem. Static and hashable, so that equal settings are one compiled program.

    Attributes:
      rollout: steps that every live row looks ahead before it is scored; see `reasoning.search.lookahead`.
      rollout_temperature: of these steps; 0 is greedy.
    """

    rollout: int = 0
    rollout_temperature: float = 0.0

    def __post_init__(self):
        if not isinstance(self.rollout, int) or isinstance(self.rollout, bool) or self.rollout < 0:
            raise InputError(f"lookahead is a whole number of steps ≥ 0, got {self.rollout!r}")
        if not 0.0 <= self.rollout_temperature <= 1000.0:
            raise InputError(f"the temperature of a rollout must lie in [0, 1000], got {self.rollout_temperature!r}")

    @property
    def cuts(self) -> bool:
        """Whether `select` takes text back; rows are then scored by the policy alone, since no other scorer can unread."""
        return False

    def check(self, width: int) -> None:
        """Raises InputError if `width` rows a problem cannot be searched so."""

    def init(self, width: int) -> Any:
        """State for one problem of `width` rows."""
        return ()

    def select(self, scores: jax.Array, rows: Rows, key: jax.Array, state: Any) -> tuple[Selection, Any]:
        """float32[W] scores, higher is better → (Selection, state). Consumes `key`, the problem's own in this round."""
        return Selection(jnp.ones_like(rows.length)), state


def check_split(name: str, width: int, beam: int) -> None:
    """Raises InputError unless `beam` M is a whole number that divides the `width` N."""
    if not isinstance(beam, int) or isinstance(beam, bool) or beam < 1:
        raise InputError(f"{name}: the beam width M must be a whole number ≥ 1, got {beam!r}")
    if width < beam:
        raise InputError(f"{name}: {width} rows are fewer than the beam width {beam}; raise n or lower beam_width")
    if width % beam:
        raise InputError(f"{name}: {width} rows are no multiple of the beam width {beam}; choose n = {width // beam * beam}")


def best(scores: jax.Array, live: jax.Array, keep: jax.Array) -> jax.Array:
    """counts int32[W] of the `keep` int32[] best live rows sharing all live slots as evenly as can be, better ones first.

    Ties go to the lower slot. Complete rows count 1; with no live row nothing changes.
    """
    order = jnp.lexsort((-scores, ~live))  # stable; live rows first, whatever their scores
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(order.size))
    total = live.sum()
    keep = jnp.clip(keep, 1, jnp.maximum(total, 1))
    share = total // keep + (rank < total % keep)
    return jnp.where(live, jnp.where(rank < keep, share, 0), 1).astype(jnp.int32)


def parents_of(counts: jax.Array) -> jax.Array:
    """counts int32[W] → parents int32[W]: who goes on stays in its slot, and its further copies fill those that are free."""
    slots = jnp.arange(counts.size)
    extra = jnp.repeat(slots, jnp.maximum(counts - 1, 0), total_repeat_length=counts.size)
    free = counts == 0
    return jnp.where(free, extra[jnp.cumsum(free) - 1], slots).astype(jnp.int32)


def copies_of(parents: jax.Array) -> jax.Array:
    """parents int32[W] → int32[W], rank among the siblings of one parent: 0 in the parent's own slot, the others by slot."""
    slots = jnp.arange(parents.size)
    earlier = (parents[None, :] == parents[:, None]) & (slots[None, :] < slots[:, None]) & (slots != parents)[None, :]
    stays = parents[parents] == parents  # the parent keeps its own slot
    return jnp.where(parents == slots, 0, earlier.sum(1) + stays).astype(jnp.int32)


def aggregate(how: str, history: jax.Array, steps: jax.Array, latest: jax.Array) -> jax.Array:
    """float32[W]: one score from those of a row's steps, `history` float32[W, R] of which `steps` int32[W] are filled.

    `latest` float32[W] stands for the last of them (a lookahead has it from further on), and for all of them where no step was
    scored. prod and mean want probabilities and log-probabilities; they take what comes.
    """
    if how == "last":
        return latest
    index = jnp.arange(history.shape[1])[None]
    values = jnp.where(index == steps[:, None] - 1, latest[:, None], history)
    used = index < steps[:, None]
    if how == "min":
        out = jnp.where(used, values, jnp.inf).min(1)
    elif how == "prod":
        out = jnp.where(used, values, 1.0).prod(1)
    else:
        out = jnp.where(used, values, 0.0).sum(1) / jnp.maximum(steps, 1)
    return jnp.where(steps > 0, out, latest)
