"""How the arithmetic tasks are asked: instruction, one worked example that is of no test problem, tokens that a chain may take.

    chain_sum         4 to 6 terms of two digits (reasoning-gym)
    simple_equations  one unknown (reasoning-gym)
    asdiv             word problems of primary school

Of sums the example teaches the form of the answer; of the other two it does not, so there an instruction asks for it.
"""

from typing import Any, NamedTuple

from ml_collections import ConfigDict

from configs import common
from reasoning.errors import InputError

END = "Then write the answer on a line of its own, in the form: Answer: <number>"
FORM = f"Show the steps in one line. {END}"
FORM_ANSWER = "Write the answer at once, without steps, in the form: Answer: <number>"
EQUATION = "Solve for x: 3*x + 12 = 57"
WORDS = "Tom has 3 boxes with 4 pencils each. He gives 5 pencils away. How many does he have left?"


class Asked(NamedTuple):
    """A family with its parameters, the example answered at once and by steps, tokens of a chain, and the two instructions.

    draft: the example by a draft. idea: what a plan says before the steps.
    """

    family: str
    parameters: dict[str, Any]
    answer: tuple
    steps: tuple
    draft: tuple
    idea: str
    tokens: int
    form_answer: str = FORM_ANSWER
    form_steps: str = FORM

    @property
    def plan(self) -> tuple:
        """The example by a plan and then its steps."""
        return tuple((question, f"Plan: {self.idea}\n{steps}") for question, steps in self.steps)

    def task(self, size: int) -> ConfigDict:
        """The task with `size` problems."""
        return common.task(self.family, **self.parameters, size=size)


TASKS = {
    "chain_sum": Asked(
        "chain_sum",
        {},
        common.CHAIN_SUM_ANSWER,
        common.CHAIN_SUM_STEPS,
        ((common.CHAIN_SUM_QUESTION, "42; 25; 50; 19\nAnswer: 19"),),
        "go from left to right and keep the total.",
        112,
        "",
        "",
    ),
    "simple_equations": Asked(
        "reasoning_gym",
        {"name": "simple_equations"},
        ((EQUATION, "Answer: 15"),),
        ((EQUATION, "3*x = 57 - 12 = 45; x = 45 / 3 = 15\nAnswer: 15"),),
        ((EQUATION, "3*x = 45; x = 15\nAnswer: 15"),),
        "take 12 from both sides, then divide by 3.",
        224,
    ),
    "asdiv": Asked(
        "asdiv",
        {},
        ((WORDS, "Answer: 7"),),
        ((WORDS, "3 * 4 = 12 pencils at first; 12 - 5 = 7 are left\nAnswer: 7"),),
        ((WORDS, "3 * 4 = 12; 12 - 5 = 7\nAnswer: 7"),),
        "multiply to get all pencils, then take off those given away.",
        192,
    ),
}


def asked(name: str) -> Asked:
    """The task `name`. Raises InputError."""
    if name not in TASKS:
        raise InputError(f"the config has no task {name!r}; choose from {', '.join(TASKS)}, as in file.py:task=asdiv")
    return TASKS[name]
