"""The compiled decode loop with all slots occupied, without the engine around it: for pieces too small for the engine's clock.

Axis legend: `B` slots, `P` prompt length, `W` rows of the waiting room.
"""

import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from reasoning.bench.ours import ClockedEngine
from reasoning.decode.admission import all_knobs
from reasoning.decode.base import Chain
from reasoning.decode.engine import STANDARD
from reasoning.decode.plan import bucket_of, read_plan
from reasoning.decode.programs import blank_admission
from reasoning.decode.waiting import Room


class Loop:
    """Prompts prefilled once; each `fill` copies them into fresh slots.

    Args:
      engine: with at least B slots. prompts: int32[B, P]. new: the cache has room for so many new tokens.
      chain: the stages.
    """

    def __init__(self, engine: ClockedEngine, prompts: np.ndarray, new: int, chain: Chain = STANDARD):
        self.engine, self._prompts, self._chain, self._new = engine, prompts, chain, new
        self._params = engine.model.params
        self._bucket = bucket_of(read_plan(engine.plan), prompts.shape[1] + new, engine.model.config.context)
        self.programs = engine.programs(self._bucket, chain)
        self.waiting, self._admit = engine.entrance(chain, self.programs, prompts.shape[1])
        width = self.waiting.rows
        self._rooms = [self._prefill(prompts[row : row + width]) for row in range(0, len(prompts), width)]

    def fill(self, knobs: Mapping[str, Any]):
        """Slots in which row b stands at the end of prompt b, with `knobs` in every row."""
        tables, specs = self.engine.tables(), all_knobs(self._chain)
        slots, length, row = self.programs.empty(tables), self._prompts.shape[1], 0
        for room in self._rooms:
            admission = blank_admission(self._chain, self.programs.rows, self._bucket)
            for index in range(min(self.waiting.rows, len(self._prompts) - row)):
                admission.source[row], admission.prompt_length[row] = index, length
                admission.tokens[row, :length], admission.sample[row] = self._prompts[row], row
                for name, value in knobs.items():
                    admission.knobs[name][row] = specs[name].fill(name, value)
                row += 1
            slots = self._admit(slots, room.cache, jax.device_put(admission), tables)
        return slots

    def ready(self, knobs: Mapping[str, Any]) -> tuple:
        """What `run` takes, on the device; a run donates the slots, so each needs its own."""
        arguments = (self._params, self.fill(knobs), self.engine.tables(), jax.device_put(np.int32(self._new)))
        return jax.block_until_ready(arguments)

    def run(self, arguments: tuple) -> float:
        """Seconds of the `new` decode steps of all rows."""
        begin = time.perf_counter()
        _, report = jax.block_until_ready(self.programs.decode(*arguments))
        seconds = time.perf_counter() - begin
        assert int(report.steps) >= self._new, "rows ended early, so this would time nothing"
        return seconds

    def seconds(self, knobs: Mapping[str, Any]) -> float:
        """Of the `new` decode steps of all rows, the filling of the slots apart."""
        return self.run(self.ready(knobs))

    def _prefill(self, prompts: np.ndarray) -> Room:
        room = Room(self.waiting, self._params)
        room.fill(list(prompts))
        return room
