"""`bench.py decode` and `prefill`: the same prompts, lengths and weights for ours and for other programs, paired by round.

Axis legend: `B` rows, `P` prompt length.
"""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from reasoning.bench import machine, roofline, workload
from reasoning.bench.contest import Contestant, Timing
from reasoning.bench.loop import Loop
from reasoning.bench.ours import GREEDY, ClockedEngine, Ours
from reasoning.bench.pairing import interleave, ratio
from reasoning.bench.peers import Make
from reasoning.models.model import Model


class Alone:
    """Our compiled loop without the engine around it, as one more contestant: the difference is the host's part."""

    def __init__(self, model: Model, prompts: np.ndarray, new: int):
        self.name, self._new = "ours, loop alone", new
        self._loop = Loop(ClockedEngine(model, max_slots=len(prompts)), prompts, new)

    def decode(self) -> Timing:
        """Of the compiled loop; it keeps its tokens."""
        return Timing(self._loop.seconds(GREEDY), self._new, np.empty((0, self._new), np.int32))

    def close(self) -> None:
        """Nothing outlives the object."""


def decode(model: Model, peers: Mapping[str, Make], batches: Sequence[int], length: int, new: int, rounds: int) -> list[dict]:
    """One entry a batch and contestant, ours first.

    ms_per_step and tokens_per_second: medians over the rounds. ours_over_it: our tokens/s over its, (median, low, high) of
    the rounds. roofline: least possible time of a step over the measured one, with bandwidth and peak measured just before.
    agreement: share of its first 8 tokens a row that are ours, which says that it runs the same model; None for ours.
    """
    entries = []
    for batch in batches:
        prompts = workload.prompts(batch, length, model.tokenizer, model.config.vocab_size)
        here = machine.measure()
        least = roofline.least_seconds(model, here, batch, length + new // 2)
        makers = {"ours": Ours, "loop": Alone} | dict(peers)
        contestants: list[Contestant] = [
            make(model, prompts, new) if make in (Ours, Alone) else make(prompts, new) for make in makers.values()
        ]
        written: dict[str, np.ndarray] = {}

        def run(one, written=written):
            timing = one.decode()
            written[one.name] = timing.tokens
            return timing.seconds / timing.steps

        seconds = interleave({one.name: (lambda one=one: run(one)) for one in contestants}, rounds)
        for one in contestants:
            step = statistics.median(seconds[one.name])
            entries.append(
                {
                    "batch": batch,
                    "contestant": one.name,
                    "ms_per_step": 1e3 * step,
                    "tokens_per_second": batch / step,
                    "ours_over_it": list(ratio(seconds[one.name], seconds["ours"])),
                    "roofline": least / step,
                    "agreement": agreement(written["ours"], written[one.name]),
                    "rounds_ms": [1e3 * value for value in seconds[one.name]],
                    "machine": here.to_json(),
                }
            )
            one.close()
    return entries


def prefill(model: Model, peers: Mapping[str, Make], shapes: Sequence[tuple[int, int]], rounds: int) -> list[dict]:
    """One entry a shape (B, P) and contestant: seconds from prompts to the first token of every row, as tokens/s of prompt."""
    entries = []
    for batch, length in shapes:
        prompts = workload.prompts(batch, length, model.tokenizer, model.config.vocab_size)
        contestants = [Ours(model, prompts, 1), *(make(prompts, 2) for make in peers.values())]
        seconds = interleave({one.name: one.prefill for one in contestants}, rounds)
        for one in contestants:
            entries.append(
                {
                    "batch": batch,
                    "prompt": length,
                    "contestant": one.name,
                    "tokens_per_second": batch * length / statistics.median(seconds[one.name]),
                    "ours_over_it": list(ratio(seconds[one.name], seconds["ours"])),
                    "rounds_seconds": seconds[one.name],
                }
            )
            one.close()
    return entries


def agreement(ours: np.ndarray, theirs: np.ndarray, first: int = 8) -> float | None:
    """Share of equal tokens among the first few of each row; later ones follow from the first that differs. None: kept none."""
    if not len(theirs):
        return None
    return float((ours[:, :first] == theirs[:, :first]).mean())
