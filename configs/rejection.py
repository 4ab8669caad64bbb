"""Rejection sampling to a length budget: what short samples say, and what it costs to wait for one.

Paper: Muennighoff et al. 2025, arXiv 2501.19393, section 5 and appendix E: the tighter the budget the more accurate, and the
more tries (AIME 2024: 40 at 655 tries, 23 at one). The rows at N < n are those of as many tries at most.

COMMAND
  python scripts/evaluate.py --config configs/rejection.py
  python scripts/evaluate.py --config configs/rejection.py:tries=16 --config.methods.rejection.budget=64

MEASURED: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; tries: at most, of each; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, n=100, tries=8, model=common.MODEL, seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    shared = {"examples": common.CHAIN_SUM_STEPS, "instruction": "", "max_tokens": 112}
    config.methods.cot = common.method("chain_of_thought", **shared, temperature=1.0, n=arg.tries)
    config.methods.rejection = common.method("rejection", **shared, budget=80, n=arg.tries)
    return config


def get_sweep():
    """The budgets, from what few samples fit to what nearly all do."""
    return [{"config.methods.rejection.budget": budget} for budget in (56, 64, 72, 80, 96)]
