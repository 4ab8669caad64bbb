"""SIGTERM during training: the step that runs is finished and saved; what can be cut short is cut short."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

AGREE_EVERY = 10  # steps after which several processes ask each other, which makes each wait for its device


class Stopped(BaseException):
    """Raised inside of `Stop.at_once` by SIGTERM. No Exception, so that nothing takes it for an error to recover from."""


class Stop:
    """Whether SIGTERM has come, while the context lasts; then the former handler is back."""

    def __init__(self):
        self._asked = self._at_once = False

    def __enter__(self) -> "Stop":
        self._main = threading.current_thread() is threading.main_thread()  # only there Python lets one handle signals
        self._former = signal.signal(signal.SIGTERM, self._handle) if self._main else None
        return self

    def __exit__(self, *_) -> None:
        if self._main:
            signal.signal(signal.SIGTERM, self._former)

    def _handle(self, signum, frame) -> None:
        self._asked = True
        if self._at_once:
            raise Stopped

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, SIGTERM raises `Stopped`, as does one that has come before; for work that goes on where it was left."""
        self._at_once = True
        try:
            if self._asked:
                raise Stopped
            yield
        finally:
            self._at_once = False

    def asked(self, step: int, now: bool = False) -> bool:
        """Whether to stop after `step` steps; the same answer in every process.

        Several processes agree every `AGREE_EVERY` steps, and where all of them say `now`.
        """
        if jax.process_count() == 1:
            return self._asked
        if step % AGREE_EVERY and not now:
            return False
        return bool(multihost_utils.process_allgather(np.asarray(self._asked)).any())
