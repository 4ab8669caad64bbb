"""Where a run stands: totals, tokens per second, accuracy so far, and the bar that shows them."""

import sys
import time
from typing import Any

from tqdm import tqdm

from reasoning.evaluation.pool import Pool, Record
from reasoning.evaluation.statistics.stats import estimate

RESAMPLES = 1000  # of the interval on the way; the final one is `reasoning.evaluation.reports.scores`'


class Progress:
    """Running totals of a pool, and the bar that shows them."""

    def __init__(self, pool: Pool, engine: Any, label: str, show: bool):
        self._engine, self._compiled, self._begin = engine, engine.compile_seconds, time.monotonic()
        self._fresh = self._right = 0
        self.correct: dict[str, list[bool]] = {}
        self.lengths: list[int] = []
        for old in pool.records.values():
            self._count(old)
        self._resumed = self.step
        self.bar = tqdm(total=pool.total, initial=self.step, desc=label, unit="sample", file=sys.stderr, disable=not show)

    def _count(self, new: Record) -> None:
        self.correct.setdefault(new["problem"], []).append(new["correct"])
        self.lengths.append(new["tokens"])
        self._right += new["correct"]

    @property
    def step(self) -> int:
        """Samples finished."""
        return len(self.lengths)

    @property
    def rate(self) -> float:
        """Tokens per second of this process, without the seconds spent compiling."""
        compiling = self._engine.compile_seconds - self._compiled
        return self._fresh / max(time.monotonic() - self._begin - compiling, 1e-9)

    def add(self, new: Record) -> None:
        """Counts a sample."""
        self._count(new)
        self._fresh += new["tokens"]
        self.bar.set_postfix_str(f"{self.rate:.0f} tok/s, accuracy {self._right / self.step:.3f}", refresh=False)
        self.bar.update()

    def told(self, count: int) -> None:
        """Shows that a method in rounds is at work, by the number of its answers and scores; its samples end together."""
        self.bar.set_postfix_str(f"{count} answers and scores", refresh=False)
        self.bar.update(0)

    def scalars(self) -> dict[str, float]:
        """The metrics of `reasoning.evaluation.board.SCALARS`. Short samples finish first, so early values lean their way."""
        so_far = estimate([sum(grades) / len(grades) for grades in self.correct.values()], resamples=RESAMPLES)
        return {
            "accuracy": so_far.value,
            "accuracy_low": so_far.low,
            "accuracy_high": so_far.high,
            "tokens_per_second": self.rate,
            "live_slots": self._engine.live,
        }

    def session(self) -> dict[str, float]:
        """What this process did: its samples, and its seconds with those of compiling apart."""
        compiling = self._engine.compile_seconds - self._compiled
        return {
            "session_samples": self.step - self._resumed,
            "seconds": round(time.monotonic() - self._begin - compiling, 3),
            "compile_seconds": round(compiling, 3),
        }
