"""Budget forcing: accuracy against thinking tokens, cut short (truncation) and made longer by "Wait" (extrapolation).

Paper: Muennighoff et al. 2025, s1, arXiv 2501.19393, sections 3.1 and 5.
All labels share one compiled program, and the regions are sweeps of the report:

    truncation      budgets below the natural length
    extrapolation   ends suppressed once, twice, … with "Wait", against thinking freely, on the problems that end by themselves
    against_dots_k  k ends suppressed with "Wait", against dots, which say nothing, for as many tokens on each problem

COMMAND
  python scripts/evaluate.py --config configs/budget_forcing.py:n=200
  python scripts/evaluate.py --config configs/budget_forcing.py:n=100,task=asdiv,waits=1,model=qwen2.5-coder-1.5b-instruct

MEASURED: docs/results.md.
"""

from configs import common
from configs.tasks import asked

# Tokens, below the natural length.
BUDGETS = {"chain_sum": (0, 16, 32), "simple_equations": (0, 8, 16), "asdiv": (0, 4, 8)}
TOKENS = {"chain_sum": 224, "simple_equations": 224, "asdiv": 128}  # twice what thoughts need that end at all
DOTS = " ." * 4
MORE = {"hmm_1": ("Hmm", 1), "alternatively_1": ("Alternatively", 1), "newline_1": ("\n", 1), "wait_4": ("Wait", 4)}


def get_config(arg=None):
    """task: of configs/tasks.py; n: problems; waits: ends suppressed at most; more: other strings, four Waits; model, seed."""
    arg = common.parse_arg(arg, task="chain_sum", n=200, waits=2, more=False, model=common.MODEL, seed=0)
    task = asked(arg.task)
    config = common.base(arg.model, task.task(arg.n), arg.seed)
    shared = {"form": "prompt", "examples": task.steps, "instruction": task.form_steps, "answer_tokens": 16}
    shared["max_tokens"] = TOKENS[arg.task]
    config.methods.free = common.method("budget_forcing", **shared)
    match = {}
    sweep = {"truncation": {"free": None}, "extrapolation": {"free": None}, "waits": {"free": {"waits": 0}}}
    for budget in BUDGETS[arg.task]:
        config.methods[f"budget_{budget}"] = common.method("budget_forcing", max_thinking=budget, **shared)
        sweep["truncation"][f"budget_{budget}"] = budget
    for count in range(1, arg.waits + 1):
        config.methods[f"wait_{count}"] = common.method("budget_forcing", num_ignore=count, **shared)
        config.methods[f"dots_{count}"] = common.method("budget_forcing", ignore_string=DOTS, **shared)
        match[f"dots_{count}"] = f"wait_{count}"
        sweep["extrapolation"][f"wait_{count}"] = None
        sweep["waits"][f"wait_{count}"] = {"waits": count}
        sweep[f"against_dots_{count}"] = {"among": "free", f"dots_{count}": {"wait": 0}, f"wait_{count}": {"wait": 1}}
    for label, (string, count) in MORE.items() if arg.more else ():
        config.methods[label] = common.method("budget_forcing", num_ignore=count, ignore_string=string, **shared)
        sweep["extrapolation"][label] = None
    config.sweep, config.match = sweep, match
    return config


def get_sweep():
    """Other draws of the same problems."""
    return [{"config.task.seed": seed} for seed in (0, 10_000, 20_000)]
