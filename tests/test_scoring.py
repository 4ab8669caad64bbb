"""A pool scored afterwards: resumable to the byte, shared by all votes, and paid for."""

import dataclasses
import json

import pytest
from doubles import counting_scorer
from doubles.fake_engine import FakeEngine

from reasoning.errors import InputError
from reasoning.evaluation import experiment, selection
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.regrade import regrade
from reasoning.evaluation.reports.report import report
from reasoning.records import dumps, read_lines

CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 12},
    "methods": {"vote": {"method": "majority", "n": 6}, "one": {"method": "direct"}},
}
SKILL = {f"sum-{index}": (str(index + 1), 0.1 + index / 15) for index in range(12)}
COUNTING = {"kind": "doubles.counting_scorer", "name": "counting"}


@pytest.fixture
def workdir(tmp_path):
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine(SKILL))
    return tmp_path


def test_a_killed_scoring_ends_with_other_bytes_or_reads_a_sample_twice(workdir, monkeypatch):
    path = selection.score(workdir, "vote", COUNTING, FakeEngine(), show=False)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 1 + 12 * 6
    path.write_bytes(b"".join([lines[0], *lines[9:4:-1]]) + b'{"problem": "torn')
    asked, make = [], counting_scorer.judge

    def spy(engine, name=""):
        sound = make(engine, name)

        def read(candidates):
            asked.extend(candidates)
            return sound.read(candidates)

        return dataclasses.replace(sound, read=read)

    monkeypatch.setattr(counting_scorer, "judge", spy)
    assert selection.score(workdir, "vote", COUNTING, FakeEngine(), show=False).read_bytes() == whole
    assert len(asked) == 72 - 5
    assert selection.score(workdir, "vote", COUNTING, None, show=False).read_bytes() == whole, (
        "no engine where nothing is missing"
    )


def test_votes_over_one_pool_draw_new_samples_or_forget_the_scorers_cost(workdir):
    selection.score(workdir, "vote", COUNTING, FakeEngine(), show=False)
    before = (workdir / "vote" / "generations.jsonl").read_bytes()
    text = selection.report(workdir, "vote", "counting")
    assert (workdir / "vote" / "generations.jsonl").read_bytes() == before
    rows = {(row.label, row.samples): row for row in selection.rows(open_finished(workdir), "vote", "counting")}
    labels = {label for label, _ in rows}
    assert labels == {"majority", "pass@N"} | {
        f"{vote}, {name}" for vote in ("best-of-N", "weighted") for name in ("last", "min", "prod", "mean")
    }
    for label in labels:
        assert rows[label, 1].accuracy.value == pytest.approx(rows["majority", 1].accuracy.value), "one sample is one sample"
        assert rows[label, 6].accuracy.value <= rows["pass@N", 6].accuracy.value + 1e-9
        assert label in text
    free, paid = rows["majority", 4].cost, rows["weighted, min", 4].cost
    assert (free.scorer, paid.scorer) == (0.0, pytest.approx(5 + free.tokens))
    assert paid.flops == pytest.approx(free.flops + 100.0 * paid.scorer)
    assert paid.flops_uncached == pytest.approx(free.flops_uncached + 100.0 * (paid.scorer + 3 * 5))
    assert (workdir / "vote" / "scores" / "counting.csv").read_text().count("\n") == 1 + len(rows)
    times = workdir / "vote" / "scores" / "counting.timings.jsonl"
    lines = read_lines(times)[0]
    assert len(lines) == 12 * 6 and all(line["seconds"] >= 0 for line in lines)
    times.write_bytes(b"".join(dumps(line | {"seconds": 0.5}) for line in lines))
    again = {(row.label, row.samples): row.cost for row in selection.rows(open_finished(workdir), "vote", "counting")}
    assert again["weighted, min", 4].seconds == pytest.approx(again["majority", 4].seconds + 4 * 0.5)


def test_an_oracle_misses_pass_at_n(workdir):
    selection.score(workdir, "vote", {"kind": "oracle", "name": "exact"}, FakeEngine(), show=False)
    rows = {(row.label, row.samples): row for row in selection.rows(open_finished(workdir), "vote", "exact")}
    assert {label for label, _ in rows} == {"majority", "best-of-N", "weighted", "pass@N"}, "one aggregation of one score"
    for k in (1, 2, 4, 6):
        assert rows["best-of-N", k].values == pytest.approx(rows["pass@N", k].values)


def test_a_method_with_a_scorer_is_reported_without_its_scores(tmp_path):
    config = {**CONFIG, "methods": {"best": {"method": "best_of_n", "n": 4, "scorer": {"kind": "oracle"}, "aggregation": "min"}}}
    experiment.evaluate(config, tmp_path, show=False, engine=FakeEngine(SKILL))
    made = report(tmp_path)
    found = json.loads((tmp_path / "best" / "scores.json").read_text())
    best, passed = made.rows[-1].accuracy.value, found["pass_at_k"]["4"]["value"]
    assert best == pytest.approx(passed) and best > made.rows[0].accuracy.value
    regrade(tmp_path, tmp_path / "regraded")
    assert report(tmp_path / "regraded").rows[-1].cost == made.rows[-1].cost, "a regraded run keeps its scores"
    (tmp_path / "best" / "scores" / "oracle.jsonl").unlink()
    with pytest.raises(InputError, match=r"sample 0 of 'sum-0' has no scores of 'oracle'; run the same command again"):
        report(tmp_path)
    served = FakeEngine(SKILL)
    experiment.evaluate(config, tmp_path, show=False, engine=served)
    assert not served.served and report(tmp_path).rows[-1].accuracy.value == best


def test_scores_of_two_scorers_are_mixed(workdir):
    selection.score(workdir, "vote", {"kind": "oracle", "name": "mine"}, FakeEngine(), show=False)
    with pytest.raises(InputError, match="holds scores of another scorer of that name"):
        selection.score(workdir, "vote", {"kind": "oracle", "name": "mine", "sigma": 1.0}, FakeEngine(), show=False)
    with pytest.raises(InputError, match="has no method 'votes'; choose from vote, one"):
        selection.score(workdir, "votes", COUNTING, FakeEngine(), show=False)
    with pytest.raises(InputError, match="draws one sample of each problem"):
        selection.report(workdir, "one", "mine")
    with pytest.raises(InputError, match="has no scores of 'other'"):
        selection.report(workdir, "vote", "other")


def test_a_scorer_that_cannot_be_made_takes_a_name_for_ever(workdir):
    with pytest.raises(InputError, match="nowhere"):
        wrong = {"kind": "probe", "path": "nowhere.npz", "name": "mine"}
        selection.score(workdir, "vote", wrong, FakeEngine(), show=False)
    path = selection.score(workdir, "vote", {"kind": "oracle", "name": "mine"}, FakeEngine(), show=False)
    assert len(read_lines(path)[0]) == 1 + 12 * 6
    with pytest.raises(
        InputError, match=r"another scorer of that name \(kind=oracle,name=mine\); give this one its own with name="
    ):
        selection.score(workdir, "vote", {"kind": "oracle", "sigma": 1.0, "name": "mine"}, FakeEngine(), show=False)
