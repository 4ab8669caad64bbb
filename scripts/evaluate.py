"""Answers, grades and compares: every method of a config over its task, resumable.

    python scripts/evaluate.py --config configs/quickstart.py:n=20 --config.seed=1 --workdir runs/mine

The same command again goes on where a killed run stopped, and does nothing when nothing is missing. Several processes, on one
machine or many, share the problems and make one report: docs/running.md.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reasoning import command
from reasoning.evaluation import experiment, report

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file and its argument, configs/file.py:name=value,…", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory. Unset: runs/<config file>-<hash of the resolved config>.")
PROCESSES = command.process_flags()


def main(argv):
    del argv
    config = command.config(CONFIG)
    workdir = Path(WORKDIR.value) if WORKDIR.value else command.config_path(config)
    mine = PROCESSES()
    experiment.evaluate(config, workdir, processes=mine)
    if not mine.leads:
        return
    made = report.report(workdir)
    print(made.text())
    print(f"\ntable        {made.table}\npicture      {made.picture}\nTensorBoard  tensorboard --logdir {workdir}")


if __name__ == "__main__":
    command.run(main)
