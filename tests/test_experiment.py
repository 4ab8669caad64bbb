"""Run directories: the same config resumes, another one is refused, and a signal costs nothing that was finished."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest
from doubles.fake_engine import FakeEngine
from doubles.models import hash_model

from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.identity import open_identity
from reasoning.records import exclusive, write_json

ROOT = Path(__file__).parent.parent
CONFIG = {
    "model": "fake",
    "seed": 3,
    "task": {"family": "doubles.sums", "size": 3},
    "methods": {"plain": {"method": "direct"}, "vote": {"method": "majority", "n": 2, "seed": 5}},
}


def test_changed_config_is_taken_for_the_same_run(tmp_path):
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine())
    changed = {**CONFIG, "task": {"family": "doubles.sums", "size": 3, "first": 5}}
    with pytest.raises(InputError, match=r"holds a run of another config: task.first was null, now 5; choose another --workdir"):
        experiment.evaluate(changed, tmp_path, show=False, engine=FakeEngine())
    again = FakeEngine()
    experiment.evaluate(dict(reversed(CONFIG.items())), tmp_path, show=False, engine=again)
    assert not again.served, "the order of keys is no difference"


def test_resumed_run_plans_anew_or_forgets_where_it_came_from(tmp_path, monkeypatch):
    import reasoning

    seen = []

    def make(model, max_slots, plan):
        seen.append((model, max_slots, plan))
        return FakeEngine(max_slots=(plan or {"max_slots": 7})["max_slots"], crash_after=3 if plan is None else None)

    monkeypatch.setattr(reasoning, "load", lambda name, dtype, mesh: f"{name} in {dtype} on {mesh}", raising=False)
    monkeypatch.setattr(reasoning, "Engine", make, raising=False)
    config = {**CONFIG, "dtype": "float32", "max_slots": 7}
    with pytest.raises(KeyboardInterrupt):
        experiment.evaluate(config, tmp_path, show=False)
    with pytest.raises(InputError, match="mesh was null, now"):
        experiment.evaluate(config | {"mesh": {"data": 2}}, tmp_path, show=False)
    experiment.evaluate(config, tmp_path, show=False)
    assert seen == [("fake in float32 on None", 7, None), ("fake in float32 on None", 7, {"max_slots": 7})]
    identity = json.loads((tmp_path / "config.json").read_text())
    assert identity["config"] == config
    assert identity["plan"] == {"max_slots": 7}
    assert len(identity["hash"]) == 64
    assert len(identity["commits"]) == 1
    assert identity["versions"]["jax"] == jax.__version__


def test_a_probe_that_changed_under_the_same_name_goes_on_with_a_run(tmp_path):
    """The configuration names a file of numbers; what stands in it is part of the run too."""
    probe, workdir = tmp_path / "probe.npz", tmp_path / "run"
    config = {"methods": {"beam": {"scorer": {"kind": "probe", "path": str(probe)}}, "plain": {"path": "no such file"}}}
    probe.write_bytes(b"one")
    identity = open_identity(workdir, config, [])
    assert list(identity["files"]) == [str(probe)]
    write_json(workdir / "config.json", identity)
    assert open_identity(workdir, config, []) == identity
    for change in (lambda: probe.write_bytes(b"two"), probe.unlink):
        change()
        with pytest.raises(InputError, match="begun with another file .*probe.npz; choose another --workdir, or put that file"):
            open_identity(workdir, config, [])


def test_problems_that_changed_under_the_same_names_are_mixed_in(tmp_path):
    """The configuration names a data file; what stands in it is part of the run too."""
    data, workdir = tmp_path / "own.jsonl", tmp_path / "run"
    config = {**CONFIG, "task": {"family": "files", "path": str(data), "id": "id", "score": "exact"}}
    data.write_text('{"id": "a", "question": "1 + 1", "answer": "2"}\n')
    experiment.evaluate(config, workdir, show=False, engine=FakeEngine())
    data.write_text('{"id": "a", "question": "capital of France", "answer": "Paris"}\n')
    with pytest.raises(InputError, match="begun with other problems under the same names"):
        experiment.evaluate(config, workdir, show=False, engine=FakeEngine())


def test_samples_without_a_config_are_taken_over(tmp_path):
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine())
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match="holds samples but no config.json"):
        experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine())


def test_a_start_that_failed_before_the_first_sample_spoils_the_directory(tmp_path, monkeypatch):
    def fails(config, plan):
        raise InputError("no such model")

    monkeypatch.setattr(experiment, "build_engine", fails)
    with pytest.raises(InputError, match="no such model"):
        experiment.evaluate(CONFIG, tmp_path, show=False)
    experiment.evaluate({**CONFIG, "seed": 4}, tmp_path, show=False, engine=FakeEngine())


def test_bad_knob_of_the_last_method_costs_the_others_their_samples(tmp_path):
    methods = {"good": {"method": "direct"}, "bad": {"method": "majority", "temperature": -1.0, "n": 2}}
    engine = Engine(hash_model(), max_slots=2)
    with pytest.raises(InputError, match="temperature"):
        experiment.evaluate({**CONFIG, "methods": methods}, tmp_path, show=False, engine=engine)
    assert not (tmp_path / "config.json").exists()
    assert not (tmp_path / "good" / "generations.jsonl").read_bytes()


def test_methods_ignore_the_seed_of_the_config():
    methods = experiment.build_methods(CONFIG)
    assert (methods["plain"].seed, methods["vote"].seed) == (3, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ""}, "names no model"),
        ({"methods": {}}, "names no methods"),
        ({"modle": "x"}, "unknown key 'modle'; known: compare, dtype"),
        ({"task": {"size": 3}}, "task needs the field 'family'"),
        ({"mesh": {"data": 0}}, "mesh must be {data: devices, tensor: devices}, whole numbers ≥ 1"),
        ({"mesh": {"model": 2}}, "mesh must be {data: devices"),
        ({"methods": {"a": {"n": 3}}}, "methods.a needs the field 'method'"),
        ({"methods": {"a": {"method": "direct", "top_k": 3}}}, "'direct' has no argument 'top_k'; choose from"),
        ({"methods": {"../a": {"method": "direct"}}}, "cannot name a method"),
        ({"methods": {"comparison": {"method": "direct"}}}, "cannot name a method"),
        ({"methods": {"a": {"method": "direct", "n": 0}}}, "n must be a whole number ≥ 1, got 0"),
    ],
)
def test_wrong_config_reaches_the_model(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        experiment.evaluate({**CONFIG, **change}, tmp_path / "run", show=False, engine=FakeEngine())
    assert not (tmp_path / "run").exists()


def test_two_processes_write_one_directory(tmp_path):
    with exclusive(tmp_path), pytest.raises(InputError, match="another process is writing"), exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a script runs with & ignores it
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from doubles.fake_engine import FakeEngine
from reasoning import command
from reasoning.evaluation import experiment
from reasoning.evaluation.identity import open_identity

class Slow(FakeEngine):
    def generate(self, requests, **options):
        for count, response in enumerate(super().generate(requests, **options)):
            time.sleep(0.05 if count < 20 else 0.5)  # it is blown at before it can finish, on a busy machine too
            yield response

command.run(lambda argv: experiment.evaluate({config!r}, Path({workdir!r}), engine=Slow()))
"""


@pytest.mark.parametrize(("blow", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_signal_loses_finished_samples(tmp_path, blow, status):
    config = {**CONFIG, "methods": {"vote": {"method": "majority", "n": 40}}}
    code = CHILD.format(root=str(ROOT), tests=str(ROOT / "tests"), config=config, workdir=str(tmp_path / "killed"))
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    path = tmp_path / "killed" / "vote" / "generations.jsonl"
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") > 5):
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(blow)
    errors = child.communicate(timeout=30)[1]
    assert child.returncode == status
    assert "Traceback" not in errors
    assert 5 < path.read_bytes().count(b"\n") < 120
    experiment.evaluate(config, tmp_path / "killed", show=False, engine=FakeEngine())
    experiment.evaluate(config, tmp_path / "whole", show=False, engine=FakeEngine())
    assert path.read_bytes() == (tmp_path / "whole" / "vote" / "generations.jsonl").read_bytes()
