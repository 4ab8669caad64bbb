"""Trains a process reward model on the labels of a run; resumable.

    python scripts/evaluate.py --config configs/majority.py --workdir runs/pool
    python scripts/label.py --workdir runs/pool --label majority --n 8
    python scripts/train_prm.py --config configs/prm.py:run=runs/pool,label=majority --workdir runs/prm
    python scripts/score.py --workdir runs/test --label majority --scorer kind=prm,format=own,model=runs/prm/model

The same command again goes on where a killed run stopped. SIGTERM saves and exits with 0.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reasoning import command

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file and its argument, configs/file.py:name=value,…", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory. Unset: runs/<config file>-<hash of the resolved config>.")


def main(argv):
    del argv
    config = command.config(CONFIG)
    workdir = Path(WORKDIR.value) if WORKDIR.value else command.config_path(config)
    from reasoning.train.prm import train  # starts JAX's backend

    if train(config, workdir):
        print(f"model        {workdir / 'model'}\nTensorBoard  tensorboard --logdir {workdir}")
    else:
        print(f"stopped and saved; the same command goes on in {workdir}")


if __name__ == "__main__":
    command.run(main)
