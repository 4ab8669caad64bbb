"""Your own problems: chain of thought and majority voting on a JSON-lines or parquet file.

Paper: Wei et al. 2022, arXiv 2201.11903 (chain of thought); Wang et al. 2022, arXiv 2203.11171 (majority voting).

COMMAND
  python scripts/evaluate.py --config configs/files.py:path=problems.jsonl,question=problem,answer=solution

MEASURED: nothing here; `reasoning/data/files.py` says what a file looks like.
"""

from configs import common


def get_config(arg=None):
    """path: the file; question, answer: its columns; model: any that `reasoning.load` takes; samples: of the vote."""
    arg = common.parse_arg(arg, path="problems.jsonl", question="question", answer="answer", model=common.MODEL, samples=8)
    task = common.task("files", path=arg.path, question=arg.question, answer=arg.answer)
    config = common.base(arg.model, task)
    config.methods.cot = common.method("chain_of_thought")
    config.methods.majority = common.method("majority", n=arg.samples, temperature=0.7)
    return config


def get_sweep():
    """How the vote depends on its temperature."""
    return [{"config.methods.majority.temperature": temperature} for temperature in (0.4, 0.7, 1.0)]
