"""The missing comparison: every method on one model, the same problems, the same grader and the same cost axes.

Papers: Muennighoff et al. 2025, arXiv 2501.19393 (s1: budget forcing beside majority voting, without beam or lookahead search);
Snell et al. 2024, arXiv 2408.03314 (searches beside best-of-N, without budget forcing); Wang et al. 2022, arXiv 2203.11171.

    cpu     sums with a 0.5B model; its first three methods are those of configs/quickstart.py, whose samples it takes over.
            One budget, one "Wait" and one beam search, for 20 minutes; `full` adds more budgets, DVTS and lookahead
    small   sums and word problems with a 1.5B model, larger N
    s1      the paper's model and sets on eight devices of 80 GB, with a process reward model whose context holds its thoughts:
            what s1 left out

One pool of samples gives majority, best-of-N, weighted and shortest votes at every N. On the small presets steps are scored by
the policy's own likelihood, since no reward model comes with them; `prm` and `format` name one, `probe` a file that
configs/probe.py made. Primary contrasts were declared before anything was measured: beam search minus majority voting on the
small ones, beam search minus budget forcing on s1's.

COMMAND
  python scripts/compare.py --config configs/compare.py
  python scripts/compare.py --config configs/compare.py:full
  python scripts/compare.py --config configs/compare.py:small --workdir runs/small
  python scripts/compare.py --config configs/compare.py:small --workdir runs/small --price=2.5   # of a device-hour; draws nothing
  python scripts/compare.py --config configs/compare.py:small,n=100,prm=my/prm,format=skywork
  python scripts/compare.py --config configs/compare.py:s1,n=30,timed=8

MEASURED: docs/results.md.
"""

from ml_collections import ConfigDict, config_dict

from configs import common
from configs.tasks import TASKS, asked
from reasoning.errors import InputError

LIKELIHOOD = {"kind": "confidence", "measure": "likelihood"}
S1_SETS = {"aime24": ("aime", {"year": 2024}), "math500": ("math500", {}), "gpqa": ("gpqa", {})}
BUDGETS = {"chain_sum": (0, 24), "asdiv": (0, 8), "simple_equations": (0, 16)}  # tokens, below the natural length


def get_config(arg=None):
    """cpu, small or s1: the preset; full: of cpu; n: problems of each task, 0 for the preset's; samples: of the pool; widths: N
    of every search (cpu, small) and tasks, both joined by "+"; prm and format, or probe: who scores steps; timed: problems of
    the timed runs; model, seed."""
    arg = common.parse_arg(
        arg, cpu=False, small=False, s1=False, full=False, n=0, samples=0, widths="", tasks="", prm="", format="", probe="",
        timed=0, model="", seed=0,
    )  # fmt: skip
    chosen = [name for name in ("cpu", "small", "s1") if arg[name]]
    if len(chosen) > 1:
        raise InputError(f"the config takes one preset, got {' and '.join(chosen)}")
    if chosen == ["s1"]:
        return s1(arg)
    small = chosen == ["small"]
    names = (arg.tasks or ("chain_sum+asdiv" if small else "chain_sum")).split("+")
    unknown = next((name for name in names if name not in BUDGETS), None)
    if unknown is not None:
        raise InputError(f"the config has no task {unknown!r}; choose from {', '.join(TASKS)}, as in compare.py:tasks=asdiv")
    config = shared(arg.model or ("qwen2.5-coder-1.5b-instruct" if small else common.MODEL), arg.seed)
    n, samples, widths = (200, 16, (4, 8, 16)) if small else (100, 8, (4,))
    widths = widths_of(arg.widths) or widths
    for name in names:
        config.runs[name] = arithmetic(name, arg.n or n, arg.samples or samples, widths, small or arg.full, arg)
    return config


def widths_of(text):
    """ "4+8" → (4, 8)."""
    try:
        return tuple(sorted({int(part) for part in text.split("+") if part}))
    except ValueError:
        raise InputError(f"the config's widths are whole numbers with + between them, as 4+8, got {text!r}") from None


def shared(model, seed):
    """What all runs of a comparison have in common."""
    config = common.base(model, ConfigDict(), seed)
    del config.task, config.methods
    config.runs = ConfigDict()
    return config


def arithmetic(name, n, samples, widths, full, arg):
    """A task of configs/tasks.py, with methods that need no training: all of them, or in brief one of a kind."""
    task, budgets = asked(name), BUDGETS[name] if full else BUDGETS[name][-1:]
    run = ConfigDict({"task": task.task(n), "methods": {}})
    steps = {"examples": task.steps, "instruction": task.form_steps, "max_tokens": task.tokens}
    run.methods.direct = common.method("direct", examples=task.answer, instruction=task.form_answer, max_tokens=16)
    run.methods.cot = common.method("chain_of_thought", **steps)
    run.methods.majority = common.method("majority", **steps, n=samples, temperature=0.7)
    thinking = {"form": "prompt", "examples": task.steps, "instruction": task.form_steps, "answer_tokens": 16}
    for budget in budgets:
        run.methods[f"budget_{budget}"] = common.method("budget_forcing", max_thinking=budget, max_tokens=task.tokens, **thinking)
    run.methods.wait_1 = common.method("budget_forcing", num_ignore=1, max_tokens=2 * task.tokens, **thinking)
    search = {"temperature": 0.7, "step_ends": (";", "\n"), "step_tokens": 32, "rounds": 16}
    if scorer := scoring(arg):
        search["scorer"] = scorer
    searches = {"beam search": ("beam_search", widths)}
    if full:  # the dearest once, unless N was asked for
        searches["DVTS"] = ("dvts", widths if arg.widths else widths[-1:])
        searches["lookahead"] = ("lookahead", widths if arg.widths else widths[:1])
    curves = {}
    for curve, (kind, sizes) in searches.items():
        curves[curve] = [f"{kind.removesuffix('_search')}_{width}" for width in sizes]
        for label, width in zip(curves[curve], sizes, strict=True):
            beams = {"beam_width": width} if width < 4 else {}  # the square root would be 1, which selects nothing
            run.methods[label] = common.method(kind, **steps, **search, n=width, **beams)
    scorer = {**scorer, "separator": ";"} if scorer else LIKELIHOOD
    run.compare = {
        "curves": {
            "direct": "direct",
            "chain of thought": "cot",
            "budget forcing": [*(f"budget_{budget}" for budget in budgets), "wait_1"],
            **pool_votes(scorer),
            **curves,
        },
        "primary": ["beam search", "majority"],
        **common_fields(arg),
    }
    return run


def scoring(arg):
    """Who scores steps; nothing for the policy's likelihood."""
    if arg.prm and arg.probe:
        raise InputError("the config takes prm=… or probe=…, not both")
    if arg.probe:
        return {"kind": "probe", "path": arg.probe}
    return {"kind": "prm", "model": arg.prm, "format": arg.format} if arg.prm else {}


def pool_votes(scorer):
    """Curves of the votes over the pool of `majority`."""
    return {
        "majority": "majority",
        "best-of-N": {"labels": "majority", "vote": "best", "scorer": scorer},
        "weighted best-of-N": {"labels": "majority", "vote": "weighted", "scorer": scorer},
        "shortest": {"labels": "majority", "vote": "shortest"},
        "pass@N": {"labels": "majority", "vote": "pass"},
    }


def common_fields(arg):
    """The rest of the field `compare`."""
    return {"pool": "majority", "axis": "flops", "price": 0.0, "timed": arg.timed}


def s1(arg):
    """s1.1-32B on s1's sets: budget forcing, votes and searches of one model, at one cost."""
    config = shared(arg.model or "hf:simplescaling/s1.1-32B", arg.seed)
    config.mesh.tensor, config.max_slots = 8, 16  # the rest of the memory is the reward model's cache
    samples, prm = arg.samples or 16, {"kind": "prm", "model": "hf:RLHFlow/Llama3.1-8B-PRM-Deepseek-Data", "format": "rlhflow"}
    if arg.prm:
        prm = {"kind": "prm", "model": arg.prm, "format": arg.format}
    for name in (arg.tasks or "+".join(S1_SETS)).split("+"):
        if name not in S1_SETS:
            raise InputError(f"the preset s1 has no task {name!r}; choose from {', '.join(S1_SETS)}")
        family, parameters = S1_SETS[name]
        run = ConfigDict({"task": common.task(family, **parameters, size=arg.n or config_dict.placeholder(int)), "methods": {}})
        asks = {"instruction": "", "examples": (), "max_tokens": 31_744}
        run.methods.majority = common.method("majority", **asks, n=samples, temperature=0.7)
        labels = []
        for budget in (512, 1024, 2048, 4096, 8192, 16384):
            labels.append(f"budget_{budget}")
            run.methods[labels[-1]] = common.method("budget_forcing", **asks, form="s1", max_thinking=budget)
        for count in (0, 2, 4, 6):
            labels.append(f"wait_{count}")
            run.methods[labels[-1]] = common.method("budget_forcing", **asks, form="s1", num_ignore=count)
        search = {**asks, "temperature": 0.7, "step_ends": ("\n\n",), "step_tokens": 1024, "rounds": 400, "scorer": prm}
        for width in (4, 16):
            run.methods[f"beam_{width}"] = common.method("beam_search", **search, n=width)
        run.methods.dvts_16 = common.method("dvts", **search, n=16)
        run.methods.lookahead_4 = common.method("lookahead", **search, n=4)
        run.compare = {
            "curves": {
                "budget forcing": labels,
                **pool_votes(prm),
                "beam search": ["beam_4", "beam_16"],
                "DVTS": "dvts_16",
                "lookahead": "lookahead_4",
            },
            "primary": ["beam search", "budget forcing"],
            **common_fields(arg),
        }
        config.runs[name] = run
    return config


def get_sweep():
    """Other draws of the same samples: how much of the result is luck."""
    return [{"config.seed": seed} for seed in range(3)]
