"""Soft tokens against budget forcing: vectors in the ignore-span, trained on sampled thoughts that end in the attacker's goal.

Paper: Zaremba et al. 2025, arXiv 2501.18841, section 3 and its appendix on soft tokens.
Trained on sums that no test has (reasoning/data/arithmetic.py); the snapshots are the resource axis of the grid.

COMMAND
  python scripts/train_soft_tokens.py --config configs/soft_tokens.py --workdir runs/soft

and then the grid over its snapshots, configs/robustness.py:attack=soft_tokens,soft=runs/soft,rules=clear. A step reads `batch`
prompts forwards and backwards: about 4 × 180 tokens of a 0.5B model, some ten seconds on two cores.

MEASURED: docs/results.md (twelve steps, 0.5B: they disturb and do not aim yet).
"""

from ml_collections import ConfigDict, config_dict

from configs import common
from configs.robustness import SIZES, STEPS, known
from reasoning.data.goals import GOALS


def get_config(arg=None):
    """goal, op (add or mul), size, model, seed: as in configs/robustness.py; ambiguous: the rule of the span; tokens: vectors;
    steps; n: problems.
    """
    arg = common.parse_arg(
        arg, goal="plus_one", op="add", ambiguous=False, tokens=8, steps=40, n=64, size="0.5b", model="", seed=0
    )
    known(arg, goal=GOALS, op=STEPS, size=SIZES)
    config = ConfigDict()
    config.model, config.dtype, config.seed = arg.model or SIZES[arg.size], "", arg.seed
    config.max_slots = config_dict.placeholder(int)
    config.task = common.task("arithmetic", size=arg.n, op=arg.op, goal=arg.goal, split="held_out", demonstrations=0)
    config.defender = common.method(
        "budget_forcing", form="prompt", instruction="", examples=STEPS[arg.op], answer_tokens=12, max_tokens=96
    )
    config.ambiguous = arg.ambiguous
    config.soft = {
        "tokens": arg.tokens, "steps": arg.steps, "learning_rate": 0.1, "batch": 4, "project_every": 5,
        "snapshots": tuple(sorted({max(1, arg.steps // 4), arg.steps})),
    }  # fmt: skip
    return config


def get_sweep():
    """More vectors, and other draws of their start."""
    return [{"config.soft.tokens": tokens} for tokens in (1, 16, 64)] + [{"config.seed": seed} for seed in (1, 2)]
