"""One optimizer step: A micro-batches, one sum of losses, one sum of targets, one division.

    gradient = Σ over micro-batches of d(Σ losses) / Σ over micro-batches of targets

A mean of means would weigh a target by how few others its micro-batch has. Parameters are float32 masters; the products of
the layers run in `compute_dtype` with float32 sums, and gradients of micro-batches are added in float32.

Axis legend: `A` micro-batches, `B` rows, `T` tokens.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import optax

from reasoning.errors import InputError
from reasoning.models.network import Network
from reasoning.models.training import REMAT
from reasoning.train.batching import Batch
from reasoning.train.loss import cross_entropy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """What a step changes.

    Attributes:
      params: float32 masters of what is trained, and nothing else.
      opt_state: of the optimizer.
      step: int32[], steps taken.
    """

    params: Any
    opt_state: Any
    step: jax.Array


class Metrics(NamedTuple):
    """Of one step, scalars on the device.

    Attributes:
      loss: nats a target token. token_accuracy: share of targets that have the largest logit.
      targets, tokens: int32, tokens that were learnt, and all but padding.
      grad_norm: before clipping. update_norm: of what was added to the parameters.
      finite: whether loss and grad_norm are finite. If not, the step changed nothing but its number.
    """

    loss: jax.Array
    token_accuracy: jax.Array
    targets: jax.Array
    tokens: jax.Array
    grad_norm: jax.Array
    update_norm: jax.Array
    finite: jax.Array


def default_dtype() -> str:
    """bfloat16 on accelerators; float32 on CPUs."""
    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


def everything(params: Any, frozen: Any) -> Any:
    """The merge of full fine-tuning: what is trained is all there is."""
    return params


def targets_of(batch: Batch) -> jax.Array:
    """bool like tokens: targets that have a token of their own segment before them."""
    return batch.loss & (batch.positions > 0) & (batch.segments > 0)


def make_loss(network: Network, *, compute_dtype: str = "", remat: str = "none", scan_layers: bool = False) -> Callable:
    """(working parameters, micro-batch with arrays [B, T]) → (float32[] nats summed over its targets, targets that are right)."""
    dtype = compute_dtype or default_dtype()
    training = checked(network, remat, scan_layers)

    def loss(working, batch: Batch):
        hidden = training.hidden(working, batch.tokens, batch.positions, batch.segments, remat, scan_layers)
        wanted = targets_of(batch)
        # Token t is predicted from t − 1; the last column predicts nothing.
        labels, wanted = (jnp.roll(x, -1, axis=1) for x in (batch.tokens, wanted))
        return cross_entropy(hidden, training.vocabulary(working), labels, wanted.at[:, -1].set(False), dtype)

    return loss


def check_remat(remat: str, scan_layers: bool = False) -> None:
    """Raises InputError for a `remat` that there is not, or not for layers that are written out."""
    if remat not in REMAT:
        raise InputError(f"remat is one of {', '.join(REMAT)}, got {remat!r}")
    if remat == "spans" and not scan_layers:
        raise InputError('remat "spans" is of layers in a loop; set step.scan_layers, or take "full"')


def checked(network: Network, remat: str, scan_layers: bool = False):
    """The network's functions for training. Raises InputError if it has none, or for a `remat` that cannot be."""
    check_remat(remat, scan_layers)
    training = None if network.training is None else network.training()
    if training is None or training.vocabulary is None:
        raise InputError("this model has no language head to train; load a generating model")
    return training


def make_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    *,
    compute_dtype: str = "",
    remat: str = "none",
    merge: Callable[[Any, Any], Any] = everything,
    scan_layers: bool = False,
) -> Callable[[State, Any, Batch], tuple[State, Metrics]]:
    """The pure step (state, frozen, batch with arrays [A, B, T]) → (state, Metrics); `reasoning.train.mesh.compiled` jits it.

    Args:
      optimizer: from the mean gradient to updates; clipping is its business.
      compute_dtype: of the layers' products; "" is the platform's default (`default_dtype`).
      remat: what the backward pass computes again (`reasoning.models.training.REMAT`).
      merge: (state.params, frozen) → parameters of the network; only what depends on `state.params` gets gradients.
      scan_layers: a loop over stacked layers instead of all layers written out: compiles faster.

    Raises InputError.
    """
    training, dtype = checked(network, remat, scan_layers), compute_dtype or default_dtype()
    micro_loss = make_loss(network, compute_dtype=dtype, remat=remat, scan_layers=scan_layers)

    def merged(params, frozen):
        whole = merge(params, frozen)
        return training.stack(whole) if scan_layers else whole

    def step(state: State, frozen: Any, batch: Batch) -> tuple[State, Metrics]:
        learns = depends(merged, state.params, frozen)
        whole, pull = jax.vjp(lambda params: merged(params, frozen), state.params)
        leaves, structure = jax.tree.flatten(training.cast(whole, dtype))

        targets = jnp.sum(targets_of(batch), dtype=jnp.int32)
        count = jnp.maximum(targets, 1).astype(jnp.float32)

        def loss(learnt, micro):
            """This micro-batch's part of the mean over all targets: dividing here spares a pass over all gradients."""
            learnt = iter(learnt)
            full = [next(learnt) if one else leaf for one, leaf in zip(learns, leaves, strict=True)]
            nats, correct = micro_loss(jax.tree.unflatten(structure, full), micro)
            return nats / count, correct

        learnt = [leaf for one, leaf in zip(learns, leaves, strict=True) if one]
        (nats, correct), gradients = summed(loss, learnt, batch)
        found = iter(gradients)
        cotangents = [
            (next(found) if one else jnp.zeros_like(leaf)).astype(leaf.dtype)
            for one, leaf in zip(learns, jax.tree.leaves(whole), strict=True)
        ]
        (gradient,) = pull(jax.tree.unflatten(structure, cotangents))
        grad_norm = optax.tree.norm(gradient)
        finite = jnp.isfinite(nats) & jnp.isfinite(grad_norm)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        updates = jax.tree.map(lambda update: jnp.where(finite, update, 0), updates)
        opt_state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), opt_state, state.opt_state)
        params = optax.apply_updates(state.params, updates)
        metrics = Metrics(
            loss=nats,
            token_accuracy=correct / count,
            targets=targets,
            tokens=jnp.sum(batch.segments > 0, dtype=jnp.int32),
            grad_norm=grad_norm,
            update_norm=optax.tree.norm(updates),
            finite=finite,
        )
        return State(params, opt_state, state.step + 1), metrics

    return step


def summed(loss: Callable, params: Any, batch: Batch):
    """(loss, correct) and float32 gradients, each summed over the micro-batches; one without targets costs nothing."""

    def one(micro):
        (nats, correct), gradients = jax.value_and_grad(loss, has_aux=True)(params, micro)
        return (nats, correct), jax.tree.map(lambda g: g.astype(jnp.float32), gradients)

    if batch.tokens.shape[0] == 1:
        return one(jax.tree.map(lambda x: x[0], batch))

    def add(total, micro):
        def more(total):
            return jax.tree.map(jnp.add, total, one(micro))

        return jax.lax.cond(jnp.any(targets_of(micro)), more, lambda total: total, total), None

    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), params)
    return jax.lax.scan(add, ((jnp.float32(0), jnp.float32(0)), zeros), batch)[0]


def depends(function: Callable, params: Any, frozen: Any) -> list[bool]:
    """Which leaves of `function(params, frozen)` depend on `params`."""
    program = jax.make_jaxpr(function)(params, frozen).jaxpr
    known = set(program.invars[: len(jax.tree.leaves(params))])
    for equation in program.eqns:
        if any(not isinstance(var, jax.extend.core.Literal) and var in known for var in equation.invars):
            known.update(equation.outvars)
    return [not isinstance(var, jax.extend.core.Literal) and var in known for var in program.outvars]
