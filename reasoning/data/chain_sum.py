"""Sums and differences of a few two-digit numbers, from reasoning-gym: small enough to run in minutes, hard enough that
inference compute helps.

A real example (`load_task("chain_sum")`, first problem):

    question  State the final answer to the following arithmetic problem: 15 - 43 - 75 - 72 + 61 =
    answer    -114

The arithmetic alone is in `metadata["expression"]`, for prompts that show the steps.
"""

from dataclasses import replace

from reasoning.data import reasoning_gym
from reasoning.data.tasks import Task


def load(
    size: int = 100, seed: int = 0, min_terms: int = 4, max_terms: int = 6, min_digits: int = 2, max_digits: int = 2
) -> Task:
    """`size` problems of `min_terms` to `max_terms` terms, each of `min_digits` to `max_digits` digits."""
    task = reasoning_gym.load(
        "chain_sum", size, seed, min_terms=min_terms, max_terms=max_terms, min_digits=min_digits, max_digits=max_digits
    )
    return replace(task, problems=tuple(map(_with_expression, task.problems)))


def _with_expression(problem):
    expression = reasoning_gym.read_entry(problem.metadata["entry"])["metadata"]["expression"]
    return replace(problem, metadata={**problem.metadata, "expression": expression})
