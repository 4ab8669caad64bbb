"""Cyclic reflection (CyclicReflex): words that reconsider become likelier and less likely in turn while the model thinks.

Source: Fan et al. 2025, "CyclicReflex: Improving Large Reasoning Models via Cyclical Reflection Token Scheduling",
arXiv 2506.11077. Amplitude 5, period 1,200 (900 on AMC), temperature 0.6 and top-p 0.95 are those of its published code; so
are the words, which stand there as five exact spellings.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.decode.thinking import CHAIN
from reasoning.methods import chain_of_thought
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.methods.thought_switching import Words

WORDS = ("wait", "but", "alternatively")


@extends(chain_of_thought.make, temperature=0.6, top_p=0.95)
def make(
    *,
    amplitude: float = 5.0,
    period: int = 1200,
    words: Sequence[str] = WORDS,
    ignore_case: bool = True,
    delimiters: Sequence[str] = ("<think>", "</think>"),
    knobs: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Method:
    """Chain of thought under the wave.

    Args:
      amplitude: logits at the crest; 0 is plain sampling. period: tokens.
      words: that reconsider; each must be a token of its own, with any space and (`ignore_case`) in any case.
      delimiters: what opens and closes thinking. With two empty ones the whole response is thinking.
      The rest as in `reasoning.methods.chain_of_thought.make`.
    """
    one = chain_of_thought.make(
        knobs={
            "reflection_amplitude": amplitude,
            "reflection_period": period,
            "reflection_everywhere": int(not any(delimiters)),
            **(knobs or {}),
        },
        **rest,
    )
    texts = Words(words, ignore_case, "reflection_set", phrases_knob="")
    return dataclasses.replace(one, name="cyclic_reflection", texts=texts, delimiters=tuple(delimiters), chain=CHAIN)
