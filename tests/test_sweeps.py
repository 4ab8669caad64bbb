"""Sweeps: what a configuration may name, the numbers of a run, the slope's interval, tables, and pictures that can be read."""

import csv
import dataclasses
import io
import math

import matplotlib.image
import numpy as np
import pytest
from doubles.fake_engine import FakeEngine
from doubles.models import scripted_model
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.reports import picture, tables
from reasoning.evaluation.reports.report import report
from reasoning.evaluation.run import run as run_method
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.sweeps import measure as sweeps
from reasoning.evaluation.sweeps import picture as sweep_picture
from reasoning.evaluation.sweeps import plan as sweep_plan
from reasoning.evaluation.sweeps import tables as sweep_tables
from reasoning.evaluation.sweeps.measure import Run, Sweep
from reasoning.evaluation.thoughts.thinking import between
from reasoning.methods.base import method


def planned(**settings):
    """The plan of one sweep, {label: setting}."""
    (plan,) = sweep_plan.plans({"methods": settings, "sweep": {"s": settings}})
    return plan


def run(label, tokens, values, forced=0.0, reasons=None, whole=None):
    values = tuple(map(float, values))
    thinking = (float(tokens),) * len(values) if np.isscalar(tokens) else tuple(tokens)
    return Run(
        label, thinking, values, stats.estimate(values), forced, reasons or {"stop": len(values)}, whole or (True,) * len(values)
    )


def share(right, of=40):
    return [1] * right + [0] * (of - right)


def sweep_of(settings, *runs):
    return Sweep(planned(**settings), runs, runs[0].whole)


# ------------------------------------------------------------------------------------------------- configuration


def test_a_setting_is_read_as_another_one():
    plan = planned(a=1024, b={"min": 5, "max": 9}, c={"min": 6109}, d=None)
    bounds = {label: (one.low, one.high) for label, one in plan.settings.items()}
    assert bounds == {"a": (0, 1024), "b": (5, 9), "c": (6109, math.inf), "d": (0, math.inf)} and plan.axes == ()
    grid = planned(a={"beta": 600, "alpha": 3}, b={"alpha": 5, "beta": 600})
    assert grid.axes == ("alpha", "beta")
    assert [one.place for one in grid.settings.values()] == [(3, 600), (5, 600)]
    assert [sweep_tables.asked(one) for one in plan.settings.values()] == ["≤ 1,024", "5 … 9", "≥ 6,109", "–"]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"s": {"c": 1}}, "'s' names 'c', which is no method; choose from a, b"),
        ({"s": {"a": 1, "b": {"x": 1, "y": 2}}}, "mixes settings"),
        ({"s": {"a": {"x": 1, "y": 2}, "b": {"x": 1, "z": 2}}}, "mixes settings"),
        ({"s": {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}}}, r"two methods at \(1.0, 2.0\)"),
        ({"s": {"a": "long"}}, r"sweep.s.a must be thinking tokens"),
        ({"s": {"a": True}}, r"sweep.s.a must be thinking tokens"),
        ({"s": {"a": {"x": 1, "y": 2, "z": 3}}}, r"sweep.s.a must be thinking tokens"),
        ({"s": {"a": {"x": 1}, "b": {"x": 1}}}, r"two methods at \(1.0,\)"),
        ({"s": {"a": {"x": 1}, "b": {"y": 1}}}, "mixes settings"),
        ({"s": {"a": {"x": 1, "max": 2}}}, r"sweep.s.a must be thinking tokens"),
        ({"s": {"a": {}}}, r"sweep.s.a must be thinking tokens"),
        ({"../s": {"a": 1}}, "cannot name a sweep"),
        ({"s": {}}, "sweep is {name"),
        ({"s": {"among": "a"}}, "'s' has no method"),
        ({"s": {"among": "c", "a": 1}}, "'s' names 'c', which is no method"),
        (["a", "b"], "sweep is {name"),
    ],
)
def test_a_wrong_sweep_is_found_out_after_the_run(sweep, message):
    methods = {"a": {"method": "direct"}, "b": {"method": "direct"}}
    with pytest.raises(InputError, match=message):
        experiment.check({"model": "m", "task": {"family": "f"}, "methods": methods, "sweep": sweep})


# ------------------------------------------------------------------------------------------------- numbers


def record(problem, correct, tokens, thinking, forced=0, reason="stop", ids=(), end="itself"):
    fields = {"problem": problem, "correct": correct, "tokens": tokens, "thinking": thinking, "ids": list(ids)}
    return {**fields, "ledger": {"forced": forced}, "stop_reason": reason, "thought_end": end}


def test_numbers_of_a_run_are_not_those_of_its_records():
    records = [record("a", True, 10, 4, 2), record("a", False, 30, 8, reason="length"), record("b", True, 20, 12, 4)]
    found = sweeps.measure("x", records)
    assert found.values == (0.5, 1.0) and found.thinking == (6.0, 12.0)
    assert found.accuracy.value == 0.75 and found.tokens == 9.0, "every problem counts the same"
    assert found.forced == 6 / 60 and found.reasons == {"itself → stop": 2, "itself → length": 1}


def test_another_delimiter_needs_another_run():
    span = between("", "|", [b"a", b" |", b"b"])
    found = sweeps.measure("x", [record("a", True, 4, 4, ids=[0, 0, 1, 2])], lambda one: span(one["ids"], [False] * 4)[1])
    assert found.tokens == 2


def test_control_is_perfect_where_nothing_was_asked_for():
    runs = run("a", 100, share(10)), run("b", 300, share(20))
    assert sweep_of({"a": 200, "b": 200}, *runs).control == 0.5
    assert sweep_of({"a": None, "b": {"min": 300}}, *runs).control == 1.0
    assert sweep_of({"a": None, "b": None}, *runs).control is None
    grid = sweep_of({"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}}, *runs)
    assert grid.control is None and grid.scaling is None and grid.performance == 0.5


def test_a_run_without_thinking_breaks_the_slope():
    found = sweep_of(
        {"none": 0, "a": None, "b": None}, run("none", 0, share(4)), run("a", 100, share(10)), run("b", 200, share(20))
    )
    assert found.scaling == pytest.approx(25) and found.performance == 0.5
    assert sweep_of({"none": 0}, run("none", 0, share(4))).scaling is None
    assert sweep_of({"none": 0}, run("none", 0, share(4))).scaling_interval() is None


def test_interval_of_the_slope_draws_other_problems_for_each_run():
    """Each problem is right with the longer budget alone, or with both: drawn together, pairs keep their difference."""
    easy = np.random.default_rng(0).integers(0, 2, 200)
    gain = np.arange(200) < 40
    short, long = run("a", 100, easy * ~gain), run("b", 200, easy | gain)
    found = sweep_of({"a": None, "b": None}, short, long)
    low, high = found.scaling_interval()
    truth = stats.difference(np.array(long.values) - np.array(short.values))
    assert found.scaling == pytest.approx(100 * truth.difference)
    assert (low, high) == pytest.approx((100 * truth.low, 100 * truth.high), abs=1)
    assert found.scaling_interval() == (low, high)


def test_a_slope_on_few_problems_is_called_certain():
    found = sweep_of({"a": None, "b": None}, run("a", 100, share(0)), run("b", 200, share(9)))
    assert found.scaling == pytest.approx(22.5) and found.scaling_interval() is None
    assert sweep_of({"a": None, "b": None}, run("a", 100, share(0)), run("b", 200, share(10))).scaling_interval() is not None


def test_lengths_are_taken_as_known_exactly():
    """With equal accuracy gains, uncertain lengths must widen the interval."""
    spread = np.exp(np.random.default_rng(0).normal(0, 1.5, 100))
    sure = sweep_of({"a": None, "b": None}, run("a", 100, share(20, 100)), run("b", 150, share(80, 100)))
    unsure = sweep_of(
        {"a": None, "b": None}, run("a", 100, share(20, 100)), run("b", 150 * spread / spread.mean(), share(80, 100))
    )
    assert np.diff(unsure.scaling_interval()) > 1.5 * np.diff(sure.scaling_interval())


def test_problems_that_the_first_run_cut_off_count_as_gains_of_a_longer_one():
    records = [
        record("a", False, 85, 77, end="reserve"),
        record("b", False, 40, 30),
        record("c", True, 40, 30, end="stop"),
        record("d", False, 90, 30, reason="length"),
        record("e", False, 40, 40, end="loop"),
        record("f", False, 9, 9, end=""),
    ]
    first = sweeps.measure("free", records)
    assert first.whole == (False, True, True, False, False, True)
    longer = run("wait", 60, [1] * 6)
    gain = sweep_of({"free": None, "wait": None}, first, longer).gain(longer)
    assert (gain.n, gain.difference) == (3, pytest.approx(2 / 3))
    nothing = sweep_of({"free": None, "wait": None}, dataclasses.replace(first, whole=(False,) * 6), longer)
    assert nothing.gain(longer) is None and nothing.gain(nothing.runs[0]) is None
    table = sweep_tables.text([sweep_of({"free": None, "wait": None}, first, longer)], tables.markdown)
    assert "| − free, 3 problems |" in table and "| +0.667 |" in table and "| +37.0 |" in table


def test_a_control_that_never_ends_itself_leaves_nothing_to_pair():
    """Dots are cut at the length of the other thought, so the problems are those that a third run ended by itself."""
    settings = {"free": None, "dots": {"wait": 0}, "wait": {"wait": 1}}
    config = {"methods": settings, "sweep": {"s": {"among": "free", "dots": {"wait": 0}, "wait": {"wait": 1}}}}
    (plan,) = sweep_plan.plans(config)
    assert sweep_plan.labels([plan]) == {"free", "dots", "wait"}
    free = run("free", 20, [1, 1, 0], whole=(True, True, False))
    dots, wait = run("dots", 50, [1, 0, 0], whole=(False,) * 3), run("wait", 50, [1, 1, 1])
    (found,) = sweeps.sweeps([plan], {"free": free, "dots": dots, "wait": wait})
    assert [one.label for one in found.runs] == ["dots", "wait"]
    assert (found.gain(wait).n, found.gain(wait).difference) == (2, 0.5)


# ------------------------------------------------------------------------------------------------- tables


BUDGETS = sweep_of(
    {"bf-500": 500, "bf-1000": 1000},
    run("bf-500", 480, share(10), 0.01234, {"stop": 30, "length": 10}),
    run("bf-1000", 1300, share(20)),
)
GRID = sweep_of(
    {"mild": {"alpha": 3, "beta": 600}, "harsh": {"alpha": 20, "beta": 300}},
    run("mild", 90, share(5)),
    run("harsh", 80, share(30)),
)


def test_table_says_something_else_than_the_runs():
    text = sweep_tables.text([BUDGETS, GRID], tables.markdown)
    assert "| bf-500 | ≤ 500 | 480 | 0.250 |" in text and "| 1.2 % | stop 75 %, length 25 % |" in text
    assert "| s | alpha | beta | thinking tokens |" in text and "| harsh | 20 | 300 | 80 | 0.750 |" in text
    slope = 25 / math.log2(1300 / 480)
    assert f"| s | 2 | 50 % | +{slope:.1f} |" in text and "| s | 2 | – | – | – | 0.750 |" in text


def test_csv_of_sweeps_cannot_be_read_back():
    rows = list(csv.DictReader(io.StringIO(sweep_tables.csv([BUDGETS, GRID]))))
    assert [row["method"] for row in rows] == ["bf-500", "bf-1000", "mild", "harsh"]
    assert (rows[0]["max"], rows[0]["min"], rows[0]["x"], float(rows[0]["forced"])) == ("500", "", "", 0.01234)
    assert (rows[3]["x_name"], rows[3]["x"], rows[3]["y"], rows[3]["max"]) == ("alpha", "20.0", "300.0", "")
    control, grid = csv.DictReader(io.StringIO(sweep_tables.summary_csv([BUDGETS, GRID])))
    assert (control["control"], float(control["scaling"])) == ("0.5", BUDGETS.scaling) and grid["scaling"] == ""
    assert float(rows[1]["low"]) == BUDGETS.runs[1].accuracy.low and rows[0]["stop_reasons"] == '{"stop": 30, "length": 10}'


# ------------------------------------------------------------------------------------------------- pictures


def pixels(data):
    return matplotlib.image.imread(io.BytesIO(data))[..., :3]


@pytest.mark.parametrize(
    "runs",
    [
        [("a", 0, 3)],
        [("a", 700, 0)],
        [("a", 700, 40), ("b", 700, 40)],
        [(f"method {index}", 100 * 2**index, 4 * index) for index in range(9)],
    ],
)
def test_picture_of_lengths_fails_on_extreme_results(runs):
    found = sweep_of({label: None for label, *_ in runs}, *(run(*one[:2], share(one[2])) for one in runs))
    image = pixels(sweep_picture.draw_lengths([found, dataclasses.replace(found)], "title"))
    assert image.shape == (800, 1280, 3) and len(np.unique(image[..., 0])) > 10


def test_names_in_the_picture_of_lengths_hide_each_other(monkeypatch):
    boxes, place = [], picture.place
    monkeypatch.setattr(picture, "place", lambda *args, **style: boxes.append(place(*args, **style)) or boxes[-1])
    names = [f"bf-{index}" for index in range(5)]
    runs = [run(name, 500 * 2**index, share(5 * index)) for index, name in enumerate(names)]
    sweep_picture.draw_lengths([sweep_of(dict.fromkeys(names), *runs)], "title")
    assert len(boxes) == 6
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


@pytest.mark.parametrize("right", [(0, 0), (40, 40), (10, 30)])
def test_picture_of_a_curve_fails_on_extreme_results(right):
    settings = {f"wait-{count}": {"waits": count} for count in (4, 0)}
    curve = sweep_of(settings, *(run(name, 0, share(count)) for name, count in zip(settings, right, strict=True)))
    image = pixels(sweep_picture.draw_curve(curve, "title"))
    assert image.shape == (800, 1280, 3) and len(np.unique(image[..., 0])) > 10


def test_grid_is_drawn_upside_down_or_transposed():
    """mild is (3, 600), above on the left; harsh is (20, 300), below on the right, and the better and so the darker one."""
    image = pixels(sweep_picture.draw_grid(GRID, "title"))[80:700, 100:1080].mean(-1)
    upper, lower = np.array_split(image, 2)
    cells = [[np.median(cell) for cell in np.array_split(half, 2, axis=1)] for half in (upper, lower)]
    assert cells[1][1] < cells[0][0] < 0.99 and cells[0][1] == cells[1][0] == 1.0, "the other two are empty"


# ------------------------------------------------------------------------------------------------- a whole run


METHODS = {f"bf-{budget}": {"method": "chain_of_thought", "max_tokens": budget, "n": 2, "temperature": 0.7} for budget in (5, 8)}
CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 30},
    "methods": {"direct": {"method": "direct"}, **METHODS},
    "sweep": {
        "forcing": {"bf-5": 5, "bf-8": 4},
        "tip": {"direct": {"alpha": 0, "beta": 0}, "bf-8": {"alpha": 3, "beta": 6}},
        "waits": {"bf-5": {"waits": 0}, "bf-8": {"waits": 2}},
    },
}
SKILL = {f"sum-{index}": (str(index + 1), index / 30) for index in range(30)}


def test_report_of_a_run_forgets_its_sweeps(tmp_path):
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine(SKILL))
    made = report(tmp_path)
    before = {path.name: path.read_bytes() for path in made.table.parent.iterdir() if path.is_file()}
    report(tmp_path)
    assert {path.name: path.read_bytes() for path in made.table.parent.iterdir() if path.is_file()} == before
    assert before.keys() == {
        *("table.md", "table.csv", "comparisons.csv", "accuracy.png"),
        *("sweeps.md", "sweeps.csv", "sweeps-summary.csv", "sweeps.png", "sweep-tip.png", "sweep-waits.png"),
    }
    forcing, tip, waits = made.sweeps
    assert [one.label for one in forcing.runs] == ["bf-5", "bf-8"] and [one.label for one in tip.runs] == ["direct", "bf-8"]
    by_label = {row.label: row for row in made.rows}
    for one in (*forcing.runs, *tip.runs):
        assert one.accuracy.value == pytest.approx(by_label[one.label].accuracy.value)
        assert one.tokens == pytest.approx(by_label[one.label].cost.tokens), "without a delimiter all tokens are thinking"
    assert forcing.control == 0.5, "no more than 5, and more than 4"
    free = dataclasses.replace(forcing, plan=planned(**{"bf-5": 5, "bf-8": None}))
    assert free.control == 1.0, "who was told nothing obeys nothing"
    assert sweep_tables.text(made.sweeps, tables.aligned) in made.text()
    assert waits.scaling is None and waits.control is None

    (events,) = (tmp_path / "report" / "tensorboard").iterdir()
    board = EventAccumulator(str(events)).Reload()
    assert set(board.Tags()["images"]) == {"accuracy", "sweeps", "sweep-tip", "sweep-waits"}
    assert board.Images("sweep-waits")[0].encoded_image_string == before["sweep-waits.png"]
    assert (board.Images("sweeps")[0].width, board.Images("sweeps")[0].height) == (1280, 800)
    points = {one.step: one.value for one in board.Scalars("waits/accuracy")}
    assert points == {0: pytest.approx(waits.runs[0].accuracy.value), 2: pytest.approx(waits.runs[1].accuracy.value)}
    assert board.Scalars("forcing/control")[0].value == 0.5 and "tip/accuracy" not in board.Tags()["scalars"]


def test_report_of_a_run_without_sweeps_writes_files_for_them(tmp_path):
    plain = {key: value for key, value in CONFIG.items() if key != "sweep"}
    experiment.evaluate(plain, tmp_path, show=False, engine=FakeEngine(SKILL))
    made = report(tmp_path)
    assert made.sweeps == () and not list(made.table.parent.glob("sweep*"))


class Thinker(FakeEngine):
    """Says "so 1</t>Answer: 2" in bytes."""

    model = scripted_model([""])

    def pattern(self, text):
        return 1

    def respond(self, *args):
        ids = np.frombuffer(b"so 1</t>Answer: 2", np.uint8).astype(np.int32)
        response = super().respond(*args)
        return dataclasses.replace(response, tokens=ids, forced=np.zeros(len(ids), bool), logprobs=np.zeros(len(ids), np.float32))


def test_tokens_of_the_answer_count_as_thinking(tmp_path):
    thinker = dataclasses.replace(method("direct"), delimiters=("<t>", "</t>"))
    with Grader(workers=1) as grader:
        (found,) = run_method(thinker, [Problem("p", "1 + 1 =", "2", "sums")], tmp_path, Thinker, grader, show=False)
    assert (found["thinking"], found["tokens"]) == (4, 17)
