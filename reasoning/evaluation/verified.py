"""Exact labels: a verifier says of every step of a run's responses whether the response is right so far. Nothing is generated.

    <label>/labels/<verifier>.jsonl    as Monte-Carlo labels (`reasoning.evaluation.rollouts`) with one ending, right or not

A verifier is a module with step_labels(question, steps) → a bool a step, as `reasoning.rewards.checker` is for sums.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.rollouts import LABELS
from reasoning.records import dumps, write_atomic
from reasoning.rewards.steps import SEPARATOR, step_ends, step_texts
from reasoning.text.tokenizer import Tokenizer

Verifier = Callable[[str, Sequence[str]], list[bool]]


def verify(run: Finished, name: str, tokenizer: Tokenizer, verifier: str = "checker", separator: str = SEPARATOR) -> Path:
    """Labels the responses of method `name` that state an answer; returns the file; an earlier one is replaced.

    Args:
      tokenizer: that wrote the responses. verifier: a file of reasoning/rewards, or the dotted name of a module.
      separator: what ends a step.
    Raises InputError for an unknown method, a verifier that is none, or one that cannot read the questions.
    """
    judge, samples = named(verifier), run.samples(name)
    path = run.workdir / name / LABELS / f"{verifier.rpartition('.')[2]}.jsonl"
    pieces, silent = tokenizer.token_bytes(tokenizer.size), set(tokenizer.stop_ids)
    lines = [{"labels": {"n": 1, "separator": separator, "verifier": verifier}}]
    for one in samples:
        if one["answer"] is None:
            continue
        ends = step_ends(one["ids"], pieces, separator, silent)
        labels = judge(run.problems[one["problem"]].question, step_texts(one["ids"], ends, tokenizer))
        lines.append(
            {"problem": one["problem"], "sample": one["sample"], "ends": ends, "right": list(map(int, labels)), "tokens": 0}
        )
    write_atomic(path, b"".join(map(dumps, lines)))
    return path


def named(verifier: str) -> Verifier:
    """The function of a verifier by its name. Raises InputError."""
    path = verifier if "." in verifier else f"reasoning.rewards.{verifier}"
    try:
        judge = getattr(importlib.import_module(path), "step_labels", None)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise  # the module is there, one of its own imports is not
        judge = None
    if judge is None:
        raise InputError(f"{verifier!r} verifies no steps; name a module with step_labels(question, steps), such as checker")
    return judge
