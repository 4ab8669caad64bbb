"""What a report says of methods in rounds: by hand on three problems, and the control at equal tokens against counting."""

import csv
import itertools
import json
import math
import shutil

import pytest
from doubles.sayer import Sayer

from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.reports.report import report
from reasoning.evaluation.rounds import report as round_report
from reasoning.evaluation.rounds import tables as round_tables
from reasoning.records import read_lines

SHARED = {"scorer": {"kind": "oracle", "name": "oracle"}, "max_tokens": 64, "top_p": 0.95}
CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 3},
    "methods": {
        "pool": {"method": "best_of_n", "n": 12, **SHARED},
        "tpo": {"method": "tpo", "width": 2, "depth": 2, "critic_tokens": 40, **SHARED},
        "other": {"method": "best_of_n", "n": 3, **SHARED, "scorer": {"kind": "form"}},
    },
}


def say(request, sample):
    """sum-1 is right in sample 1, sum-0 in the second round's update 0, sum-2 never; its first update needs two tries."""
    name, *place = request.id.split("/")
    index, role = place or ("0", "answer")
    if role in ("loss", "gradient"):
        return f"The {role} of ``` {name}."
    if (request.id, sample) == ("sum-2/1/update", 0):
        return "No."
    right = {("sum-1", "0", 1): 2, ("sum-0", "1", 0): 1}.get((name, index, sample))
    text = f"Round {index}, sample {sample}\nAnswer: {sample - 50 if right is None else right}"
    return text if role == "answer" else f"<improved>{text}</improved>"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    experiment.evaluate(CONFIG, workdir, show=False, engine=Sayer(say))
    return workdir, report(workdir)


def test_round_is_credited_with_another_round(finished):
    workdir, made = finished
    (worked,) = made.worked
    assert (worked.label, worked.mode) == ("tpo", "tpo")
    assert [one.accuracy.value for one in worked.rounds] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert [one.values for one in worked.rounds] == [(0, 1, 0), (1, 1, 0), (1, 1, 0)]
    assert [one.reward[0] for one in worked.rounds] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert [one.drawn for one in worked.rounds] == pytest.approx([1 / 6, 1 / 6, 0])
    assert [one.calls for one in worked.rounds] == pytest.approx([2, 6 + 1 / 3, 10 + 1 / 3])
    assert [(one.unparsed, one.lost) for one in worked.rounds] == [(0, 0), (1 / 3, 0), (0, 0)]
    assert worked.rounds[0].gain is None and worked.rounds[2].gain.difference == pytest.approx(1 / 3)
    ledgers = [line["ledger"] for line in read_lines(workdir / "tpo" / "generations.jsonl")[0]]
    assert worked.rounds[-1].generated == pytest.approx(sum(one["sampled"] for one in ledgers) / 3)
    assert worked.rounds[-1].total == pytest.approx(sum(one["sampled"] + one["prompt"] for one in ledgers) / 3)
    (row,) = [row for row in made.rows if row.label == "tpo"]
    assert row.accuracy == worked.rounds[-1].accuracy, "the table's own row of TPO"


def test_control_has_another_number_of_tokens(finished):
    workdir, made = finished
    (worked,) = made.worked
    assert [(one.label, one.basis) for one in worked.controls] == [("pool", basis) for basis in round_report.BASES]
    spent = {line["problem"]: line["ledger"] for line in read_lines(workdir / "tpo" / "generations.jsonl")[0]}
    drawn = {}
    for line in read_lines(workdir / "pool" / "generations.jsonl")[0]:
        drawn.setdefault(line["problem"], []).append(line)
    for control, prompts in zip(worked.controls, (False, True), strict=True):
        taken, values, short = [], [], 0
        for problem, lines in drawn.items():
            each = sum(line["ledger"]["sampled"] for line in lines) / len(lines)
            wanted = spent[problem]["sampled"] + prompts * (spent[problem]["prompt"] - lines[0]["ledger"]["prompt"])
            many = next(count for count in itertools.count(1) if count * each >= wanted)
            short += many > 12
            taken.append(min(many, 12))
            # One sample of sum-1 is right and found where it is among those taken; of the others none is.
            values.append(taken[-1] / 12 if problem == "sum-1" else 0.0)
        assert control.samples == pytest.approx(sum(taken) / 3) and control.short == short
        assert control.accuracy.value == pytest.approx(sum(values) / 3)
        assert control.versus.difference == pytest.approx(2 / 3 - sum(values) / 3)
    assert [one.short for one in worked.controls] == [0, 3], "all tokens are more than the pool of 12 has"


def test_report_lacks_a_file_or_shows_an_unchanged_answer(finished):
    workdir, made = finished
    page = (workdir / "report" / "rounds.md").read_text()
    assert "**sum-0**, round 0 (reward 0.000, wrong) → round 1 (reward 1.000, right)" in page
    assert "- Round 0, sample 0\n+ Round 1, sample 0\n- Answer: -50\n+ Answer: 1\n```" in page
    assert "gradient: The gradient of ''' sum-0." in page and "**sum-1**" not in page
    assert "pool  tokens after the prompts" in made.text() and "all tokens" in made.text()
    lines = list(csv.DictReader((workdir / "report" / "rounds.csv").read_text().splitlines()))
    assert [(one["method"], one["round"], float(one["accuracy"])) for one in lines] == [
        ("tpo", str(index), pytest.approx(share)) for index, share in enumerate((1 / 3, 2 / 3, 2 / 3))
    ]
    assert list(lines[0]) == list(round_tables.FIELDS)
    assert (workdir / "report" / "rounds.png").read_bytes().startswith(b"\x89PNG")


def test_lost_history_is_not_explained_or_cannot_be_had_back(finished, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(finished[0], workdir)
    path = workdir / "tpo" / "rounds.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    with pytest.raises(InputError, match=r"lacks 1 of 3 lines; delete generations.jsonl beside it"):
        report(workdir)
    (workdir / "tpo" / "generations.jsonl").unlink()
    experiment.evaluate(CONFIG, workdir, show=False, engine=Sayer(say, crash_after=0))
    assert path.read_bytes() == whole
    identity = json.loads((workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps(identity | {"regraded": "otherwise"}))
    assert round_report.measure(open_finished(workdir)) == []


def test_interval_of_rewards_takes_them_for_shares():
    value, low, high = round_report.interval([0.0, 1.0, 1.0])
    assert (value, low > 0, high < 1) == (pytest.approx(2 / 3), True, True)
    value, low, high = round_report.interval([-3.0, 5.0, 9.0, 1.0] * 6)
    assert value == 3.0 and 0 < low < 3 < high < 6
    assert all(map(math.isnan, round_report.interval([7.0])[1:]))
