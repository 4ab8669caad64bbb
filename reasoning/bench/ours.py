"""Our engine on the clock: what `Engine.generate` takes, with the filling of the slots apart.

Axis legend: `B` slots, `P` prompt length.
"""

import dataclasses
import functools
import time

import jax
import numpy as np

from reasoning.bench.contest import Timing
from reasoning.decode.engine import STANDARD, Engine
from reasoning.decode.requests import Request
from reasoning.models.model import Model

GREEDY = {"temperature": 0.0, "stop_ids": []}


class ClockedEngine(Engine):
    """An engine that waits for each of its set-up programs and adds up the seconds they take.

    Attributes:
      setup_seconds: spent on making room, prefill and admission so far.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.setup_seconds, self._clocked_rooms = 0.0, {}

    def programs(self, bucket, chain=STANDARD, teams=None, plan=None):
        """As the engine's, with a clock around what runs before the first decode step."""
        made = super().programs(bucket, chain, teams, plan)
        return dataclasses.replace(made, empty=functools.partial(self._clocked, made.empty))

    def entrance(self, chain, programs, prompt_length):
        """As the engine's, with a clock around all of it."""
        room, admit = super().entrance(chain, programs, prompt_length)
        if room.size not in self._clocked_rooms:
            names = ("empty", "prefill", "fork")
            clocked = {name: functools.partial(self._clocked, getattr(room, name)) for name in names}
            self._clocked_rooms[room.size] = dataclasses.replace(room, **clocked)
        return self._clocked_rooms[room.size], functools.partial(self._clocked, admit)

    def tables(self):
        """The text tables as they are now, on the device."""
        return jax.device_put(self._builder.build())

    def _clocked(self, program, *args):
        begin = time.perf_counter()
        out = jax.block_until_ready(program(*args))
        self.setup_seconds += time.perf_counter() - begin
        return out


class Ours:
    """The contestant: one row a prompt, greedy, no stop ids, the standard chain with everything that it can do."""

    def __init__(self, model: Model, prompts: np.ndarray, new: int):
        self.name = "ours"
        self.engine = ClockedEngine(model, max_slots=len(prompts))
        self._requests = [Request(id=str(row), tokens=ids.tolist()) for row, ids in enumerate(prompts)]
        self._new = new

    def decode(self) -> Timing:
        """All that `generate` takes, the host's part too, less what it takes to get the prompts into their slots."""
        before, begin = self.engine.setup_seconds, time.perf_counter()
        responses = list(self.engine.generate(self._requests, max_tokens=self._new, **GREEDY))
        seconds = time.perf_counter() - begin - (self.engine.setup_seconds - before)
        return Timing(seconds, self._new, np.stack([r.tokens for r in sorted(responses, key=lambda r: int(r.id))]))

    def prefill(self) -> float:
        """Of `generate` as a whole with one new token: like the others, it ends with the first token of every row."""
        begin = time.perf_counter()
        list(self.engine.generate(self._requests, max_tokens=1, **GREEDY))
        return time.perf_counter() - begin

    def close(self) -> None:
        """Nothing outlives the object."""
