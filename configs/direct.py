"""Direct answer, no working: the baseline of every other config.

Paper: Wei et al. 2022, arXiv 2201.11903, section 2 (standard prompting).

COMMAND
  python scripts/evaluate.py --config configs/direct.py
  python scripts/evaluate.py --config configs/direct.py:n=20,model=smollm2-135m-instruct

MEASURED: the row "direct, greedy" of the README's table, where model, quantisation and interval are named.
"""

from configs import common


def get_config(arg=None):
    """n: problems; model: any that `reasoning.load` takes."""
    arg = common.parse_arg(arg, n=100, model=common.MODEL)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n))
    config.methods.direct = common.chain_sum_direct()
    return config


def get_sweep():
    """Harder problems: more terms."""
    return [{"config.task.min_terms": terms, "config.task.max_terms": terms} for terms in (2, 3, 4, 5, 6)]
