"""Faults that show what the tests notice (tests/mutants): each still applies, names tests that are there, is judged fairly."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("mutants_run", ROOT / "tests/mutants/run.py")
run = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(run)
FAULT = {"name": "a fault", "file": "code.py", "old": "sound", "new": "faulty", "tests": ["test_code.py"]}


def test_a_fault_no_longer_applies_or_names_a_test_that_is_gone():
    faults = run.read_faults()
    assert len({fault["name"] for fault in faults}) == len(faults) > 40
    for fault in faults:
        assert fault.keys() == FAULT.keys() and fault["tests"], fault["name"]
        text = (ROOT / fault["file"]).read_text()
        assert text.count(fault["old"]) == 1 and fault["new"] != fault["old"], fault["name"]
        for test in fault["tests"]:
            path, _, name = test.partition("::")
            source = (ROOT / path).read_text()
            defined = re.search(rf"^def {re.escape(name.split('[')[0])}\(", source, re.MULTILINE)
            assert not name or defined, f"{fault['name']}: {test}"


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """What becomes of FAULT where the tests end with status `clean` without it and with `faulty` with it; None hangs."""
    path = tmp_path / "code.py"
    path.write_text("sound")
    calls = []

    def judge(clean, faulty):
        def tests(names, tree, seconds):
            calls.append(path.read_text())
            status = clean if calls[-1] == "sound" else faulty
            if status is None:
                raise subprocess.TimeoutExpired("pytest", seconds)
            return SimpleNamespace(returncode=status, stdout="")

        monkeypatch.setattr(run, "run_tests", tests)
        try:
            return run.outcome(FAULT, tmp_path)
        finally:
            assert path.read_text() == "sound"

    run.clean_seconds.cache_clear()
    judge.calls = calls
    return judge


def test_a_run_that_hangs_is_taken_for_one_that_noticed(judged):
    assert [judged(0, 1), judged(0, 0), judged(0, None)] == [run.CAUGHT, run.SURVIVED, run.TIMEOUT]
    assert judged.calls == ["sound", "faulty", "faulty", "faulty"]  # without the fault once


def test_tests_that_fail_anyway_notice_a_fault(judged):
    for clean, message in ((1, "status 1 without any fault"), (None, "not done in 900 s without any fault")):
        with pytest.raises(SystemExit, match=message):
            judged(clean, 1)
    with pytest.raises(SystemExit, match="pytest could not run"):
        judged(0, 4)
