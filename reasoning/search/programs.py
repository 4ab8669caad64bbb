"""The compiled programs of one search in the slots of one bucket, each made ahead of time as the engine's are.

Axis legend: `P` problems, `B` slots, `T` tokens of a step.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from reasoning.decode.base import Chain
from reasoning.decode.slots import Slots
from reasoning.rewards.base import Scorer
from reasoning.search.base import Search
from reasoning.search.lookahead import look
from reasoning.search.rounds import Entry, Shape, choose, empty, enter, judge, window, without_cache


class Rounds:
    """Made for one search, shape of it and bucket; arguments as the functions of `reasoning.search.rounds` have them.

    Attributes:
      empty() → (paths, carry, problems). window(small, paths). judge(params, small, seen, ids, paths, carry (donated)).
      look(small). keep(small part of a carry) → its copy.
      choose(slots (donated), tables, paths, latest, carry (donated), problems, ready).
      compile_seconds: spent here so far.
    """

    def __init__(self, search: Search, scorer: Scorer | None, chain: Chain, shape: Shape, slots: Slots, tables, ids: int):
        """slots, tables: shapes, or arrays of such. ids: tokens of a step at most as the scorer spells it, T'."""
        self.compile_seconds = 0.0
        self.length = slots.tokens.shape[1] if scorer is None else room(scorer, search, shape, slots.tokens.shape[1], ids)
        self._scorer, self._search, self._shape = scorer, search, shape
        self._enters: dict[int, Callable] = {}
        params = None if scorer is None else scorer.params
        batch = slots.done.shape[0]
        small, like = without_cache(slots), jax.eval_shape

        make = lambda: empty(scorer, search, shape, batch, self.length)  # noqa: E731
        paths, carry, problems = like(make)
        stepped = lambda small, paths: window(small, paths, shape)  # noqa: E731
        seen = like(stepped, small, paths)
        read = jax.ShapeDtypeStruct((batch, ids), jnp.int32), jax.ShapeDtypeStruct((batch,), jnp.int32)
        judged = lambda *args: judge(scorer, *args)  # noqa: E731
        chosen = lambda *args: choose(search, chain, shape, *args)  # noqa: E731

        self.empty = self._compile(make)
        self.window = self._compile(stepped, small, paths)
        looked = small if scorer is None or scorer.reads else slots
        self.judge = self._compile(judged, params, looked, seen, read, paths, carry, donate=(5,))
        held = slots, tables, paths, paths.latest, carry, problems, seen.ready
        self.choose = self._compile(chosen, *held, donate=(0, 4))
        if search.rollout:
            self.look = self._compile(lambda small: look(small, search.rollout_temperature), small)
            self.keep = self._compile(lambda small: jax.tree.map(jnp.copy, small), carry.small)

    def enter(self, params, paths, carry, problems, entry: Entry):
        """`enter`, its carry donated, compiled for each length of `entry.prompts`."""
        size = entry.prompts.shape[1]
        if size not in self._enters:
            made = lambda *args: enter(self._scorer, self._search, self._shape, *args, self.length)  # noqa: E731
            self._enters[size] = self._compile(made, params, paths, carry, problems, entry, donate=(2,))
        return self._enters[size](params, paths, carry, problems, entry)

    def _compile(self, function, *args, donate=()):
        begin = time.perf_counter()
        compiled = jax.jit(function, donate_argnums=donate).lower(*args).compile()
        self.compile_seconds += time.perf_counter() - begin
        return compiled


def room(scorer: Scorer, search: Search, shape: Shape, size: int, ids: int) -> int:
    """Tokens of the scorer for a row of `size` tokens of the policy: its own spelling of a step, and markers behind each."""
    steps = shape.rounds + search.rollout + 1
    return size * max(1, -(-ids // shape.step_tokens)) + scorer.extra * steps
