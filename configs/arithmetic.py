"""Three kinds of arithmetic: sums of numbers, linear equations, word problems; answered directly, by steps, and by vote.

Papers: Wei et al. 2022, arXiv 2201.11903 (chain of thought); Wang et al. 2022, arXiv 2203.11171 (majority voting).
The tasks, and how they are asked, are those of configs/tasks.py.

COMMAND
  python scripts/evaluate.py --config configs/arithmetic.py:task=asdiv,n=200 --workdir runs/arithmetic-asdiv

MEASURED: docs/results.md, with model, quantisation and intervals.
"""

from configs import common
from configs.tasks import asked


def get_config(arg=None):
    """task: see above; n: problems; samples: of the vote; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, task="chain_sum", n=200, samples=4, model="qwen2.5-coder-1.5b-instruct", seed=0)
    task = asked(arg.task)
    config = common.base(arg.model, task.task(arg.n), arg.seed)
    shared = {"examples": task.steps, "instruction": task.form_steps, "max_tokens": task.tokens}
    config.methods.direct = common.method("direct", examples=task.answer, instruction=task.form_answer, max_tokens=16)
    config.methods.cot = common.method("chain_of_thought", **shared)
    config.methods.majority = common.method("majority", **shared, n=arg.samples, temperature=0.7)
    return config


def get_sweep():
    """Other draws of the same samples: how much of the result is luck."""
    return [{"config.seed": seed} for seed in range(5)]
