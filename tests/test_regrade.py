"""Grading a finished run anew: only what stated no answer changes, nothing is generated, the first run stays as it is."""

import json

import pytest
from doubles.fake_engine import FakeEngine

from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.regrade import regrade
from reasoning.evaluation.reports.report import report

CONFIG = {
    "model": "m", "dtype": "", "max_slots": None, "seed": 0, "mesh": {"data": 1, "tensor": 1},
    "task": {"family": "doubles.sums", "size": 4}, "methods": {"vote": {"method": "majority", "n": 8}},
}  # fmt: skip


def lines(path):
    return [json.loads(line) for line in (path / "vote" / "generations.jsonl").read_text().splitlines()]


def test_stated_answer_is_replaced_or_a_silent_one_stays_wrong(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    experiment.evaluate(CONFIG, old, show=False, engine=FakeEngine())
    path = old / "vote" / "generations.jsonl"
    first = lines(old)
    silent = next(one for one in first if one["answer"] is None)
    right = {problem.id: problem.answer for problem in experiment.build_task(CONFIG).problems}[silent["problem"]]
    silent["text"] = f"I do not know, but 7 and then {right}."
    path.write_text("".join(json.dumps(one) + "\n" for one in first))
    before = path.read_bytes()
    changed = regrade(old, new)
    assert path.read_bytes() == before and changed == {"vote": sum("but 7" in one["text"] for one in first)}
    for was, now in zip(first, lines(new), strict=True):
        if was["problem"] == silent["problem"] and was["sample"] == silent["sample"]:
            assert (now["answer"], now["correct"], now["text"]) == (right, True, was["text"])
        else:
            assert now == was
    assert report(new).rows[0].accuracy.value > report(old).rows[0].accuracy.value
    assert json.loads((new / "config.json").read_bytes())["regraded"]


def test_a_taken_target_or_no_run_gives_a_stack_trace(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        regrade(tmp_path, tmp_path / "new")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="exists already"):
        regrade(tmp_path, tmp_path)
    with pytest.raises(InputError, match="is damaged"):
        regrade(tmp_path, tmp_path / "new")
