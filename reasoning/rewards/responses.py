"""Scores of finished responses: what is scored, what comes out, and a device scorer run over many of them.

A response is scored in a program whose shapes depend on that response alone, so its scores are the same whoever is scored beside
it, and a resumed scoring ends with the same bytes.

Axis legend: `B` rows, `T` new tokens.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.decode.requests import Response
from reasoning.errors import InputError
from reasoning.rewards.base import Scorer, check_scores
from reasoning.rewards.steps import SEPARATOR, step_ends, step_texts
from reasoning.text.answers import normalise

ROWS = 8  # responses scored at once
SMALLEST = 16  # tokens; shapes are powers of two from here on


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One finished response, as a scorer sees it.

    Attributes:
      problem, sample: which. question: as the policy was asked it. reference: the right answer, for oracles.
      prompt: the policy's prompt ids. tokens: the response's ids; text: the same without stop id. sampled: how many of them
        the model chose itself; the others were forced.
      answer: what was read off it. correct: its grade; None if nobody graded it: then answers are compared as votes compare them.
      logprob: Σ log p of the sampled tokens in nats, None if it is not finite.
    """

    problem: str
    sample: int
    question: str
    reference: str
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str
    answer: str | None
    sampled: int
    logprob: float | None
    correct: bool | None = None

    @classmethod
    def of(cls, response: Response, problem: Mapping[str, Any], prompt: Sequence[int], answer: str | None) -> "Candidate":
        """A response of the engine that nobody has graded; `problem` has `question` and, for oracles, `answer`."""
        sampled = ~response.forced
        logprob = float(np.sum(response.logprobs[sampled], dtype=np.float64))
        return cls(
            problem=response.id,
            sample=response.sample,
            question=problem["question"],
            reference=str(problem.get("answer", "")),
            prompt=tuple(prompt),
            tokens=tuple(response.tokens.tolist()),
            text=response.text,
            answer=answer,
            sampled=int(sampled.sum()),
            logprob=logprob if math.isfinite(logprob) else None,
        )

    @property
    def right(self) -> bool:
        """Whether it is right."""
        if self.correct is not None:
            return self.correct
        return self.answer is not None and normalise(self.answer) == normalise(self.reference)

    @property
    def name(self) -> str:
        """ "problem 'p1', sample 3"."""
        return f"problem {self.problem!r}, sample {self.sample}"


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a scorer says about one response, and what that cost.

    Attributes:
      scores: after each step; one of a scorer that sees whole responses only. Higher is better.
      question, tokens: that the scorer read of the question (once for all samples of a problem) and of the response.
      flops_question, flops: the same in analytic FLOPs.
    """

    scores: tuple[float, ...]
    question: int = 0
    tokens: int = 0
    flops_question: float = 0.0
    flops: float = 0.0


Readings = Iterator[tuple[Candidate, Reading]]


@dataclasses.dataclass(frozen=True)
class Judge:
    """Scores finished responses. `read` yields each candidate with its reading, in an order of its own."""

    name: str
    read: Callable[[Sequence[Candidate]], Readings]


def of_scorer(scorer: Scorer, tokenizer: Any, *, separator: str = SEPARATOR, name: str = "") -> Judge:
    """A judge that runs a device scorer step by step.

    Args:
      tokenizer: the policy's, whose ids the responses hold. separator: what ends a step.
    """

    def read(candidates: Sequence[Candidate]) -> Readings:
        yield from run(scorer, candidates, functools.partial(spell, scorer, tokenizer, separator))

    return Judge(name or scorer.name, read)


def spell(scorer: Scorer, tokenizer: Any, separator: str, candidate: Candidate) -> tuple[list[int], list[list[int]]]:
    """The question and the steps of a response in the scorer's ids; no steps for a response that says nothing."""
    silent, ids = set(tokenizer.stop_ids), list(candidate.tokens)
    ends = step_ends(ids, _pieces(tokenizer), separator, silent)
    if scorer.encode is None:
        steps = [ids[start:stop] for start, stop in itertools.pairwise([0, *ends])]
    else:
        texts = step_texts(ids, ends, tokenizer)
        steps = scorer.encode(texts[:1], first=True) + scorer.encode(texts[1:])
    question = list(candidate.prompt) if scorer.question is None else scorer.question(candidate.question)
    return question, steps


def run(scorer: Scorer, candidates: Iterable[Candidate], spelled: Callable) -> Readings:
    """Scores responses in groups of `ROWS` that share their shapes; one that says nothing gets 0.

    Args:
      spelled: candidate → (ids of the question, ids of each step).
    Raises InputError for a response that the scorer has no context for, and for a score that is not a number.
    """
    groups: dict[tuple[int, int, int], list] = {}
    for candidate in candidates:
        question, steps = spelled(candidate)
        if not steps:
            yield candidate, Reading((0.0,))
            continue
        total = len(question) + sum(len(step) + scorer.extra for step in steps)
        if scorer.context and total > scorer.context:
            raise InputError(
                f"{candidate.name} has {total} tokens for the scorer {scorer.name!r}, whose context is {scorer.context}; lower "
                "the method's max_tokens or take a scorer with a longer one"
            )
        shape = tuple(bucket(size) for size in (len(question), max(map(len, steps)), total))
        group = groups.setdefault(shape, [])
        group.append((candidate, question, steps))
        if len(group) == ROWS:
            yield from _score(scorer, groups.pop(shape), shape)
    for shape, group in groups.items():
        yield from _score(scorer, group, shape)


def _score(scorer: Scorer, group, shape: tuple[int, int, int]) -> Readings:
    begin, score, spread = _programs(scorer)
    empty, begun = [[]] * (ROWS - len(group)), {}
    for question in {tuple(question) for _, question, _ in group}:  # once for all its responses; alone, as `run` promises
        begun[question] = begin(scorer.params, *padded([question], shape[0]), scorer.init(1, shape[2]))
    rows = [begun[tuple(question)] for _, question, _ in group]
    carry = spread(rows + rows[:1] * len(empty))
    asked = np.asarray(carry.small.position)
    count = max(len(steps) for *_, steps in group)
    found = []
    for k in range(count):
        new = [steps[k] if k < len(steps) else [] for *_, steps in group]
        ended = jnp.asarray([k >= len(steps) - 1 for *_, steps in group] + [True] * len(empty))
        got, carry = score(scorer.params, *padded(new + empty, shape[1]), ended, carry)
        found.append(got)
    found, read = np.asarray(jnp.stack(found)), np.asarray(carry.small.position)
    for row, (candidate, _, steps) in enumerate(group):
        scores = found[: len(steps), row]
        check_scores(scorer.name, scores, [candidate.name] * len(scores))
        question, whole = int(asked[row]), int(read[row])
        paid = scorer.flops(0, question, 0), scorer.flops(question, whole - question, len(steps))
        yield candidate, Reading(tuple(scores.tolist()), question, whole - question, *paid)


@functools.lru_cache(maxsize=8)
def _programs(scorer: Scorer):
    spread = jax.jit(lambda rows: jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *rows))
    return jax.jit(scorer.begin, donate_argnums=3), jax.jit(scorer.score, donate_argnums=4), spread


@functools.lru_cache(maxsize=8)
def _pieces(tokenizer: Any) -> list[bytes]:
    return tokenizer.token_bytes(tokenizer.size)


def bucket(size: int) -> int:
    """The smallest power of two, from `SMALLEST` on, that holds `size`."""
    return max(SMALLEST, 1 << (size - 1).bit_length())


def padded(rows: Sequence[Sequence[int]], width: int) -> tuple[np.ndarray, np.ndarray]:
    """(int32[B, width], int32[B])."""
    out = np.zeros((len(rows), width), np.int32)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = ids
    return out, np.array([len(ids) for ids in rows], np.int32)
