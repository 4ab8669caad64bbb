"""The compiled programs of one search in the slots of one bucket, each made ahead of time as the engine's are.

On a mesh ("data" 1: rows are not split) the slots lie as decoding has them, the scorer's keys and values as the scorer says,
and everything else whole on every device.

Axis legend: `P` problems, `B` slots, `T` tokens of a step.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from reasoning.decode.base import Chain
from reasoning.decode.slots import Slots
from reasoning.decode.spread import ALONE, WHOLE, Spread
from reasoning.rewards.base import Cached, Scorer
from reasoning.search.base import Search
from reasoning.search.lookahead import look
from reasoning.search.rounds import Entry, Shape, choose, empty, enter, judge, window, without_cache
from reasoning.sharding import mesh_of


class Rounds:
    """Made for one search, shape of it and bucket; arguments as the functions of `reasoning.search.rounds` have them.

    Attributes:
      empty() → (paths, carry, problems). window(small, paths). judge(params, small, seen, ids, paths, carry (donated)).
      look(small). keep(small part of a carry) → its copy.
      choose(slots (donated), tables, paths, latest, carry (donated), problems, ready); donated but on a CPU.
      placed(params of the scorer) → the same on the mesh, if there is one.
      compile_seconds: spent here so far.
    """

    def __init__(
        self,
        search: Search,
        scorer: Scorer | None,
        chain: Chain,
        shape: Shape,
        slots: Slots,
        tables,
        ids: int,
        spread: Spread = ALONE,
    ):
        """slots, tables: shapes, or arrays of such. ids: tokens of a step at most as the scorer spells it, T'."""
        self.compile_seconds = 0.0
        self.length = slots.tokens.shape[1] if scorer is None else room(scorer, search, shape, slots.tokens.shape[1], ids)
        self._scorer, self._search, self._shape, self._spread = scorer, search, shape, spread
        self._enters: dict[int, Callable] = {}
        params = None if scorer is None else self.placed(scorer.params)
        batch, whole = slots.done.shape[0], spread(WHOLE)
        small, like = without_cache(slots), lambda *args: spread.place(jax.eval_shape(*args), WHOLE)
        partition = (scorer and scorer.partition) or WHOLE
        kept = Cached(spread(partition), whole)
        self._held = whole, kept, whole  # how paths, carry and problems lie

        make = lambda: empty(scorer, search, shape, batch, self.length)  # noqa: E731
        paths, carry, problems = like(make)
        carry = carry._replace(kv=spread.place(carry.kv, partition))
        stepped = lambda small, paths: window(small, paths, shape)  # noqa: E731
        seen = like(stepped, small, paths)
        read = like(lambda: (jnp.zeros((batch, ids), jnp.int32), jnp.zeros(batch, jnp.int32)))
        judged = lambda *args: judge(scorer, *args)  # noqa: E731
        chosen = lambda *args: choose(search, chain, shape, *args)  # noqa: E731

        self.empty = self._compile(make, out=self._held)
        self.window = self._compile(stepped, small, paths, out=whole)
        looked = small if scorer is None or scorer.reads else slots
        self.judge = self._compile(judged, params, looked, seen, read, paths, carry, donate=(5,), out=(whole, kept))
        held = slots, tables, paths, paths.latest, carry, problems, seen.ready
        # In place rows are copied twice, aside and back. A CPU sets all leaves aside at once: donating saves no memory there and
        # costs twice the seconds. Elsewhere memory is what a search runs out of.
        place = () if jax.default_backend() == "cpu" else (0, 4)
        self.choose = self._compile(chosen, *held, donate=place, out=(spread.slots, *self._held, whole))
        if search.rollout:
            self.look = self._compile(lambda small: look(small, search.rollout_temperature), small, out=whole)
            self.keep = self._compile(lambda small: jax.tree.map(jnp.copy, small), carry.small, out=whole)

    def placed(self, params):
        """`params` of the scorer, those on another device than the mesh's copied to each of its devices."""
        mesh, whole = self._spread.mesh, self._spread(WHOLE)
        return params if mesh is None else jax.tree.map(lambda x: x if mesh_of(x) == mesh else jax.device_put(x, whole), params)

    def enter(self, params, paths, carry, problems, entry: Entry):
        """`enter`, its carry donated, compiled for each length of `entry.prompts`."""
        size = entry.prompts.shape[1]
        if size not in self._enters:
            made = lambda *args: enter(self._scorer, self._search, self._shape, *args, self.length)  # noqa: E731
            self._enters[size] = self._compile(made, params, paths, carry, problems, entry, donate=(2,), out=self._held)
        return self._enters[size](params, paths, carry, problems, entry)

    def _compile(self, function, *args, donate=(), out=None):
        begin = time.perf_counter()
        compiled = jax.jit(function, donate_argnums=donate, out_shardings=out).lower(*args).compile()
        self.compile_seconds += time.perf_counter() - begin
        return compiled


def room(scorer: Scorer, search: Search, shape: Shape, size: int, ids: int) -> int:
    """Tokens of the scorer for a row of `size` tokens of the policy: its own spelling of a step, and markers behind each.

    At most its context: behind that it scores NaN, which is an error, and not something it was never trained on.
    """
    steps = shape.rounds + search.rollout + 1
    most = size * max(1, -(-ids // shape.step_tokens)) + scorer.extra * steps
    return min(most, scorer.context or most)
