"""Budget forcing: accuracy against thinking tokens, cut short (truncation) and made longer by "Wait" (extrapolation).

Paper: Muennighoff et al. 2025, s1, arXiv 2501.19393, sections 3.1 and 5.
All labels share one compiled program. Truncation: the budgets below the natural length. Extrapolation: ends suppressed once,
twice and four times, with "Wait", with "Hmm", and with a string that says nothing ("\\n"), which spends the same tokens.

COMMAND
  python scripts/evaluate.py --config configs/budget_forcing.py:n=200
  python scripts/evaluate.py --config configs/budget_forcing.py:n=200,model=qwen2.5-coder-1.5b-instruct

MEASURED: nothing yet.
"""

from configs import common

BUDGETS = (0, 8, 16, 32, 64)
WAITS = (1, 2, 4)
STRINGS = {"wait": "Wait", "hmm": "Hmm", "neutral": "\n"}


def get_config(arg=None):
    """n: problems; model: any that `reasoning.load` takes; seed: of all samples."""
    arg = common.parse_arg(arg, n=200, model=common.MODEL, seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    shared = {"form": "prompt", "examples": common.CHAIN_SUM_STEPS, "instruction": "", "max_tokens": 384, "answer_tokens": 16}
    config.methods.free = common.method("budget_forcing", **shared)
    cut, longer = {"free": None}, {"free": None}
    for budget in BUDGETS:
        label = f"budget_{budget}"
        config.methods[label], cut[label] = common.method("budget_forcing", max_thinking=budget, **shared), budget
    for name, string in STRINGS.items():
        for count in WAITS if name == "wait" else WAITS[:1]:
            label = f"{name}_{count}"
            config.methods[label] = common.method("budget_forcing", num_ignore=count, ignore_string=string, **shared)
            longer[label] = None
    config.sweep = {"truncation": cut, "extrapolation": longer}
    return config


def get_sweep():
    """Other draws of the same problems."""
    return [{"config.task.seed": seed} for seed in (0, 10_000, 20_000)]
