"""A scorer reads the samples of a finished run; then the votes that see its scores, beside majority and pass@N. Resumable.

    python scripts/score.py --workdir runs/mine --label majority --scorer kind=prm,model=hf:org/name,format=qwen_math
    python scripts/score.py --workdir runs/mine --label majority --scorer kind=oracle,sigma=0.5
    python scripts/score.py --workdir runs/mine --label majority --scorer "kind=prm,…,separator=;" --against checker

With --against also how well it tells right steps from wrong ones, by labels that scripts/label.py made of the same samples.
Kinds and their arguments: the files of reasoning/rewards that have a function `judge`.
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation import selection
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.reports import step_scores
from reasoning.rewards.judges import label, parse

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that scripts/evaluate.py has finished.")
LABEL = flags.DEFINE_string("label", None, "Method whose samples are scored.")
SCORER = flags.DEFINE_string("scorer", None, "kind=…,argument=value,…")
AGAINST = flags.DEFINE_string("against", None, "Labels of the same samples: the number of endings or a verifier's name.")


def main(argv):
    del argv
    if not WORKDIR.value or not LABEL.value or not SCORER.value:
        raise InputError("--workdir, --label and --scorer are needed: a finished run, one of its methods, and who is to read it")
    workdir, spec = Path(WORKDIR.value), parse(SCORER.value)
    if AGAINST.value:
        step_scores.labels_of(open_finished(workdir), LABEL.value, AGAINST.value)
    path = selection.score(workdir, LABEL.value, spec)
    print(selection.report(workdir, LABEL.value, label(spec)))
    if AGAINST.value:
        print(f"\n{step_scores.report(open_finished(workdir), LABEL.value, label(spec), AGAINST.value)}")
    print(f"\nscores  {path}\ntable   {path.with_suffix('.md')}")


if __name__ == "__main__":
    command.run(main)
