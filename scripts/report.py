"""The table and the picture of a finished run directory, once more.

python scripts/report.py --workdir runs/mine
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation.reports import report

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that scripts/evaluate.py has finished.")


def main(argv):
    del argv
    if not WORKDIR.value:
        raise InputError("--workdir is needed: a run directory of scripts/evaluate.py")
    made = report.report(Path(WORKDIR.value))
    print(made.text())
    print(f"\ntable    {made.table}\npicture  {made.picture}")


if __name__ == "__main__":
    command.run(main)
