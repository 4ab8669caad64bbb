"""Makes a file of reasoning traces: written by programs, or the right answers of a model (STaR).

    python scripts/generate_traces.py --config configs/traces.py --output runs/traces/pool.jsonl
    python scripts/generate_traces.py --config configs/star.py --output runs/star/traces.jsonl

A pool of programs depends on its config alone and is written as a whole. The samples of a model are kept in --workdir, and the
same command goes on where a killed one stopped.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reasoning import command
from reasoning.data.traces import write_traces
from reasoning.data.writers.pool import write_pool
from reasoning.data.writers.summary import summary

CONFIG = config_flags.DEFINE_config_file("config", None, "configs/traces.py, configs/star.py or one like them.", lock_config=True)
OUTPUT = flags.DEFINE_string("output", None, "JSON-lines file. Unset: runs/<config file>-<hash of the resolved config>.jsonl.")
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory of a model's samples. Unset: --output without its suffix.")


def main(argv):
    del argv
    config = command.config(CONFIG)
    output = Path(OUTPUT.value) if OUTPUT.value else command.config_path(config).with_suffix(".jsonl")
    if "families" in config:
        traces = write_pool(config)
    else:
        from reasoning.evaluation.curation import star  # loads JAX, which programs do not need

        traces = star.traces(config, Path(WORKDIR.value) if WORKDIR.value else output.with_suffix(""))
    write_traces(output, traces)
    print(f"{summary(traces)}\n\ntraces  {output}")


if __name__ == "__main__":
    command.run(main)
