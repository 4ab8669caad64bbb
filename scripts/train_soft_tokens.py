"""Trains soft tokens against a defender: vectors in the span of its prompts that make it answer the attacker's goal.

    python scripts/train_soft_tokens.py --config configs/soft_tokens.py --workdir runs/soft

What it writes is an attack of configs/robustness.py:attack=soft_tokens.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reasoning import command
from reasoning.evaluation import soft_training

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file and its argument, configs/file.py:name=value,…", lock_config=True
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the vectors. Unset: runs/<config file>-<hash of the resolved config>."
)


def main(argv):
    del argv
    config = command.config(CONFIG)
    workdir = Path(WORKDIR.value) if WORKDIR.value else command.config_path(config)
    for path in soft_training.train(config, workdir):
        print(path)


if __name__ == "__main__":
    command.run(main)
