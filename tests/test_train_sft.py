"""Fine-tuning as a whole: a run that was killed is the run that was not, and a user's mistake costs a line and no data."""

import copy
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from doubles import tiny_chat
from doubles.apart import apart
from doubles.ports import free_port
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import reasoning
from reasoning.data.traces import Trace, write_traces
from reasoning.errors import InputError
from reasoning.models.flops import head_flops, layer_matrix_entries
from reasoning.train import identity, lora, settings, sft, speed
from reasoning.train.monitor import SCALARS
from reasoning.train.sft import split, train
from reasoning.weights.export import flat

# An Orbax load that fails leaves an event loop behind, which Python mentions when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ROOT = Path(__file__).parents[1]
TRACES = [Trace(f"t{i}", f"{i} + 1 =", f"{i} and one more{' still' * (i % 3)}", f"Answer: {i + 1}") for i in range(16)]
SUMS = {
    "task": {"family": "doubles.sums", "size": 2},
    "method": {"method": "direct", "examples": [], "instruction": "", "max_tokens": 6},
}
CONFIG = {
    "model": "", "seed": 0, "epochs": 2, "max_steps": 0, "tokens": 0, "export_dtype": "float32",
    "traces": {"file": "", "form": "prompt", "held_out": 2, "max_tokens": 128, "too_long": "refuse"},
    "batches": {"layout": "packed", "examples": 4, "rows": 1, "row_tokens": 0},
    "optimizer": {
        "name": "adamw", "learning_rate": 1e-2, "schedule": "cosine", "warmup": 0.05, "b1": 0.9, "b2": 0.95, "eps": 1e-8,
        "weight_decay": 1e-4, "clip": 1.0, "momentum": 0.95,
    },
    "lora": {"pattern": "", "rank": 2, "alpha": 4},
    "step": {"compute_dtype": "", "remat": "none", "scan_layers": False},
    "mesh": {"data": 1, "fsdp": 1, "tensor": 1},
    "checkpoints": {"every": 2, "keep": 2},
    "evaluation": {"every": 0, "dtype": "float32", "max_slots": 2, "tasks": {}},
}  # fmt: skip
PEAK = 1e12  # FLOP/s of a device, as far as `whole` knows
TIMES = {"time", "tokens_per_second", "mfu", "memory_gb"}  # what differs from run to run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A directory with a model and a file of traces."""
    path = tmp_path_factory.mktemp("sft")
    tiny_chat.write(path / "tiny")
    write_traces(path / "traces.jsonl", TRACES)
    return path


def config_of(files, **changes):
    """CONFIG with changes such as optimizer__name="muon"."""
    config = copy.deepcopy(CONFIG) | {"model": str(files / "tiny")}
    config["traces"]["file"] = str(files / "traces.jsonl")
    for name, value in changes.items():
        *parents, last = name.split("__")
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = value
    return config


def lines(workdir, name="metrics.jsonl"):
    found = [json.loads(line) for line in (workdir / name).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in found]


def weights(workdir):
    return flat(reasoning.load(workdir / "model", "float32").params)


def same_weights(one, other) -> bool:
    return all(np.array_equal(leaf, weights(other)[path]) for path, leaf in weights(one).items())


# ------------------------------------------------------------------------------------------------ killed and started again

COMMAND = """
import json, sys
from pathlib import Path
from reasoning.records import Lines
from reasoning.train import sft
from test_train_sft import strike, strike_evaluation
if sys.argv[3] == "evaluation":
    strike_evaluation(Lines, 4)
else:
    strike(sft, int(sys.argv[3]), "SIGKILL")
sft.train(json.loads(sys.argv[1]), Path(sys.argv[2]), show=False)
"""


def strike(module, step, name, put=setattr):
    """A signal to this process while `step` runs."""
    later = module._Log.later

    def struck(self, now, *arguments):
        later(self, now, *arguments)
        if now == step:
            os.kill(os.getpid(), getattr(signal, name))

    put(module._Log, "later", struck)


def strike_evaluation(lines, step):
    """SIGKILL to this process when the evaluation of `step` has written the first of its answers."""
    append = lines.append

    def struck(self, record):
        append(self, record)
        if self.path.match(f"evaluations/{step}/*/*/generations.jsonl"):
            os.kill(os.getpid(), signal.SIGKILL)

    lines.append = struck


@pytest.fixture(scope="module")
def whole(files):
    """The uninterrupted run."""
    config = config_of(files, evaluation__every=4, evaluation__tasks={"sums": SUMS})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "peak_flops", lambda: PEAK)
        assert train(config, files / "whole", show=False)
    return config, files / "whole"


@pytest.mark.parametrize("where", ["drawn", "1", "8", "evaluation"])
@pytest.mark.slow
def test_killed_run_is_another_run(whole, files, monkeypatch, where):
    """Killed with −9 while a step runs (the first, the last, one that is drawn anew each time) or in an evaluation; finished."""
    config, uninterrupted = whole
    workdir = files / f"killed-{where}"
    drawn = where == "drawn"
    if drawn:
        where = os.environ.get("KILLED_AT") or str(random.SystemRandom().randint(1, 8))
        print(f"killed at step {where}; KILLED_AT={where} repeats it")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
    command = [sys.executable, "-c", COMMAND, json.dumps(config), str(workdir), where]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    if where == "evaluation":
        assert len(lines(workdir)) == 4 and len(lines(workdir, "evaluations.jsonl")) == 1
        assert [len(file.read_text().splitlines()) for file in (workdir / "evaluations" / "4").rglob("generations.jsonl")] == [1]
    else:
        assert len(lines(workdir)) == int(where) - 1
    if drawn:  # and once more, with SIGTERM
        stopped = min(int(where) + 1, 7)
        with monkeypatch.context() as patch:
            strike(sft, stopped, "SIGTERM", patch.setattr)
            assert not train(config, workdir, show=False)
        assert [line["step"] for line in lines(workdir)] == list(range(1, stopped + 1))
        assert not (workdir / "model").exists()
    assert train(config, workdir, show=False)
    assert lines(workdir) == lines(uninterrupted)
    assert lines(workdir, "evaluations.jsonl") == lines(uninterrupted, "evaluations.jsonl")
    assert same_weights(workdir, uninterrupted)
    (events,) = (workdir / "tensorboard").iterdir()
    board = EventAccumulator(str(events), size_guidance={"scalars": 0}).Reload()
    assert [point.step for point in board.Scalars("train/loss")] == list(range(1, 9))
    assert [point.step for point in board.Scalars("evaluation/sums/accuracy")] == [0, 4, 8]


MOVED = """
import contextlib, json, sys
from pathlib import Path
from reasoning.train import sft
from test_train_sft import strike
config, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
assert sft.train(config, folder / "stayed", show=False)
later = sft._Log.later
strike(sft, 3, "SIGTERM")
assert not sft.train(config, folder / "moved", show=False)
sft._Log.later = later
config["mesh"]["fsdp"] = config["batches"]["rows"] = 2
for _ in range(2):
    with contextlib.redirect_stderr(sys.stdout):
        assert sft.train(config, folder / "moved", show=False)
"""


@pytest.mark.slow
def test_a_run_is_bound_to_the_mesh_of_a_machine_that_is_gone(files, tmp_path):
    """Begun on one device and stopped, ended on two: the losses of the run that stayed, and a note of where it moved."""
    said = apart("-c", MOVED, json.dumps(config_of(files)), str(tmp_path), devices=2)
    stayed, moved = lines(tmp_path / "stayed"), lines(tmp_path / "moved")
    assert [line["step"] for line in moved] == list(range(1, 9)) and moved[:3] == stayed[:3]
    np.testing.assert_allclose([line["loss"] for line in moved], [line["loss"] for line in stayed], rtol=1e-5)
    whats = ["mesh.fsdp was 1, now 2", "batches.rows was 1, now 2"]
    assert [said.count(f"note: {what}; behind step 3 the bits may differ") for what in whats] == [1, 1]  # not in the third start
    about = json.loads((tmp_path / "moved" / "config.json").read_text())
    assert about["training"]["mesh"]["fsdp"] == 2
    assert about["changes"] == [{"after_step": 3, "what": what} for what in whats]
    (events,) = (tmp_path / "moved" / "tensorboard").iterdir()
    (note,) = EventAccumulator(str(events)).Reload().Tensors("notes")
    assert note.step == 3 and "; ".join(whats).encode() in note.tensor_proto.string_val[0]


def test_what_changed_is_forgotten_or_dated_wrongly(files, tmp_path):
    """Moved twice; then the later checkpoint is lost, so that steps 3 and 4 are taken again on the third mesh."""

    def start(step, **changes):
        mine = identity.check(tmp_path, config_of(files, **changes), "data", "source", settings.LAST_BITS)
        identity.write(tmp_path, mine)  # and killed here: the next start still knows
        mine = identity.check(tmp_path, config_of(files, **changes), "data", "source", settings.LAST_BITS)
        new = identity.goes_on(mine, step)
        identity.write(tmp_path, mine)
        return new, [(change["after_step"], change["what"]) for change in mine["changes"]], mine["hash"]

    first, second = "mesh.fsdp was 1, now 2", "mesh.fsdp was 2, now 4"
    *begun, name = start(0)
    assert begun == [[], []]
    assert start(2, mesh__fsdp=2) == ([first], [(2, first)], name)
    assert start(4, mesh__fsdp=4) == ([second], [(2, first), (4, second)], name)
    assert start(2, mesh__fsdp=4) == ([], [(2, first), (2, second)], name)
    assert start(0, mesh__fsdp=4, batches__rows=2) == ([], [], name)
    with pytest.raises(InputError, match="seed was 0, now 1"):
        start(2, mesh__fsdp=4, batches__rows=2, seed=1)


@pytest.mark.slow
def test_model_learns_nothing_or_is_not_the_one_exported(whole):
    config, workdir = whole
    losses = [line["loss"] for line in lines(workdir)]
    assert len(losses) == 8 and losses[-1] < losses[0] - 1
    before, after = lines(workdir, "evaluations.jsonl")[0]["scores"], lines(workdir, "evaluations.jsonl")[-1]["scores"]
    assert after["held_out/loss"] < before["held_out/loss"] - 1
    model = reasoning.load(workdir / "model", "float32")
    prompt = model.tokenizer.encode_chat([{"role": "user", "content": "1 + 1 ="}])
    assert np.all(np.isfinite(model.logits(np.array([prompt]))))
    old = flat(reasoning.load(config["model"], "float32").params)
    assert not any(np.array_equal(leaf, old[path]) for path, leaf in flat(model.params).items() if leaf.ndim > 1)


@pytest.mark.slow
def test_speed_and_memory_are_invented_or_shown_nowhere(whole):
    """A step has a speed where the one before it was looked at as well: each second, for checkpoints are saved in between."""
    found = [json.loads(line) for line in (whole[1] / "metrics.jsonl").read_text().splitlines()]
    assert [line["mfu"] is None for line in found] == [line["tokens_per_second"] is None for line in found] == [True, False] * 4
    for line in found[1::2]:
        flops = line["mfu"] * PEAK * jax.local_device_count() * line["tokens"] / line["tokens_per_second"]
        least = 6 * tiny_chat.CONFIG.num_layers * layer_matrix_entries(tiny_chat.CONFIG) * line["tokens"]
        least += 3 * head_flops(tiny_chat.CONFIG) * line["targets"]
        assert least < flops < 2 * least and 0 < line["tokens_per_second"] < 1e6  # above it: attention
    assert all(0.05 < line["memory_gb"] < 100 and line["update_norm"] < 10 for line in found)
    assert all((line["update_norm"] > 0) == (line["learning_rate"] > 0) for line in found)  # which ends at 0
    (events,) = (whole[1] / "tensorboard").iterdir()
    board = EventAccumulator(str(events), size_guidance={"scalars": 0}).Reload()
    for name in ("mfu", "memory_gb", "tokens_per_second", "update_norm"):
        shown = {line["step"]: line[name] for line in found if line[name] is not None}
        points = {point.step: point.value for point in board.Scalars(SCALARS[name])}
        assert points == pytest.approx(shown, rel=1e-6), name


# ---------------------------------------------------------------------------------------------------- as users start it

CONFIG_FILE = (
    "import json\nfrom ml_collections import ConfigDict\n\n\ndef get_config(arg=None):\n    return ConfigDict(json.loads({!r}))\n"
)


def start(config, path, workdir, *flags):
    """scripts/train_sft.py as a process of its own; `path` is where its config file goes."""
    path.write_text(CONFIG_FILE.format(json.dumps(config)))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
    command = [sys.executable, str(ROOT / "scripts" / "train_sft.py"), f"--config={path}", f"--workdir={workdir}", *flags]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


@pytest.mark.slow
def test_script_that_is_told_to_stop_saves_nothing_or_fails(files, tmp_path):
    """SIGTERM in mid-run: exit status 0 and a checkpoint; the same command goes on, and all steps stand once."""
    config = config_of(files, epochs=100, checkpoints__every=1000)
    workdir, metrics = tmp_path / "run", tmp_path / "run" / "metrics.jsonl"
    first = start(config, tmp_path / "config.py", workdir)
    deadline = time.monotonic() + 300
    while first.poll() is None and time.monotonic() < deadline and not (metrics.exists() and len(lines(workdir)) > 3):
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=300)
    assert first.returncode == 0 and "stopped and saved" in out, err[-2000:]
    reached = len(lines(workdir))
    assert 3 < reached < 400 and [int(path.name) for path in (workdir / "checkpoints").iterdir()] == [reached]
    again = start(config, tmp_path / "config.py", workdir)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0 and str(workdir / "model") in out, err[-2000:]
    assert [line["step"] for line in lines(workdir)] == list(range(1, 401))


@pytest.mark.slow
def test_two_processes_train_another_model_than_one(files, tmp_path):
    """The whole loop: data, checkpoints, evaluation and export, over gloo; losses and weights are those of one device."""
    changes = {"batches__rows": 2, "evaluation__every": 4, "evaluation__tasks": {"sums": SUMS}}
    assert train(config_of(files, **changes), tmp_path / "one", show=False)
    two = config_of(files, **changes, mesh__data=2)
    address = f"--coordinator_address=localhost:{free_port()}"
    flags = ["--distributed=on", address, "--num_processes=2", "--patience=120"]
    both = [start(two, tmp_path / f"{i}.py", tmp_path / "two", *flags, f"--process_id={i}") for i in range(2)]
    for one in both:
        _, err = one.communicate(timeout=600)
        assert one.returncode == 0, err[-2000:]
    ours, theirs = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["step"] for line in theirs] == list(range(1, 9))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose([b["loss"], b["grad_norm"]], [a["loss"], a["grad_norm"]], rtol=1e-4)
    for path, leaf in weights(tmp_path / "one").items():
        np.testing.assert_allclose(weights(tmp_path / "two")[path], leaf, rtol=1e-3, atol=1e-4, err_msg=path)
    scores = [lines(tmp_path / name, "evaluations.jsonl")[-1]["scores"]["held_out/loss"] for name in ("one", "two")]
    np.testing.assert_allclose(*scores, rtol=1e-4)


# ------------------------------------------------------------------------------------------------ what it is asked to do


@pytest.mark.slow
def test_adapters_are_not_what_is_exported(files, tmp_path):
    config = config_of(files, lora__pattern=r"layers/\d+/mlp/.*kernel", max_steps=2, optimizer__learning_rate=0.1)
    assert train(config, tmp_path / "run", show=False)
    adapters, about = lora.load(tmp_path / "run" / "adapters.safetensors")
    assert about["rank"] == 2 and about["scale"] == 2.0
    base = reasoning.load(config["model"], "float32").params
    merged, exported = flat(lora.merge(adapters, base, about["scale"])), weights(tmp_path / "run")
    for path, leaf in merged.items():
        np.testing.assert_allclose(exported[path], leaf, rtol=1e-6, atol=1e-6, err_msg=path)
    changed = {path for path, leaf in flat(base).items() if not np.array_equal(leaf, exported[path])}
    assert changed == {f"layers/{i}/mlp/{name}/kernel" for i in (0, 1) for name in ("gate_up", "down")}


def test_equal_tokens_are_equal_examples():
    lengths, config = [10, 10, 10, 30, 30, 30, 10, 10], copy.deepcopy(CONFIG)
    assert settings.total_steps(config, lengths) == 4
    assert settings.total_steps(config | {"max_steps": 3}, lengths) == 3
    steps = {tokens: settings.total_steps(config | {"tokens": tokens}, lengths) for tokens in (1, 140, 141, 280, 1400)}
    assert steps == {1: 1, 140: 2, 141: 3, 280: 4, 1400: 20}
    assert settings.total_steps(config | {"tokens": 1400, "max_steps": 7}, lengths) == 7


def test_held_out_trace_is_learnt():
    learnt, unseen = split(TRACES, 5, seed=1)
    assert len(unseen) == 5 and not set(map(id, learnt)) & set(map(id, unseen)) and len(learnt) == len(TRACES) - 5
    assert split(TRACES, 5, seed=2)[1] != unseen


# ------------------------------------------------------------------------------------------------ a user's mistakes


def test_loss_that_is_not_finite_is_trained_on(files, tmp_path):
    config = config_of(files, optimizer__learning_rate=1e30, optimizer__clip=0.0, optimizer__schedule="constant")
    with pytest.raises(InputError, match="step [2-5] gave a loss of .*(nan|inf).*lower optimizer.learning_rate"):
        train(config, tmp_path, show=False)
    steps = [line["step"] for line in lines(tmp_path)]
    assert steps == list(range(1, len(steps) + 1)) and all(line["loss"] is not None for line in lines(tmp_path))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer__learning_rate": 1e-3}, "holds a run of another config: optimizer.learning_rate was 0.01, now 0.001"),
        ({"epochs": 3}, "holds a run of another config: epochs was 2, now 3"),
    ],
)
@pytest.mark.slow
def test_directory_of_another_run_is_continued(whole, files, changes, message):
    config, workdir = whole
    before = sorted(path.name for path in workdir.rglob("*"))
    with pytest.raises(InputError, match=message):
        train(config_of(files, evaluation=config["evaluation"], **changes), workdir, show=False)
    assert sorted(path.name for path in workdir.rglob("*")) == before


def test_directory_of_an_evaluation_is_trained_in(files, tmp_path):
    (tmp_path / "config.json").write_text('{"config": {}, "hash": ""}')
    with pytest.raises(InputError, match="is the run directory of something else than training"):
        train(config_of(files), tmp_path, show=False)


@pytest.mark.slow
def test_other_traces_under_the_same_name_are_trained_on(whole, files):
    config, workdir = whole
    write_traces(files / "traces.jsonl", [dataclasses.replace(TRACES[0], thinking="changed"), *TRACES[1:]])
    try:
        with pytest.raises(InputError, match="was begun with other traces under the same name"):
            train(config, workdir, show=False)
    finally:
        write_traces(files / "traces.jsonl", TRACES)


@pytest.mark.slow
def test_truncated_checkpoint_loses_the_run(whole, tmp_path, capfd):
    """The one before it is taken, and the end is the same; so is a model that was exported already."""
    config, workdir = whole
    again = shutil.copytree(workdir, tmp_path / "again")
    before = {path: path.stat().st_mtime_ns for path in (again / "model").iterdir()}
    for file in (again / "checkpoints" / "8" / "state" / "d").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert train(config, again, show=False)
    said = capfd.readouterr().err
    assert "warning: the checkpoint of step 8 is damaged" in said and "damaged-8" in said
    assert lines(again) == lines(workdir)
    assert {path: path.stat().st_mtime_ns for path in (again / "model").iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"traces__file": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"traces__file": ""}, "names no file of traces"),
        ({"traces__max_tokens": 40}, "examples are longer than max_tokens 40"),
        ({"traces__held_out": 16}, "16 traces held out of 16 leave none to learn"),
        ({"lora__pattern": "layers/.*/q_proj"}, "matches none of the model's matrices"),
        ({"optimizer__name": "sgd"}, "unknown optimizer 'sgd'"),
        ({"optimizer__lr": 1}, "unknown key optimizer.lr"),
        ({"epochs": 0}, "epochs must be a whole number ≥ 1"),
        ({"traces__form": "xml"}, "traces.form is one of 's1', 'think', 'prompt', got 'xml'"),
        ({"evaluation__tasks": {"sums": {"task": {"family": "nothing"}, "method": SUMS["method"]}}}, "unknown task 'nothing'"),
        ({"mesh__fsdp": 64}, "needs 64 devices and there are"),
    ],
)
def test_wrong_setting_costs_more_than_a_line(files, tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        train(config_of(files, **changes), tmp_path / "run", show=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "checkpoints" / "1").exists()


def test_empty_file_of_traces_is_trained_on(files, tmp_path):
    (tmp_path / "none.jsonl").write_text("")
    with pytest.raises(InputError, match="there is no trace in it"):
        train(config_of(files, traces__file=str(tmp_path / "none.jsonl")), tmp_path / "run", show=False)
