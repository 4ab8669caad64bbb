"""What the browser of a comparison says of votes: winners, ties, weights, and of a run directory as it lies on the disk."""

import pytest
from doubles.fake_engine import FakeEngine

from reasoning.comparison import sources
from reasoning.comparison.browser import browser
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import open_finished
from reasoning.methods.base import only
from reasoning.methods.best_of_n import Best, Weighted
from reasoning.methods.majority import Plurality
from reasoning.methods.shortest import Shortest
from reasoning.records import dumps

POOL = [("2", True, 9, 0.9), ("3", False, 5, 0.5), ("3.0", False, 7, 0.6), (" 2 ", True, 8, 0.1), (None, False, 1, 1.0)]
RECORDS = [
    {"problem": "p", "sample": i, "answer": answer, "correct": correct, "tokens": tokens, "scores": {"s": [score]}}
    for i, (answer, correct, tokens, score) in enumerate(POOL)
]
CONFIG = {
    "model": "none", "dtype": "", "max_slots": None, "mesh": {"data": 1, "tensor": 1}, "seed": 0,
    "task": {"family": "doubles.sums", "size": 2},
    "methods": {"beam": {"method": "beam_search", "n": 2}, "majority": {"method": "majority", "n": 3}},
}  # fmt: skip


@pytest.mark.parametrize(
    "vote, winners, value, weights",
    [
        (Plurality(), ("2", "3"), 0.5, {"2": 2.0, "3": 2.0}),
        (Best("s"), ("2",), 1.0, {"2": 0.9, "3": 0.6}),
        (Weighted("s"), ("3",), 0.0, {"2": 1.0, "3": 1.1}),
        (Shortest(), ("3",), 0.0, {"2": 2.0, "3": 2.0}),
        (only, (), 0.4, {"2": 2.0, "3": 2.0}),
    ],
)
def test_vote_shows_another_winner_than_it_is_counted_for(vote, winners, value, weights):
    found = sources.ballot("name", vote, RECORDS)
    assert (found.name, found.winners, found.value) == ("name", winners, pytest.approx(value))
    assert found.chosen in (winners or (None,))
    assert {bar.answer: bar.weight for bar in found.bars if bar.answer} == pytest.approx(weights)
    assert [(bar.answer, bar.count, bar.right) for bar in found.bars][-1] == (None, 1, 0.0)
    assert {bar.answer: (bar.count, bar.right) for bar in found.bars[:2]} == {"2": (2, 1.0), "3": (2, 0.0)}


def test_nobody_has_an_answer_and_the_vote_has_a_winner():
    found = sources.ballot("name", Plurality(), [{**record, "answer": None, "correct": False} for record in RECORDS])
    assert (found.winners, found.chosen, found.value) == ((), None, 0.0)


def test_run_directory_loses_its_tree_its_scores_or_its_prompt(tmp_path):
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=FakeEngine())
    run = open_finished(tmp_path)
    name = next(iter(run.problems))
    one = {"texts": ["a", ""], "scores": [0.5, 0.0], "values": [0.5, 0.0]}
    tree = {"problem": name, "rows": 2, "rounds": [{**one, "wrote": [True, False], "complete": [True, True], "parents": [0, 1]}]}
    (tmp_path / "beam" / "trees.jsonl").write_bytes(dumps(tree))
    tokenizer = FakeEngine().model.tokenizer
    shown = sources.of_methods(run)
    data = browser(run.problems.values(), shown, vocabulary=tokenizer.token_bytes(tokenizer.size))
    assert [column["name"] for column in data["columns"]] == ["beam", "majority"] and data["total"] == 2 == len(data["problems"])
    first, second = data["problems"]
    assert first["methods"][0]["tree"]["rounds"][0]["wrote"] == [1, 0] and "tree" not in second["methods"][0]
    assert "search" in first["methods"][0]["samples"][0]["scores"] and len(first["methods"][1]["samples"]) == 3
    for index, label in enumerate(("beam", "majority")):
        (last, *_), parts = run.methods[label].prompt(first["question"])[::-1], data["methods"][index]["prompt"][-1]["parts"]
        assert "".join(first["question"] if part is None else part for part in parts) == last["content"] and None in parts


def test_tokenizer_that_cannot_be_read_ends_the_report():
    table, (note,) = sources.vocabulary("no/such/model")
    assert table is None and note.startswith("Forced tokens are not marked") and "no/such/model" in note


def test_vote_sees_no_scores_and_guesses():
    with pytest.raises(InputError, match="no scores of 'other'"):
        sources.ballot("name", Best("other"), RECORDS)
