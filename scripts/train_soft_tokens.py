"""Trains soft tokens against a defender: vectors in the span of its prompts that make it answer the attacker's goal.

    python scripts/train_soft_tokens.py --config configs/soft_tokens.py --workdir runs/soft

What it writes is an attack of configs/robustness.py:attack=soft_tokens.
"""

from reasoning import command
from reasoning.evaluation.attacks import soft_training

RUN = command.run_flags()


def main(argv):
    del argv
    config, workdir = RUN()
    for path in soft_training.train(config, workdir):
        print(path)


if __name__ == "__main__":
    command.run(main)
