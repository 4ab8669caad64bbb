"""A comparison from its configuration to its report, with an engine that writes text from a hash."""

import csv
import json
import math
import re

import pytest
from doubles.fake_engine import FakeEngine
from doubles.opened import opened

from reasoning.comparison import findings, reuse, tables, timed
from reasoning.comparison.plan import plan
from reasoning.comparison.report import report
from reasoning.comparison.run import compare, configs
from reasoning.errors import InputError
from reasoning.evaluation import experiment, scoring
from reasoning.evaluation.finished import open_finished
from reasoning.records import dumps, read_lines

LIKELIHOOD = {"kind": "confidence", "measure": "likelihood"}
METHODS = {
    "one": {"method": "chain_of_thought"},
    "pool": {"method": "majority", "n": 8},
    "wide": {"method": "majority", "n": 16, "seed": 3},
}
CURVES = {
    "one": "one",
    "vote": "pool",
    "best": {"labels": "pool", "vote": "best", "scorer": LIKELIHOOD},
    "weighted": {"labels": ["pool", "wide"], "vote": "weighted", "scorer": LIKELIHOOD},
    "shortest": {"labels": "pool", "vote": "shortest"},
    "pass@N": {"labels": "pool", "vote": "pass"},
}


def config(size=70, **compared):
    shared = {"model": "m", "dtype": "", "max_slots": None, "seed": 0, "mesh": {"data": 1, "tensor": 1}}
    task = {"family": "doubles.sums", "size": size}
    return {**shared, "task": task, "methods": METHODS, "compare": {"curves": CURVES, "primary": ["best", "vote"], **compared}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "mine"
    problems = experiment.build_task(config()).problems
    skill = {one.id: (one.answer, 0.2 + 0.7 * index / len(problems)) for index, one in enumerate(problems)}
    engine = FakeEngine(skill)
    (run,) = compare(config(timed=3), workdir, show=False, engine=engine)
    assert run == workdir
    return workdir, engine


@pytest.fixture(scope="module")
def found(finished):
    return findings.find(open_finished(finished[0]))


def test_findings_miss_a_curve_a_point_or_their_own_tables(found):
    by_name = {curve.name: curve for curve in found.curves}
    assert list(by_name) == list(CURVES)
    assert [point.row.samples for point in by_name["vote"].points] == [1, 2, 4, 8]
    assert sorted(point.row.samples for point in by_name["weighted"].points) == [1, 1, 2, 2, 4, 4, 8, 8, 16]
    assert by_name["pass@N"].ceiling
    assert by_name["pass@N"].points[-1].row.accuracy.value >= by_name["vote"].points[-1].row.accuracy.value
    assert found.plan.pool == "wide" and found.bins == 2 and found.choices and found.cells
    first = found.contrasts[0]
    assert (first.a, first.b, first.primary) == ("best", "vote", True)
    parts = {part.name: part for part in tables.parts(found)}
    assert {"points", "contrasts", "difficulty", "choice"} <= parts.keys()
    for part in parts.values():
        assert all(len(line) == len(part.header) for line in part.lines), part.name
        assert all(len(line) == len(part.fields) for line in part.values), part.name


def test_pool_that_says_the_difficulty_is_measured_by_the_same_samples(found):
    weighted = [one for one in found.cells if one.curve == "weighted"]
    assert {one.samples for one in weighted} == {8}, "half of the sixteen, the other half says how difficult a problem is"
    assert found.charge > 0


def test_timed_run_is_not_used_or_done_again(finished, found):
    workdir, engine = finished
    times = timed.read(workdir)
    assert set(times) == {("one", 1), *(("pool", n) for n in (1, 2, 4, 8)), *(("wide", n) for n in (1, 2, 4, 8, 16))}
    (point,) = found.curves[0].points
    assert point.timed and point.row.cost.seconds == times["one", 1].seconds
    assert found.devices
    served, lines = len(engine.served), (workdir / timed.NAME).read_bytes()
    compare(config(timed=3), workdir, show=False, engine=engine)
    assert (len(engine.served), (workdir / timed.NAME).read_bytes()) == (served, lines)


def test_vote_that_was_read_for_is_as_fast_as_one_that_counts(tmp_path):
    """The timed run of a pool draws its samples; a reward model that reads them comes on top, and its seconds are shared."""
    reading = {"kind": "doubles.counting_scorer", "name": "counting"}
    best = {name: {"labels": "pool", "vote": "best", "scorer": spec} for name, spec in (("read", reading), ("sure", LIKELIHOOD))}
    part = {**config(size=5, curves={"vote": "pool", **best}, primary=[], timed=2), "methods": {"pool": METHODS["pool"]}}
    (workdir,) = compare(part, tmp_path / "mine", show=False, engine=FakeEngine())
    times = [line | {"joules": 7.0} for line in read_lines(workdir / timed.NAME)[0]]
    (workdir / timed.NAME).write_bytes(b"".join(map(dumps, times)))
    clock = scoring.timings(workdir / "pool", "counting")
    clock.write_bytes(b"".join(dumps(line | {"seconds": 0.5}) for line in read_lines(clock)[0]))
    found = findings.find(open_finished(workdir))
    curves = {curve.name: {point.row.samples: point for point in curve.points} for curve in found.curves}
    for n, vote in curves["vote"].items():
        read, sure = curves["read"][n], curves["sure"][n]
        assert read.row.cost.seconds == pytest.approx(vote.row.cost.seconds + n * 0.5)
        assert sure.row.cost.seconds == vote.row.cost.seconds, "likelihood is in the records"
        assert (vote.timed, sure.timed, read.timed) == (True, True, False)
        assert (vote.joules, sure.joules) == (7.0, 7.0) and math.isnan(read.joules), "nobody measured those of the reading"
    shown = {line[0]: line[tables.points(found).header.index("seconds")] for line in tables.points(found).lines}
    assert [name for name, cell in shown.items() if cell.endswith("*")] == ["read"]


def test_killed_timed_run_measures_what_is_there_again(finished):
    workdir, engine = finished
    path = workdir / timed.NAME
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-1]) + whole[-1][:20])
    compare(config(timed=3), workdir, show=False, engine=engine)
    again = path.read_bytes().splitlines(keepends=True)
    assert again[:-1] == whole[:-1] and json.loads(again[-1])["samples"] == json.loads(whole[-1])["samples"]


def test_samples_of_another_run_are_drawn_again_or_taken_where_they_do_not_fit(finished, tmp_path):
    workdir, _ = finished
    more = {
        **METHODS,
        "pool": {"method": "majority", "n": 8},
        "new": {"method": "direct"},
        "hot": {**METHODS["pool"], "temperature": 1.0},
    }
    wanted = {**config(), "methods": more, "compare": {}}
    engine, said = FakeEngine(), []
    compare(wanted, tmp_path / "next", show=False, engine=engine, places=workdir.parent, tell=said.append)
    assert len(said) == 3 and "pool" in said[1] and str(workdir) in said[1]
    assert (tmp_path / "next" / "pool" / "generations.jsonl").read_bytes() == (
        workdir / "pool" / "generations.jsonl"
    ).read_bytes()
    assert {sample for _, sample in engine.served} == set(range(8)) and len(engine.served) == 70 * 9
    assert json.loads((tmp_path / "next" / reuse.NOTE).read_bytes()) == dict.fromkeys(METHODS, str(workdir))
    other = {**wanted, "seed": 1}
    compare(other, tmp_path / "seed", show=False, engine=FakeEngine(), places=workdir.parent, tell=said.append)
    assert len(said) == 3 and not (tmp_path / "seed" / reuse.NOTE).exists()


def test_unfinished_or_damaged_run_lends_samples(finished, tmp_path):
    workdir, _ = finished
    half = tmp_path / "runs" / "half"
    (half / "pool").mkdir(parents=True)
    (half / "config.json").write_bytes((workdir / "config.json").read_bytes())
    lines = (workdir / "pool" / "generations.jsonl").read_bytes().splitlines(keepends=True)
    (half / "pool" / "generations.jsonl").write_bytes(b"".join(lines[:-1]))
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "config.json").write_text("{")
    problems = experiment.build_task(config()).problems
    assert reuse.adopt(tmp_path / "new", config(), problems, tmp_path / "runs") == {}
    assert not (tmp_path / "new").exists()


def test_begun_run_is_overwritten_by_reused_samples(finished):
    workdir, _ = finished
    before = (workdir / "pool" / "generations.jsonl").read_bytes()
    assert reuse.adopt(workdir, config(), experiment.build_task(config()).problems, workdir.parent) == {}
    assert (workdir / "pool" / "generations.jsonl").read_bytes() == before


def test_several_runs_mix_or_lack_what_they_share():
    one = config()
    parts = {name: {key: one[key] for key in ("task", "methods", "compare")} for name in ("a", "b")}
    whole = {key: value for key, value in one.items() if key not in ("task", "methods", "compare")} | {"runs": parts}
    found = configs(whole)
    assert list(found) == ["a", "b"] and found["a"] == {**one}
    with pytest.raises(InputError, match="has compare, match, methods, sweep, task in each"):
        configs({**whole, "task": {}})
    with pytest.raises(InputError, match=r"runs.a may have"):
        configs({**whole, "runs": {"a": {**parts["a"], "seed": 3}}})


BAD = [
    ({"colour": 1}, "no field 'colour'"),
    ({"axis": "miles"}, "axis is one of"),
    ({"price": -1}, "price is a number"),
    ({"timed": True}, "timed a number"),
    ({"pool": "one"}, "at least 4 samples"),
    ({"primary": ["best"]}, "names two curves"),
    ({"primary": ["best", "pass@N"]}, "names two curves"),
    ({"curves": {"a": "nobody"}}, "is no method of the config"),
    ({"curves": {"a": {"vote": "best"}}}, "needs labels"),
    ({"curves": {"a": {"labels": "pool", "vote": "loud"}}}, "vote is one of"),
    ({"curves": {"a": {"labels": "one", "vote": "majority"}}}, "votes over a pool"),
    ({"curves": {"a": {"labels": "pool", "vote": "best"}}}, "unknown kind of scorer"),
    ({"curves": {"a": {"labels": "pool", "vote": "best", "scorer": LIKELIHOOD, "aggregation": "sum"}}}, "aggregation"),
]


@pytest.mark.parametrize(("part", "says"), BAD, ids=[says for _, says in BAD])
def test_wrong_field_costs_a_run_before_it_is_found(part, says):
    wrong = {**config(), "compare": {"curves": CURVES, **part}}
    with pytest.raises(InputError, match=says):
        plan(wrong, experiment.build_methods(wrong))


def test_config_without_the_field_has_no_curves():
    plain = {key: value for key, value in config().items() if key != "compare"}
    assert [line.name for line in plan(plain, experiment.build_methods(plain)).lines] == list(METHODS)


@pytest.fixture(scope="module")
def reported(finished):
    return report(finished[0], [finished[0]], 36.0)


def test_report_lacks_a_file_or_the_page_a_vote(finished, reported):
    workdir, made = finished[0], reported
    out = workdir / "comparison"
    names = {path.name for path in out.iterdir()}
    assert {
        "comparison.md",
        "points.csv",
        "contrasts.csv",
        "crossings.csv",
        "difficulty.csv",
        "choice.csv",
        "tensorboard",
    } <= names
    assert {"comparison.png", "flops.png", "generated.png", "tokens.png", "seconds.png", "difficulty.png", "choice.png"} <= names
    page = made.page.read_text()
    assert made.page == workdir / "comparison.html" and page.count("data:image/png;base64") == 7
    data = browsed(page)
    assert [one["label"] for one in data["methods"]] == list(METHODS)
    names = [one["name"] for one in data["columns"]]
    assert {"pool", "best", "weighted (pool)", "weighted (wide)", "shortest"} <= set(names) and len(set(names)) == len(names)
    assert data["total"] == 70 and all(one["difficulty"] is not None for one in data["problems"])
    text = (out / "comparison.md").read_text()
    assert text.count("\n## ") >= 4 and "(primary)" in text and "(primary)" in made.text
    assert (workdir / "report" / "table.md").exists()
    lines = list(csv.DictReader((out / "points.csv").read_text().splitlines()))
    assert [float(one["price"]) for one in lines] == pytest.approx([float(one["seconds"]) / 100 for one in lines])
    assert "at 36 for an hour of a device." in made.text


@pytest.mark.slow
def test_page_of_a_real_run_fails_in_a_browser_or_shows_no_table_plot_or_vote(finished, reported):
    record = next(one for one in open_finished(finished[0]).samples("pool") if one["problem"] == "sum-3" and one["sample"] == 5)
    dom = opened(reported.page, problem="sum-3", method="pool", sample=5)
    names = [one["text"] for one in dom.find("th", scope="row")]
    assert {"one", "vote", "best", "weighted (wide)", "pass@N", "best − vote (primary)"} <= set(names)
    assert len(dom.find("table", "sortable")) >= 4 and dom.texts("button")
    plots = {one["alt"] for one in dom.find("img") if one["src"].startswith("data:image/png;base64,")}
    assert "Accuracy against every kind of cost." in plots and len(plots) == 7
    assert dom.texts("h3") == ["sum-3"] and dom.texts("pre", "response") == [record["text"]]
    assert len(dom.find("table", "votes")) == 4 and {"pool", "best", "weighted (pool)", "shortest"} <= set(dom.texts("strong"))
    assert len([one for one in dom.find("a") if one.get("id", "").startswith("sample-")]) == 8


def test_another_price_draws_again_or_is_refused_by_a_finished_run(tmp_path):
    part, engine = {**config(size=4, curves={}, primary=[]), "methods": {"pool": METHODS["pool"]}}, FakeEngine()
    for price in (None, 36.0):
        (workdir,) = compare(part, tmp_path / "mine", show=False, engine=engine)
        made = tables.points(findings.find(open_finished(workdir), price))
        assert ("price" in made.header) == ("at 36 for an hour of a device." in made.note) == (price is not None)
    assert len(engine.served) == 4 * 8, "the second time nothing is drawn"
    with pytest.raises(InputError, match="price of a device-hour is a number"):
        findings.find(open_finished(workdir), math.inf)


@pytest.mark.slow
def test_several_tasks_share_a_page_or_mix_their_methods(tmp_path):
    one = config(size=8)
    part = {key: one[key] for key in ("task", "methods", "compare")}
    whole = {key: value for key, value in one.items() if key not in part} | {"runs": {"a": part, "b": part}}
    whole["runs"]["b"] = {**part, "task": {"family": "doubles.sums", "size": 5, "first": 100}}
    runs = compare(whole, tmp_path / "both", show=False, engine=FakeEngine(), places=tmp_path / "nowhere")
    assert [path.name for path in runs] == ["a", "b"]
    data = browsed(report(tmp_path / "both", runs).page.read_text())
    assert [one["label"] for one in data["methods"]] == [f"{run}: {label}" for run in "ab" for label in METHODS]
    for problem in data["problems"]:
        assert sum(one is not None for one in problem["methods"]) == len(METHODS), "each problem belongs to one run"


def browsed(page):
    return json.loads(re.search(r'<script type="application/json" id="browser-data">(.*?)</script>', page, re.DOTALL)[1])
