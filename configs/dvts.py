"""Diverse verifier tree search beside beam search of the same width: do subtrees that never mix keep more answers alive?

Paper: Beeching, Tunstall and Rush 2024 (Hugging Face); figures beside others in Puri et al. 2025, arXiv 2502.01618, table 1.

COMMAND
  python scripts/evaluate.py --config configs/dvts.py
  python scripts/evaluate.py --config configs/dvts.py:prm=my/prm,format=skywork --config.methods.dvts.beam_width=4

MEASURED: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: rows of each, N; model: the policy; prm, format: who scores the steps; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL, prm="", format="", seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    config.methods.majority = common.chain_sum_majority(arg.samples)
    config.methods.beam = common.chain_sum_search("beam_search", arg.samples, arg.prm, arg.format)
    config.methods.dvts = common.chain_sum_search("dvts", arg.samples, arg.prm, arg.format)
    return config


def get_sweep():
    """Rows of a subtree."""
    return [{"config.methods.dvts.beam_width": width} for width in (2, 4, 8)]
