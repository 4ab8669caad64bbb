"""Progress of training on the disk: every step once, in the lines and in TensorBoard, whatever a kill left."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reasoning.errors import InputError
from reasoning.train.monitor import SCALARS, Monitor

CONFIG = {"model": "tiny", "seed": 3}


def run(directory, first, last):
    with Monitor(directory, CONFIG, first, total=9, show=False) as monitor:
        for step in range(first + 1, last + 1):
            monitor.step(step, {**dict.fromkeys(SCALARS, float(step)), "targets": 7, "mfu": None})
            if step % 2 == 0:
                monitor.evaluation(step, {"sums/accuracy": step / 10}, {"sums": f"text of {step}"})


def seen(directory):
    """{tag: [(step, value)]} of TensorBoard."""
    (events,) = (directory / "tensorboard").iterdir()
    board = EventAccumulator(str(events), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    scalars = {tag: [(point.step, point.value) for point in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    texts = {
        tag: [(t.step, t.tensor_proto.string_val[0].decode()) for t in board.Tensors(tag)] for tag in board.Tags()["tensors"]
    }
    return scalars, texts


def steps(directory, name="metrics.jsonl"):
    return [json.loads(line)["step"] for line in (directory / name).read_text().splitlines()]


def test_step_stands_twice_or_never_after_a_kill(tmp_path):
    run(tmp_path, 0, 6)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        with (tmp_path / name).open("a") as file:
            file.write('{"step": 7, "lo')  # torn by the kill
    run(tmp_path, 3, 9)  # the checkpoint is of step 3
    assert steps(tmp_path) == list(range(1, 10))
    assert steps(tmp_path, "evaluations.jsonl") == [2, 4, 6, 8]
    scalars, texts = seen(tmp_path)
    assert scalars["train/loss"] == [(step, float(step)) for step in range(1, 10)]
    assert [step for step, _ in scalars["evaluation/sums/accuracy"]] == [2, 4, 6, 8]
    assert texts["samples/sums"] == [(step, f"text of {step}") for step in (2, 4, 6, 8)]
    assert '"seed": 3' in texts["config"][0][1]
    assert set(scalars) == {tag for name, tag in SCALARS.items() if name != "mfu"} | {"evaluation/sums/accuracy"}


def test_number_that_is_none_breaks_the_file(tmp_path):
    with Monitor(tmp_path, CONFIG, 0, total=1, show=False) as monitor:
        monitor.step(1, {"loss": float("nan"), "grad_norm": float("inf")})
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert {"loss": None, "grad_norm": None}.items() <= json.loads(line).items()


def test_damaged_line_is_skipped(tmp_path):
    run(tmp_path, 0, 3)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:20], lines[2]]) + "\n")
    with pytest.raises(InputError, match="line 2 of .*metrics.jsonl is damaged"):
        run(tmp_path, 3, 4)


def test_step_without_a_line_is_overlooked(tmp_path):
    run(tmp_path, 0, 3)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    with pytest.raises(InputError, match="metrics.jsonl lacks step 2, which the checkpoint of step 3 has"):
        run(tmp_path, 3, 4)
