"""`no_host_read`: whatever reads a device's array on the host fails. `transfer_guard` lets every such read pass on a CPU."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ARRAY = type(jnp.zeros(()))
# The ways in that numpy has; the buffer protocol behind them cannot be closed, so other functions of numpy's read unseen.
NUMPY = ("array", "asarray", "asanyarray", "ascontiguousarray", "copy", "stack", "concatenate")


class HostReadError(AssertionError):
    """An array of the device was read on the host."""


@contextlib.contextmanager
def no_host_read() -> Iterator[None]:
    """While it lasts, a read of an array raises HostReadError, by float(), .item(), device_get, np.asarray and others."""

    def refused(*_, **__):
        raise HostReadError("an array of the device was read on the host")

    def guarded(plain):
        def read(first, *rest, **options):
            if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(first)):
                refused()
            return plain(first, *rest, **options)

        return read

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(ARRAY, "_value", property(refused)))
        for name in ("item", "__array__"):
            stack.enter_context(mock.patch.object(ARRAY, name, refused))
        for name in NUMPY:
            stack.enter_context(mock.patch.object(np, name, guarded(getattr(np, name))))
        yield


READS = {
    "float": float, "int": int, "bool": bool, "item": lambda x: x.item(), "tolist": lambda x: x.tolist(),
    "device_get": jax.device_get, "asarray": lambda x: np.asarray(x), "array": lambda x: np.array(x),
    "stack": lambda x: np.stack([x]), "text": str,
}  # fmt: skip


def check_it_sees() -> None:
    """Fails unless `no_host_read` catches each of READS."""
    for name, read in READS.items():
        planted = jnp.ones(()) + 1
        with pytest.raises(HostReadError), no_host_read():
            read(planted)
        assert np.asarray(planted) == 2, name  # and afterwards all is as it was
