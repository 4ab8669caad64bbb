"""Decode and fine-tuning speed against transformers and llama.cpp, continuous batching against static batches, cost of stages.

    python scripts/bench.py decode                                   # batch 1, 8, 32, 64; needs the extra `bench`
    python scripts/bench.py mixed --rounds 3                         # and prefill, stages, long, all
    python scripts/bench.py long --model random:tiny --median 2048   # answers of up to 32k tokens; on a GPU random:1.5b
    python scripts/bench.py forcing --peers transformers-f32        # budget forcing against s1's loop over transformers
    python scripts/bench.py search --dtype float32            # problems together, steps read once
    python scripts/bench.py sft --peers transformers,transformers-f32   # fine-tuning steps, under autocast and in float32
    python scripts/bench.py packing                          # what packing gains
    python scripts/bench.py decode --model random:0.5b --peers none --batch 8

What the columns mean: docs/performance.md. Leave the machine alone meanwhile: rounds are interleaved, so that a drift meets
everybody, but another program on the same cores does not meet everybody alike.
"""

from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.allocator import keep_freed_memory
from reasoning.bench.document import write_json
from reasoning.bench.models import open_model
from reasoning.bench.peers import DEFAULT, quiet_threads
from reasoning.bench.runs import NAMES, PREFILL, run

MODEL = flags.DEFINE_string("model", "smollm2-135m-instruct", "what reasoning.load takes, or random: and tiny, 0.1b, 0.5b, 1.5b")
DTYPE = flags.DEFINE_enum("dtype", "bfloat16", ["bfloat16", "float32"], "of our model")
PEERS = flags.DEFINE_list("peers", list(DEFAULT), "programs to compare with; also transformers-f32; none")
THREADS = flags.DEFINE_integer("threads", 2, "of each peer; ours takes all cores", lower_bound=1)
BATCH = flags.DEFINE_multi_integer("batch", [1, 8, 32, 64], "decode: rows; may be repeated", lower_bound=1)
PROMPT = flags.DEFINE_integer(
    "prompt", 128, "prompt length, tokens; mixed, stages and long take half, sft and packing four times", lower_bound=2
)
NEW = flags.DEFINE_integer("new", 64, "decode: new tokens a row; stages takes half; forcing: the budget", lower_bound=2)
REQUESTS = flags.DEFINE_integer("requests", 128, "mixed: requests; long takes half", lower_bound=1)
SLOTS = flags.DEFINE_integer("slots", 32, "mixed, stages, long: rows that run at once", lower_bound=1)
MEDIAN = flags.DEFINE_integer("median", 48, "mixed, long: median length of an answer, tokens", lower_bound=1)
LONGEST = flags.DEFINE_integer("longest", 256, "mixed: longest answer, tokens", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", None, "rounds that count, after one that compiles; 5, sft and packing 3", lower_bound=1)
OUT = flags.DEFINE_string("out", None, "file for everything that was measured, JSON")


def main(argv):
    keep_freed_memory()
    quiet_threads()
    holders = (DTYPE, PEERS, THREADS, BATCH, PROMPT, NEW, REQUESTS, SLOTS, MEDIAN, LONGEST, ROUNDS)
    settings = {holder.name: holder.value for holder in holders} | {"prefill": PREFILL}
    settings["peers"] = [label for label in PEERS.value if label != "none"]
    document = run(argv[1], open_model(MODEL.value, DTYPE.value), settings)
    if OUT.value:
        write_json(Path(OUT.value), document)


if __name__ == "__main__":
    command.run(main, NAMES)
