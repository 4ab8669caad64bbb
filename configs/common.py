"""What the config files share: their argument string, the fields every config has, the worked example of chain_sum.

A config is a lab notebook page (the manner of google-research/big_vision): `get_config(arg)` returns an `ml_collections`
ConfigDict, `get_sweep()` the settings of a study, and the docstring says the paper, the COMMAND and what was measured.
Fields of a config (`reasoning.evaluation.experiment` reads them):

    model      catalogue name, "hf:org/name@revision", directory or GGUF file
    dtype      "float32", "bfloat16" or "" for the default, bfloat16
    max_slots  sequences that run at once; unset plans from memory
    mesh       devices over which slots (data) and weights (tensor) are split; 1 × 1 is the default device
    seed       of all samples
    task       family and its parameters, see `reasoning.data.tasks.load_task`
    methods    {label: method and its arguments}, see `reasoning.methods.base.method`; a directory of results each
    sweep      optional, which of these methods differ in one setting, see `reasoning.evaluation.sweeps.plan`
    robustness optional, which of them are the cells of a grid of attacks, see `reasoning.evaluation.attacks.plan`
    compare    optional, which of them make a curve of accuracy against cost, see `reasoning.comparison.plan`
    match      optional, which of them think as long as another, see `reasoning.evaluation.matched`
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict, config_dict

from reasoning.errors import InputError
from reasoning.methods.base import maker

MODEL = "qwen2.5-coder-0.5b-instruct"

# One problem of another seed than the test's, once with running totals and once with the answer alone.
CHAIN_SUM_QUESTION = "State the final answer to the following arithmetic problem: 12 + 30 - 17 + 25 - 31 ="
CHAIN_SUM_STEPS = ((CHAIN_SUM_QUESTION, "12 + 30 = 42; 42 - 17 = 25; 25 + 25 = 50; 50 - 31 = 19\nAnswer: 19"),)
CHAIN_SUM_ANSWER = ((CHAIN_SUM_QUESTION, "Answer: 19"),)


def parse_arg(arg: str | None, **defaults: Any) -> ConfigDict:
    """ "n=20,fast" with n=100, fast=False as defaults → n=20, fast=True. A value has the type of its default.

    Raises InputError for an unknown name or a value that is not of that type.
    """
    out = ConfigDict(defaults)
    for part in filter(None, (arg or "").split(",")):
        name, given, text = part.partition("=")
        if name not in defaults:
            raise InputError(f"the config has no argument {name!r}; choose from {', '.join(defaults)}, as in file.py:name=value")
        out[name] = _parse(name, text if given else "true", type(defaults[name]))
    return out


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in ("true", "1", "false", "0"):
            return text.lower() in ("true", "1")
        raise InputError(f"the config's argument {name} is true or false, got {text!r}")
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"the config's argument {name} must be of type {kind.__name__}, got {text!r}") from None


def base(model: str, task: ConfigDict, seed: int = 0) -> ConfigDict:
    """A config without methods."""
    config = ConfigDict()
    config.model = model
    config.dtype = ""
    config.max_slots = config_dict.placeholder(int)
    config.mesh = ConfigDict({"data": 1, "tensor": 1})
    config.seed = seed
    config.task = task
    config.methods = ConfigDict()
    return config


def task(family: str, **parameters: Any) -> ConfigDict:
    """A task of `reasoning.data` with every parameter written out: each can be set on the command line, no default is hidden."""
    return _call({"family": family}, importlib.import_module(f"reasoning.data.{family}").load, parameters)


def method(name: str, **arguments: Any) -> ConfigDict:
    """A method with every argument written out but the seed, which is the config's."""
    config = _call({"method": name}, maker(name), arguments)
    del config.seed
    return config


def _call(head: dict[str, str], function: Callable, arguments: dict[str, Any]) -> ConfigDict:
    """`head`, then the arguments of `function`: those given, and the defaults of the others where they have a type."""
    parameters = inspect.signature(function).parameters.items()
    defaults = {name: one.default for name, one in parameters if one.default not in (one.empty, None)}
    return ConfigDict({**head, **defaults, **arguments})


def chain_sum_direct() -> ConfigDict:
    """The answer alone, greedy."""
    return method("direct", examples=CHAIN_SUM_ANSWER, instruction="", max_tokens=16)


def chain_sum_steps() -> ConfigDict:
    """Running totals before the answer, greedy: six terms take about 80 tokens."""
    return method("chain_of_thought", examples=CHAIN_SUM_STEPS, instruction="", max_tokens=112)


def chain_sum_majority(samples: int) -> ConfigDict:
    """The vote of `samples` such chains at temperature 0.7."""
    return method("majority", examples=CHAIN_SUM_STEPS, instruction="", max_tokens=112, n=samples, temperature=0.7)


def chain_sum_search(name: str, samples: int, prm: str = "", format: str = "", **arguments: Any) -> ConfigDict:
    """The search `name` over such chains, a partial sum a step.

    prm, format: the process reward model that scores the steps and how it is read; "" takes the policy's own likelihood.
    """
    scorer = {"scorer": {"kind": "prm", "model": prm, "format": format}} if prm else {}
    shared = {"examples": CHAIN_SUM_STEPS, "instruction": "", "max_tokens": 112, "n": samples, "temperature": 0.7}
    return method(name, **shared, step_ends=(";", "\n"), step_tokens=32, rounds=16, **scorer, **arguments)
