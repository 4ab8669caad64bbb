"""Beam search over the steps of a chain, with both selection rules, beside the majority vote of as many samples.

Paper: Snell et al. 2024, arXiv 2408.03314, figure 3 (left: accuracy against N; beam wins at small N and loses at large N).

COMMAND
  python scripts/evaluate.py --config configs/beam_search.py
  python scripts/evaluate.py --config configs/beam_search.py:prm=my/prm,format=skywork --config.methods.beam.beam_width=4

MEASURED: in docs/results.md by configs/compare.py (N = 4, scored by likelihood); the rule of the caption and N = 8: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: rows of each, N; model: the policy; prm, format: who scores the steps; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL, prm="", format="", seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    config.methods.majority = common.chain_sum_majority(arg.samples)
    config.methods.beam = common.chain_sum_search("beam_search", arg.samples, arg.prm, arg.format)
    config.methods.caption = common.chain_sum_search("beam_search", arg.samples, arg.prm, arg.format, rule="caption")
    return config


def get_sweep():
    """The width M of the paper's second curve, and its neighbours."""
    return [{"config.methods.beam.beam_width": width} for width in (2, 4, 8)]
