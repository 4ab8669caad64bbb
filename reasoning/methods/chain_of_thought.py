"""Chain of thought: the model writes its steps before the answer, so that compute grows with the length of the reasoning.

Source: Wei et al. 2022, "Chain-of-Thought Prompting Elicits Reasoning in Large Language Models", arXiv 2201.11903,
section 2 (worked examples); the instruction without examples is that of Kojima et al. 2022, arXiv 2205.11916, section 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.methods.base import Method, only
from reasoning.methods.prompts import FewShot, pairs

INSTRUCTION = "Think step by step. End with the final answer on a line of its own, in the form: Answer: <answer>"


def make(
    *,
    instruction: str = INSTRUCTION,
    examples: Sequence[Sequence[str]] = (),
    system: str = "",
    n: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_tokens: int = 256,
    stop: Sequence[str] = (),
    seed: int = 0,
    knobs: Mapping[str, Any] | None = None,
) -> Method:
    """One reasoned answer.

    Args:
      instruction, examples, system: of `reasoning.methods.prompts.FewShot`; the examples' answers show the steps.
      n: samples per problem; more than one only narrows the estimate of the same accuracy.
      temperature: 0 is greedy. top_p: mass of the nucleus, in (0, 1].
      max_tokens: tokens per sample, reasoning and answer together.
      stop, seed, knobs: of `Method`.
    """
    return Method(
        name="chain_of_thought",
        prompt=FewShot(instruction, pairs(examples), system),
        vote=only,
        n=n,
        max_tokens=max_tokens,
        stop=stop,
        seed=seed,
        knobs={"temperature": temperature, "top_p": top_p, **(knobs or {})},
    )
