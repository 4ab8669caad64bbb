"""Majority voting (self-consistency): accuracy against the number of sampled chains of thought.

Paper: Wang et al. 2022, arXiv 2203.11171, figure 2 (accuracy against the number of sampled paths).

COMMAND
  python scripts/evaluate.py --config configs/majority.py
  python scripts/evaluate.py --config configs/majority.py:samples=16 --config.methods.majority.top_p=0.95

MEASURED: the rows "majority" of the README's table, where model, quantisation and interval are named.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: the pool, which gives every smaller number of votes too; model: any that `reasoning.load` takes."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n))
    config.methods.majority = common.chain_sum_majority(arg.samples)
    return config


def get_sweep():
    """The paper's appendix A asks how robust the vote is to the sampling temperature."""
    return [{"config.methods.majority.temperature": temperature} for temperature in (0.3, 0.5, 0.7, 1.0)]
