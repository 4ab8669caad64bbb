"""Every method on the same model, problems, grader and cost axes: runs what is missing, then one report of all. Resumable.

    python scripts/compare.py --config configs/compare.py
    python scripts/compare.py --config configs/compare.py:small --workdir runs/small

The report is one page that works offline, with tables (Markdown, CSV), pictures and TensorBoard logs beside it. Finished runs in
the directory of --workdir lend their samples where model, task and method are the same. --price is of the report alone: the same
command with another one draws nothing.
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.comparison.report import report
from reasoning.comparison.run import compare

RUN = command.run_flags()
PROCESSES = command.process_flags()
REUSE = flags.DEFINE_string("reuse", None, "Finished runs below this directory lend their samples. Unset: that of --workdir.")

PRICE = flags.DEFINE_float("price", None, "Of an hour of one device, in any unit: the report gets a column.", lower_bound=0.0)


def main(argv):
    del argv
    config, workdir = RUN()
    mine = PROCESSES()
    runs = compare(config, workdir, processes=mine, places=Path(REUSE.value) if REUSE.value else None)
    if not mine.leads:
        return
    made = report(workdir, runs, PRICE.value)
    print(made.text)
    print(f"\npage         {made.page}\ntables       {runs[0] / 'comparison'}\nTensorBoard  tensorboard --logdir {workdir}")


if __name__ == "__main__":
    command.run(main)
