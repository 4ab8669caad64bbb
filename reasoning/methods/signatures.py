"""A method that is another one and something more: its `make` takes the other's arguments beside its own.

`chain_of_thought.make` has ten arguments that half of the methods hand through. They name their own ones only, and still every
argument is listed with its default: in `--help`, in the config files, and in the message for a misspelt one.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from reasoning.methods.base import Method


def extends(parent: Callable[..., Method], **defaults: Any) -> Callable[[Callable[..., Method]], Callable[..., Method]]:
    """Decorates `make(*, own arguments, **rest)` so that `rest` are the arguments of `parent`, its defaults included.

    Args:
      parent: the `make` of another method; all its arguments are by keyword.
      defaults: of the parent's arguments that differ here.
    Raises:
      TypeError: a default for what is no argument of the parent; at a call, an argument that is neither's.
    """

    def decorate(make: Callable[..., Method]) -> Callable[..., Method]:
        inherited = dict(inspect.signature(parent).parameters)
        if unknown := defaults.keys() - inherited.keys():
            raise TypeError(f"{parent.__module__}.make has no argument {', '.join(sorted(unknown))}")
        changed = {name: inherited.pop(name).replace(default=value) for name, value in defaults.items()}
        own = {one.name: one for one in inspect.signature(make).parameters.values() if one.kind is one.KEYWORD_ONLY}
        parameters = {**own, **changed, **{name: one for name, one in inherited.items() if name not in own}}
        signature = inspect.Signature(parameters.values(), return_annotation=Method)

        @functools.wraps(make)
        def made(**arguments: Any) -> Method:
            bound = signature.bind(**arguments)
            bound.apply_defaults()
            return make(**bound.arguments)

        made.__signature__ = signature
        return made

    return decorate
