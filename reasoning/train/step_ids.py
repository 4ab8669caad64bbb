"""In whose ids a reward model learns responses, and where it is to score their steps: as it will read them in a search.

own        prompt │ step one . │ step two . │ …         what the policy read and wrote; scored at the last token of a step
a format   question │ step one tail │ lead step two tail │ …      text, encoded anew (`reasoning.rewards.formats`)
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reasoning.decode.requests import prompt_ids
from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished
from reasoning.models.model import Model
from reasoning.rewards.formats import FORMATS, Reader, reader
from reasoning.rewards.steps import step_texts
from reasoning.text.tokenizer import Tokenizer

Spell = Callable[[Mapping[str, Any], Sequence[int]], tuple[np.ndarray, np.ndarray]]
"""(record of a response, its ends of steps) → ids int32[T], and at which of them each step is scored int32[S]."""


def trainable() -> dict[str, int]:
    """{format: numbers that its score head gives for a token}; formats that read the language head are not trained."""
    return {name: one.labels[0] for name, one in FORMATS.items() if one.labels}


def labels_of(format: str) -> int:
    """Numbers of a score head for `format`. Raises InputError for one that is not trained here."""
    if format not in trainable():
        raise InputError(f"format is one with a score head, {', '.join(trainable())}; got {format!r}")
    return trainable()[format]


def spelling(run: Finished, label: str, model: Model, format: str, tokenizer: Callable[[], Tokenizer]) -> Spell:
    """How the responses of method `label` are spelled for a model with a score head.

    Args:
      model: that learns, with its head. tokenizer: loads the policy's, which another format than "own" needs.
    Raises InputError as `reasoning.rewards.formats.reader` does.
    """
    how = reader(model, format)
    return own(run, label, model) if how.format.chat == "policy" else anew(run, how, tokenizer())


def own(run: Finished, label: str, model: Model) -> Spell:
    """The policy's prompt and ids as they are. Raises InputError for a model to which they say something else."""
    method, prompts, silent = run.method(label), {}, set(model.tokenizer.stop_ids)

    def spell(record: Mapping[str, Any], ends: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        name = record["problem"]
        said = [token for token in record["ids"] if token not in silent]
        if max(said, default=0) >= model.tokenizer.size or model.tokenizer.decode(said) != record["text"]:
            raise InputError(
                f"the tokenizer of {model.name or 'this model'} is not the one that wrote {label!r} of {run.workdir}; take the"
                " model that drew it, or a format that reads text, such as skywork"
            )
        if name not in prompts:
            prompts[name] = prompt_ids(method.requests([run.problems[name]])[0], model.tokenizer, model.config.vocab_size)
        whole = np.concatenate([prompts[name], record["ids"]]).astype(np.int32)
        return whole, len(prompts[name]) + np.asarray(ends, np.int32) - 1

    return spell


def anew(run: Finished, how: Reader, tokenizer: Tokenizer) -> Spell:
    """Question and steps as text in the ids of the model that learns; `tokenizer` is the policy's."""
    questions: dict[str, list[int]] = {}

    def spell(record: Mapping[str, Any], ends: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        name = record["problem"]
        if name not in questions:
            questions[name] = how.question(run.problems[name].question)
        texts = step_texts(record["ids"], ends, tokenizer)
        steps = how.encode(texts[:1], first=True) + how.encode(texts[1:])
        chunks = [[*(how.lead if number else ()), *step, *how.tail] for number, step in enumerate(steps)]
        at = len(questions[name]) + np.cumsum([len(chunk) for chunk in chunks], dtype=np.int32) - 1
        return np.array([*questions[name], *itertools.chain(*chunks)], np.int32), at

    return spell
