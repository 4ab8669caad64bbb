"""Families of prompts beside each other on one task: direct, chain of thought, Chain of Draft, plan-then-solve, few-shot.

The row "few_shot" shows one worked example, since a task has one, and nothing else: the family has the name, no number is meant.

Papers: Xu et al. 2025, arXiv 2502.18600 (Chain of Draft: GPT-4o on GSM8K 91.1 % with 44 tokens, 95.4 % with 205 by steps; weak
without examples, and for small models); Wang et al. 2023, arXiv 2305.04091 (plan-then-solve); Wei et al. 2022, arXiv 2201.11903.
The tasks are those of configs/tasks.py. The report says what each family's answers cost, and table.csv what the prompts do.

COMMAND
  python scripts/evaluate.py --config configs/prompts.py:n=200 --workdir runs/prompts
  python scripts/evaluate.py --config configs/prompts.py:task=asdiv,n=100,model=qwen2.5-coder-1.5b-instruct
  python scripts/evaluate.py --config configs/prompts.py:task=asdiv,shots=0

MEASURED: docs/results.md. Sums with 0.5B: instructions about the end of an answer make it leave out the steps. ASDiv with 1.5B
(n = 50): drafts 0.82 with 25 tokens, chains of thought 0.78 with 33, direct answers 0.64.
"""

from configs import common
from configs.tasks import END, FORM_ANSWER, asked
from reasoning.errors import InputError
from reasoning.methods.prompting import WAYS

FAMILIES = {"cot": "chain_of_thought", "draft": "chain_of_draft", "plan": "plan_then_solve"}


def get_config(arg=None):
    """task: see configs/tasks.py; n: problems; shots: worked examples, 1 or 0 (then there is no few-shot row); tokens: of an
    answer at most, 0 for the task's; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, task="chain_sum", n=100, shots=1, tokens=0, model=common.MODEL, seed=0)
    if arg.shots not in (0, 1):
        raise InputError(f"the config's argument shots is 1 or 0, since a task has one worked example, got {arg.shots}")
    task = asked(arg.task)
    config = common.base(arg.model, task.task(arg.n), arg.seed)
    examples = {"direct": task.answer, "cot": task.steps, "draft": task.draft, "plan": task.plan}
    shown = {label: {"examples": pairs if arg.shots else ()} for label, pairs in examples.items()}
    tokens = arg.tokens or task.tokens
    short = {"family": "direct", "instruction": FORM_ANSWER, "max_tokens": 16}
    config.methods.direct = common.method("prompting", **short, **shown["direct"])
    for label, family in FAMILIES.items():
        words = {"family": family, "instruction": f"{WAYS[family]} {END}", "max_tokens": tokens}
        config.methods[label] = common.method("prompting", **words, **shown[label])
    if arg.shots:
        config.methods.few_shot = common.method("prompting", family="few_shot", examples=task.steps, max_tokens=tokens)
    return config


def get_sweep():
    """Where the room for steps begins to matter."""
    settings = (16, 32, 64, 128)
    return [{f"config.methods.{label}.max_tokens": tokens for label in ("cot", "draft", "plan")} for tokens in settings]
