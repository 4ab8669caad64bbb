"""Answers, grades and compares: every method of a config over its task, resumable.

    python scripts/evaluate.py --config configs/quickstart.py:n=20 --config.seed=1 --workdir runs/mine

The same command again goes on where a killed run stopped, and does nothing when nothing is missing. Several processes, on one
machine or many, share the problems and make one report: docs/running.md.
"""

from reasoning import command
from reasoning.evaluation import experiment
from reasoning.evaluation.reports import report

RUN = command.run_flags()
PROCESSES = command.process_flags()


def main(argv):
    del argv
    config, workdir = RUN()
    mine = PROCESSES()
    experiment.evaluate(config, workdir, processes=mine)
    if not mine.leads:
        return
    made = report.report(workdir)
    print(made.text())
    print(f"\ntable        {made.table}\npicture      {made.picture}\nTensorBoard  tensorboard --logdir {workdir}")


if __name__ == "__main__":
    command.run(main)
