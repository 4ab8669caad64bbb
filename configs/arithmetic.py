"""Three kinds of arithmetic: sums of numbers, linear equations, word problems; answered directly, by steps, and by vote.

Papers: Wei et al. 2022, arXiv 2201.11903 (chain of thought); Wang et al. 2022, arXiv 2203.11171 (majority voting).
One worked example a task, the same for all methods but for its steps; the example is of no test problem. Of sums the example
teaches the form of the answer; on the other two tasks it does not, so there an instruction asks for it.

    chain_sum         4 to 6 terms of two digits (reasoning-gym)
    simple_equations  one unknown (reasoning-gym)
    asdiv             word problems of primary school

COMMAND
  python scripts/evaluate.py --config configs/arithmetic.py:task=asdiv,n=200 --workdir runs/arithmetic-asdiv

MEASURED: docs/results.md, with model, quantisation and intervals.
"""

from typing import NamedTuple

from configs import common
from reasoning.errors import InputError

EQUATION = "Solve for x: 3*x + 12 = 57"
EQUATION_STEPS = ((EQUATION, "3*x = 57 - 12 = 45; x = 45 / 3 = 15\nAnswer: 15"),)
EQUATION_ANSWER = ((EQUATION, "Answer: 15"),)
WORDS = "Tom has 3 boxes with 4 pencils each. He gives 5 pencils away. How many does he have left?"
WORDS_STEPS = ((WORDS, "3 * 4 = 12 pencils at first; 12 - 5 = 7 are left\nAnswer: 7"),)
WORDS_ANSWER = ((WORDS, "Answer: 7"),)

FORM = "Show the steps in one line. Then write the answer on a line of its own, in the form: Answer: <number>"
FORM_ANSWER = "Write the answer at once, without steps, in the form: Answer: <number>"


class Task(NamedTuple):
    """A family with its parameters, how it is asked, and the tokens that a chain may take."""

    family: str
    parameters: dict
    answer: tuple
    steps: tuple
    tokens: int
    form_answer: str = FORM_ANSWER
    form_steps: str = FORM


TASKS = {
    "chain_sum": Task("chain_sum", {}, common.CHAIN_SUM_ANSWER, common.CHAIN_SUM_STEPS, 112, "", ""),
    "simple_equations": Task("reasoning_gym", {"name": "simple_equations"}, EQUATION_ANSWER, EQUATION_STEPS, 224),
    "asdiv": Task("asdiv", {}, WORDS_ANSWER, WORDS_STEPS, 192),
}


def get_config(arg=None):
    """task: see above; n: problems; samples: of the vote; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, task="chain_sum", n=200, samples=4, model="qwen2.5-coder-1.5b-instruct", seed=0)
    if arg.task not in TASKS:
        raise InputError(f"the config has no task {arg.task!r}; choose from {', '.join(TASKS)}, as in arithmetic.py:task=asdiv")
    task = TASKS[arg.task]
    config = common.base(arg.model, common.task(task.family, **task.parameters, size=arg.n), arg.seed)
    shared = {"examples": task.steps, "instruction": task.form_steps, "max_tokens": task.tokens}
    config.methods.direct = common.method("direct", examples=task.answer, instruction=task.form_answer, max_tokens=16)
    config.methods.cot = common.method("chain_of_thought", **shared)
    config.methods.majority = common.method("majority", **shared, n=arg.samples, temperature=0.7)
    return config


def get_sweep():
    """Other draws of the same samples: how much of the result is luck."""
    return [{"config.seed": seed} for seed in range(5)]
