"""Makes a grading process harmless: what a model wrote is compared, never executed.

sympy's `parse_expr` and several reasoning-gym scorers call Python's `eval` on the answer, so
`__import__('os').system('…')` would run. Three fences:

1. `install` puts a syntax check in front of both evals: only numbers, symbols and mathematical functions pass. This is
   the fence that counts.
2. An audit hook refuses processes, sockets, signals and writing to files while an answer is being graded.
3. The kernel limits memory, forbids file growth, new processes and core dumps, and ends a process that outlives its
   parent's patience.
"""

import ast
import builtins
import contextlib
import os
import resource
import signal
import sys
from pathlib import Path

ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict,
    ast.Load, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
ALGEBRA = (*ARITHMETIC, ast.Name, ast.Call, ast.keyword)
FUNCTIONS = {
    "sqrt", "cbrt", "root", "real_root", "factorial", "binomial", "gcd", "lcm",
    "sum", "abs", "min", "max", "round", "int", "float",
}  # fmt: skip

REFUSED_EVENTS = (
    "os.", "subprocess.", "socket.", "pty.", "signal.", "ctypes.", "shutil.", "tempfile.", "resource.", "fcntl.", "mmap.",
    "urllib.", "webbrowser.", "ftplib.", "http.", "smtplib.", "sqlite3.", "pickle.",
)  # fmt: skip
HARMLESS_EVENTS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk"}  # a late import inside sympy reads directories
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class RefusedError(Exception):
    """An answer that asks for more than arithmetic."""


_grading = False


def safe_eval(text, global_names=None, local_names=None):
    """Stands in for `eval` in reasoning-gym's modules: literals and arithmetic on them, no name at all. Raises
    RefusedError.
    """
    if not isinstance(text, str):
        raise RefusedError("only text can be evaluated")
    tree = _checked(text.strip(), ARITHMETIC)
    return builtins.eval(compile(tree, "<answer>", "eval"), {"__builtins__": {}})


def safe_eval_expr(code, local_dict, global_dict):
    """Stands in for `sympy.parsing.sympy_parser.eval_expr`: names must be symbols, sympy objects or mathematical
    functions. Raises RefusedError.
    """
    import sympy

    tree = _checked(code, ALGEBRA)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
            raise RefusedError("only a function named in place can be called")
        if isinstance(node, ast.Name):
            value = local_dict[node.id] if node.id in local_dict else global_dict.get(node.id, getattr(builtins, node.id, None))
            mathematical = isinstance(value, sympy.Basic) or (isinstance(value, type) and issubclass(value, sympy.Basic))
            constant = value is None or isinstance(value, bool | int | float | complex)
            if not (mathematical or constant or node.id in FUNCTIONS):
                raise RefusedError(f"{node.id} is not a mathematical name")
    return builtins.eval(compile(tree, "<answer>", "eval"), global_dict, local_dict)


def _checked(code: str, allowed: tuple) -> ast.Expression:
    tree = ast.parse(code, mode="eval")
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            raise RefusedError(f"{type(node).__name__} is not arithmetic")
    return tree


def install() -> None:
    """Put the syntax checks in place in whatever is imported by now; harmless to repeat after more imports."""
    parser = sys.modules.get("sympy.parsing.sympy_parser")
    if parser is not None:
        parser.eval_expr = safe_eval_expr
    for name, module in list(sys.modules.items()):
        if name.startswith("reasoning_gym.") and module is not None:
            module.eval = safe_eval  # a module's own name hides the builtin


def confine() -> None:
    """Give up, for the rest of this process, what grading never needs. Call once, after the pipes are open."""
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        with contextlib.suppress(ValueError, OSError):  # a platform without the limit still has the other fences
            resource.setrlimit(limit, (0, 0))
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple) -> None:
    if not _grading:
        return
    if event == "open":
        _, mode, flags = (*arguments, None, None, None)[:3]
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITING):
            raise RefusedError("an answer may not write files")
    elif event.startswith(REFUSED_EVENTS) and event not in HARMLESS_EVENTS:
        raise RefusedError(f"an answer may not use {event}")


@contextlib.contextmanager
def fenced(seconds: float, memory_bytes: int, start_bytes: int):
    """Around the grading of one answer: audit hook on, address space at most `start_bytes + memory_bytes`, killed by
    the kernel after `seconds`.
    """
    global _grading
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError, OSError):  # macOS has no enforceable limit on the address space
        resource.setrlimit(resource.RLIMIT_AS, (start_bytes + memory_bytes, hard))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _grading = True
    try:
        yield
    finally:
        _grading = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def address_space_bytes() -> int:
    """Address space of this process now; 2 GiB where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 2 << 30
