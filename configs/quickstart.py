"""The main job: does inference compute buy accuracy? Direct answer, chain of thought, and majority voting at N = 1, 2, 4, 8.

Papers: Wei et al. 2022, arXiv 2201.11903 (chain of thought); Wang et al. 2022, arXiv 2203.11171 (majority voting).
One pool of 8 samples a problem gives every N: for N < 8 the expected vote over all subsets, at N / 8 of the samples' cost.

COMMAND
  scripts/quickstart.sh
  python scripts/evaluate.py --config configs/quickstart.py:n=100,model=qwen2.5-coder-0.5b-instruct

MEASURED: docs/results.md at n = 200, with its picture; at n = 100 the first rows of the README's table.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: of majority voting; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL, seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    config.methods.direct = common.chain_sum_direct()
    config.methods.cot = common.chain_sum_steps()
    config.methods.majority = common.chain_sum_majority(arg.samples)
    return config


def get_sweep():
    """Other draws of the same samples: how much of the result is luck."""
    return [{"config.seed": seed} for seed in range(5)]
