"""The picture and the text of a search's tree, from a golden trace, and their place in a report."""

import json
from pathlib import Path

from doubles.fake_engine import FakeEngine
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reasoning.evaluation import experiment
from reasoning.evaluation.reports.report import report
from reasoning.evaluation.reports.tree_picture import as_text, draw
from reasoning.records import dumps

ROUNDS = json.loads((Path(__file__).parent / "golden" / "search" / "beam.json").read_text())[5:]  # the second problem's
TREE = {"problem": "p2", "rows": 4, "rounds": ROUNDS}


def test_tree_is_not_drawn_or_differs_from_run_to_run():
    picture = draw(TREE, "beam")
    assert picture.startswith(b"\x89PNG") and picture == draw(TREE, "beam")
    assert picture != draw({**TREE, "rounds": ROUNDS[:3]}, "beam")


def test_text_of_a_tree_lacks_a_step_or_says_who_did_not_write():
    text = as_text(TREE)
    assert text.count("**round") == len(ROUNDS)
    assert text.count("\n| ") - len(ROUNDS) == sum(sum(one["wrote"]) for one in ROUNDS)
    assert "| 2 | 2 | z (complete) | 1.200 | 1.200 | 1 |" in text
    assert "| 0 | prompt | b | 0.500 | 0.500 | 0 |" in text


def test_report_of_a_search_lacks_its_tree(tmp_path):
    config = {
        "model": "none", "dtype": "", "max_slots": None, "mesh": {"data": 1, "tensor": 1}, "seed": 0,
        "task": {"family": "doubles.sums", "size": 2}, "methods": {"beam": {"method": "beam_search", "n": 4}},
    }  # fmt: skip
    experiment.evaluate(config, tmp_path, show=False, engine=FakeEngine())
    (tmp_path / "beam" / "trees.jsonl").write_bytes(dumps(TREE))
    made = report(tmp_path)
    assert [(row.label, row.samples) for row in made.rows] == [("beam", 4)]
    assert (tmp_path / "report" / "tree-beam.png").read_bytes().startswith(b"\x89PNG")
    board = EventAccumulator(str(tmp_path / "report" / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    (event,) = board.Tensors("beam/tree")
    assert event.tensor_proto.string_val[0].decode() == as_text(TREE)
    assert board.SummaryMetadata("beam/tree").plugin_data.plugin_name == "text"  # else it is no text that is shown
