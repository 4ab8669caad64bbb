"""Inference-time reasoning in JAX: `load` a model, `save` it, make an `Engine`, send it `Request`s, or run a `method`.

Importing this package imports nothing else; each name is looked up when it is first used.
"""

import importlib

_HOMES = {
    "load": "reasoning.weights.load",
    "save": "reasoning.weights.export",
    "Engine": "reasoning.decode.engine",
    "Request": "reasoning.decode.requests",
    "method": "reasoning.methods.base",
    "InputError": "reasoning.errors",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*globals(), *__all__])
