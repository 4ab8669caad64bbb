"""A finished run graded anew, with the last number as the answer where a response states none; then its table.

python scripts/regrade.py --workdir runs/mine --to runs/mine-last-number
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation.regrade import regrade
from reasoning.evaluation.reports import report

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that scripts/evaluate.py has finished.")
TO = flags.DEFINE_string("to", None, "Directory for the regraded run; it must not exist yet.")


def main(argv):
    del argv
    if not WORKDIR.value or not TO.value:
        raise InputError("--workdir and --to are needed: a finished run, and where to write the regraded one")
    for label, count in regrade(Path(WORKDIR.value), Path(TO.value)).items():
        print(f"{label}: an answer was found in {count} responses that state none")
    made = report.report(Path(TO.value))
    print(made.text())
    print(f"\ntable    {made.table}\npicture  {made.picture}")


if __name__ == "__main__":
    command.run(main)
