"""Lookahead search beside beam search of the same width: is a look at the next steps worth k + 1 times the tokens?

Paper: Snell et al. 2024, arXiv 2408.03314, figure 3 (lookahead k = 1 and 3 was the worst at equal cost).

COMMAND
  python scripts/evaluate.py --config configs/lookahead.py
  python scripts/evaluate.py --config configs/lookahead.py:prm=my/prm,format=skywork --config.methods.lookahead.lookahead=3

MEASURED: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: rows of each, N; model: the policy; prm, format: who scores the steps; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL, prm="", format="", seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    config.methods.majority = common.chain_sum_majority(arg.samples)
    config.methods.beam = common.chain_sum_search("beam_search", arg.samples, arg.prm, arg.format)
    config.methods.lookahead = common.chain_sum_search("lookahead", arg.samples, arg.prm, arg.format)
    return config


def get_sweep():
    """Steps of a rollout."""
    return [{"config.methods.lookahead.lookahead": k} for k in (1, 2, 3)]
