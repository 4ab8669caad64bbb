"""Traces of a model's own right answers (STaR): many samples of each problem, the shortest right ones are kept.

Paper: Zelikman et al. 2022, "STaR: Bootstrapping Reasoning With Reasoning", arXiv 2203.14465, section 3.1, one round without
rationalisation.

COMMAND
  python scripts/generate_traces.py --config configs/star.py --output runs/star/traces.jsonl
  python scripts/generate_traces.py --config configs/star.py:n=200,samples=8 --config.keep.choose=random

MEASURED (n=40, 0.5B, CPU): 38 of 160 samples right, 19 of 40 problems give a trace, 18 words of thinking on average.

The problems are drawn from seeds of which no evaluation draws, those of the pool of configs/traces.py.
"""

from configs import common
from reasoning.data.writers.pool import FIRST_SEED

SEED = FIRST_SEED + 900_000  # of the problems: behind what a pool of that seed draws


def get_config(arg=None):
    """n: problems; samples: of each; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, n=500, samples=4, model=common.MODEL, seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n, seed=SEED), arg.seed)
    shared = {"examples": common.CHAIN_SUM_STEPS, "instruction": "", "max_tokens": 112}
    config.methods.cot = common.method("chain_of_thought", **shared, temperature=0.7, n=arg.samples)
    config.keep = {"per_problem": 1, "choose": "shortest"}
    return config
