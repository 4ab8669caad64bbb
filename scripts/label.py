"""Monte-Carlo labels of the steps of a finished run: the model ends every prefix N times. Resumable.

python scripts/label.py --workdir runs/mine --label majority --n 8
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation import rollouts
from reasoning.evaluation.experiment import build_engine
from reasoning.evaluation.finished import open_finished
from reasoning.rewards.labels import hard
from reasoning.rewards.steps import SEPARATOR

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that scripts/evaluate.py has finished.")
LABEL = flags.DEFINE_string("label", None, "Method whose responses are labelled.")
N = flags.DEFINE_integer("n", 8, "Endings of every prefix.", lower_bound=1)
SEPARATES = flags.DEFINE_string("separator", SEPARATOR, "What ends a step.")


def main(argv):
    del argv
    if not WORKDIR.value or not LABEL.value:
        raise InputError("--workdir and --label are needed: a finished run and one of its methods")
    run = open_finished(Path(WORKDIR.value))
    path = rollouts.label(run, LABEL.value, build_engine(run.config, None), n=N.value, separator=SEPARATES.value)
    n, lines = rollouts.read_labels(path)
    steps = [step for line in lines for step in hard(line["right"])]
    print(f"{len(lines)} responses, {len(steps)} steps, {sum(steps)} without a mistake at {n} endings\nlabels  {path}")


if __name__ == "__main__":
    command.run(main)
