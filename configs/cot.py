"""Chain of thought: running totals written out before the answer.

Paper: Wei et al. 2022, arXiv 2201.11903, section 3 (arithmetic reasoning).

COMMAND
  python scripts/evaluate.py --config configs/cot.py
  python scripts/evaluate.py --config configs/cot.py --config.methods.cot.temperature=0.7

MEASURED: the row "chain of thought, greedy" of the README's table, where model, quantisation and interval are named.
"""

from configs import common


def get_config(arg=None):
    """n: problems; model: any that `reasoning.load` takes."""
    arg = common.parse_arg(arg, n=100, model=common.MODEL)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n))
    config.methods.cot = common.chain_sum_steps()
    return config


def get_sweep():
    """Where the room for steps begins to matter."""
    return [{"config.methods.cot.max_tokens": tokens} for tokens in (16, 32, 48, 64, 96, 128)]
