"""A small model fine-tuned on a thousand reasoning traces that programs wrote: a recipe for a CPU.

Paper: Muennighoff et al. 2025, arXiv 2501.19393 (s1), section 2 and appendix D: a thousand curated traces, loss on the response
alone, AdamW with β 0.9 and 0.95, decay 1e-4, 5 % warm-up, then a cosine to 0. Other than there: a model of 135 M parameters, so a
learning rate of 3e-4 in place of 1e-5 and 3 epochs in place of 5; examples are packed.

COMMAND
  python scripts/train_sft.py --config configs/sft.py:traces=runs/curated/curated.jsonl
  python scripts/train_sft.py --config configs/sft.py:traces=runs/curated/curated.jsonl,epochs=1 --config.batches.examples=8
  python scripts/train_sft.py --config configs/sft.py:traces=runs/curated/random.jsonl,tokens=300000,seed=1
  python scripts/train_sft.py --config configs/sft.py:traces=runs/curated/curated.jsonl,lora,optimizer=muon

Two sets of traces are compared at equal examples with equal epochs (or max_steps), and at equal tokens with `tokens`.

MEASURED: docs/results.md (three epochs, some 100 minutes on two cores).
"""

from ml_collections import ConfigDict

from configs import common
from configs.traces import settings

LORA = r"layers/\d+/(attention|mlp)/.*kernel"


def get_config(arg=None):
    """traces: a file; model, seed, epochs; max_steps: so many steps instead; tokens: as many steps as take so many tokens;
    lora: adapters of rank 16 instead of all parameters; optimizer: adamw or muon; form: how a trace is written; size and level
    (configs/traces.py): of the evaluations on the way.
    """
    arg = common.parse_arg(
        arg, traces="", model="smollm2-135m-instruct", seed=0, epochs=3, max_steps=0, tokens=0, lora=False, optimizer="adamw",
        form="prompt", size=50, level="full",
    )  # fmt: skip
    config = base(arg.model, arg.traces, arg.form, arg.seed)
    config.epochs, config.max_steps, config.tokens = arg.epochs, arg.max_steps, arg.tokens
    config.optimizer.name = arg.optimizer
    config.optimizer.learning_rate = 1e-3 if arg.lora else 3e-4  # adapters begin at zero and may move faster
    config.lora.pattern = LORA if arg.lora else ""
    for name in ("chain_sum", "simple_equations"):  # the shorter ones; configs/sft_evaluation.py has all, and more problems
        config.evaluation.tasks[name] = {
            "task": common.task("reasoning_gym", name=name, size=arg.size, **settings(arg.level)[name]),
            "method": common.method("direct", examples=(), instruction="", max_tokens=256),
        }
    return config


def base(model, traces, form, seed):
    """s1's constants with the batches of a CPU; `reasoning.train.settings` says what each field is."""
    config = ConfigDict()
    config.model, config.seed = model, seed
    config.traces = {"file": traces, "form": form, "held_out": 50, "max_tokens": 1024, "too_long": "refuse"}
    config.batches = {"layout": "packed", "examples": 16, "rows": 2, "row_tokens": 0}
    config.epochs, config.max_steps, config.tokens = 5, 0, 0
    config.optimizer = {
        "name": "adamw", "learning_rate": 1e-5, "schedule": "cosine", "warmup": 0.05, "b1": 0.9, "b2": 0.95, "eps": 1e-8,
        "weight_decay": 1e-4, "clip": 1.0, "momentum": 0.95,
    }  # fmt: skip
    config.lora = {"pattern": "", "rank": 16, "alpha": 32}
    config.step = {"compute_dtype": "", "remat": "none", "scan_layers": False}
    config.mesh = {"data": 1, "fsdp": 1, "tensor": 1}
    config.checkpoints = {"every": 20, "keep": 2}
    config.evaluation = {"every": 60, "dtype": "bfloat16", "max_slots": 0, "tasks": ConfigDict()}
    config.export_dtype = "bfloat16"
    return config


def get_sweep():
    """Three seeds for any claim about data, and the learning rates of the recipe."""
    seeds = [{"config.seed": seed} for seed in range(3)]
    return seeds + [{"config.optimizer.learning_rate": rate} for rate in (2e-4, 4e-4)]
