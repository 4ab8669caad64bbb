"""A method of yours beside what it has to beat, on the same problems, prompt and samples; first CISC, the method of forkme.py.

This is the page to copy for an experiment of your own (docs/fork.md): say in this docstring which figure or table of the paper
it repeats, and what came out, also when it was nothing.

Paper: Taubenfeld et al. 2025, arXiv 2502.06233 (accuracy against the number of samples, beside self-consistency).

COMMAND
  python scripts/evaluate.py --config configs/forkme.py
  python scripts/evaluate.py --config configs/forkme.py:n=200,samples=16 --config.methods.mine.confidence_temperature=0.5

MEASURED: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; samples: of each vote; method: a file of reasoning/methods, or the dotted name of your module; model, seed."""
    # What can be said behind the file's name, as in forkme.py:n=20,method=my_package.my_method. A value has its default's type.
    arg = common.parse_arg(arg, n=100, samples=8, method="forkme", model=common.MODEL, seed=0)
    # The task: a file of reasoning/data and its parameters. All that is in the config can be set, as --config.task.size=20.
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    # What there is to beat. A label is a directory of the run and a line of the report, which compares each with all above it.
    config.methods.cot = common.chain_sum_steps()
    config.methods.majority = common.chain_sum_majority(arg.samples)
    # Yours. Prompt, temperature and seed are those of the majority vote, so the samples are the same and the vote is the
    # difference; every argument of `make` that is not named here stands in the config with its default.
    asked = {"examples": common.CHAIN_SUM_STEPS, "instruction": "", "max_tokens": 112}
    config.methods.mine = common.method(arg.method, n=arg.samples, temperature=0.7, **asked)
    return config


def get_sweep():
    """The settings of a study, each a few fields of the config; here the temperature that the paper tunes."""
    return [{"config.methods.mine.confidence_temperature": temperature} for temperature in (0.03, 0.1, 0.3, 1.0)]
