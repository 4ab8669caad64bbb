"""Two groups of runs on the same problems: seeds of training are counted as what they are, and mixed-up runs are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from doubles.fake_engine import FakeEngine

from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.reports.contrast import contrast
from reasoning.evaluation.statistics.seeds import over_runs
from reasoning.evaluation.statistics.stats import difference

CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 40},
    "methods": {"cot": {"method": "chain_of_thought"}, "votes": {"method": "majority", "n": 4}},
}


def run(directory, skill: float, methods=CONFIG["methods"], **task):
    """A finished run of a model that is right so often."""
    config = {"model": "fake", "task": CONFIG["task"] | task, "methods": methods, "seed": int(1000 * skill)}
    engine = FakeEngine({f"sum-{index}": (str(index + 1), skill * (index % 4) / 3) for index in range(40)})
    experiment.evaluate(config, directory, show=False, engine=engine)
    return directory


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("contrast")
    return {skill: run(root / f"skill-{skill}", skill) for skill in (0.2, 0.85, 0.9, 0.95)}


def test_three_seeds_are_taken_for_every_seed():
    """Coverage where no recipe is better: over problems alone far too narrow, over runs as promised."""
    rng, trials = np.random.default_rng(0), 400
    held = {"given": 0, "trained": 0}
    for _ in range(trials):
        hard = rng.normal(0, 1, 200)
        luck = rng.normal(0, 0.5, (2, 3, 1))  # of the training, in logits: about 0.08 of accuracy
        sides = [(rng.random((3, 200)) < 1 / (1 + np.exp(-(hard + side)))).astype(float) for side in luck]
        given, trained = difference(sides[0].mean(0) - sides[1].mean(0), resamples=400), over_runs(*sides)
        held["given"] += given.low <= 0 <= given.high
        held["trained"] += trained.low <= 0 <= trained.high
    assert held["given"] / trials < 0.75
    assert 0.93 <= held["trained"] / trials <= 0.99


def test_a_side_without_training_adds_luck_of_its_own():
    rng = np.random.default_rng(1)
    base, tuned = (rng.random((1, 100)) < 0.2).astype(float), (rng.random((3, 100)) < 0.6).astype(float)
    found = over_runs(tuned, base)
    assert found.difference == pytest.approx(tuned.mean() - base.mean())
    assert found.low > 0 and found.p_value < 0.01 and found.freedom > 2
    with pytest.raises(InputError, match="one training run a side says nothing"):
        over_runs(base, base)
    with pytest.raises(InputError, match="100 and 99 problems"):
        over_runs(tuned, base[:, 1:])


def test_runs_that_never_differ_have_an_interval_of_no_width():
    found = over_runs(np.ones((3, 50)), np.ones((3, 50)))
    assert found.difference == 0 and found.low < 0 < found.high


def test_runs_are_paired_by_their_place(runs):
    made = contrast([runs[0.85], runs[0.95], runs[0.9]], [runs[0.2]], "cot")
    values = [np.array([row.values for _, row in side]) for side in (made.a, made.b)]
    assert made.given.difference == pytest.approx(values[0].mean() - values[1].mean()) and made.given.low > 0
    assert made.trained == over_runs(*values)
    text = made.text()
    assert (
        "A − B, of these runs" in text
        and "A − B, of any training of A" in text
        and "B has one run, which is taken as it is" in text
    )
    alone = contrast([runs[0.9]], [runs[0.2]], "cot").text()
    assert "of any training" not in alone.split("40 problems")[0] and "nothing is said of other training seeds" in alone


def test_another_method_or_task_is_compared_in_silence(runs, tmp_path):
    text = contrast([runs[0.9]], [runs[0.9]], "votes", "cot").text()
    assert "The sides are asked differently: method, n." in text and "votes, N = 4" in text
    other = run(tmp_path / "other", 0.9, size=39)
    with pytest.raises(InputError, match="asked different problems"):
        contrast([runs[0.9]], [other], "cot")
    with pytest.raises(InputError, match="has no method 'beam'"):
        contrast([runs[0.9]], [runs[0.2]], "beam")
    with pytest.raises(InputError, match="is named twice on one side"):
        contrast([runs[0.9], runs[0.9]], [runs[0.2]], "cot")
    longer = run(tmp_path / "longer", 0.9, methods={"cot": {"method": "chain_of_thought", "max_tokens": 9}})
    with pytest.raises(InputError, match="have other settings of 'cot'; a side is one recipe"):
        contrast([runs[0.9], longer], [runs[0.2]], "cot")
    with pytest.raises(InputError, match="at least one finished run on each side"):
        contrast([], [runs[0.2]], "cot")


def test_the_script_ends_without_a_line(tmp_path):
    script = Path(__file__).parent.parent / "scripts" / "contrast.py"
    asked = subprocess.run([sys.executable, script, "--a", tmp_path], capture_output=True, text=True)
    assert asked.returncode == 2 and "--a, --b and --label are needed" in asked.stderr
