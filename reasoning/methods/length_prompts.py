"""Asking for a length: the question ends with how many tokens or steps to think for, or with a short or a long class.

Source: Muennighoff et al. 2025, "s1: Simple test-time scaling", arXiv 2501.19393, section 5 and appendix E, with the sentences
of its published evaluation code. Its models hardly keep to a number of tokens (asked for 1,024 they took 7,939, table 12).

For steps the paper also trains on traces that count down in delimiters; here the prompt alone asks for them.
"""

import dataclasses
from typing import Any

from reasoning.errors import InputError
from reasoning.methods import chain_of_thought
from reasoning.methods.base import Method
from reasoning.methods.prompts import FewShot, Message
from reasoning.methods.signatures import extends

SENTENCES = {
    "tokens": "Think for up to {} tokens.",
    "steps": "Think for up to {} steps.",
    "short": "Answer after a short amount of thinking. Do not spend excessive time double-checking your work.",
    "long": "Answer after a long amount of thinking. If you feel like you are finished early, spend the extra time trying to "
    "double-check your work until you are absolutely sure that you have the correct answer.",
}


@dataclasses.dataclass(frozen=True)
class Ending:
    """`prompt`, with a sentence below the question that is asked; worked examples keep their own length and have none."""

    prompt: FewShot
    sentence: str

    def __call__(self, question: str) -> list[Message]:
        """Messages as those of `FewShot`."""
        *before, last = self.prompt(question)
        return [*before, {**last, "content": f"{last['content']}\n\n{self.sentence}"}]


@extends(chain_of_thought.make)
def make(*, unit: str = "tokens", amount: int = 1024, **rest: Any) -> Method:
    """Chain of thought of a length that the prompt asks for.

    Args:
      unit: "tokens" or "steps", of which `amount` is asked for, or the class "short" or "long".
      The rest as in `reasoning.methods.chain_of_thought.make`.

    Raises InputError for another unit or an amount below 1.
    """
    if unit not in SENTENCES:
        raise InputError(f"method 'length_prompts': unit must be one of {', '.join(SENTENCES)}, got {unit!r}")
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 1:
        raise InputError(f"method 'length_prompts': amount must be a whole number ≥ 1, got {amount!r}")
    one = chain_of_thought.make(**rest)
    return dataclasses.replace(one, name="length_prompts", prompt=Ending(one.prompt, SENTENCES[unit].format(amount)))
