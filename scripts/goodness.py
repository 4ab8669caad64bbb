"""goodness@0.1 of responses that a grader of yours has scored: of each prompt its worst tenth, then the mean over prompts.

    python scripts/goodness.py --run runs/strong-reject --label direct >responses.jsonl
    python scripts/goodness.py --scores scores.jsonl

The first writes the responses of a run of configs/strong_reject.py, a row each, to which the grader adds a score. A row has
forbidden_prompt, jailbreak and score, from 0 to 1, harmless to harmful (reasoning/evaluation/attacks/goodness.py).
"""

import json
from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation.attacks.goodness import goodness, read_scores, responses
from reasoning.evaluation.finished import open_finished

RUN = flags.DEFINE_string("run", None, "A finished run of scripts/evaluate.py, whose responses are to be graded.")
LABEL = flags.DEFINE_string("label", "direct", "The method of that run.")
SCORES = flags.DEFINE_string("scores", None, "A .csv, .jsonl or .parquet file of scored responses.")
SHARE = flags.DEFINE_float("share", 0.1, "Share of a prompt's responses that count, the worst ones.")


def main(argv):
    del argv
    if bool(SCORES.value) == bool(RUN.value):
        raise InputError("give --run, whose responses are to be graded, or --scores, a file of scored responses")
    if RUN.value:
        for row in responses(open_finished(Path(RUN.value)), LABEL.value):
            print(json.dumps(row, ensure_ascii=False))
        return
    found = goodness(read_scores(SCORES.value), SHARE.value)
    interval = f"[{found.low:.3f}, {found.high:.3f}], MDE {found.mde:.3f}"
    print(f"goodness@{SHARE.value:g}  {found.value:.3f} {interval}, {found.n} prompts")


if __name__ == "__main__":
    command.run(main)
