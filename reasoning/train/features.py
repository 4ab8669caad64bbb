"""The policy's hidden states at the ends of the steps of labelled responses; what responses have in common is read once.

    how all prompts begin          once
    a problem's prompt             once for all of its responses
    the rest of each response      in chunks of `CHUNK` tokens, so that few shapes are compiled

Axis legend: `B` rows, `T` tokens, `E` ends of steps, `D` model.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.models import cache
from reasoning.models.model import Model
from reasoning.train.examples import Example
from reasoning.train.step_values import Valued

CHUNK = 16  # tokens that all rows read at once
Group = list[list[Valued]]  # some problems, each with its responses


def groups_of(valued: Sequence[Valued], rows: int) -> list[Group]:
    """As many problems at once as fill `rows` rows with their responses, in the order of `valued`."""
    problems = [list(group) for _, group in itertools.groupby(valued, key=lambda one: one.problem)]
    count = max(1, rows // max(map(len, problems)))
    return [problems[at : at + count] for at in range(0, len(problems), count)]


class Reader:
    """Reads groups of responses of one policy."""

    def __init__(self, model: Model, groups: Sequence[Group]):
        """groups: all that will be read; they say what is common, and how much room it takes."""
        every = [one.example for group in groups for problem in group for one in problem]
        self._problems = max(map(len, groups))
        self._rows = self._problems * max(len(problem) for group in groups for problem in group)
        self._length = max(len(one.ids) for one in every)
        self._params, self._forward = model.params, jax.jit(model.network.forward, donate_argnums=3)
        self._gather = jax.jit(cache.gather)
        self._common = common(every)
        empty = model.network.init_cache(self._problems, self._length)
        self._begun, _ = self._read(empty, [every[0].ids[: self._common]] * self._problems, [0] * self._problems)

    def __call__(self, group: Group) -> list[np.ndarray]:
        """float32[E, D] of each response, problem by problem."""
        shared = [common([one.example for one in problem]) for problem in group]
        prompts = [problem[0].example.ids[self._common : end] for problem, end in zip(group, shared, strict=True)]
        held, _ = self._read(jax.tree.map(jnp.copy, self._begun), prompts, [self._common] * len(group))

        places = [place for place, problem in enumerate(group) for _ in problem]
        examples = [one.example for problem in group for one in problem]
        parents = np.zeros(self._rows, np.int32)
        parents[: len(places)] = places
        starts = [shared[place] for place in places]
        rest = [one.ids[start:] for one, start in zip(examples, starts, strict=True)]
        _, hidden = self._read(self._gather(held, parents), rest, starts)
        ends = [np.flatnonzero(one.loss) - start for one, start in zip(examples, starts, strict=True)]
        return [states[those] for states, those in zip(hidden, ends, strict=False)]

    def _read(self, held, rows: Sequence[np.ndarray], starts: Sequence[int]):
        """(the cache `held` after its first rows have read `rows` from positions `starts` on, hidden float32[B, T, D])."""
        batch = jax.tree.leaves(held)[0].shape[0]
        tokens = np.zeros((batch, -(-max(map(len, rows)) // CHUNK) * CHUNK), np.int32)
        positions = np.full(tokens.shape, self._length, np.int32)  # written nowhere
        for row, (ids, start) in enumerate(zip(rows, starts, strict=True)):
            tokens[row, : len(ids)], positions[row, : len(ids)] = ids, start + np.arange(len(ids))
        found = [np.zeros((batch, 0, 0), np.float32)]
        for at in range(0, tokens.shape[1], CHUNK):
            part = slice(at, at + CHUNK)
            hidden, held = self._forward(self._params, tokens[:, part], positions[:, part], held)
            found.append(np.asarray(hidden, np.float32))
        return held, np.concatenate(found[1:] or found, axis=1)


def common(examples: Sequence[Example]) -> int:
    """Tokens that all of them begin with, up to where the first step of any ends."""
    first, shared = examples[0].ids, min(int(np.flatnonzero(one.loss)[0]) for one in examples)
    for one in examples[1:]:
        differ = np.flatnonzero(one.ids[:shared] != first[:shared])
        shared = int(differ[0]) if differ.size else shared
    return shared
