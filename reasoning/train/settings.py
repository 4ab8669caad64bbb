"""The configuration of a training run, plain data: what it may hold, and what follows from it before anything is loaded.

model            any that `reasoning.load` takes
seed             of the data's order, of the draw of held-out traces, of adapters and of evaluations
traces           file, form (`reasoning.train.examples.FORMS`), held_out (how many are not trained on), max_tokens, too_long
batches          layout, examples a step, rows of a micro-batch, row_tokens (0: the longest example's; a run
                 says which would be fuller)
epochs, max_steps, tokens
                 how long: epochs; if > 0, so many steps; if > 0, as many steps as take so many tokens (padding left out)
optimizer        name, learning_rate, schedule, warmup, b1, b2, eps, weight_decay, clip, momentum
lora             pattern ("": all parameters are trained), rank, alpha
step             compute_dtype, remat, scan_layers (`reasoning.train.step.make_step`)
mesh             data, fsdp, tensor
checkpoints      every (steps), keep
evaluation       every (steps, 0: never), tasks ({label: task and method}), dtype, max_slots
export_dtype     of the model that is written in the end
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.errors import InputError
from reasoning.train.batching import Layout, plan
from reasoning.train.examples import FORMS, TOO_LONG

_PARTS: dict[str, tuple[str, ...]] = {
    "traces": ("file", "form", "held_out", "max_tokens", "too_long"),
    "batches": ("layout", "examples", "rows", "row_tokens"),
    "optimizer": ("name", "learning_rate", "schedule", "warmup", "b1", "b2", "eps", "weight_decay", "clip", "momentum"),
    "lora": ("pattern", "rank", "alpha"),
    "step": ("compute_dtype", "remat", "scan_layers"),
    "mesh": ("data", "fsdp", "tensor"),
    "checkpoints": ("every", "keep"),
    "evaluation": ("every", "tasks", "dtype", "max_slots"),
}
# What changes no number of a run but in its last bits: a run may go on with other values than it was begun with.
LAST_BITS = (
    "mesh.data", "mesh.fsdp", "mesh.tensor", "batches.rows", "step.remat", "step.scan_layers",
    "checkpoints.every", "checkpoints.keep",
)  # fmt: skip
_PLAIN = ("model", "seed", "epochs", "max_steps", "tokens", "export_dtype")
_DTYPES = ("float32", "bfloat16", "float16")


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError for missing and unknown keys, and for values that cannot be."""
    _keys("", config, (*_PLAIN, *_PARTS))
    for name, keys in _PARTS.items():
        if not isinstance(config[name], Mapping):
            raise InputError(f"the config's {name} must hold {', '.join(keys)}; see configs/sft.py")
        _keys(f"{name}.", config[name], keys)
    for name, value, least in (
        ("epochs", config["epochs"], 1), ("max_steps", config["max_steps"], 0), ("tokens", config["tokens"], 0),
        ("traces.held_out", config["traces"]["held_out"], 0), ("checkpoints.every", config["checkpoints"]["every"], 1),
        ("evaluation.every", config["evaluation"]["every"], 0), ("traces.max_tokens", config["traces"]["max_tokens"], 2),
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"the config's {name} must be a whole number ≥ {least}, got {value!r}")
    for name, value, choices in (
        ("traces.form", config["traces"]["form"], tuple(FORMS)), ("traces.too_long", config["traces"]["too_long"], TOO_LONG),
        ("export_dtype", config["export_dtype"], _DTYPES), ("evaluation.dtype", config["evaluation"]["dtype"], _DTYPES),
        ("step.compute_dtype", config["step"]["compute_dtype"], ("", *_DTYPES[:2])),
    ):  # fmt: skip
        if value not in choices:
            raise InputError(f"the config's {name} is one of {', '.join(map(repr, choices))}, got {value!r}")
    if not config["traces"]["file"]:
        raise InputError("the config names no file of traces; write --config configs/sft.py:traces=FILE")


def _keys(prefix: str, part: Mapping[str, Any], wanted: Sequence[str]) -> None:
    for key in wanted:
        if key not in part:
            raise InputError(f"the config lacks {prefix}{key}; see configs/sft.py for what it needs")
    for key in part:
        if key not in wanted:
            raise InputError(f"the config has an unknown key {prefix}{key}; known: {', '.join(wanted)}")


def layout(config: Mapping[str, Any]) -> Layout:
    """How batches are made."""
    part = config["batches"]
    return Layout(part["layout"], part["examples"], part["rows"], part["row_tokens"], config["seed"])


def total_steps(config: Mapping[str, Any], lengths: Sequence[int]) -> int:
    """Steps of the whole run on examples of these lengths. Raises InputError as `plan` does."""
    made = layout(config)
    epoch_steps = len(plan(lengths, made, 0))
    if not config["tokens"]:
        return config["max_steps"] or config["epochs"] * epoch_steps
    whole, rest = divmod(config["tokens"], sum(lengths))
    steps = whole * epoch_steps
    for step in plan(lengths, made, whole):
        if rest <= 0:
            break
        rest -= sum(lengths[index] for row in step.rows for index in row)
        steps += 1
    return steps if not config["max_steps"] else min(steps, config["max_steps"])
