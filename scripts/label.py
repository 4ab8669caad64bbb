"""Labels of the steps of a finished run: the model ends every prefix N times (resumable), or a verifier judges each.

python scripts/label.py --workdir runs/mine --label majority --n 8 --separator ";"
python scripts/label.py --workdir runs/mine --label majority --verifier checker --separator ";"
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation import rollouts, verified
from reasoning.evaluation.experiment import build_engine
from reasoning.evaluation.finished import open_finished
from reasoning.rewards.labels import hard
from reasoning.rewards.steps import SEPARATOR
from reasoning.weights.load import load_tokenizer

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that scripts/evaluate.py has finished.")
LABEL = flags.DEFINE_string("label", None, "Method whose responses are labelled.")
N = flags.DEFINE_integer("n", 8, "Endings of every prefix.", lower_bound=1)
VERIFIER = flags.DEFINE_string("verifier", None, "Exact labels instead: a module with step_labels, such as checker.")
SEPARATES = flags.DEFINE_string("separator", SEPARATOR, "What ends a step.")


def main(argv):
    del argv
    if not WORKDIR.value or not LABEL.value:
        raise InputError("--workdir and --label are needed: a finished run and one of its methods")
    run = open_finished(Path(WORKDIR.value))
    method = {"name": LABEL.value, "separator": SEPARATES.value}
    if VERIFIER.value:
        path = verified.verify(run, tokenizer=load_tokenizer(run.config["model"]), verifier=VERIFIER.value, **method)
    else:
        path = rollouts.label(run, engine=build_engine(run.config, None), n=N.value, **method)
    n, lines = rollouts.read_labels(path)
    steps = [step for line in lines for step in hard(line["right"])]
    by = VERIFIER.value or f"{n} endings of each prefix"
    silent = len(run.samples(LABEL.value)) - len(lines)
    if silent:
        print(f"{silent} responses state no answer and have no labels")
    print(f"{len(lines)} responses, {len(steps)} steps, {sum(steps)} without a mistake by {by}\nlabels  {path}")


if __name__ == "__main__":
    command.run(main)
