"""A thousand traces out of a pool: s1's funnel, filter by filter, resumable, with a report.

    python scripts/curate.py --config configs/curate.py:pool=runs/traces/pool.jsonl --workdir runs/curated

The same command again goes on where a killed run stopped, and does nothing when nothing is missing. The traces are
<workdir>/curated.jsonl, and random.jsonl, diverse.jsonl and longest.jsonl to compare them with.
"""

from reasoning import command
from reasoning.evaluation.curation import funnel as curation
from reasoning.evaluation.curation import report as curation_report

RUN = command.run_flags()


def main(argv):
    del argv
    config, workdir = RUN()
    made = curation.curate(config, workdir)
    found = curation_report.report(made)
    print(found.text())
    print(f"\ntraces    {workdir / 'curated.jsonl'}\nreport    {found.table}\npictures  {', '.join(map(str, found.pictures))}")


if __name__ == "__main__":
    command.run(main)
