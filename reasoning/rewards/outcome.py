"""Outcome reward models: a classification head with one number, read at the last token of question and response.

Scores are σ(reward): the probability, under the Bradley–Terry model that such heads are trained with, of winning against a
response of reward 0. It keeps the order of rewards and can be summed by a weighted vote.

Axis legend: `B` responses, `T` tokens.
"""

import math
from collections.abc import Sequence

import numpy as np

from reasoning.errors import InputError
from reasoning.models import flops
from reasoning.models.model import Model
from reasoning.rewards.base import check_scores
from reasoning.rewards.responses import ROWS, Candidate, Judge, Reading, Readings, bucket, padded


def make(model: Model, name: str = "outcome") -> Judge:
    """The judge that reads `model`: its chat template over question and response, or both with a newline between them.

    Raises InputError for a model that does not score whole responses.
    """
    config = model.config
    if config.language_head or config.num_labels != 1:
        kind = f"a score head of {config.num_labels}" if config.num_labels else "no score head"
        raise InputError(
            f"{model.name or 'this model'} has {kind}{' and a language head' if config.language_head else ''}; an outcome reward "
            'model has one number and no language head. Read a process reward model with the scorer "prm"'
        )
    if model.tokenizer is None:
        raise InputError(f"{model.name or 'this model'} has no tokenizer, and a reward model reads text; load it with its files")

    def encode(candidate: Candidate) -> list[int]:
        question, text = candidate.question, candidate.text
        if model.tokenizer.chat_template is None:
            return model.tokenizer.encode(f"{question}\n{text}")
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        return model.tokenizer.encode_chat(turns, add_generation_prompt=False)

    def read(candidates: Sequence[Candidate]) -> Readings:
        groups: dict[int, list[tuple[Candidate, list[int]]]] = {}
        for candidate in candidates:
            ids = encode(candidate)
            if len(ids) > config.context:
                raise InputError(
                    f"{candidate.name} has {len(ids)} tokens, more than {name!r} can read ({config.context}); use another"
                )
            groups.setdefault(bucket(len(ids)), []).append((candidate, ids))
        for width, group in groups.items():
            for start in range(0, len(group), ROWS):
                part = group[start : start + ROWS]
                tokens, lengths = padded([ids for _, ids in part] + [[0]] * (ROWS - len(part)), width)
                rewards = np.asarray(model.scores(tokens, lengths))[: len(part), 0].astype(np.float64)
                check_scores(name, rewards, [candidate.name for candidate, _ in part])
                for (candidate, ids), reward in zip(part, rewards, strict=True):
                    paid = flops.prefill_flops(config, len(ids)) + 2 * config.d_model
                    yield candidate, Reading((_sigmoid(float(reward)),), 0, len(ids), 0.0, float(paid))

    return Judge(name, read)


def judge(engine, model: str, dtype: str = "", name: str = "outcome") -> Judge:
    """Loads an outcome reward model (`reasoning.load`), in the dtype of the policy unless one is named. Raises InputError."""
    from reasoning.weights.load import load

    return make(load(model, dtype or engine.model.dtype), name)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
