"""s1: Qwen2.5-Instruct fine-tuned on the thousand traces of s1K, on accelerators.

Paper: Muennighoff et al. 2025, arXiv 2501.19393, appendix D (and train/sft.sh): 5 epochs of batches of 16, 315 steps, learning
rate 1e-5 with 5 % warm-up and a cosine to 0, AdamW with β 0.9 and 0.95, decay 1e-4, bfloat16 products with float32 masters,
examples of up to 32,768 tokens (s1.1: 20,000), no packing, fully sharded. Template: `<|im_start|>think`, `<|im_start|>answer`.

COMMAND
  python scripts/train_sft.py --config configs/sft_s1k.py:size=32b,fsdp=16
  python scripts/train_sft.py --config configs/sft_s1k.py:size=1.5b,fsdp=1 --config.traces.max_tokens=20000
  python -m reasoning.train.memory configs/sft_s1k.py:size=32b,fsdp=16

The last one needs no accelerator and no weights: it compiles the step for a mesh of CPU devices and says what a device holds.
A masters-and-moments state takes 12 bytes a parameter: 32.8 G parameters are 393 GB, 24.6 GB on each of 16 devices.

MEASURED: shapes and memory alone; the training of these models needs hardware that was not at hand. Besides, an upper bound (a
CPU fuses less and widens products): on 16 devices 42.9 GB with rows of 20,480 tokens (s1.1) and 53.1 GB with 32,768, 77.7 GB
with the state. So 16 devices of 80 GB should hold the longest rows, for the price of a second forward pass (`remat` "spans") and
with XLA_PYTHON_CLIENT_MEM_FRACTION=0.97: JAX takes 75 % of a GPU by default.
"""

from configs import common, sft
from reasoning.errors import InputError

SIZES = ("0.5b", "1.5b", "3b", "7b", "14b", "32b")


def get_config(arg=None):
    """size: of Qwen2.5; traces: a file, a clone of the data set or hf:org/name; fsdp, tensor, data: devices; seed."""
    arg = common.parse_arg(arg, size="32b", traces="hf:simplescaling/s1K", seed=0, data=1, fsdp=16, tensor=1, max_tokens=32768)
    if arg.size not in SIZES:
        raise InputError(f"the config has no size {arg.size!r}; choose from {', '.join(SIZES)}, as in file.py:size=7b")
    config = sft.base(f"hf:Qwen/Qwen2.5-{arg.size.upper()}-Instruct", arg.traces, "s1", arg.seed)
    config.traces.held_out, config.traces.max_tokens = 0, arg.max_tokens
    config.batches = {"layout": "bucketed", "examples": 16, "rows": arg.data * arg.fsdp, "row_tokens": 0}
    config.step = {"compute_dtype": "bfloat16", "remat": "spans" if arg.size == "32b" else "full", "scan_layers": True}
    config.mesh = {"data": arg.data, "fsdp": arg.fsdp, "tensor": arg.tensor}
    config.checkpoints.every, config.evaluation.every = 63, 0  # an epoch; the paper evaluates afterwards
    return config


def get_sweep():
    """The lengths of table 8, and a larger learning rate."""
    lengths = [{"config.traces.max_tokens": tokens, "config.traces.too_long": "cut"} for tokens in (4096, 20000)]
    return [*lengths, {"config.optimizer.learning_rate": 2e-5}]
