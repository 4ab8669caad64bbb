"""Two models, or two ways of training one, on the same problems: finished runs in two groups, paired, with what seeds do.

python scripts/contrast.py --label free --a runs/tuned-0 --a runs/tuned-1 --a runs/tuned-2 --b runs/base
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation.reports.contrast import contrast

A = flags.DEFINE_multi_string("a", [], "Run directory of scripts/evaluate.py; give one for each training seed.")
B = flags.DEFINE_multi_string("b", [], "The same, of what it is compared with.")
LABEL = flags.DEFINE_string("label", None, "Method in both; its largest N counts.")
LABEL_B = flags.DEFINE_string("label_b", "", "Method in the runs of B, where it has another label.")


def main(argv):
    del argv
    if not A.value or not B.value or not LABEL.value:
        raise InputError("--a, --b and --label are needed: finished runs of both sides, and the method that both have")
    print(contrast([Path(path) for path in A.value], [Path(path) for path in B.value], LABEL.value, LABEL_B.value).text())


if __name__ == "__main__":
    command.run(main)
