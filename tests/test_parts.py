"""Parts of a file that several processes wrote: gathered once each, whatever was killed, and damage is named."""

import contextlib

import pytest
from doubles.fake_engine import FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.parts import gather, part
from reasoning.evaluation.run import run
from reasoning.methods.base import method
from reasoning.processes import ALONE, Processes
from reasoning.records import dumps, read_lines

PROBLEMS = [Problem(f"p{index}", f"{index} + 1 =", str(index + 1), "sums") for index in range(5)]
METHOD = method("majority", n=3, max_tokens=200)


@pytest.fixture(scope="module")
def grader():
    with Grader() as grader:
        yield grader


def attempt(directory, grader, processes=ALONE, after=None):
    """What one process does, killed after so many samples; the samples that it drew."""
    engine = FakeEngine(crash_after=after, max_slots=2)
    with contextlib.suppress(KeyboardInterrupt):
        run(METHOD, PROBLEMS, directory, lambda: engine, grader, show=False, processes=processes)
    return engine.served


def put_together(directory):
    for name in ("generations.jsonl", "timings.jsonl"):
        gather(directory / name)


def test_samples_of_several_processes_differ_from_those_of_one(tmp_path, grader):
    attempt(tmp_path / "alone", grader)
    drawn = [attempt(tmp_path / "shared", grader, Processes(index, 2)) for index in range(2)]
    assert all(drawn) and not set(drawn[0]) & set(drawn[1])
    put_together(tmp_path / "shared")
    assert not attempt(tmp_path / "shared", grader), "nothing is missing"
    whole, shared = ((tmp_path / name / "generations.jsonl").read_bytes() for name in ("alone", "shared"))
    assert shared == whole
    timed = [(line["problem"], line["sample"]) for line in read_lines(tmp_path / "shared/timings.jsonl")[0] if "sample" in line]
    assert sorted(timed) == sorted(drawn[0] + drawn[1])
    assert not list((tmp_path / "shared").glob("*-of-*"))


@settings(max_examples=12, deadline=None)
@given(starts=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), max_size=3), kept=st.floats(0.5, 1))
def test_another_number_of_processes_loses_or_repeats_samples(tmp_path_factory, grader, starts, kept):
    directory, drawn = tmp_path_factory.mktemp("shared"), []
    for kills in starts:  # a start of the program with a process for every number
        for index, after in enumerate(kills):
            drawn += attempt(directory, grader, Processes(index, len(kills)), after)
        put_together(directory)
    torn = Processes(1, 2)
    lost = attempt(directory, grader, torn, 4)
    path = part(directory / "generations.jsonl", torn)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])  # killed in the middle of a line
    put_together(directory)
    drawn += attempt(directory, grader)
    alone = tmp_path_factory.mktemp("alone")
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) | set(lost) == set(attempt(alone, grader))
    assert (directory / "generations.jsonl").read_bytes() == (alone / "generations.jsonl").read_bytes()


def test_gathering_that_was_killed_repeats_lines_or_drops_a_part(tmp_path):
    whole = tmp_path / "x.jsonl"
    for index in range(3):
        part(whole, Processes(index, 3)).write_bytes(dumps({"from": index}) + b'{"torn')
    whole.write_bytes(dumps({"from": 9}) + dumps({"from": 1}))  # killed after it had added the second part
    gather(whole)
    gather(whole)
    assert [line["from"] for line in read_lines(whole)[0]] == [9, 1, 0, 2]
    assert list(tmp_path.iterdir()) == [whole]


def test_a_damaged_part_is_thrown_away(tmp_path):
    damaged = part(tmp_path / "x.jsonl", Processes(1, 2))
    damaged.write_bytes(b"\x00\x00\n" + dumps({"from": 1}))
    with pytest.raises(InputError, match=r"line 1 of .*x.1-of-2.jsonl is damaged"):
        gather(tmp_path / "x.jsonl")
    assert damaged.exists()
