"""How a scorer spells a step: the policy's own ids, on the device, or those of a tokenizer of its own, by way of the host.

Axis legend: `B` slots, `T` tokens of a step, `P` problems.
"""

import jax
import numpy as np

from reasoning.decode.requests import Job
from reasoning.errors import InputError
from reasoning.rewards.base import Scorer
from reasoning.search.rounds import Paths, Window

FOREIGN = 2  # tokens of another tokenizer for one of the policy's, at most


def size(scorer: Scorer | None, step_tokens: int) -> int:
    """Tokens of a step at most, as the scorer spells it."""
    return step_tokens if scorer is None or scorer.encode is None else FOREIGN * step_tokens


def step_ids(scorer: Scorer | None, tokenizer, seen: Window, paths: Paths) -> tuple[jax.Array, jax.Array]:
    """(int32[B, T'], int32[B]): the new steps for `Scorer.score`. Reads the host only if the scorer has a tokenizer of its own.

    A step without text, such as white space before a stop id, is not given to a scorer of texts: 0 tokens. Raises InputError for
    a step that takes more than `FOREIGN` tokens for each of the policy's.
    """
    if scorer is None or scorer.encode is None:
        return seen.new, seen.n
    new, n, steps = jax.device_get((seen.new, seen.n, paths.steps))
    ids = np.zeros((len(n), FOREIGN * new.shape[1]), np.int32)
    lengths = np.zeros(len(n), np.int32)
    texts = {row: tokenizer.decode(new[row, : n[row]].tolist()) for row in np.flatnonzero(n)}
    for first in (True, False):
        those = [row for row, text in texts.items() if (steps[row] == 0) == first and text.strip()]
        for row, spelled in zip(those, scorer.encode([texts[row] for row in those], first=first) if those else (), strict=True):
            if len(spelled) > ids.shape[1]:
                raise InputError(f"scorer {scorer.name!r} spells a step of {n[row]} tokens in {len(spelled)}; lower step_tokens")
            ids[row, : len(spelled)], lengths[row] = spelled, len(spelled)
    return jax.device_put((ids, lengths))


def question_ids(scorer: Scorer | None, job: Job) -> np.ndarray:
    """int32[n]: what `Scorer.begin` reads of a problem: the policy's prompt, or the question in the scorer's own format."""
    if scorer is None or not scorer.reads:
        return np.zeros(0, np.int32)
    if scorer.question is None:
        return job.prompt
    request = job.request
    text = request.question or (request.prompt if request.messages is None else request.messages[-1]["content"])
    if text is None:
        raise InputError(f"request {request.id!r} has ids alone, and scorer {scorer.name!r} reads text; give it a prompt")
    return np.asarray(scorer.question(text), np.int32)
