"""Answers, grades and compares: every method of a config over its task, resumable.

    python scripts/evaluate.py --config configs/quickstart.py:n=20 --config.seed=1 --workdir runs/mine

The same command again goes on where a killed run stopped, and does nothing when nothing is missing.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reasoning import command
from reasoning.evaluation import experiment, report
from reasoning.evaluation.identity import digest

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file and its argument, configs/file.py:name=value,…", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory. Unset: runs/<config file>-<hash of the resolved config>.")


def main(argv):
    del argv
    config = command.config(CONFIG)
    workdir = Path(WORKDIR.value) if WORKDIR.value else default_workdir(config)
    experiment.evaluate(config, workdir)
    made = report.report(workdir)
    print(made.text())
    print(f"\ntable        {made.table}\npicture      {made.picture}\nTensorBoard  tensorboard --logdir {workdir}")


def default_workdir(config) -> Path:
    """A directory of its own for every resolved config, so that two never mix and the same one resumes."""
    stem = Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    return Path("runs") / f"{stem}-{digest(config)[:8]}"


if __name__ == "__main__":
    command.run(main)
