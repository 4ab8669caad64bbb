"""The rows of all problems under search on the device, and the dispatches that move them: `enter` and `round`.

A round reads nothing from the device. Two lengths of time matter to buffers: what a program takes for good (donated: slots,
the scorer's carry) and what must outlive a lookahead (everything small). So a rollout starts from copies of what is small and
takes the caches with it; on the way back the caches come along and the small things are those of before.

Axis legend: `P` problems, `W` rows per problem, `B` slots.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from reasoning.decode.programs import Programs
from reasoning.decode.slots import rollback
from reasoning.models.model import Model
from reasoning.rewards import base
from reasoning.rewards.base import Scorer
from reasoning.search.programs import Rounds
from reasoning.search.rounds import Choice, Entry, Window, without_cache
from reasoning.search.spelling import step_ids


class Report(NamedTuple):
    """What one round did; the host reads it whenever it likes.

    Attributes:
      window, choice: of the round. scores: float32[B], of the prefixes as they are. emitted: int32[B], model steps since the
        last round, whether the row's problem is ready or not.
      looked: int32[B] of each step of a rollout. read: int32[B] of each call of the scorer, tokens of the steps it read.
    """

    window: Window
    choice: Choice
    scores: jax.Array
    emitted: jax.Array
    looked: list[jax.Array]
    read: list[jax.Array]


class Arena:
    """Slots, paths, the scorer's carry and the problems' state; all of them arrays on the device."""

    def __init__(self, model: Model, programs: Programs, rounds: Rounds, scorer: Scorer | None, rollout: int, tables):
        self._model, self._programs, self._rounds, self._scorer = model, programs, rounds, scorer
        self._rollout, self._tables = rollout, tables
        self._params = None if scorer is None else rounds.placed(scorer.params)
        self._steps = jax.device_put(np.int32(2 * programs.bucket))  # never reached: a row pauses or ends before
        self._everyone = jax.device_put(np.ones(programs.rows, bool))
        self.slots = programs.empty(tables)
        self.paths, self.carry, self._problems = rounds.empty()

    def enter(self, admit, room, admission, entry: Entry) -> None:
        """New problems take the rows that `admission` and `entry` name, both of host arrays."""
        self.slots = admit(self.slots, room, jax.device_put(admission), self._tables)
        held = self.paths, self.carry, self._problems
        self.paths, self.carry, self._problems = self._rounds.enter(self._params, *held, jax.device_put(entry))

    def round(self) -> Report:
        """Expand, score, look ahead if the search does, select, gather."""
        emitted = self._decode()
        seen, read = self._score()
        own, looked, reads = self.paths.latest, [], [read]
        latest = self._look(looked, reads) if self._rollout else own
        held = self.slots, self._tables, self.paths, latest, self.carry, self._problems, seen.ready
        self.slots, self.paths, self.carry, self._problems, choice = self._rounds.choose(*held)
        return Report(seen, choice, own, emitted, looked, reads)

    def _decode(self) -> jax.Array:
        self.slots, report = self._programs.decode(self._model.params, self.slots, self._tables, self._steps)
        return report.emitted

    def _score(self) -> tuple[Window, jax.Array]:
        small = without_cache(self.slots)
        seen = self._rounds.window(small, self.paths)
        ids = step_ids(self._scorer, self._model.tokenizer, seen, self.paths)
        looked = small if self._scorer is None or self._scorer.reads else self.slots
        self.paths, self.carry = self._rounds.judge(self._params, looked, seen, ids, self.paths, self.carry)
        return seen, ids[1]

    def _look(self, looked: list, reads: list) -> jax.Array:
        """float32[B], the scores where rollouts end; afterwards everything up to `length` is as it was."""
        saved, paths, small = self.slots, self.paths, self._rounds.keep(self.carry.small)
        ahead = self._rounds.look(without_cache(saved))
        self.slots = dataclasses.replace(ahead, cache=saved.cache)
        for step in range(self._rollout):
            if step:
                self.slots = self._programs.resume(self.slots, self._everyone)
            looked.append(self._decode())
            reads.append(self._score()[1])
        latest = self.paths.latest
        self.slots, self.paths = rollback(self.slots, saved), paths
        self.carry = base.rollback(self.carry, small)
        return latest
