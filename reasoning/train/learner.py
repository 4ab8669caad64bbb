"""What learns: masters or adapters, the optimizer, the compiled step, and the model that comes of it at any time."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import PartitionSpec as P

from reasoning.models.model import Model
from reasoning.models.transformer import abstract_params, network
from reasoning.train import lora
from reasoning.train import mesh as meshes
from reasoning.train.batching import Batch
from reasoning.train.optim import optimizer, schedule
from reasoning.train.step import Metrics, State, default_dtype, everything, make_loss, make_step, targets_of
from reasoning.train.trials import batch_sums

RULES = ((r"layers/.*/kernel/(down|up)", P()), *meshes.RULES)  # adapters are small: every device has them whole


class Learner:
    """One configuration's training of one model.

    Attributes:
      config: of the model. mesh: None for the default device. frozen: what the step needs and does not change.
      rates: float32[steps], learning rate of each step. step: (state, batch of host arrays) → (state (donated), Metrics).
    """

    def __init__(self, config: Mapping[str, Any], model: Model, steps: int):
        """`model`: float32 parameters that every process has in full. Raises InputError for what the configuration gets wrong."""
        sizes = config["mesh"]
        self.mesh = meshes.make_mesh(**sizes) if max(sizes.values()) > 1 or jax.process_count() > 1 else None
        self._model, self.config, part = model, model.config, dict(config["optimizer"])
        rate = {name: part.pop(name) for name in ("learning_rate", "schedule", "warmup")}
        rises = schedule(rate["schedule"], rate["learning_rate"], steps, rate["warmup"])
        self.rates = np.asarray(jax.jit(jax.vmap(rises))(np.arange(steps)))
        self._optimizer = optimizer(rises, **part)
        self._adapted = bool(config["lora"]["pattern"])
        dtype = config["step"]["compute_dtype"] or default_dtype()
        if self._adapted:
            self._about = dict(config["lora"])
            self._start = lora.init(model.params, self._about["pattern"], self._about["rank"], jax.random.key(config["seed"]))
            self._merge = functools.partial(lora.merge, scale=self._about["alpha"] / self._about["rank"])
            self.frozen = self._placed(_cast(model.params, abstract_params(model.config, dtype)))
        else:
            self._start, self._merge, self.frozen = model.params, everything, {}
        net = network(model.config)
        self._step = meshes.compiled(make_step(net, self._optimizer, merge=self._merge, **config["step"]), self.mesh)
        self._training, self._dtype, self._scan = net.training(), dtype, config["step"]["scan_layers"]
        self._loss = make_loss(net, **config["step"])

    def fresh(self) -> State:
        """The state before the first step."""
        return meshes.init(self._start, self._optimizer, self.mesh, RULES)

    def abstract(self) -> State:
        """Shapes, dtypes and places of the state, without the memory."""
        shapes = jax.eval_shape(lambda params: State(params, self._optimizer.init(params), np.int32(0)), self._start)
        if self.mesh is None:
            here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            where = jax.tree.map(lambda leaf: here, shapes)
        else:
            places = meshes.shardings(shapes.params, self.mesh, RULES)
            where = meshes.state_shardings(self._optimizer, shapes.params, places, self.mesh)
        return jax.tree.map(lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at), shapes, where)

    def step(self, state: State, batch: Batch) -> tuple[State, Metrics]:
        """One step; returns before the device has taken it."""
        return self._step(state, self.frozen, batch)

    def put(self, batch: Batch) -> Batch:
        """This process's part of a batch on the devices."""
        return meshes.put_batch(batch, self.mesh)

    @functools.cached_property
    def sums(self) -> Callable[..., Any]:
        """For `reasoning.train.trials.HeldOut`."""

        def working(params, frozen):
            whole = self._merge(params, frozen)
            return self._training.cast(self._training.stack(whole) if self._scan else whole, self._dtype)

        run = jax.jit(batch_sums(self._loss, working, targets_of))
        if self.mesh is None:
            return run

        def on_mesh(*arguments):
            with jax.set_mesh(self.mesh):
                return run(*arguments)

        return on_mesh

    def model(self, state: State, dtype: str) -> Model:
        """What has been learnt so far, adapters merged, in host arrays of `dtype` (norms and biases float32)."""
        params = _on_host(state.params)
        if self._adapted:
            params = self._merge(params, _on_host(self.frozen))
        params = _cast(params, abstract_params(self._model.config, dtype))
        return Model(self._model.config, params, self._model.tokenizer, self._model.name, self._model.source)

    def save_adapters(self, state: State, path) -> None:
        """Writes the adapters alone, if it is them that are trained. Raises InputError."""
        if self._adapted:
            scale = self._about["alpha"] / self._about["rank"]
            lora.save(_on_host(state.params), path, **self._about, scale=scale, base=self._model.name)

    def _placed(self, params: Any) -> Any:
        return jax.device_put(params) if self.mesh is None else meshes.put(params, meshes.shardings(params, self.mesh, RULES))


def _cast(params: Any, like: Any) -> Any:
    """Host arrays, copied, in the dtypes of `like`."""
    return jax.tree.map(lambda leaf, spec: np.array(leaf, dtype=spec.dtype, copy=True), params, like)


def _on_host(tree: Any) -> Any:
    """Copies of all arrays, in full, in every process."""
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(tree, tiled=True)
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), tree)
