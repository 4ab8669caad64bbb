"""A process reward model on ProcessBench: F1 of finding the first wrong step.

    python scripts/process_bench.py --file gsm8k.jsonl --model hf:Qwen/Qwen2.5-Math-PRM-7B --format qwen_math
    python scripts/process_bench.py --file math.jsonl --model hf:Qwen/Qwen2.5-Math-PRM-7B --format qwen_math --threshold 0.43

A line of the file has id, problem, steps and label, the index of the first wrong step or -1 (datasets: Qwen/ProcessBench).
"""

from pathlib import Path

from absl import flags

import reasoning
from reasoning import command
from reasoning.errors import InputError

FILE = flags.DEFINE_string("file", None, "JSON lines of ProcessBench.")
MODEL = flags.DEFINE_string("model", None, "What reasoning.load takes.")
FORMAT = flags.DEFINE_string("format", None, "How it is read, a name of reasoning/rewards/formats.py.")
DTYPE = flags.DEFINE_string("dtype", "", "float32, bfloat16 or the default.")
MARKER = flags.DEFINE_string("marker", None, "What ends a step for the model, where its format lets choose.")
THRESHOLD = flags.DEFINE_float("threshold", 0.5, "A step with a lower score is wrong.")


def main(argv):
    del argv
    if not FILE.value or not MODEL.value or not FORMAT.value:
        raise InputError("--file, --model and --format are needed: the solutions, the reward model and how it is read")
    from reasoning.evaluation.process_bench import judge  # starts JAX's backend
    from reasoning.evaluation.statistics.step_metrics import read_process_bench
    from reasoning.rewards import prm

    solutions = read_process_bench(Path(FILE.value))
    scorer = prm.make(reasoning.load(MODEL.value, DTYPE.value or None), FORMAT.value, separator=MARKER.value)
    report = judge(scorer, solutions, THRESHOLD.value)
    print(f"{len(solutions)} solutions, {sum(one.label >= 0 for one in solutions)} of them with a mistake")
    for name, one in (("threshold", report.at), ("best here", report.best)):
        print(f"{name} {one.threshold:.3f}: F1 {one.f1:.3f}, erroneous {one.error:.3f}, correct {one.correct:.3f}")


if __name__ == "__main__":
    command.run(main)
