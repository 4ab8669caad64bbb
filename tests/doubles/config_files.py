"""Config files as a script sees them: the module, and the values that command-line arguments give."""

import importlib.util
import json
import sys
from unittest import mock

from absl import flags
from ml_collections import config_flags


def read(path):
    """The module of a config file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def resolve(*arguments) -> dict:
    """The config that these command-line arguments give, as scripts/evaluate.py sees it."""
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file("config", flag_values=values)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    typed = ["evaluate.py", *arguments]
    with mock.patch.object(sys, "argv", typed):  # where ml_collections looks for --config.a.b=c
        values(typed)
    return json.loads(config.value.to_json())
