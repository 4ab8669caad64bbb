"""The tree that a search grew for one problem: what was written, scored and kept, and what it cost, counted.

A node is the step that one slot wrote in one round. Its tokens were computed once, however many rows go on from it, so they
are charged once: to the first final response that holds them, or, if none does, as discarded to the final response of the
slot that computed them. So over the responses of a problem

    sampled + forced + discarded + lookahead  =  positions that went through the policy after the prompt

Axis legend: `W` rows of the problem.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reasoning.decode.ledger import Ledger
from reasoning.models.config import ModelConfig
from reasoning.models.flops import generated_flops, prefill_flops
from reasoning.rewards.base import Scorer


@dataclasses.dataclass(eq=False)
class Node:
    """One step: its slot, the length at which it began, and tokens kept, of these forced, emitted, looked ahead, and
    read by the scorer in so many reads."""

    slot: int
    start: int
    kept: int
    forced: int
    emitted: int
    looked: int
    read: int
    reads: int


class Tree:
    """Grows by `add`, one call a round.

    Attributes:
      rounds: what `record` shows of each round.
      seconds: of this problem's share of the rounds.
    """

    def __init__(self, name: str, width: int, prompt: int, question: int):
        """prompt: tokens of the policy's prompt. question: tokens that the scorer read of it."""
        self.name, self._width, self._prompt, self._question = name, width, prompt, question
        self.rounds: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._nodes: list[Node] = []
        self._paths: list[list[tuple[Node, int]]] = [[] for _ in range(width)]

    def add(self, seen: Mapping[str, np.ndarray], decode: Callable[[Sequence[int]], str]) -> None:
        """One round: arrays [W, …] named as the fields of `Window` and `Choice`, with emitted, looked, read, reads, scores."""
        texts = []
        for slot in range(self._width):
            fields = (int(seen[name][slot]) for name in ("start", "kept", "forced", "emitted", "looked", "read", "reads"))
            node = Node(slot, *fields)
            self._paths[slot] = shortened(self._paths[slot], node.start + min(node.kept, 0))
            if node.emitted:
                self._nodes.append(node)
                self._paths[slot] = [*self._paths[slot], (node, max(node.kept, 0))]
            texts.append(decode(seen["new"][slot][: int(seen["n"][slot])].tolist()))
        parents = seen["parents"].tolist()
        lengths = seen["length"].tolist()
        self._paths = [shortened(self._paths[parent], length) for parent, length in zip(parents, lengths, strict=True)]
        self.rounds.append(
            {
                "texts": texts,
                "scores": [float(score) for score in seen["scores"]],
                "values": [float(value) for value in seen["value"]],
                "wrote": [bool(emitted) for emitted in seen["emitted"]],
                "complete": [bool(ended) for ended in seen["ended"]],
                "parents": parents,
            }
        )

    def record(self) -> dict[str, Any]:
        """The tree as plain values: in each round, by row, the text that it wrote, its step's score, the value it was selected
        by, whether it wrote at all and is complete; and `parents`, which row of this round each row of the next one continues."""
        return {"problem": self.name, "rows": self._width, "rounds": self.rounds}

    def ledgers(self, policy: ModelConfig, scorer: Scorer | None = None) -> list[Ledger]:
        """What each of the W final responses is charged."""
        owner: dict[Node, int] = {}
        kept: dict[Node, int] = {}
        for slot, path in enumerate(self._paths):
            for node, tokens in path:
                owner.setdefault(node, slot)
                kept[node] = max(kept.get(node, 0), tokens)
        ledgers = [Ledger(prompt=self._prompt, flops_prompt=prefill_flops(policy, self._prompt - 1))] * self._width
        ledgers[0] += Ledger(scorer=self._question, flops_generated=scoring_flops(scorer, 0, self._question, 0))
        for node in self._nodes:
            stays = kept.get(node, 0)
            forced = min(node.forced, stays)
            if node in owner:
                ledgers[owner[node]] += Ledger(sampled=stays - forced, forced=forced)
            peeks = scorer is not None and not scorer.reads  # at the last token of a row that the policy holds
            behind = node.start + max(node.kept, 1) - 1 if peeks else self._question + node.start - self._prompt
            ledgers[node.slot] += Ledger(
                discarded=node.emitted - stays,
                lookahead=node.looked,
                scorer=node.read,
                flops_generated=generated_flops(policy, node.start, node.emitted)
                + generated_flops(policy, node.start + max(node.kept, 0), node.looked)
                + scoring_flops(scorer, behind, node.read, node.reads),
            )
        return [dataclasses.replace(one, seconds=self.seconds / self._width) for one in ledgers]


def shortened(path: list[tuple[Node, int]], length: int) -> list[tuple[Node, int]]:
    """`path` without what stands at or behind `length`."""
    return [(node, min(kept, length - node.start)) for node, kept in path if node.start < length]


def scoring_flops(scorer: Scorer | None, held: int, tokens: int, reads: int) -> float:
    """FLOPs of a scorer that holds `held` tokens and reads so many more; 0 if it is no network."""
    return 0.0 if scorer is None else float(scorer.flops(held, tokens, reads))
