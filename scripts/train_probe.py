"""Fits a probe of the policy's hidden states to the labels of a run: a process reward model for one token a score. Resumable.

python scripts/evaluate.py --config configs/majority.py:n=500,samples=4 --config.task.seed=1 --workdir runs/pool
python scripts/label.py --workdir runs/pool --label majority --verifier checker --separator ";"
python scripts/train_probe.py --config configs/probe.py:run=runs/pool --workdir runs/probe
python scripts/score.py --workdir runs/test --label majority --scorer "kind=probe,path=runs/probe/probe.npz,separator=;"
"""

import json

from reasoning import command

RUN = command.run_flags()


def main(argv):
    del argv
    config, workdir = RUN()
    from reasoning.train.probe import train  # starts JAX's backend

    print(json.dumps(train(config, workdir), indent=2))
    print(f"probe  {workdir / 'probe.npz'}")


if __name__ == "__main__":
    command.run(main)
