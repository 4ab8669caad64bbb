"""ProcessBench by a reward model that is read step by step, against its scores on whole texts."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from test_prm import direct, model_of

from reasoning.errors import InputError
from reasoning.evaluation.process_bench import judge
from reasoning.evaluation.statistics.step_metrics import read_process_bench
from reasoning.rewards import prm

FIXTURE = Path(__file__).parent / "golden/rewards/process_bench.jsonl"


def test_a_solution_is_read_as_another_text_or_its_first_mistake_is_another_step():
    model, solutions = model_of("skywork"), read_process_bench(FIXTURE)
    scorer = prm.make(model, "skywork")
    report = judge(scorer, solutions, show=False)
    for one, scores in zip(solutions, report.scores, strict=True):
        np.testing.assert_allclose(scores, direct("skywork", model, one.problem, one.steps), rtol=0, atol=1e-5)
    for found in (report.at, report.best):
        firsts = [next((k for k, score in enumerate(one) if score < found.threshold), -1) for one in report.scores]
        hits = [first == one.label for first, one in zip(firsts, solutions, strict=True)]
        wrong = [one.label >= 0 for one in solutions]
        error = np.mean([hit for hit, bad in zip(hits, wrong, strict=True) if bad])
        correct = np.mean([hit for hit, bad in zip(hits, wrong, strict=True) if not bad])
        assert (found.error, found.correct) == (pytest.approx(error), pytest.approx(correct))
    assert report.at.threshold == 0.5 and report.best.f1 >= report.at.f1


def test_a_scorer_of_the_policys_ids_reads_texts():
    scorer = dataclasses.replace(prm.make(model_of("skywork"), "skywork"), encode=None)
    with pytest.raises(InputError, match="reads a policy's ids, and ProcessBench is text"):
        judge(scorer, read_process_bench(FIXTURE), show=False)
