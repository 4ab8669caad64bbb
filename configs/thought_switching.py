"""Thought-switching penalty (TIP) and cyclic reflection beside the same sampling without: does holding on to a thought pay?

Paper: Wang et al. 2025, arXiv 2501.18585, table 2 (the grid of α and β, AIME 2022-23) and table 3 (results);
Fan et al. 2025, arXiv 2506.11077 (cyclic reflection, said to do better than TIP).
Both need a model that thinks at length. One without a thinking phase takes the whole answer as thought (`think=false`).

COMMAND
  python scripts/evaluate.py --config configs/thought_switching.py:n=100
  python scripts/evaluate.py --config configs/thought_switching.py:model=my/thinker,think,tokens=32768 --config.seed=1

  python scripts/evaluate.py --config configs/thought_switching.py:grid,samples=1

scripts/thoughts.py, given such a run, says how much of its wrong responses was underthinking.

MEASURED: nothing yet.
"""

import itertools

from configs import common

PENALTIES, WINDOWS = (3.0, 5.0, 10.0, 20.0), (300, 400, 500, 600, 700)  # the paper's
THINK = ("<think>", "</think>")


def get_config(arg=None):
    """n: problems; samples: of each, of so many tokens; think: the model writes <think>; grid: α × β in this one run."""
    arg = common.parse_arg(arg, n=100, samples=4, model=common.MODEL, think=False, grid=False, tokens=160, seed=0)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n), arg.seed)
    shared = {"examples": common.CHAIN_SUM_STEPS, "instruction": "", "n": arg.samples, "max_tokens": arg.tokens}
    shared |= {"delimiters": THINK if arg.think else ("", ""), "temperature": 0.7, "top_p": 0.95}
    config.methods.plain = common.method("thought_switching", penalty=0.0, **shared)
    if not arg.grid:
        config.methods.tip = common.method("thought_switching", **shared)
        config.methods.cyclic = common.method("cyclic_reflection", **shared)
        return config
    places = {"plain": {"alpha": 0, "beta": 0}}
    # A window longer than the response is no setting of its own: without a thinking phase they are parts of its length.
    windows = WINDOWS if arg.think else tuple(arg.tokens // part for part in (8, 4, 2, 1))
    for penalty, window in itertools.product(PENALTIES, windows):
        label = f"tip_{penalty:g}_{window}"
        config.methods[label] = common.method("thought_switching", penalty=penalty, window=window, **shared)
        places[label] = {"alpha": penalty, "beta": window}
    config.sweep = {"tip": places}
    return config


def get_sweep():
    """The paper's grid as runs of their own."""
    return [
        {"config.methods.tip.penalty": penalty, "config.methods.tip.window": window}
        for penalty, window in itertools.product(PENALTIES, WINDOWS)
    ]
