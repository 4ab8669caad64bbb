"""What every script shares: flags from an ml_collections config file, one-line errors, exit status.

A user's mistake prints one line on standard error and exits with status 2; Ctrl-C and SIGTERM exit with 130 and 143, after
`finally` blocks have run.
"""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from reasoning.errors import InputError
from reasoning.records import digest

flags.disclaim_key_flags()  # flags that are defined here are those of the script, and --help shows them


def run(main: Callable[[Sequence[str]], None], subcommands: Sequence[str] = ()) -> None:
    """Parses the flags and calls `main(argv)`; never returns. With `subcommands`, argv[1] is one of them."""
    logging.set_verbosity(logging.WARNING)  # JAX reports every backend that it does not find
    try:
        app.run(lambda argv: _guarded(main, argv, subcommands), flags_parser=_parse)
    except InputError as error:
        sys.exit(_report(error))


def config(flag: flags.FlagHolder) -> dict[str, Any]:
    """The resolved values of `config_flags.DEFINE_config_file`, plain and JSON-able. Raises InputError."""
    if flag.value is None:
        raise InputError(f"--{flag.name}=FILE.py is needed; the files in configs/ say what they do")
    try:
        if not hasattr(flag.value, "to_json"):
            raise InputError(f"--{flag.name}: get_config() returned {flag.value!r}; it returns an ml_collections.ConfigDict")
        return json.loads(flag.value.to_json())
    except OSError as error:
        reason = " ".join(str(error).splitlines()[-1].split())
        raise InputError(f"--{flag.name}: {reason}; name a file as in configs/") from error


def config_path(config: Any) -> Path:
    """runs/<config file>-<hash of the resolved config>: a place of its own for each, so that two never mix and one resumes."""
    stem = Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    return Path("runs") / f"{stem}-{digest(config)[:8]}"


def run_flags() -> Callable[[], tuple[dict[str, Any], Path]]:
    """Defines --config and --workdir; what it returns is to be called once they are parsed: (resolved config, run directory).

    It raises InputError as `config` does.
    """
    text = "Config file and its argument, configs/file.py:name=value,…"
    chosen = config_flags.DEFINE_config_file("config", None, text, lock_config=True)
    text = "Run directory. Unset: runs/<config file>-<hash of the resolved config>."
    workdir = flags.DEFINE_string("workdir", None, text)

    def resolved() -> tuple[dict[str, Any], Path]:
        found = config(chosen)
        return found, Path(workdir.value) if workdir.value else config_path(found)

    return resolved


def process_flags() -> Callable[[], Any]:
    """Defines the flags of a script that several processes may run together; what it returns is to be called before JAX's
    backend starts, and says which process this is. Raises InputError (`reasoning.processes.start`)."""
    from reasoning import processes  # imports JAX, which not every script needs

    choices = "Several processes: as the launcher says, as JAX finds its cluster, or never."
    count = "How many processes there are, with --coordinator_address."
    index = "Which of them this is, from 0, with --coordinator_address."
    holders = (
        flags.DEFINE_enum("distributed", "auto", processes.MODES, choices),
        flags.DEFINE_string("coordinator_address", None, "host:port of process 0, where no launcher tells."),
        flags.DEFINE_integer("num_processes", None, count),
        flags.DEFINE_integer("process_id", None, index),
        flags.DEFINE_integer("patience", processes.PATIENCE, "Seconds until all processes must have shown up.", lower_bound=1),
    )
    return lambda: processes.start(*(holder.value for holder in holders))


def _guarded(main: Callable[[Sequence[str]], None], argv: Sequence[str], subcommands: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if subcommands and (len(argv) < 2 or argv[1] not in subcommands):
            raise InputError(f"say what to do, one of {', '.join(subcommands)}; --help lists the flags")
        if len(argv) > 1 + bool(subcommands):
            raise InputError(f"unexpected argument {argv[-1]!r}; settings are written --config.name=value")
        main(argv)
        sys.stdout.flush()
    except InputError as error:
        return _report(error)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _report(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


def _terminate(signum, frame):
    sys.exit(128 + signum)


def _parse(argv: Sequence[str]) -> list[str]:
    """absl's parsing, with the errors of a config file (its own, or a field that it lacks) as `InputError`."""
    # Config files import their neighbours as `configs.…`, and configs/ lies beside scripts/, not in the package.
    sys.path.insert(0, str(Path(argv[0]).resolve().parent.parent))
    try:
        return flags.FLAGS(list(argv))
    except SyntaxError as error:
        raise InputError(f"{error.filename}, line {error.lineno}: {error.msg}; mend the config file") from error
    except (flags.Error, InputError) as error:
        raise InputError(_innermost(error)) from error
    except (AttributeError, KeyError) as error:
        # ml_collections says 'modle' and, where it has a guess, on a second line: Did you mean "model" instead of "modle"?
        name, guess = re.search(r"\w+", str(error)), re.search(r"Did you mean \W*(\w+)", str(error))
        advice = f"did you mean {guess[1]!r}?" if guess else "see the config file for what it has"
        raise InputError(f"the config has no field {name[0]!r}; {advice}") from error


def _innermost(error: Exception) -> str:
    """What a config file said: ml_collections raises its error again with the stack trace as text. Else the first line."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    for cause in reversed(chain):
        if isinstance(cause, InputError):
            return str(cause)
    lines = str(error).strip().splitlines()
    if lines[0].endswith("parsing config file:"):  # a stack trace follows, and its last line is what went wrong
        return f"the config file fails: {lines[0].split(':')[0]}, {lines[-1]}; mend the file"
    return f"{lines[0]}; --help lists the flags"
