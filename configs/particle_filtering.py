"""Particle filtering beside beam search: resampling by score instead of pruning by it, both ways of resampling.

Paper: Puri et al. 2025, arXiv 2502.01618, table 1 (four to sixteen times less than other searches for the same accuracy).

COMMAND
  python scripts/evaluate.py --config configs/particle_filtering.py
  python scripts/evaluate.py --config configs/particle_filtering.py:prm=my/prm,format=skywork

MEASURED: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: rows of each, N; model: the policy; prm, format: who scores the steps; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, samples=8, model=common.MODEL, prm="", format="", seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    config.methods.majority = common.chain_sum_majority(arg.samples)
    config.methods.beam = common.chain_sum_search("beam_search", arg.samples, arg.prm, arg.format)
    for resampling in ("multinomial", "systematic"):
        config.methods[resampling] = common.chain_sum_search(
            "particle_filtering", arg.samples, arg.prm, arg.format, resampling=resampling
        )
    return config


def get_sweep():
    """How sharply scores decide."""
    return [{"config.methods.multinomial.softmax_temperature": heat} for heat in (0.25, 0.5, 1.0, 2.0)]
