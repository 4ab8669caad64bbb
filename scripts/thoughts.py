"""Underthinking: were the wrong responses of a finished run right at some thought that they gave up? Asks the model once more.

python scripts/thoughts.py --workdir runs/mine
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation.thoughts import report as thought_report
from reasoning.evaluation.thoughts.segments import EXPRESSIONS, Switches

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that scripts/evaluate.py has finished.")
WORDS = flags.DEFINE_list("switches", list(EXPRESSIONS), "Expressions that begin another thought.")
ANY_CASE = flags.DEFINE_bool("ignore_case", False, "Whether they count in any case.")
STARTS = flags.DEFINE_bool("sentence_start", False, "Whether they count at the start of a line or a sentence alone.")


def main(argv):
    del argv
    if not WORKDIR.value:
        raise InputError("--workdir is needed: a run directory of scripts/evaluate.py")
    switches = Switches(tuple(WORDS.value), ANY_CASE.value, STARTS.value)
    print(thought_report.report(Path(WORKDIR.value), switches=switches))
    print(f"\ntable    {Path(WORKDIR.value) / 'report' / 'thoughts.md'}")


if __name__ == "__main__":
    command.run(main)
