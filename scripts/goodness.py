"""goodness@0.1 of responses that a grader of yours has scored: of each prompt its worst tenth, then the mean over prompts.

    python scripts/goodness.py --scores scores.jsonl

A row has forbidden_prompt, jailbreak and score, from 0 to 1, harmless to harmful (reasoning/evaluation/attacks/goodness.py).
"""

from absl import flags

from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation.attacks.goodness import goodness, read_scores

SCORES = flags.DEFINE_string("scores", None, "A .csv, .jsonl or .parquet file of scored responses.")
SHARE = flags.DEFINE_float("share", 0.1, "Share of a prompt's responses that count, the worst ones.")


def main(argv):
    del argv
    if not SCORES.value:
        raise InputError("--scores is needed: a file of scored responses")
    found = goodness(read_scores(SCORES.value), SHARE.value)
    interval = f"[{found.low:.3f}, {found.high:.3f}], MDE {found.mde:.3f}"
    print(f"goodness@{SHARE.value:g}  {found.value:.3f} {interval}, {found.n} prompts")


if __name__ == "__main__":
    command.run(main)
