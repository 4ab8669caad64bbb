"""Budget forcing: accuracy against thinking tokens, cut short (truncation) and made longer by "Wait" (extrapolation).

Paper: Muennighoff et al. 2025, s1, arXiv 2501.19393, sections 3.1 and 5.
All labels share one compiled program, and the two regions are two sweeps of the report (a third is the curve over Waits):

    truncation      budgets below the natural length
    extrapolation   ends suppressed once and more often, against thinking freely: with "Wait", and with two controls that say
                    nothing, a line break (the model goes on by itself) and dots (as many more tokens, without a thought)

COMMAND
  python scripts/evaluate.py --config configs/budget_forcing.py:n=200
  python scripts/evaluate.py --config configs/budget_forcing.py:n=100,task=asdiv,model=qwen2.5-coder-1.5b-instruct

MEASURED: docs/results.md.
"""

from configs import common
from configs.tasks import asked

# Budgets below the natural length; then what is forced how often.
BUDGETS = {"chain_sum": (0, 16, 32), "simple_equations": (0, 8, 16), "asdiv": (0, 4, 8)}
CONTROLS = {"newline_1": ("\n", 1), "dots_1": (" ." * 16, 1)}
WAITS = {"wait_1": ("Wait", 1), "wait_2": ("Wait", 2)}
MORE = {"hmm_1": ("Hmm", 1), "alternatively_1": ("Alternatively", 1), "wait_4": ("Wait", 4)}


def get_config(arg=None):
    """task: of configs/tasks.py; n: problems; more: other strings, four Waits; model: any that `reasoning.load` takes."""
    arg = common.parse_arg(arg, task="chain_sum", n=200, more=False, model=common.MODEL, seed=0)
    task = asked(arg.task)
    config = common.base(arg.model, task.task(arg.n), arg.seed)
    shared = {"form": "prompt", "examples": task.steps, "instruction": task.form_steps, "max_tokens": 384, "answer_tokens": 16}
    config.methods.free = common.method("budget_forcing", **shared)
    cut, longer, waits = {"free": None}, {"free": None}, {"free": {"waits": 0}}
    for budget in BUDGETS[arg.task]:
        label = f"budget_{budget}"
        config.methods[label], cut[label] = common.method("budget_forcing", max_thinking=budget, **shared), budget
    for label, (string, count) in {**CONTROLS, **WAITS, **(MORE if arg.more else {})}.items():
        config.methods[label] = common.method("budget_forcing", num_ignore=count, ignore_string=string, **shared)
        longer[label] = None
        if string == "Wait":
            waits[label] = {"waits": count}
    config.sweep = {"truncation": cut, "extrapolation": longer, "waits": waits}
    return config


def get_sweep():
    """Other draws of the same problems."""
    return [{"config.task.seed": seed} for seed in (0, 10_000, 20_000)]
