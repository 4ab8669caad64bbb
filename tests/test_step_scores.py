"""What a scorer tells apart: steps of one question at one depth, not only late steps from early ones."""

import numpy as np
import pytest
from doubles.stepper import Stepper

from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.reports import step_scores
from reasoning.evaluation.rollouts import label, read_labels
from reasoning.records import dumps, write_atomic

CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 12},
    "methods": {"cot": {"method": "majority", "n": 5, "temperature": 1.0, "max_tokens": 60}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("steps")
    experiment.evaluate(CONFIG, path, show=False, engine=Stepper())
    label(open_finished(path), "cot", Stepper(), n=4, show=False)
    return open_finished(path)


def scored(run, name, score):
    """Scores as a scorer writes them: `score(depth, share of right endings)` of every labelled step."""
    lines = [{"scorer": {"kind": name}}]
    for line in read_labels(run.workdir / "cot/labels/4.jsonl")[1]:
        scores = [score(depth, right / 4) for depth, right in enumerate(line["right"])]
        cost = {"question": 0, "tokens": 1, "flops_question": 0.0, "flops": 0.0}
        lines.append({"problem": line["problem"], "sample": line["sample"], "scores": scores, **cost})
    write_atomic(run.workdir / "cot/scores" / f"{name}.jsonl", b"".join(map(dumps, lines)))


def test_a_scorer_that_counts_steps_seems_to_know_which_are_right(run):
    """Later steps are more often wrong, so the AUROC over all of them is above ½; of two siblings it knows nothing."""
    scored(run, "depth", lambda depth, value: 0.9 - depth / 10)
    found = step_scores.steps(run, "cot", "depth", "4")
    assert step_scores.auroc([one.score for one in found], [one.value > 0 for one in found]) > 0.6
    assert step_scores.share(step_scores.siblings(found)) == (0.5, 0.5, 0.5)
    scored(run, "exact", lambda depth, value: value)
    found = step_scores.steps(run, "cot", "exact", "4")
    assert step_scores.share(step_scores.siblings(found)) == (1.0, 1.0, 1.0)
    text = step_scores.report(run, "cot", "exact", "4")
    rows = [line.split() for line in text.splitlines()]
    rows = {row[0]: row[1:] for row in rows if row}
    assert rows["all"][0] == str(len(found)) and rows["all"][2] == "1.000"
    assert rows.keys() > set("1234")
    assert (run.workdir / "cot/scores/exact-4.md").read_text() == text + "\n"


def test_pairs_are_counted_by_brute_force(run):
    rng = np.random.default_rng(0)
    scored(run, "noisy", lambda depth, value: float(np.round(value + rng.normal(), 1)))
    found = step_scores.steps(run, "cot", "noisy", "4")
    wins = [
        (a.score > b.score) + (a.score == b.score) / 2
        for a in found
        for b in found
        if (a.question, a.depth) == (b.question, b.depth) and a.value > 0 and b.value == 0
    ]
    value, low, high = step_scores.share(step_scores.siblings(found))
    assert len(wins) > 30 and value == pytest.approx(np.mean(wins)) and low < value < high
    assert "–" in step_scores.report(run, "cot", "noisy", "4").splitlines()[4], "no calibration of what is no probability"


def test_scores_of_other_steps_are_compared_with_labels(run):
    with pytest.raises(InputError, match=r"5\.jsonl is missing; scripts/label\.py makes it"):
        step_scores.steps(run, "cot", "exact", "5")
    with pytest.raises(InputError, match="and not scored by nobody; score again"):
        scored(run, "nobody", lambda depth, value: value)
        path = run.workdir / "cot/scores/nobody.jsonl"
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        step_scores.steps(run, "cot", "nobody", "4")
    path.write_bytes(
        b"".join(
            [
                dumps({"scorer": {"kind": "nobody"}}),
                *(
                    dumps({**line, "scores": [0.5], "question": 0, "tokens": 1, "flops_question": 0.0, "flops": 0.0})
                    for line in read_labels(run.workdir / "cot/labels/4.jsonl")[1]
                ),
            ]
        )
    )
    with pytest.raises(InputError, match="has 4 labelled steps and 1 scores of nobody; give scorer"):
        step_scores.steps(run, "cot", "nobody", "4")
