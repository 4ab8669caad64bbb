"""Metrics of step scores against brute force, and ProcessBench's format on a fixture in its shape."""

import json
from pathlib import Path

import numpy as np
import pytest

from reasoning.errors import InputError
from reasoning.evaluation.statistics import step_metrics
from reasoning.rewards import labels

FIXTURE = Path(__file__).parent / "golden/rewards/process_bench.jsonl"


def test_auroc_is_not_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    scores, right = rng.integers(0, 6, 80) / 5, rng.random(80) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a in scores[right] for b in scores[~right]]
    assert step_metrics.auroc(scores, right) == pytest.approx(np.mean(pairs))
    assert step_metrics.auroc([1, 2, 3], [False, True, True]) == 1.0
    assert np.isnan(step_metrics.auroc([1, 2], [True, True]))
    with pytest.raises(InputError, match="finite"):
        step_metrics.auroc([0.5, float("nan")], [True, False])


def test_steps_of_one_question_count_as_if_they_were_questions():
    """Ten copies of every step say nothing new: the interval over questions is that of one copy, and wider than over steps."""
    rng = np.random.default_rng(2)
    right = rng.random(60) < 0.5
    scores, names = right + rng.standard_normal(60), [f"q{index}" for index in range(60)]
    alone = step_metrics.auroc_interval(scores, right, names)
    copied = step_metrics.auroc_interval(np.repeat(scores, 10), np.repeat(right, 10), np.repeat(names, 10))
    steps = step_metrics.auroc_interval(np.repeat(scores, 10), np.repeat(right, 10), [str(index) for index in range(600)])
    assert alone == pytest.approx(copied) and alone[0] < step_metrics.auroc(scores, right) < alone[1]
    assert steps[1] - steps[0] < 0.5 * (alone[1] - alone[0])


def test_calibration_is_judged_by_the_wrong_bins():
    assert step_metrics.calibration_error([0.05, 0.15, 1.0], [0, 1, 1]) == pytest.approx((0.05 + 0.85 + 0.0) / 3)
    assert step_metrics.calibration_error([0.52, 0.58], [0, 1]) == pytest.approx(0.05), "one bin: 0.55 against a half"
    rng = np.random.default_rng(1)
    p = rng.random(20000)
    assert step_metrics.calibration_error(p, rng.random(20000) < p) < 0.02
    assert step_metrics.calibration_error(p, p) == 0.0, "soft values count as what they are"
    with pytest.raises(InputError, match="probabilities"):
        step_metrics.calibration_error([1.2], [1])


def test_process_bench_file_is_read_another_way():
    first, second, third, _ = step_metrics.read_process_bench(FIXTURE)
    assert (first.id, first.label, first.steps[1], second.label, third.label) == ("gsm8k-0", 1, "18 - 6 = 13.", -1, 0)


@pytest.mark.parametrize("change", [{"label": 3}, {"label": None}, {"steps": []}, {"steps": "one"}, {"problem": ...}])
def test_damaged_process_bench_is_scored(tmp_path, change):
    line = json.loads(FIXTURE.read_text().splitlines()[0]) | change
    line = {key: value for key, value in line.items() if value is not ...}
    (tmp_path / "file.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match="line 1 of .* is no solution of ProcessBench"):
        step_metrics.read_process_bench(tmp_path / "file.jsonl")


def test_f1_counts_a_later_mistake_or_forgets_the_correct_solutions():
    found = step_metrics.read_process_bench(FIXTURE)
    wanted = [one.label for one in found]
    exact = [[0.9, 0.2, 0.7], [0.8, 0.9], [0.1], [0.6, 0.6]]
    assert step_metrics.process_f1(exact, wanted) == step_metrics.F1(1.0, 1.0, 1.0, 0.5)
    late = [[0.9, 0.7, 0.2], [0.8, 0.9], [0.1], [0.6, 0.4]]
    assert step_metrics.process_f1(late, wanted) == step_metrics.F1(0.5, 0.5, 0.5, 0.5)
    never = step_metrics.process_f1([[1.0] * len(one.steps) for one in found], wanted)
    assert (never.error, never.correct, never.f1) == (0.0, 1.0, 0.0)
    shifted = [[score / 10 for score in scores] for scores in exact]
    assert step_metrics.process_f1(shifted, wanted).f1 == 0.0
    best = step_metrics.best_threshold(shifted, wanted)
    assert best.f1 == 1.0 and 0.02 < best.threshold <= 0.06
    with pytest.raises(InputError, match="solutions with a mistake and solutions without"):
        step_metrics.process_f1(exact[:1], wanted[:1])


def test_labels_are_confused():
    right = [4, 2, 0, 1, 0]
    assert labels.hard(right) == [True, True, False, False, False], "a lucky ending after a mistake makes no step right"
    assert labels.consensus(right, [True, True, False, True, False]) == labels.hard(right)
    assert labels.consensus(right, [True, False, False, False, False]) is None
    assert labels.consensus([1, 1], [True, True]) == [True, True] and labels.consensus([1, 1], [True, False]) is None
