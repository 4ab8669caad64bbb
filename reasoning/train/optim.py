"""Optimisers and learning rates: AdamW with the constants of s1 (arXiv 2501.19393, appendix D), Muon, schedules.

Clipping is part of the optimiser. What decays and what is a matrix is said by the table of `reasoning.train.parameters`.
"""

import math
from typing import Any

import jax
import optax

from reasoning.errors import InputError
from reasoning.train.parameters import kinds

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("constant", "linear", "cosine")
MUON_RMS = 0.2  # of an update, which is what AdamW's have: so one learning rate serves both (arXiv 2502.16982, section 2.2)


def schedule(name: str, peak: float, steps: int, warmup: float = 0.05) -> optax.Schedule:
    """steps taken so far → learning rate of the next one.

    It rises linearly from 0 in ⌈warmup · steps⌉ steps and then stays ("constant") or falls to 0 at `steps`, in a line or half a
    cosine, as transformers' schedules do.

    Raises InputError: unknown name, a peak or a share that cannot be.
    """
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule {name!r}; choose one of {', '.join(SCHEDULES)}")
    if not peak > 0 or not math.isfinite(peak):
        raise InputError(f"the learning rate must be a number > 0, got {peak!r}")
    if not 0 <= warmup <= 1 or steps < 1:
        raise InputError(f"a schedule needs 0 ≤ warmup ≤ 1 and steps ≥ 1, got warmup {warmup!r} and {steps} steps")
    rising = math.ceil(warmup * steps)
    falling = max(steps - rising, 1)
    after = {
        "constant": optax.constant_schedule(peak),
        "linear": optax.linear_schedule(peak, 0.0, falling),
        "cosine": optax.cosine_decay_schedule(peak, falling),
    }[name]
    return optax.join_schedules([optax.linear_schedule(0.0, peak, rising), after], [rising]) if rising else after


def optimizer(
    learning_rate: optax.ScalarOrSchedule,
    name: str = "adamw",
    *,
    b1: float = 0.9,
    b2: float = 0.95,
    eps: float = 1e-8,
    weight_decay: float = 1e-4,
    clip: float = 1.0,
    momentum: float = 0.95,
) -> optax.GradientTransformation:
    """Gradients, float32, and the parameters → what to add to these.

    Args:
      name: "adamw", or "muon": matrices inside the layers are moved by their orthogonalised momentum, all else by Adam.
      clip: largest norm of all gradients together; 0 for none.
      momentum: of Muon.
    Raises:
      InputError: unknown name, constants out of range; `init` raises it for a parameter without a rule.
    """
    if name not in OPTIMIZERS:
        raise InputError(f"unknown optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}")
    if not (0 <= b1 < 1 and 0 <= b2 < 1 and 0 <= momentum < 1 and eps > 0 and weight_decay >= 0 and clip >= 0):
        raise InputError(
            f"an optimizer needs 0 ≤ b1, b2, momentum < 1, eps > 0, weight_decay ≥ 0 and clip ≥ 0, got b1 {b1}, b2 {b2}, "
            f"momentum {momentum}, eps {eps}, weight_decay {weight_decay}, clip {clip}"
        )
    if name == "adamw":
        moves = optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=decays)
    else:
        direction = optax.contrib.muon(
            -1.0,  # a rate of its own would be applied to no decay outside of the matrices
            beta=momentum,
            eps=eps,
            adam_b1=b1,
            adam_b2=b2,
            muon_weight_dimension_numbers=dimension_numbers,
            consistent_rms=MUON_RMS,
        )
        decay = optax.add_decayed_weights(weight_decay, decays)
        moves = optax.chain(direction, decay, optax.scale_by_learning_rate(learning_rate))
    return optax.chain(optax.clip_by_global_norm(clip), moves) if clip else moves


def decays(params: Any) -> Any:
    """A tree of bools: neither norms nor biases nor embeddings decay. Raises InputError for a parameter without a rule."""
    return jax.tree.map(lambda kind: kind.decays, kinds(params), is_leaf=_is_kind)


def dimension_numbers(params: Any) -> Any:
    """What Muon orthogonalises: a tree of `MuonDimensionNumbers`, None for what is left to Adam. Raises InputError."""

    def one(kind):
        return optax.contrib.MuonDimensionNumbers(kind.inputs, kind.outputs) if kind.outputs else None

    return jax.tree.map(one, kinds(params), is_leaf=_is_kind)


def _is_kind(node: Any) -> bool:
    return hasattr(node, "decays")
