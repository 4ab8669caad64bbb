"""Prints the commands of a study: a config's get_sweep(), one run for each setting, each with a directory of its own.

    python scripts/sweep.py --study configs/majority.py:n=200
    python scripts/sweep.py --study configs/majority.py:n=200 --more "--config.dtype=float32" | sh -e

Each of the runs goes on where it was stopped, so the second line may simply be given again.
"""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

from absl import flags

from reasoning import command
from reasoning.errors import InputError

STUDY = flags.DEFINE_string("study", None, "Config file and its argument, configs/file.py:name=value,…")
MORE = flags.DEFINE_string("more", "", "Arguments of every run.")
RUNS = flags.DEFINE_string("runs", "runs", "Directory of the runs' directories.")


def main(argv):
    del argv
    if not STUDY.value:
        raise InputError("--study=FILE.py is needed; the files in configs/ say what they do")
    name, _, argument = STUDY.value.partition(":")
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{path} is no file; name one as in configs/")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    page = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(page)
        more = shlex.split(MORE.value)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{path} or --more cannot be read: {error}") from error
    script = re.search(rf"python (scripts/\w+\.py) --config[ =]\S*{path.name}", page.__doc__ or "")
    if script is None:
        raise InputError(f"the docstring of {path} has no line of the form: python scripts/….py --config configs/{path.name}")
    if not hasattr(page, "get_sweep"):
        raise InputError(f"{path} has no function get_sweep, so there is nothing to vary")
    try:
        page.get_config(argument or None)  # a wrong argument is noticed here and not in every run
    except InputError as error:
        if argument:
            raise InputError(f"{STUDY.value}: {error}") from error
    for number, setting in enumerate(page.get_sweep()):
        changed = [f"--{name}={value}" for name, value in setting.items()]
        where = f"--workdir={RUNS.value}/{path.stem}-sweep-{number}"
        print(shlex.join([sys.executable, script[1], "--config", STUDY.value, *changed, *more, where]))


if __name__ == "__main__":
    command.run(main)
