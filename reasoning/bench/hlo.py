"""Reading the optimised HLO text of a decode program: what a step launches, and what became of its top-k.

    %body (p: …) -> … {                         a computation: from its header to "}"
      %fusion.3 = f32[2,8]{1,0} fusion(%p), …   an instruction: name, type, opcode(operands), attributes
    }

Every instruction of the loop's body is a kernel (or a library call) except those that only name or regroup buffers. Calls
and nested loops are followed, loops as often as XLA knows they run; of a conditional (a stage that is off) only itself counts.
"""

import collections
import functools
import re

_NO_KERNEL = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "iota", "after-all", "opt-barrier", "domain"),
    *("partition-id", "replica-id", "add-dependency", "copy-done", "async-done", "all-reduce-done", "all-gather-done"),
}
_HEADER = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = .*? ([a-z][a-z0-9\-]*)\(")
_TRIPS = re.compile(r'known_trip_count\\?"?:\s*\{\\?"n\\?":\s*\\?"(\d+)')


def computations(text: str) -> dict[str, list[tuple[str, str]]]:
    """Computation name → (opcode, line) of its instructions; the entry is also under ""."""
    found: dict[str, list[tuple[str, str]]] = {}
    body: list[tuple[str, str]] | None = None
    for line in text.splitlines():
        if header := _HEADER.match(line):
            body = found.setdefault(header[1], [])
            if line.startswith("ENTRY"):
                found[""] = body
        elif line.startswith("}"):
            body = None
        elif body is not None and (instruction := _INSTRUCTION.match(line)):
            body.append((instruction[1], line))
    return found


def step_kernels(text: str) -> collections.Counter[str]:
    """Opcode → launches in one pass through the body of the program's largest loop (all `unroll` steps of it).

    Empty for a program without a loop.
    """
    parts = computations(text)

    @functools.cache
    def launches(name: str) -> collections.Counter[str]:
        total: collections.Counter[str] = collections.Counter()
        for opcode, line in parts.get(name, ()):
            if opcode == "while":
                times = _TRIPS.search(line)
                for kernel, count in launches(_named(line, "body")).items():
                    total[kernel] += count * (int(times[1]) if times else 1)
            elif opcode == "call":
                total += launches(_named(line, "to_apply"))
            elif opcode not in _NO_KERNEL:
                total[opcode] += 1
        return total

    loops = [launches(_named(line, "body")) for opcode, line in parts.get("", ()) if opcode == "while"]
    return max(loops, key=lambda kernels: kernels.total(), default=collections.Counter())


def top_k_lowering(text: str) -> dict[str, int]:
    """{what top-k and sorting became: how many in the program}: targets of custom calls with TopK in them, `topk`, `sort`."""
    found = collections.Counter(re.findall(r'custom_call_target="([^"]*TopK[^"]*)"', text, re.IGNORECASE))
    for opcode in ("topk", "sort"):
        found[opcode] = sum(kind == opcode for name, body in computations(text).items() if name for kind, _ in body)
    return {name: count for name, count in found.items() if count}


def command_buffers(text: str) -> int:
    """Computations that XLA runs as one captured command buffer (a CUDA graph)."""
    return sum(name.startswith("command_buffer") for name in computations(text))


def operations(text: str) -> dict[str, str]:
    """Name of an instruction, as profilers show it → the operation of the source that it came from ("bd,vd->bv/dot_general")."""
    found = {}
    for line in text.splitlines():
        if named := re.match(r'\s+(?:ROOT )?%?([\w.\-]+) = .*op_name="([^"]*)"', line):
            operation = "/".join(named[2].split("/")[-2:])
            found[named[1]] = found[named[1].replace(".", "_").replace("-", "_")] = operation
    return found


def _named(line: str, attribute: str) -> str:
    found = re.search(rf"{attribute}=%?([\w.\-]+)", line)
    return found[1] if found else ""
