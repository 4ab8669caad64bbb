"""`bench.py search`: what batching problems, and reading each step once, are worth to a search with a process reward model.

    batched     all problems together, swapped when they are done, against one problem after the other; same engine, same samples
    scoring     each step read once, against the whole text read anew after every step (with no padding, which favours it)
    outside     share of a batched search that is spent neither on decoding nor on scoring

The reward model is the policy's own body with a random head: what it says is of no use, what it costs is that of a real one.

Axis legend: `B` rows, `T` tokens of a step.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from reasoning.bench import workload
from reasoning.bench.pairing import interleave, ratio
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.models.model import Model
from reasoning.rewards import prm
from reasoning.rewards.base import Scorer
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching
from reasoning.train.prm import with_score_head

PROBLEMS, WIDTHS = 32, (4, 8)
STEP, STEPS = 16, 4  # tokens of a step, steps of a response
SCORED = 8  # rows of the scoring contest


def search(model: Model, prompt: int, slots: int, rounds: int) -> dict[str, Any]:
    """Beam search of 32 problems at N = 4 and 8, prompts of `prompt` tokens, `slots` rows at once; then the scoring contest.

    Returns {"batched": [entry per N], "scoring": entry}; ratios are (median, low, high) by round.
    """
    scorer = prm.make(with_score_head(model, 1, 0), "own", policy=model)
    return {
        "batched": [batched(model, scorer, width, prompt, max(slots, width), rounds) for width in WIDTHS],
        "scoring": scoring(scorer, model, prompt, rounds),
    }


def batched(model: Model, scorer: Scorer, width: int, prompt: int, slots: int, rounds: int) -> dict[str, Any]:
    """{"n", "seconds" of both, "speedup", "outside"} of a search of width N over all problems."""
    prompts = workload.prompts(PROBLEMS, prompt, model.tokenizer, model.config.vocab_size)
    requests = [Request(id=str(i), tokens=ids.tolist(), n=width) for i, ids in enumerate(prompts)]
    knobs = {"temperature": 0.7, "stop_ids": [], "step_tokens": STEP, "max_tokens": STEP * STEPS}
    setting = Clocked(Searching(Beam(beam_width=2), width, STEP, STEPS, scorer=scorer))
    together, alone = Engine(model, max_slots=slots), Engine(model, max_slots=width)

    def run(engine: Engine, calls: list[list[Request]]) -> float:
        begin = time.perf_counter()
        for call in calls:
            list(engine.generate(call, group=setting, **knobs))
        return time.perf_counter() - begin

    shares: list[float] = []

    def all_at_once() -> float:
        setting.seconds = 0.0
        seconds = run(together, [requests])
        shares.append(1 - setting.seconds / seconds)
        return seconds

    contestants = {"batched": all_at_once, "one by one": lambda: run(alone, [[request] for request in requests])}
    seconds = interleave(contestants, rounds)
    outside = sorted(shares[-rounds:])
    return {
        "n": width,
        "slots": slots,
        "seconds": seconds,
        "speedup": list(ratio(seconds["one by one"], seconds["batched"])),
        "outside": [outside[len(outside) // 2], outside[0], outside[-1]],
    }


@dataclasses.dataclass
class Clocked:
    """A search whose decoding and scoring are waited for and timed; `seconds`: of both so far, prefill included."""

    setting: Searching
    seconds: float = 0.0

    def __call__(self, model, programs, entrance, *rest):
        """As `Searching.__call__`."""

        def clocked_entrance(length: int):
            room, admit = entrance(length)
            names = ("empty", "prefill", "fork")
            kept = {name: self._clocked(getattr(room, name)) for name in names}
            return rooms.setdefault(room.size, dataclasses.replace(room, **kept)), admit

        rooms: dict[int, Any] = {}
        group = self.setting(model, programs, clocked_entrance, *rest)
        arena = group.arena
        for name in ("_decode", "_score", "enter"):  # a reward model reads its prompts where problems enter
            setattr(arena, name, self._clocked(getattr(arena, name), lambda: (arena.slots, arena.paths, arena.carry)))
        return group

    def check(self, *rest):
        """As `Searching.check`."""
        self.setting.check(*rest)

    def plan(self, *rest):
        """As `Searching.plan`."""
        return self.setting.plan(*rest)

    @property
    def teams(self):
        """As `Searching.teams`."""
        return self.setting.teams

    def _clocked(self, program: Callable, state: Callable[[], Any] = tuple) -> Callable:
        """`program`, waited for with what it leaves in `state()`: what a call returns may be done before that is."""

        @functools.wraps(program)
        def run(*args):
            begin = time.perf_counter()
            out = jax.block_until_ready((program(*args), state()))[0]
            self.seconds += time.perf_counter() - begin
            return out

        return run


def scoring(scorer: Scorer, model: Model, prompt: int, rounds: int) -> dict[str, Any]:
    """{"rows", "steps", "tokens" and "seconds" of both, "speedup"} of reading steps of responses to prompts of that length."""
    question = workload.prompts(SCORED, prompt, model.tokenizer, model.config.vocab_size)
    steps = workload.prompts(SCORED, STEP * STEPS, model.tokenizer, model.config.vocab_size, seed=1)
    begin, score = jax.jit(scorer.begin), jax.jit(scorer.score, donate_argnums=4)
    counts = functools.partial(np.full, SCORED, dtype=np.int32)
    ended, length = np.zeros(SCORED, bool), prompt + STEP * STEPS

    def asked():
        return begin(scorer.params, question, counts(prompt), scorer.init(SCORED, length))

    def once() -> float:
        started, carry = time.perf_counter(), asked()
        for k in range(STEPS):
            found, carry = score(scorer.params, steps[:, k * STEP : (k + 1) * STEP], counts(STEP), ended, carry)
        jax.block_until_ready(found)
        return time.perf_counter() - started

    def anew() -> float:
        started = time.perf_counter()
        for k in range(STEPS):
            found, _ = score(scorer.params, steps[:, : (k + 1) * STEP], counts((k + 1) * STEP), ended, asked())
            jax.block_until_ready(found)
        return time.perf_counter() - started

    seconds = interleave({"each step once": once, "whole text": anew}, rounds)
    return {
        "rows": SCORED,
        "steps": STEPS,
        "tokens": {
            "each step once": SCORED * (prompt + STEP * STEPS),
            "whole text": SCORED * sum(prompt + (k + 1) * STEP for k in range(STEPS)),
        },
        "seconds": seconds,
        "speedup": list(ratio(seconds["whole text"], seconds["each step once"])),
    }
