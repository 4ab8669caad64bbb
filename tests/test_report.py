"""The report: numbers that can be checked by hand, costs at every N from one pool, honest pairs, a picture that can be read."""

import csv
import dataclasses
import io
import json
import math
import shutil

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from doubles.fake_engine import FakeEngine

from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.ledger import Cost, cost
from reasoning.evaluation.reports import picture, scores, tables
from reasoning.evaluation.reports.report import pairs, report
from reasoning.evaluation.statistics.metrics import Samples, maj_at_k
from reasoning.evaluation.statistics.stats import Estimate
from reasoning.methods.base import method

CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 40},
    "methods": {
        "direct": {"method": "direct"},
        "cot": {"method": "chain_of_thought", "n": 2, "temperature": 0.7},
        "majority": {"method": "majority", "n": 8},
    },
}
SKILL = {f"sum-{index}": (str(index + 1), index / 40) for index in range(40)}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    experiment.evaluate(CONFIG, directory, show=False, engine=FakeEngine(SKILL))
    return directory


@pytest.fixture(scope="module")
def made(workdir):
    return report(workdir)


def ledger(prompt, sampled, forced=0, discarded=0, lookahead=0, scorer=0):
    tokens = {
        "prompt": prompt,
        "sampled": sampled,
        "forced": forced,
        "discarded": discarded,
        "lookahead": lookahead,
        "scorer": scorer,
    }
    return {"ledger": {**tokens, "flops_prompt": 100.0 * prompt, "flops_generated": 100.0 * (sampled + forced)}}


def test_prompt_is_paid_again_or_a_kind_of_token_forgotten():
    pool = [[ledger(10, 4), ledger(10, 8, forced=2)], [ledger(30, 1, discarded=3, lookahead=5, scorer=7), ledger(30, 1)]]
    one, two = cost(pool, 1, seconds=0.5), cost(pool, 2, seconds=0.5)
    assert (one.prompt, one.tokens, one.scorer) == (20.0, 6.0, 1.75)
    assert (two.prompt, two.tokens, two.scorer) == (20.0, 12.0, 3.5)
    assert (one.flops, one.flops_uncached, one.seconds) == (2400.0, 2400.0, 0.5)
    assert (two.flops, two.flops_uncached, two.seconds) == (2800.0, 4800.0, 1.0)


def test_rows_disagree_with_the_samples(workdir, made):
    rows = {(row.label, row.samples): row for row in made.rows}
    assert list(rows) == [("direct", 1), ("cot", 1), ("majority", 1), ("majority", 2), ("majority", 4), ("majority", 8)]
    lines = [json.loads(line) for line in (workdir / "majority" / "generations.jsonl").read_text().splitlines()]
    right = np.array([line["correct"] for line in lines]).reshape(40, 8)
    assert rows["majority", 1].accuracy.value == pytest.approx(right.mean())
    assert rows["majority", 1].values == pytest.approx(right.mean(1))
    assert rows["cot", 1].cost.tokens < 12, "a method without a vote costs one sample, however many measured it"
    for k in (2, 4, 8):
        assert rows["majority", k].cost.tokens == pytest.approx(k * rows["majority", 1].cost.tokens)
        assert rows["majority", k].accuracy.low <= rows["majority", k].accuracy.value <= rows["majority", k].accuracy.high
    for group in (lines[8 * index : 8 * index + 8] for index in range(40)):
        answers = [line["answer"] for line in group]
        winner = method("majority").vote(group[0]["problem"], answers)
        counts = [answers.count(answer) for answer in set(answers) - {None}]
        if counts.count(max(counts)) == 1:
            expected = float(winner == SKILL[group[0]["problem"]][0])
            assert rows["majority", 8].values[int(group[0]["problem"][4:])] == pytest.approx(expected)


def test_scores_lack_what_a_reader_needs(workdir, made):
    found = json.loads((workdir / "majority" / "scores.json").read_text())
    assert (found["problems"], found["samples_per_problem"]) == (40, 8)
    assert [row["samples"] for row in found["rows"]] == [1, 2, 4, 8]
    assert found["rows"][0]["cost_per_problem"]["seconds"] > 0
    assert list(found["pass_at_k"]) == ["1", "2", "4", "8"]
    assert found["pass_at_k"]["8"]["value"] > found["pass_at_k"]["1"]["value"]
    assert found["stop_reasons"] == {"stop": 320}
    assert 0.02 < found["unanswered"] < 0.2
    assert found["config_hash"] == json.loads((workdir / "config.json").read_text())["hash"]


def test_pairs_leave_out_the_question(made):
    names = [(a.name, tables.full_name(b)) for a, b, _ in made.versus]
    assert names == [
        ("cot", "direct, N = 1"),
        ("majority, N = 8", "direct, N = 1"),
        ("majority, N = 8", "cot, N = 1"),
        ("majority, N = 8", "majority, N = 1"),
    ]
    for a, b, found in made.versus:
        assert found.difference == pytest.approx(a.accuracy.value - b.accuracy.value)
    assert pairs(made.rows[:1]) == []


def test_text_hides_a_number(made):
    text = made.text()
    assert made.table.read_text() == made.text(tables.markdown) + "\n"
    assert text.startswith("fake\ndoubles.sums, 40 problems\n\nmethod    N  accuracy")
    assert "majority, N = 8 − majority, N = 1" in text
    lengths = {len(line) for line in text.split("\n\n")[1].splitlines()}
    assert len(lengths) == 1, "columns are aligned"
    assert made.table.read_text().count("\n| majority |") == 4


def test_csv_cannot_be_read_back(made):
    rows = list(csv.DictReader((made.table.parent / "table.csv").open()))
    assert [float(row["accuracy"]) for row in rows] == [row.accuracy.value for row in made.rows]
    assert [float(row["flops_uncached"]) for row in rows] == [row.cost.flops_uncached for row in made.rows]
    assert rows[0]["noise"] == "", "one sample cannot tell"
    versus = list(csv.DictReader((made.table.parent / "comparisons.csv").open()))
    assert [float(row["p_value"]) for row in versus] == [found.p_value for *_, found in made.versus]


def test_report_changes_when_it_is_made_again(workdir, made):
    files = [made.table, made.picture, made.table.parent / "table.csv", workdir / "cot" / "scores.json"]
    before = [file.read_bytes() for file in files]
    report(workdir)
    assert [file.read_bytes() for file in files] == before


def test_unfinished_run_is_reported_as_if_finished(tmp_path, workdir):
    with pytest.raises(InputError, match="holds no run"):
        report(tmp_path)
    shutil.copytree(workdir, tmp_path / "run")
    path = tmp_path / "run" / "cot" / "generations.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    with pytest.raises(InputError, match=r"lacks 3 of 80 samples; run scripts/evaluate\.py on it again"):
        report(tmp_path / "run")


def test_vote_of_a_fork_is_counted_as_a_majority():
    samples = Samples("p", ("1", "1", "2", None), (False, False, True, False))

    def largest(problem, answers):
        return max(filter(None, answers), default=None)

    assert scores.over_subsets(largest, samples, 1) == 0.25
    assert scores.over_subsets(largest, samples, 2) == 0.5
    assert scores.over_subsets(largest, samples, 4) == 1.0
    assert maj_at_k(samples, 4) == 0.0


def test_subsets_of_a_large_pool_take_for_ever():
    samples = Samples("p", ("1", "2") * 32, (True, False) * 32)
    assert scores.over_subsets(lambda problem, answers: answers[0], samples, 32) == pytest.approx(2 / 3, abs=0.1)


def test_pool_of_six_hides_its_largest_vote():
    assert scores.sizes(method("majority", n=6)) == [1, 2, 4, 6]
    assert scores.sizes(method("direct", n=6)) == [1]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.001234, "0.00123"), (0.0499, "0.0499"), (6.0, "6.00"), (123.4, "123"), (45678.0, "45678")]
)
def test_small_and_large_costs_lose_their_digits(value, text):
    assert tables.significant(value) == text


def row(label, samples, flops, value, low, high):
    return scores.Row(
        label, samples, Estimate(value, low, high, 100, 0.1, None), Cost(samples, 50, 10, 0, flops, flops, math.nan), (value,)
    )


@pytest.mark.parametrize(
    "rows",
    [
        [row("a", 1, 1e9, 0.0, 0.0, 0.04)],
        [row("a", 1, 1e9, 1.0, 0.96, 1.0), row("b", 1, 1e9, 1.0, 0.96, 1.0), row("c", 1, 1e12, 1.0, 0.96, 1.0)],
        [row(f"method {index}", 1, 10.0 ** (9 + index / 3), 0.5, 0.4, 0.6) for index in range(9)],
    ],
)
def test_picture_fails_on_extreme_results(rows):
    image = matplotlib.image.imread(io.BytesIO(picture.draw(rows, "title")))
    assert image.shape == (800, 1280, 4)
    assert len(np.unique(image[..., :3] @ [1.0, 300.0, 90_000.0])) > 10, "colours"


def test_labels_hide_each_other(monkeypatch):
    boxes = []
    place = picture.place
    monkeypatch.setattr(picture, "place", lambda *args, **style: boxes.append(place(*args, **style)) or boxes[-1])
    same = [row(label, 1, 1e9, 0.5, 0.4, 0.6) for label in "abc"]
    picture.draw([*same, *(row("vote", 2**power, 1e9 * 2**power, 0.5, 0.4, 0.6) for power in range(4))], "title")
    assert len(boxes) == 8
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_missing_seconds_break_the_table(made):
    untimed = dataclasses.replace(made.rows[0], cost=dataclasses.replace(made.rows[0].cost, seconds=math.nan))
    assert tables.cells(untimed)[-1] == "–"
    assert tables.rows_csv([untimed]).splitlines()[1].endswith(",")


def test_dark_words_stand_on_dark_cells():
    """In 0.80 of "Blues" and 0.85 of "RdBu_r" they could hardly be read."""
    for name, shares, words in (
        ("Blues", (0.0, 0.4, 0.8, 1.0), "dark dark light light"),
        ("RdBu_r", (0.0, 0.15, 0.5, 0.85, 1.0), "light light dark light light"),
    ):
        inks = [picture.ink_on(matplotlib.colormaps[name](share)) for share in shares]
        assert inks == ["white" if word == "light" else picture.INK for word in words.split()], name
