"""Several processes in one run directory: together they make the bytes of one, and none waits for a dead one for ever."""

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from doubles.fake_engine import FakeEngine
from doubles.models import hash_model
from doubles.ports import free_port

from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.evaluation import experiment, team
from reasoning.evaluation.team import Team
from reasoning.processes import Processes

ROOT = Path(__file__).parent.parent
CONFIG = {
    "model": "fake",
    "seed": 3,
    "task": {"family": "doubles.sums", "size": 5},
    "methods": {"plain": {"method": "direct"}, "vote": {"method": "majority", "n": 3, "seed": 5}},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(team, "POLL", 0.01)
    monkeypatch.setattr(team, "LOOK", 0.01)


def together(*works):
    """Runs every `work(processes)` in a thread of its own; what each returned, or the InputError that it raised."""
    results = [None] * len(works)

    def call(index):
        try:
            results[index] = works[index](Processes(index, len(works)))
        except InputError as error:
            results[index] = error

    threads = [threading.Thread(target=call, args=[index]) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "hangs"
    return results


def evaluation(workdir, engine, config=CONFIG):
    return lambda processes: experiment.evaluate(config, workdir, show=False, engine=engine, processes=processes)


def samples(workdir):
    return {path.parent.name: path.read_bytes() for path in sorted(workdir.glob("*/generations.jsonl"))}


def test_three_processes_repeat_samples_or_make_other_ones(tmp_path):
    engines = [FakeEngine() for _ in range(3)]
    together(*(evaluation(tmp_path / "three", engine) for engine in engines))
    experiment.evaluate(CONFIG, tmp_path / "one", show=False, engine=FakeEngine())
    assert samples(tmp_path / "three") == samples(tmp_path / "one")
    served = list(itertools.chain(*(engine.served for engine in engines)))
    assert all(engine.served for engine in engines) and len(served) == 5 * (1 + 3)
    names = {path.relative_to(tmp_path / "three").as_posix() for path in (tmp_path / "three").rglob("*")}
    assert not [name for name in names if "-of-" in name or ".processes" in name]
    again = [FakeEngine() for _ in range(2)]
    assert together(*(evaluation(tmp_path / "three", engine) for engine in again)) == [None, None]
    assert not again[0].served and not again[1].served, "a finished run draws again"


def test_processes_plan_each_for_itself(tmp_path, monkeypatch):
    plans = []

    def build(config, plan):
        plans.append(plan)
        return FakeEngine(max_slots=(plan or {"max_slots": 7})["max_slots"])

    monkeypatch.setattr(experiment, "build_engine", build)
    together(evaluation(tmp_path, None), evaluation(tmp_path, None))
    assert plans == [None, {"max_slots": 7}]
    assert json.loads((tmp_path / "config.json").read_text())["plan"] == {"max_slots": 7}


def test_one_fails_and_the_others_wait_for_ever(tmp_path):
    broken = FakeEngine(crash_after=2, error=InputError("no room left"))
    mine, others = together(evaluation(tmp_path, FakeEngine()), evaluation(tmp_path, broken))
    assert str(others) == "no room left"
    assert str(mine) == "process 1 of 2: no room left"
    mine, others = together(evaluation(tmp_path / "other", broken), evaluation(tmp_path / "other", FakeEngine()))
    assert str(mine) == str(others) == "no room left"
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine())
    experiment.evaluate(CONFIG, tmp_path / "one", show=False, engine=FakeEngine())
    assert samples(tmp_path) == samples(tmp_path / "one")
    assert not list(tmp_path.glob(".processes"))


def test_processes_with_other_settings_share_one_run(tmp_path):
    results = together(evaluation(tmp_path, FakeEngine()), evaluation(tmp_path, FakeEngine(), {**CONFIG, "seed": 4}))
    for result in results:
        assert "process 1 was started otherwise than process 0: config.seed was 3, now 4; give all of them" in str(result)
    assert not samples(tmp_path)


def test_a_directory_that_is_not_shared_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(team, "MEETING", 0.5)
    results = together(evaluation(tmp_path / "a", FakeEngine()), evaluation(tmp_path / "b", FakeEngine()))
    for result, other in zip(results, (1, 0), strict=True):
        assert f"process {other} of 2 has written nothing to {tmp_path}" in str(result)
        assert "one --workdir on a file system that they share" in str(result)


def test_files_of_a_killed_run_are_taken_for_a_living_process(tmp_path, monkeypatch):
    left = tmp_path / ".processes"
    left.mkdir()
    (left / "0.json").write_text(json.dumps({"nonce": "a", "crew": {"1": "b"}, "said": ["open", "sealed", "drawn", "over"]}))
    (left / "1.json").write_text(json.dumps({"nonce": "b", "about": {}, "said": ["drawn", "left"]}))
    (left / "1.lock").touch()
    assert together(evaluation(tmp_path, FakeEngine()), evaluation(tmp_path, FakeEngine())) == [None, None]
    assert len(samples(tmp_path)["vote"].splitlines()) == 15
    left.mkdir()
    (left / "1.json").write_text(json.dumps({"nonce": "b", "about": {}, "said": ["drawn", "left"]}))
    monkeypatch.setattr(team, "MEETING", 0.3)
    with pytest.raises(InputError, match="process 1 of 2 has written nothing"), Team(tmp_path, Processes(0, 2), {}):
        pass


def test_a_second_run_joins_the_first(tmp_path):
    def first(processes):
        with Team(tmp_path, processes, {}) as one:
            one.tell("here")
            one.wait("here")
            with pytest.raises(InputError, match="another process is writing"), Team(tmp_path, processes, {}):
                pass

    assert together(first, first) == [None, None]


def test_the_lock_goes_and_death_is_not_noticed(tmp_path):
    """A process that is killed lets its lock go and tells nothing."""

    def dies(processes):
        with Team(tmp_path, processes, {}) as one:
            one.wait("here")
            one._write = lambda: None

    def waits(processes):
        with Team(tmp_path, processes, {}) as one:
            one.tell("here")
            one.wait("drawn")

    assert "process 1 of 2 has died; what was finished is kept" in str(together(waits, dies)[0])


CHILD = """
import sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from doubles.fake_engine import FakeEngine
from doubles.models import hash_model
from reasoning.decode.engine import Engine
from reasoning.evaluation import experiment

class Slow(FakeEngine):
    def generate(self, requests, **options):
        for response in super().generate(requests, **options):
            time.sleep(0.1)
            yield response

def build(config, plan):
    return Slow() if config["model"] == "slow" else Engine(hash_model(), plan=plan, max_slots=2)

experiment.build_engine = build
sys.argv[0] = {script!r}
exec(compile(Path({script!r}).read_text(), {script!r}, "exec"))
"""
FILE = """
from ml_collections import ConfigDict
def get_config():
    return ConfigDict({config!r})
"""


def launch(tmp_path, config, count):
    """`count` real processes of scripts/evaluate.py, connected through a port of this machine."""
    script, file = str(ROOT / "scripts" / "evaluate.py"), tmp_path / "config.py"
    file.write_text(textwrap.dedent(FILE).format(config=config))
    code = CHILD.format(root=str(ROOT), tests=str(ROOT / "tests"), script=script)
    flags = [f"--config={file}", f"--workdir={tmp_path / 'run'}", f"--coordinator_address=localhost:{free_port()}"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *flags, f"--num_processes={count}", f"--process_id={index}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for index in range(count)
    ]


@pytest.mark.slow
def test_two_real_processes_make_other_samples_than_one(tmp_path):
    config = {**CONFIG, "model": "hash", "methods": {"vote": {"method": "majority", "n": 2, "max_tokens": 8}}}
    children = launch(tmp_path, config, 2)
    told = [child.communicate(timeout=300) for child in children]
    assert [child.returncode for child in children] == [0, 0], told
    assert "vote" in told[0][0] and "TensorBoard" in told[0][0]
    assert told[1] == ("", ""), "one report, one bar"
    assert (tmp_path / "run/report/table.md").exists()
    experiment.evaluate(config, tmp_path / "one", show=False, engine=Engine(hash_model(), max_slots=2))
    assert samples(tmp_path / "run") == samples(tmp_path / "one")
    assert len(set(samples(tmp_path / "one")["vote"].splitlines())) == 10


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.slow
def test_a_killed_process_costs_the_run(tmp_path, blow):
    config = {**CONFIG, "model": "slow", "methods": {"vote": {"method": "majority", "n": 60}}}
    children = launch(tmp_path, config, 2)
    part = tmp_path / "run/vote/generations.1-of-2.jsonl"
    deadline = time.monotonic() + 120
    while not (part.exists() and part.read_bytes().count(b"\n") > 3):
        assert children[1].poll() is None, children[1].communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children[1].send_signal(blow)
    told = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [2, -9 if blow == signal.SIGKILL else 143], told
    last = told[0][1].splitlines()[-1]
    assert last.startswith("error: process 1 of 2")
    assert "has died; what was finished is kept" in last or "ended by SystemExit: 143" in last
    assert "Traceback" not in told[0][1] + told[1][1]
    assert len(part.read_bytes()) > 0
    rest = FakeEngine()
    experiment.evaluate(config, tmp_path / "run", show=False, engine=rest)
    experiment.evaluate(config, tmp_path / "one", show=False, engine=FakeEngine())
    assert 0 < len(rest.served) < 300 - 3
    assert samples(tmp_path / "run") == samples(tmp_path / "one")
