"""Any generator of reasoning-gym (https://github.com/open-thought/reasoning-gym, Apache-2.0), scored by its own scorer.

    load_task("reasoning_gym", name="chain_sum", size=100, seed=0, min_terms=4, max_terms=6, min_digits=2, max_digits=2)

A real example (the first problem of that call):

    question  State the final answer to the following arithmetic problem: 15 - 43 - 75 - 72 + 61 =
    answer    -114

Generation runs in a child process with a fixed hash seed, for some generators walk over Python sets and would else make
other problems in every process. Traps of the generators themselves: most draw problem i from `seed + i`, so two seeds
that are closer than `size` share problems (train and test sets need distant seeds), and a drawn problem can occur
twice.
"""

import ast
import difflib
import json
import os
import subprocess
import sys
from functools import lru_cache

from reasoning.data.tasks import Problem, Task
from reasoning.errors import InputError


def load(name: str, size: int = 100, seed: int = 0, **parameters) -> Task:
    """`size` problems of the generator `name`, with ids `<name>-<seed>-<index>`.

    parameters: the fields of the generator's own configuration.
    Raises InputError when reasoning-gym is not installed, for an unknown generator or parameter, and for values that
    the generator refuses.
    """
    if size < 1:
        raise InputError(f"reasoning_gym {name}: size is {size}; ask for at least one problem")
    recipe = {"generator": name, "parameters": {**parameters, "size": size, "seed": seed}}
    problems = tuple(
        Problem(
            id=f"{name}-{seed}-{index}",
            question=item["question"],
            answer=item["answer"],
            task=name,
            metadata={**recipe, "index": index, "entry": item["entry"]},
            score="reasoning_gym",
        )
        for index, item in enumerate(_generate_in_child(recipe))
    )
    return Task(name, problems, score="reasoning_gym")


@lru_cache(maxsize=8)
def scorer(generator: str, parameters: str):
    """For grading workers: the data set whose `score_answer(answer, entry)` judges; `parameters` is JSON."""
    return _create(generator, json.loads(parameters))


def read_entry(text: str) -> dict:
    """The generator's entry from `Problem.metadata["entry"]`, a Python literal: JSON has neither tuples nor integer keys."""
    return ast.literal_eval(text)


def _create(generator: str, parameters: dict):
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise InputError(f"reasoning-gym cannot be imported ({error}); run: pip install reasoning-gym") from None
    if generator not in DATASETS:
        close = difflib.get_close_matches(generator, DATASETS, n=3) or sorted(DATASETS)[:3]
        raise InputError(f"reasoning-gym has no generator {generator!r} (of {len(DATASETS)}); did you mean {', '.join(close)}?")
    try:
        return reasoning_gym.create_dataset(generator, **parameters)
    except (AssertionError, TypeError, ValueError) as error:
        fields = ", ".join(DATASETS[generator][1].__dataclass_fields__)
        raise InputError(f"reasoning-gym {generator} refuses {parameters}: {error}; its parameters: {fields}") from None


def _generate(recipe: dict) -> list[dict]:
    dataset = _create(recipe["generator"], recipe["parameters"])
    entries = [dataset[index] for index in range(len(dataset))]
    # A few generators accept any valid plan and have no reference answer: theirs is None.
    return [{"question": entry["question"], "answer": entry["answer"] or "", "entry": _literal(entry)} for entry in entries]


def _literal(entry: dict) -> str:
    """`entry` as text for `read_entry`. Two generators keep objects in it that their scorers do not need: JSON flattens those."""
    try:
        if ast.literal_eval(repr(entry)) == entry:
            return repr(entry)
    except (ValueError, SyntaxError):
        pass
    return repr(json.loads(json.dumps(entry)))


def _generate_in_child(recipe: dict) -> list[dict]:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.run(
        [sys.executable, "-m", "reasoning.data.reasoning_gym"],
        input=json.dumps(recipe),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if child.returncode:
        reason = (child.stderr.strip() or f"killed by signal {-child.returncode}").splitlines()[-1]
        raise InputError(f"reasoning-gym failed to generate {recipe} ({reason}); change its parameters")
    reply = json.loads(child.stdout)
    if "error" in reply:
        raise InputError(reply["error"])
    return reply["problems"]


def main() -> None:
    """The child: a recipe as JSON on standard input, the problems (or the user's error) as JSON on standard output."""
    try:
        reply = {"problems": _generate(json.load(sys.stdin))}
    except InputError as error:
        reply = {"error": str(error)}
    json.dump(reply, sys.stdout)


if __name__ == "__main__":
    main()
