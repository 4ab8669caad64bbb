"""Shortest of N beside the majority vote of as many samples: is the shorter thought the better one?

Paper: Wang et al. 2025, arXiv 2501.18585, table 4 ("laconic decoding"; AIME 2024, N = 4, 8 and 16).

COMMAND
  python scripts/evaluate.py --config configs/shortest.py
  python scripts/evaluate.py --config configs/shortest.py:samples=16 --config.methods.shortest.temperature=0.6

MEASURED: in docs/results.md over the pool of configs/compare.py; by this config itself nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: of each; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL, seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    config.methods.majority = common.chain_sum_majority(arg.samples)
    shared = {"examples": common.CHAIN_SUM_STEPS, "instruction": "", "max_tokens": 112, "n": arg.samples}
    config.methods.shortest = common.method("shortest", **shared, top_p=config.methods.majority.top_p)
    return config


def get_sweep():
    """Hotter samples differ more in length."""
    return [{"config.methods.shortest.temperature": temperature} for temperature in (0.3, 0.5, 0.7, 1.0)]
