"""What fine-tuning on traces did: accuracy on held-out problems of a family, and the curve of its budget forcing.

Paper: Muennighoff et al. 2025, s1, arXiv 2501.19393, sections 3.1 and 5, on a small model and problems of programs.
Problems are those of which configs/curate.py keeps the traces apart, asked as configs/sft.py teaches them: the question alone.
Truncation and extrapolation are sweeps of the report, as in configs/budget_forcing.py.

COMMAND
  python scripts/evaluate.py --config configs/sft_evaluation.py:family=chain_sum,model=smollm2-135m-instruct
  python scripts/evaluate.py --config configs/sft_evaluation.py:family=chain_sum,model=runs/sft/model
  python scripts/evaluate.py --config configs/sft_evaluation.py:family=knights_knaves,curve=false,model=runs/sft/model

MEASURED: docs/results.md, both models, four families; the curves of chain_sum and simple_equations.
"""

from configs import common
from configs.budget_forcing import DOTS
from configs.traces import settings
from reasoning.errors import InputError

BUDGETS = (0, 32, 64, 128)  # tokens of thinking; what the traces teach takes 80 to 400
TOKENS = {"full": 512, "short": 256}  # at most, of a thought: longer than the longest trace, 397 and 148


def get_config(arg=None):
    """family and level: of configs/traces.py; n: problems; curve: whether thoughts are cut and made longer as well; shown: a
    worked example for a model that was not taught the form; model, seed."""
    arg = common.parse_arg(
        arg, family="chain_sum", level="full", n=200, curve=True, shown=False, model="smollm2-135m-instruct", seed=0
    )  # fmt: skip
    families = settings(arg.level)
    if arg.family not in families:
        raise InputError(
            f"the config has no family {arg.family!r}; choose from {', '.join(families)}, as in file.py:family=countdown"
        )
    problems = common.task("reasoning_gym", name=arg.family, size=arg.n, **families[arg.family])
    config = common.base(arg.model, problems, arg.seed)
    examples = common.CHAIN_SUM_STEPS if arg.shown else ()
    shared = {"form": "prompt", "examples": examples, "instruction": "", "answer_tokens": 24, "max_tokens": TOKENS[arg.level]}
    config.methods.free = common.method("budget_forcing", **shared)
    if not arg.curve:
        return config
    sweep = {"truncation": {"free": None}, "extrapolation": {"free": None}}
    for budget in BUDGETS:
        config.methods[f"budget_{budget}"] = common.method("budget_forcing", max_thinking=budget, **shared)
        sweep["truncation"][f"budget_{budget}"] = budget
    config.methods.wait_1 = common.method("budget_forcing", num_ignore=1, **shared)
    config.methods.dots_1 = common.method("budget_forcing", ignore_string=DOTS, **shared)
    sweep["extrapolation"]["wait_1"] = None
    sweep["against_dots_1"] = {"among": "free", "dots_1": {"wait": 0}, "wait_1": {"wait": 1}}
    config.sweep, config.match = sweep, {"dots_1": "wait_1"}
    return config


def get_sweep():
    """More problems, of those that configs/curate.py keeps the traces apart from."""
    return [{"config.task.size": size} for size in (200, 1000)]
