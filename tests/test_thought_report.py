"""The judge of thoughts over a finished run: asked once, in the words of the method, and read back as it was."""

import dataclasses
import json

import pytest
from doubles.fake_engine import FakeEngine

from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.thoughts.report import forced, report
from reasoning.evaluation.thoughts.segments import Switches
from reasoning.methods.base import method

CONFIG = {
    "model": "m", "dtype": "", "max_slots": None, "seed": 0, "mesh": {"data": 1, "tensor": 1},
    "task": {"family": "doubles.sums", "size": 6}, "methods": {"cot": {"method": "chain_of_thought", "n": 2, "temperature": 1.0}},
}  # fmt: skip


class Sure(FakeEngine):
    """Goes on after "Final Answer:" with the answer in `answers`, by request id."""

    def __init__(self, answers):
        super().__init__()
        self.answers = answers

    def respond(self, request, *rest):
        return dataclasses.replace(super().respond(request, *rest), text=f" {self.answers.get(request.id, 7919)}")


@pytest.fixture
def run(tmp_path):
    """A finished run directory; its responses are three thoughts each."""
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine())
    path = tmp_path / "cot" / "generations.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        ids = list(b"So 4. Wait, 5. Wait, 6.")
        record |= {"ids": ids, "tokens": len(ids), "thinking": len(ids), "forced": []}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


def test_a_thought_is_judged_twice_or_another_one_is_right(run):
    problems = {problem.id: problem.answer for problem in experiment.build_task(CONFIG).problems}
    engine = Sure({f"{name}/{sample}/thought 1": answer for name, answer in problems.items() for sample in range(2)})
    text = report(run, engine, show=False)
    found = json.loads((run / "cot" / "thoughts.json").read_text())
    assert found["mean_switches"] == 2
    wrong = [one for one in found["judged"] if not one["correct"]]
    assert wrong and {one["through"] for one in wrong} == {len("So 4. Wait, 5. ")}
    assert {one["through"] for one in found["judged"] if one["correct"]} <= {None}
    assert f"{1 - 15 / 23:.3f}" in text and (run / "report" / "thoughts.csv").exists()

    asked = len(engine.served)
    assert report(run, engine, show=False) == text and len(engine.served) == asked
    report(run, engine, Switches(("So",)), show=False)
    assert len(engine.served) > asked, "other switches are other thoughts"
    asked, path = len(engine.served), run / "cot" / "generations.jsonl"
    report(run, engine, Switches(("So",)), show=False)
    assert len(engine.served) == asked
    path.write_text(path.read_text().replace(": false", ": true").replace(": true", ": false", 1))
    report(run, engine, Switches(("So",)), show=False)
    assert len(engine.served) > asked, "other samples are other thoughts"


def test_an_unfinished_run_or_none_is_judged(run, tmp_path):
    path = run / "cot" / "generations.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="lacks 1 of 12 samples"):
        report(run, FakeEngine(), show=False)
    with pytest.raises(InputError, match="holds no run"):
        report(tmp_path / "elsewhere", FakeEngine())


def test_the_answer_is_asked_for_inside_the_thinking():
    assert forced(method("chain_of_thought")) == "\n\nFinal Answer:"
    assert forced(method("budget_forcing")) == "\n</think>\n\nFinal Answer:"
    assert forced(method("budget_forcing", form="prompt")) == "\nAnswer:"
