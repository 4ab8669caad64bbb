"""A pool of reasoning traces written by programs: step by step, verified, with attempts that fail ("Wait, …").

Paper: what a pool is curated into is s1's (Muennighoff et al. 2025, arXiv 2501.19393, section 2); that traces of a search with
its failed branches teach more than traces of the solution alone is Gandhi et al. 2024, "Stream of Search", arXiv 2404.03683.
The problems are reasoning-gym's, with numbers small enough for a model of 135M parameters.

COMMAND
  python scripts/generate_traces.py --config configs/traces.py --output runs/traces/pool.jsonl
  python scripts/generate_traces.py --config configs/traces.py:level=short --output runs/short/pool.jsonl
  python scripts/generate_traces.py --config configs/traces.py:n=400 --config.families.countdown.max_tries=2

MEASURED (20,000 traces, 34 MB; with a failed attempt: share; words of thinking, a word is about two tokens of SmolLM2)

    family            failed   attempts   words, mean   longest
    chain_sum           0.40       1.61            53       141
    simple_equations    0.50       1.96            53       102
    countdown           0.74       2.42            61       103
    knights_knaves      0.75       2.49           102       225
    all                 0.60       2.12            67       225     130 tokens of SmolLM2
"""

from ml_collections import ConfigDict

from configs import common
from reasoning.errors import InputError

# The settings of the generators, with which held-out problems are drawn as well.
SETTINGS = {
    "chain_sum": {"min_terms": 3, "max_terms": 5, "min_digits": 1, "max_digits": 2},
    "simple_equations": {"min_terms": 2, "max_terms": 3, "min_value": 1, "max_value": 12, "operators_weights": (0.5, 0.5, 0.0)},
    "countdown": {
        "min_numbers": 3,
        "max_numbers": 3,
        "min_value": 1,
        "max_value": 20,
        "min_target": 10,
        "max_target": 99,
    },
    "knights_knaves": {"n_people": 3, "depth_constraint": 2, "width_constraint": 2},
}
# Where a failed attempt is a slip, a model learns to slip as often as the traces do; in a search it is part of the way.
ATTEMPTS = {
    "chain_sum": {"backtracking": 0.4, "max_tries": 3},
    "simple_equations": {"backtracking": 0.5, "max_tries": 4},
    "countdown": {"backtracking": 0.75, "max_tries": 4},
    "knights_knaves": {"backtracking": 0.75, "max_tries": 4},
}

# For many trainings on a CPU: two families, shorter sums, two attempts at most. 80 tokens of SmolLM2 on average, not 130.
SHORT = {
    "chain_sum": {**SETTINGS["chain_sum"], "min_terms": 2, "max_terms": 3},
    "simple_equations": {**SETTINGS["simple_equations"], "max_value": 14},  # up to 12 there are 9,947
}
LEVELS = {"full": (SETTINGS, {}), "short": (SHORT, {"max_tries": 2})}


def settings(level):
    """{family: settings of its generator} of a level. Raises InputError."""
    if level not in LEVELS:
        raise InputError(f"the config has no level {level!r}; choose from {', '.join(LEVELS)}, as in file.py:level=short")
    return LEVELS[level][0]


def get_config(arg=None):
    """n: traces of all families together, equally many of each; seed: of the pool, another one shares no problem draws;
    level: full or short, see above."""
    arg = common.parse_arg(arg, n=20_000, seed=0, level="full")
    chosen = settings(arg.level)
    attempts = LEVELS[arg.level][1]
    families = {
        name: {"count": arg.n // len(chosen), **ATTEMPTS[name], **attempts, "settings": generator}
        for name, generator in chosen.items()
    }
    return ConfigDict({"seed": arg.seed, "families": families})
