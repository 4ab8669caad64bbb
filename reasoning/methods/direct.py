"""Direct answer: the model says the answer at once, without working it out. The baseline that costs least.

Source: the standard prompting baseline of Wei et al. 2022, "Chain-of-Thought Prompting Elicits Reasoning in Large
Language Models", arXiv 2201.11903, section 2 and figure 1 (left).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.methods.base import Method, only
from reasoning.methods.prompts import FewShot, pairs

INSTRUCTION = "Answer the question with the final answer only, no working, in the form: Answer: <answer>"


def make(
    *,
    instruction: str = INSTRUCTION,
    examples: Sequence[Sequence[str]] = (),
    system: str = "",
    n: int = 1,
    temperature: float = 0.0,
    max_tokens: int = 32,
    stop: Sequence[str] = (),
    seed: int = 0,
    knobs: Mapping[str, Any] | None = None,
) -> Method:
    """Direct answering.

    Args:
      instruction, examples, system: of `reasoning.methods.prompts.FewShot`; examples are answered as shortly as is wanted.
      n: samples per problem; more than one only narrows the estimate of the same accuracy.
      temperature: 0 is greedy.
      max_tokens: tokens per sample.
      stop, seed, knobs: of `Method`.
    """
    return Method(
        name="direct",
        prompt=FewShot(instruction, pairs(examples), system),
        vote=only,
        n=n,
        max_tokens=max_tokens,
        stop=stop,
        seed=seed,
        knobs={"temperature": temperature, **(knobs or {})},
    )
