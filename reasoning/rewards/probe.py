"""A probe: a linear head on the policy's own hidden states, so that a score costs one token and no cache.

The slots hold no hidden states, and their last token is fed again by the next step anyway: feeding it once more at its own place
gives its hidden state and changes nothing in the cache. So a search scores a row for one token, however long it is (`peek`).
Finished responses have no slots any more; they are read once, step by step.

    p(right so far) = σ(w · h + b)         h at the last token of a step        (scripts/train_probe.py fits w and b)

Axis legend: `B` slots, `S` cache length, `D` model.
"""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.decode.slots import Slots
from reasoning.errors import InputError
from reasoning.models.model import Model
from reasoning.models.network import Network
from reasoning.records import write_atomic
from reasoning.rewards.base import Scorer
from reasoning.rewards.prm import flops_of, incremental
from reasoning.rewards.responses import Judge, of_scorer
from reasoning.rewards.steps import SEPARATOR


class Probe(NamedTuple):
    """kernel: float32[D]. bias: float32[]."""

    kernel: jax.Array
    bias: jax.Array

    def __call__(self, hidden: jax.Array) -> jax.Array:
        """float32[..., D] → probability of "right", float32[...]."""
        return jax.nn.sigmoid(hidden.astype(jnp.float32) @ self.kernel + self.bias)


def hidden_states(network: Network, params, slots: Slots) -> jax.Array:
    """float32[B, D]: the policy's hidden state at the last token of every row; the slots stay as they are."""
    at = jnp.maximum(slots.length - 1, 0)
    last = jax.vmap(lambda row, at: row[at])(slots.tokens, at)
    hidden, _ = network.forward(params, last[:, None], at[:, None], slots.cache)
    return hidden[:, 0]


def make(model: Model, probe: Probe, name: str = "probe") -> Scorer:
    """The scorer of a policy by a probe of it; reads the policy's ids. Raises InputError for a probe of another width."""
    width = model.config.d_model
    if probe.kernel.shape != (width,):
        raise InputError(f"a probe of {probe.kernel.size} numbers reads no hidden states of {width}; fit one to this model")
    network = model.network
    return Scorer(
        name=name,
        params={"probe": probe, "policy": model.params},
        context=model.config.context,
        flops=flops_of(model, read=2 * width),
        peek=lambda params, slots: params["probe"](hidden_states(network, params["policy"], slots)),
        **incremental(_of_policy(network), lambda params, hidden: params["probe"](hidden), (), ()),
    )


def _of_policy(network: Network) -> Network:
    """The network, of parameters that hold the policy's beside a probe."""
    return network._replace(forward=lambda params, *rest: network.forward(params["policy"], *rest))


def scorer(engine, path: str) -> Scorer:
    """`make` of the engine's model and the probe in a file. Raises InputError."""
    return make(engine.model, load(path))


def judge(engine, path: str, separator: str = SEPARATOR, name: str = "") -> Judge:
    """The same for finished responses, whose steps end with `separator`. Raises InputError."""
    return of_scorer(scorer(engine, path), engine.model.tokenizer, separator=separator, name=name)


def save(path: Path, probe: Probe) -> None:
    """Writes a probe, .npz with kernel float32[D] and bias float32[]. Raises InputError."""
    out = BytesIO()
    np.savez(out, kernel=np.asarray(probe.kernel, np.float32), bias=np.asarray(probe.bias, np.float32))
    write_atomic(path, out.getvalue())


def load(path: str | Path) -> Probe:
    """The probe in a file. Raises InputError if it is none."""
    try:
        with np.load(path) as file:
            kernel, bias = file["kernel"], file["bias"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} holds no probe, or is not there; scripts/train_probe.py writes one") from error
    if kernel.ndim != 1 or bias.shape != () or not (np.isfinite(kernel).all() and np.isfinite(bias)):
        raise InputError(f"{path} holds no probe of finite numbers: a kernel [D] and a bias are needed")
    return Probe(jnp.asarray(kernel, jnp.float32), jnp.float32(bias))


def fit(hidden: np.ndarray, labels: np.ndarray, ridge: float = 1.0, steps: int = 50) -> Probe:
    """Logistic regression by Newton's method, on the host.

    Args:
      hidden: float[n, D]. labels: float[n] in [0, 1], soft ones too.
      ridge: penalty ½ · ridge · |w|² on standardised features; keeps separable data finite.
    Raises InputError for labels that are all alike or outside [0, 1].
    """
    x, y = np.asarray(hidden, np.float64), np.asarray(labels, np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1] or not np.isfinite(x).all():
        raise InputError(f"a probe is fitted to finite hidden states [n, D] and n labels, got {x.shape} and {y.shape}")
    if y.min() < 0 or y.max() > 1 or y.min() == y.max():
        raise InputError("a probe needs labels in [0, 1] that are not all alike; label more responses")
    mean, scale = x.mean(0), x.std(0) + 1e-6
    z = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    penalty = ridge * np.append(np.ones(x.shape[1]), 0.0)
    w = np.zeros(z.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        gradient = z.T @ (p - y) + penalty * w
        hessian = (z * (p * (1 - p))[:, None]).T @ z + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if np.abs(step).max() < 1e-9:
            break
    kernel = w[:-1] / scale
    return Probe(jnp.asarray(kernel, jnp.float32), jnp.float32(w[-1] - mean @ kernel))
