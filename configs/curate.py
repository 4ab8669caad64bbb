"""A thousand traces out of a pool by s1's funnel: complete, not repeated, not of an evaluation set, well formed, hard, diverse.

Paper: Muennighoff et al. 2025, arXiv 2501.19393, section 2 and Algorithm 1 (59,029 → 54,116 → 51,581 → 24,496 → 1,000).

    kind=generated  traces that programs wrote, as configs/traces.py does: kept apart from the evaluation sets by instance
    kind=natural    questions of people, as in s1K's columns: near duplicates and shared runs of 8 words

COMMAND
  python scripts/curate.py --config configs/curate.py:pool=runs/traces/pool.jsonl --workdir runs/curated
  python scripts/curate.py --config configs/curate.py:pool=runs/traces/pool.jsonl,keep=tries --workdir runs/curated-kept
  python scripts/curate.py --config configs/curate.py:kind=natural,pool=hf:simplescaling/data_ablation_full59K
  python scripts/curate.py --config configs/curate.py:kind=natural,pool=hf:simplescaling/s1K-1.1,size=100,difficulty=false

MEASURED: 20,000 written traces (configs/traces.py) against 1,000 evaluation problems of each family, no model: 20,000 → 18,222
(instances) → 18,213 (quality) → 1,000. Distant seeds do not keep pool and evaluation apart: 1,778 traces (8.9 %) asked for a
problem of an evaluation set. Mean thinking in tokens of SmolLM2: 130 before the selection; curated 242, random 130, diverse 131,
longest 268. With four domains 2^−rank takes little but the longest 250 of each; of "longest" 807 are logic. Length draws large
problems, and traces that fail an attempt first: all of curated and longest do, with keep=tries as many as in the pool. At the
short level a random thousand taught a small model more than any of these (docs/results.md, "Which traces?").
"""

from ml_collections import ConfigDict

from configs import benchmarks, common, tasks, traces
from reasoning.data.curation import selection
from reasoning.errors import InputError

MODEL = "smollm2-135m-instruct"  # what is to be trained: what it solves already would teach it little
DIFFICULTY = "reasoning.evaluation.curation.difficulty"
STAGES = {
    "generated": ("complete", "duplicates", "instances", "quality", "sample", DIFFICULTY),
    "natural": ("complete", "duplicates", "near_duplicates", "ngrams", "quality", "sample", DIFFICULTY),
}
NATURAL = ("math500", "aime24", "aime25")


def get_config(arg=None):
    """kind: see above; level: of configs/traces.py; pool: a file, a directory or hf:org/name; size: traces; sample: how many the
    model tries, 0 for all, as on an accelerator; difficulty: whether it tries at all; model: any that `reasoning.load` takes, its
    tokens measure lengths; keep: of the metadata, what length may not choose."""
    arg = common.parse_arg(
        arg, kind="generated", level="full", pool="", size=1000, sample=4000, difficulty=True, model=MODEL, seed=0, keep=""
    )  # fmt: skip
    if arg.kind not in STAGES:
        raise InputError(f"the config has no kind {arg.kind!r}; choose from {', '.join(STAGES)}, as in curate.py:kind=natural")
    natural, dear = arg.kind == "natural", ("sample", DIFFICULTY)
    config = ConfigDict()
    config.pool = ConfigDict({"sources": (arg.pool,) if arg.pool else (), "teacher": "deepseek", "split": "train"})
    config.stages = tuple(stage for stage in STAGES[arg.kind] if arg.difficulty or stage not in dear)
    families = traces.settings(arg.level)
    config.against = ConfigDict({name: _set(name, families) for name in (NATURAL if natural else families)})
    if natural:
        config.near_duplicates = ConfigDict({"similarity": 0.8, "shingle": 5})
        config.ngrams = ConfigDict({"n": 8, "most_lost": 0.5})
    else:
        config.instances = ConfigDict({"named_by": "reasoning.data.writers.base", "repeats": True, "most_lost": 0.5})
    config.quality = ConfigDict({"s1_rules": natural, "min_words": 10, "max_words": 0})
    if arg.difficulty:
        config.sample = ConfigDict({"size": arg.sample, "seed": arg.seed})
        config.difficulty = ConfigDict({"share": 0.5, "models": {"small": _attempt(arg.model, natural)}})
    seeds = selection.S1_SEEDS if natural else ()
    config.selection = ConfigDict({"size": arg.size, "seed": arg.seed, "length": arg.model, "seeds": seeds, "keep": arg.keep})
    config.ablations = ConfigDict({"names": tuple(selection.ABLATIONS), "after": "quality"})
    return config


def get_sweep():
    """Other draws, for what depends on one."""
    return [{"config.selection.seed": seed} for seed in (0, 1, 2)]


def _set(name: str, families) -> ConfigDict:
    """The task that is evaluated on: of a family of programs 1,000 problems, which hold any smaller set with the same seed."""
    if name in families:  # held-out problems are as hard as the pool's
        return common.task("reasoning_gym", name=name, size=1000, **families[name])
    if name in benchmarks.TASKS:
        family, parameters, *_ = benchmarks.TASKS[name]
        return common.task(family, **parameters)
    return tasks.asked(name).task(1000)


def _attempt(model: str, natural: bool) -> ConfigDict:
    """One greedy attempt. Of programs' problems two examples show the form of the answer: by an instruction alone SmolLM2 wrote
    none that could be read (0 of 42, 37 of which stopped by themselves), and then the filter drops nothing."""
    config = common.base(model, ConfigDict())
    del config.task
    shown = (*tasks.TASKS["chain_sum"].steps, *tasks.TASKS["simple_equations"].steps)
    form = {"instruction": benchmarks.MATH_STEPS, "max_tokens": 1024} if natural else {"examples": shown, "max_tokens": 256}
    config.methods.attempt = common.method("chain_of_thought", **form)
    return config
