"""Trains a process reward model on the labels of a run; resumable.

    python scripts/evaluate.py --config configs/majority.py:n=500,samples=4 --config.task.seed=1 --workdir runs/pool
    python scripts/label.py --workdir runs/pool --label majority --n 8 --separator ";"
    python scripts/train_prm.py --config configs/prm.py:run=runs/pool,label=majority --workdir runs/prm
    python scripts/score.py --workdir runs/test --label majority --scorer "kind=prm,format=own,model=runs/prm/model,separator=;"

The same command again goes on where a killed run stopped. SIGTERM saves and exits with 0.
"""

from reasoning import command
from reasoning.allocator import keep_freed_memory

RUN = command.run_flags()


def main(argv):
    del argv
    keep_freed_memory()
    config, workdir = RUN()
    from reasoning.train.prm import train  # starts JAX's backend

    if train(config, workdir):
        print(f"model        {workdir / 'model'}\nTensorBoard  tensorboard --logdir {workdir}")
    else:
        print(f"stopped and saved; the same command goes on in {workdir}")


if __name__ == "__main__":
    command.run(main)
