"""Self-backtracking: a model that was trained to write <backtrack> after a wrong line takes the line back.

Paper: Yang et al. 2025, arXiv 2502.04404, table 1 (Countdown; b and k). A model that never writes the word only samples here.

COMMAND
  python scripts/evaluate.py --config configs/self_backtracking.py
  python scripts/evaluate.py --config configs/self_backtracking.py:samples=16 --config.methods.backtracking.backtracks=1

MEASURED: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: rows of each, N; model: the policy; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL, seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    config.methods.majority = common.chain_sum_majority(arg.samples)
    config.methods.backtracking = common.chain_sum_search("self_backtracking", arg.samples)
    return config


def get_sweep():
    """The paper's number of backtracks, b."""
    return [{"config.methods.backtracking.backtracks": b} for b in (0, 1, 2, 3)]
