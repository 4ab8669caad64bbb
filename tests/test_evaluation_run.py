"""The runner: a killed run ends with the bytes of an uninterrupted one, whatever was torn; files are whole or not there."""

import errno
import json
import os
import subprocess
import sys

import pytest
from doubles.fake_engine import FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.evaluation import board, records
from reasoning.evaluation.grading import Grader
from reasoning.evaluation.records import Lines, exclusive, read_lines, write_atomic
from reasoning.evaluation.run import run
from reasoning.methods.base import method
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PROBLEMS = [Problem(f"p{index}", f"{index} + 1 =", str(index + 1), "sums") for index in range(5)]
SKILL = {problem.id: (problem.answer, 0.2 * (index + 1)) for index, problem in enumerate(PROBLEMS)}
SLOW = (None, "p0", "p3")
METHOD = method("majority", n=4, max_tokens=200)


@pytest.fixture(scope="module")
def grader():
    with Grader() as grader:
        yield grader


def attempt(directory, grader, **engine):
    """One start of the program; whether it came to its end."""
    double = FakeEngine(SKILL, **engine)
    try:
        run(METHOD, PROBLEMS, directory, lambda: double, grader, show=False)
    except KeyboardInterrupt:
        return False
    return True


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, grader):
    """{problem with samples ten times longer, or None: bytes of generations.jsonl}."""

    def whole(slow):
        directory = tmp_path_factory.mktemp("uninterrupted")
        assert attempt(directory, grader, slow={slow: 10})
        return (directory / "generations.jsonl").read_bytes()

    return {slow: whole(slow) for slow in SLOW}


@settings(max_examples=40, deadline=None)
@given(
    kills=st.lists(st.tuples(st.integers(0, 19), st.floats(0, 1)), max_size=4),
    slots=st.integers(1, 8),
    slow=st.sampled_from(SLOW),
)
def test_killed_run_ends_with_other_bytes(tmp_path_factory, grader, uninterrupted, kills, slots, slow):
    directory = tmp_path_factory.mktemp("killed")
    path = directory / "generations.jsonl"
    for after, kept in kills:
        attempt(directory, grader, crash_after=after, max_slots=slots, slow={slow: 10})
        if path.exists():
            os.truncate(path, int(kept * path.stat().st_size))  # kill −9 in the middle of a write, and lost pages
    attempt(directory, grader, max_slots=slots, slow={slow: 10})
    assert path.read_bytes() == uninterrupted[slow]
    steps = [line["step"] for line in read_lines(directory / "metrics.jsonl")[0]]
    assert steps == sorted(set(steps))
