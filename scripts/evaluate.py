"""Answers, grades and compares: every method of a config over its task, resumable.

    python scripts/evaluate.py --config configs/quickstart.py:n=20 --config.seed=1 --workdir runs/mine

The same command again goes on where a killed run stopped, and does nothing when nothing is missing. Several processes, on one
machine or many, share the problems and make one report: docs/running.md.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reasoning import command, processes
from reasoning.evaluation import experiment, report
from reasoning.evaluation.identity import digest

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file and its argument, configs/file.py:name=value,…", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory. Unset: runs/<config file>-<hash of the resolved config>.")
DISTRIBUTED = flags.DEFINE_enum(
    "distributed", "auto", processes.MODES, "Several processes: as the launcher says, as JAX finds its cluster, or never."
)
ADDRESS = flags.DEFINE_string("coordinator_address", None, "host:port of process 0, where no launcher tells.")
COUNT = flags.DEFINE_integer("num_processes", None, "How many processes there are, with --coordinator_address.")
INDEX = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0, with --coordinator_address.")
PATIENCE = flags.DEFINE_integer("patience", processes.PATIENCE, "Seconds until all processes must have shown up.", lower_bound=1)


def main(argv):
    del argv
    config = command.config(CONFIG)
    workdir = Path(WORKDIR.value) if WORKDIR.value else default_workdir(config)
    mine = processes.start(DISTRIBUTED.value, ADDRESS.value, COUNT.value, INDEX.value, PATIENCE.value)
    experiment.evaluate(config, workdir, processes=mine)
    if not mine.leads:
        return
    made = report.report(workdir)
    print(made.text())
    print(f"\ntable        {made.table}\npicture      {made.picture}\nTensorBoard  tensorboard --logdir {workdir}")


def default_workdir(config) -> Path:
    """A directory of its own for every resolved config, so that two never mix and the same one resumes."""
    stem = Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    return Path("runs") / f"{stem}-{digest(config)[:8]}"


if __name__ == "__main__":
    command.run(main)
