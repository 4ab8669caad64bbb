"""Families of prompts: what the model is told about its way to the answer, and nothing else. One call a problem.

    direct            the answer alone                   Wei et al. 2022, arXiv 2201.11903, section 2 (standard prompting)
    chain_of_thought  step by step                       Kojima et al. 2022, arXiv 2205.11916, section 3
    chain_of_draft    a draft of five words a step       Xu et al. 2025, "Chain of Draft", arXiv 2502.18600
    plan_then_solve   a plan, then its steps             Wang et al. 2023, "Plan-and-Solve Prompting", arXiv 2305.04091
    few_shot          nothing; worked examples show it   Brown et al. 2020, arXiv 2005.14165

The wordings are ours; those of `direct` and `chain_of_thought` are the same as of the methods of these names. What a family costs
is mostly the length of its answers, and with examples that of its prompt; reports have both.
"""

import dataclasses
from typing import Any

from reasoning.errors import InputError
from reasoning.methods import chain_of_thought, direct
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends

END = "End with the final answer on a line of its own, in the form: Answer: <answer>"
# What the model is told about its way.
WAYS = {
    "chain_of_thought": "Think step by step.",
    "chain_of_draft": "Think step by step, but keep only a short draft of each step, five words at most.",
    "plan_then_solve": "First write down a plan, then carry it out step by step.",
}
FAMILIES = {"direct": direct.INSTRUCTION, **{family: f"{way} {END}" for family, way in WAYS.items()}, "few_shot": ""}


@extends(chain_of_thought.make)
def make(*, family: str = "chain_of_draft", instruction: str | None = None, **rest: Any) -> Method:
    """One answer, asked for in the words of a family; the rest are arguments of `chain_of_thought.make`.

    Args:
      family: of `FAMILIES`.
      instruction: other words in place of the family's, as where the form of the answer is the task's.
      examples: in the manner of the family; "few_shot" cannot do without.

    Raises InputError for another family, or few shots without an example.
    """
    if family not in FAMILIES:
        raise InputError(f"method 'prompting': family must be one of {', '.join(FAMILIES)}, got {family!r}")
    if family == "few_shot" and not rest["examples"]:
        raise InputError("method 'prompting': few_shot has no words of its own and needs examples; give it examples=((q, a), …)")
    one = chain_of_thought.make(instruction=FAMILIES[family] if instruction is None else instruction, **rest)
    return dataclasses.replace(one, name="prompting")
