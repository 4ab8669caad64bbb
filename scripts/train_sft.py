"""Fine-tunes a model on reasoning traces; resumable.

    python scripts/train_sft.py --config configs/sft.py:traces=traces.jsonl --config.epochs=5 --workdir runs/mine

The same command again goes on where a killed run stopped, and does nothing when it is finished. SIGTERM saves and exits with 0.
Several processes train together with the flags of scripts/evaluate.py: docs/running.md.
"""

from reasoning import command
from reasoning.allocator import keep_freed_memory

RUN = command.run_flags()
PROCESSES = command.process_flags()


def main(argv):
    del argv
    keep_freed_memory()
    config, workdir = RUN()
    mine = PROCESSES()
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
