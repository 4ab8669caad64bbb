"""Fine-tunes a model on reasoning traces; resumable.

    python scripts/train_sft.py --config configs/sft.py:traces=traces.jsonl --config.epochs=5 --workdir runs/mine

The same command again goes on where a killed run stopped, and does nothing when it is finished. SIGTERM saves and exits with 0.
Several processes train together with the flags of scripts/evaluate.py: docs/running.md.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reasoning import command, processes
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
    stem = Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    workdir = Path(WORKDIR.value or f"runs/{stem}-{digest(config)[:8]}")
    mine = processes.start(DISTRIBUTED.value, ADDRESS.value, COUNT.value, INDEX.value, PATIENCE.value)
    from reasoning.train.sft import train  # starts JAX's backend, which may only be once the processes are connected

    finished = train(config, workdir, processes=mine)
    if not mine.leads:
        return
    if finished:
        print(f"model        {workdir / 'model'}\nTensorBoard  tensorboard --logdir {workdir}")
    else:
        print(f"stopped and saved; the same command goes on in {workdir}")


if __name__ == "__main__":
    command.run(main)
