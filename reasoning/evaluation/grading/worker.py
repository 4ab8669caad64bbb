"""The process in which answers are compared: `python -m reasoning.evaluation.grading.worker`, started by
`reasoning.evaluation.grading.grader`.

One request a line on standard input, one reply a line on standard output, both JSON (a reply is never unpickled, so a
worker cannot harm its parent):

    {"prepare": {"kind": "math"}}                     → {"ready": true}
    {"answer": "0.5", "reference": "\\frac{1}{2}",
     "seconds": 5, "memory_bytes": 1073741824}        → {"score": 1.0}
    anything that the answer provokes                 → {"status": "memory"} or {"status": "error", …}

Ends at end of file, so it does not outlive its parent.
"""

import io
import json
import logging
import os
import sys
import warnings

from reasoning.errors import InputError
from reasoning.evaluation.grading import guard as grading_guard

KERNEL_GRACE_SECONDS = 2.0  # the parent kills at the limit; the kernel does it this much later if the parent is gone


def main() -> None:
    requests, replies = _private_pipes()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    grading_guard.confine()
    judge, start_bytes = None, 0
    for line in requests:
        request = json.loads(line)
        if "prepare" in request:
            try:
                judge, reply = _judge(**request["prepare"]), {"ready": True}
                grading_guard.install()
                start_bytes = grading_guard.address_space_bytes()
            except InputError as error:
                reply = {"input_error": str(error)}
        else:
            reply = _grade(judge, request, start_bytes)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
        if reply.get("status") == "memory":
            return  # what is left of the heap is unknown; the parent starts a fresh process


def _private_pipes():
    """The protocol's streams, moved away from descriptors 0 and 1, so that a scorer that prints cannot garble it."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    sys.stdin, sys.stdout = io.StringIO(), io.StringIO()
    return requests, replies


def _grade(judge, request: dict, start_bytes: int) -> dict:
    try:
        with grading_guard.fenced(request["seconds"] + KERNEL_GRACE_SECONDS, request["memory_bytes"], start_bytes):
            return {"score": float(judge(request["answer"], request["reference"]))}
    except MemoryError:
        return {"status": "memory"}
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: an answer may raise anything
        return {"status": "error", "detail": type(error).__name__}


def _judge(kind: str, **parameters):
    """(answer, reference) → score in [0, 1]. The slow imports happen here, outside the time limit of an answer."""
    return {"math": _math_judge, "reasoning_gym": _reasoning_gym_judge}[kind](**parameters)


def _math_judge():
    """Symbolic equality by math-verify (https://github.com/huggingface/Math-Verify); the reference is the gold side,
    for it is not symmetric.
    """
    try:
        from math_verify import parse, verify
    except ImportError as error:
        raise InputError(f"math-verify cannot be imported ({error}); run: pip install math-verify") from None

    def read(text: str) -> list:
        # As LaTeX if it can be read so, else the last number or formula in it ("42 apples.", "about 3.5").
        # Timeouts are the parent's: math-verify's own would take over the alarm signal.
        for spelling in (f"${text}$", text):
            expressions = parse(spelling, parsing_timeout=None)
            if any(not isinstance(expression, str) for expression in expressions):
                return expressions
        return []

    def judge(answer: str, reference: str) -> bool:
        return verify(read(reference), read(answer), timeout_seconds=None)

    judge("x + 1", "1 + x")  # builds grammars and regular expressions
    return judge


def _reasoning_gym_judge(generator: str, parameters: dict):
    """The generator's own `score_answer`; the reference is the entry as `reasoning.data.reasoning_gym` wrote it."""
    from reasoning.data import reasoning_gym

    score_answer = reasoning_gym.scorer(generator, json.dumps(parameters)).score_answer
    return lambda answer, reference: score_answer(answer, reasoning_gym.read_entry(reference))


if __name__ == "__main__":
    main()
