"""Test-time preference optimisation beside its controls: revision without a rejected answer, and best-of-N at equal tokens.

Paper: Li et al. 2025, arXiv 2501.12895 (MATH-500 with a 70 B policy and an 8 B reward model: 61.8 → 71.2 % at D = 2, N = 5; more
width and depth help; Llama-3.1-8B does not gain, it follows the instructions too badly).

`pool` draws `samples` chains with the settings of TPO's first round and the same scorer; its first N samples are that round, to
the bit. The report takes best-of-M from it, M per problem the smallest that costs as many tokens as TPO did there; where
the pool is too small, it says on how many problems.

COMMAND
  python scripts/evaluate.py --config configs/tpo.py:n=100 --workdir runs/tpo
  python scripts/evaluate.py --config configs/tpo.py:n=100,preset=1.5b --workdir runs/tpo-1.5b
  python scripts/evaluate.py --config configs/tpo.py:n=100,widths,depth=4 --workdir runs/tpo-widths
  python scripts/evaluate.py --config configs/tpo.py:n=100,scorer=oracle,task=asdiv --workdir runs/tpo-asdiv

MEASURED: docs/results.md, sums. 0.5B, width 3: rewriting gains nothing, best-of-M at equal tokens 0.26. 1.5B, width 2, n = 24:
nothing to gain, and rewritten answers have 0.29 right steps where fresh ones have 0.88.
"""

from configs import common
from configs.tasks import asked
from reasoning.errors import InputError

WIDTHS = (1, 2, 5, 10, 20)
PRESETS = {
    "0.5b": {"model": common.MODEL, "templates": "tpo_example"},
    "1.5b": {"model": "qwen2.5-coder-1.5b-instruct", "templates": "tpo"},
}
SCORERS = {
    "checker": {"kind": "checker", "separator": ";", "answered": True, "name": "checker"},  # the share of right steps
    "oracle": {"kind": "oracle", "sigma": 0.0, "length_bias": 0.0, "name": "oracle"},
    "certainty": {"kind": "confidence", "measure": "self_certainty"},
    "form": {"kind": "form"},
    "length": {"kind": "length", "target": 40},
}


def get_config(arg=None):
    """preset: 0.5b or 1.5b, model and templates; task: see configs/tasks.py; n: problems; width, depth: N and D; samples: of the
    pool, 0 for none; scorer: see `SCORERS`, or "outcome" or "prm" with orm=model or prm=model,format=…; critic: tokens of loss
    and gradient each; widths: several of them instead of the modes, up to `width`; seed: of all samples.

    The checker reads sums alone. It knows how to add, so it is an upper bound of what a reward can tell, as the oracle is.
    """
    arg = common.parse_arg(
        arg, preset="0.5b", task="chain_sum", n=100, width=5, depth=2, samples=64, scorer="checker", orm="", prm="", format="",
        critic=96, widths=False, seed=0,
    )  # fmt: skip
    if arg.preset not in PRESETS:
        raise InputError(f"the config has no preset {arg.preset!r}; choose from {', '.join(PRESETS)}, as in tpo.py:preset=1.5b")
    task, preset = asked(arg.task), PRESETS[arg.preset]
    config = common.base(preset["model"], task.task(arg.n), arg.seed)
    answers = {
        "examples": task.steps, "instruction": task.form_steps, "max_tokens": task.tokens, "temperature": 0.7, "top_p": 1.0,
        **scoring(arg),
    }  # fmt: skip
    rounds = {**answers, "critic_tokens": arg.critic, "templates": preset["templates"]}
    if arg.samples:
        config.methods.pool = common.method("best_of_n", **answers, n=arg.samples)
    if not arg.widths:
        config.methods.revision = common.method("tpo", **rounds, mode="revision", width=arg.width, depth=arg.depth)
        config.methods.tpo = common.method("tpo", **rounds, width=arg.width, depth=arg.depth)
        return config
    widths = [width for width in WIDTHS if width <= arg.width]
    for width in widths:  # the table by rounds has every depth up to this one
        config.methods[f"tpo_{width}"] = common.method("tpo", **rounds, width=width, depth=arg.depth)
    config.sweep = {"width": {f"tpo_{width}": {"width": width} for width in widths}}
    return config


def scoring(arg) -> dict:
    """The scorer of the config's arguments, and how scores of steps become one. Raises InputError."""
    if arg.scorer == "outcome":
        return {"scorer": {"kind": "outcome", "model": arg.orm}, "aggregation": "last"}
    if arg.scorer == "prm":
        return {"scorer": {"kind": "prm", "model": arg.prm, "format": arg.format, "separator": ";"}, "aggregation": "last"}
    if arg.scorer not in SCORERS:
        raise InputError(f"the config has no scorer {arg.scorer!r}; choose from outcome, prm, {', '.join(SCORERS)}")
    return {"scorer": SCORERS[arg.scorer], "aggregation": "mean" if arg.scorer == "checker" else "last"}


def get_sweep():
    """Width at the paper's depth, then depth at its width."""
    settings = [(width, 2) for width in WIDTHS] + [(5, depth) for depth in (1, 3, 5)]
    return [{"config.methods.tpo.width": width, "config.methods.tpo.depth": depth} for width, depth in settings]
