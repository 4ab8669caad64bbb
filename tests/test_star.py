"""STaR: only right answers become traces, as few as asked for, split where the thought ends; a killed run loses nothing."""

import json
from collections import Counter

import pytest
from doubles.fake_engine import FakeEngine

from configs import star as config_file
from reasoning.data import reasoning_gym
from reasoning.data.traces import Trace
from reasoning.data.writers.pool import FIRST_SEED
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.curation import star
from reasoning.methods.base import method
from reasoning.records import read_lines
from reasoning.text.answers import extract

CONFIG = {
    "model": "fake/model",
    "seed": 3,
    "task": {"family": "doubles.sums", "size": 4},
    "methods": {"cot": {"method": "chain_of_thought", "n": 6, "temperature": 1.0}},
    "keep": {"per_problem": 2, "choose": "shortest"},
}
SKILL = {"sum-0": ("1", 1.0), "sum-1": ("2", 0.5), "sum-2": ("3", 0.5), "sum-3": ("wrong", 1.0)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a run, and the traces that `CONFIG` keeps of it."""
    workdir = tmp_path_factory.mktemp("star")
    return workdir, star.traces(CONFIG, workdir, show=False, engine=FakeEngine(SKILL))


def right(workdir):
    return [line for line in read_lines(workdir / "cot" / "generations.jsonl")[0] if line["correct"]]


def test_a_wrong_answer_becomes_a_trace_or_a_right_one_is_forgotten(finished):
    workdir, _ = finished
    every = star.harvest(workdir, 6)
    kept = {(trace.metadata["problem"], trace.metadata["sample"]) for trace in every}
    assert kept <= {(line["problem"], line["sample"]) for line in right(workdir)}
    texts = {(line["problem"], " ".join(line["text"].split())) for line in right(workdir)}
    assert len(every) == len(texts) > 6
    assert "sum-3" not in {trace.metadata["problem"] for trace in every}
    for trace in every:
        assert extract(trace.answer) == trace.reference and "Answer" not in trace.thinking
        assert (trace.source, trace.domain) == ("star: fake/model", "sums")
        assert trace.metadata["score"] == "math" and trace.metadata["correct"] and trace.metadata["logprob"] < 0
    assert len({trace.id for trace in every}) == len(every)


def test_more_traces_of_a_problem_than_asked_for_or_not_the_shortest(finished):
    workdir, two = finished
    every = star.harvest(workdir, 6)
    assert max(Counter(trace.metadata["problem"] for trace in two).values()) == 2
    lengths = {}
    for trace in every:
        lengths.setdefault(trace.metadata["problem"], []).append(trace.metadata["tokens"])
    for trace in star.harvest(workdir, 1):
        assert trace.metadata["tokens"] == min(lengths.pop(trace.metadata["problem"]))
    assert not lengths


def test_equal_thoughts_are_kept_twice_or_chance_is_not_seeded():
    def trace(thinking, tokens, sample):
        return Trace(f"t-{sample}", "q", thinking, "a", metadata={"tokens": tokens, "sample": sample})

    there = [trace("a  b", 5, 0), trace("c", 4, 1), trace("a\nb", 3, 2), trace("d", 9, 3), trace("e", 4, 4)]

    def ids(count, choose, seed="s"):
        return [one.id for one in star._chosen(there, count, choose, seed)]

    assert ids(9, "shortest") == ["t-1", "t-2", "t-3", "t-4"]
    assert ids(2, "shortest") == ["t-1", "t-2"]
    assert ids(1, "shortest") == ["t-2"]
    assert ids(2, "random") == ids(2, "random") and len(ids(2, "random")) == 2
    assert len({tuple(ids(2, "random", seed)) for seed in "abcdefgh"}) > 1


def test_a_killed_run_gives_other_traces(finished, tmp_path):
    workdir, traces = finished
    with pytest.raises(KeyboardInterrupt):
        star.traces(CONFIG, tmp_path, show=False, engine=FakeEngine(SKILL, crash_after=9))
    again = FakeEngine(SKILL)
    assert star.traces(CONFIG, tmp_path, show=False, engine=again) == traces
    assert 0 < len(again.served) < 24
    done = FakeEngine(SKILL)
    star.traces({**CONFIG, "keep": {"per_problem": 1, "choose": "random"}}, workdir, show=False, engine=done)
    assert not done.served, "what is kept is no part of the run"


@pytest.mark.parametrize(
    ("text", "delimiters", "parts"),
    [
        ("1 + 1 = 2\nAnswer: 2", ("", ""), ("1 + 1 = 2", "Answer: 2")),
        ("So it is 2.\n\n**Final Answer:**\n2\nI hope so.", ("", ""), ("So it is 2.", "**Final Answer:**\n2")),
        ("Add.\nAnswer: 3\nWait, again.\nAnswer: 2\nNext question", ("", ""), ("Add.\nAnswer: 3\nWait, again.", "Answer: 2")),
        ("Add.\nSo \\boxed{2}.", ("", ""), ("Add.", "So \\boxed{2}.")),
        ("<think>\nadd\n</think>\n\nIt is \\boxed{2}.", ("<think>", "</think>"), ("add", "It is \\boxed{2}.")),
        ("add</think>Answer: 2", ("<think>", "</think>"), ("add", "Answer: 2")),
        ("add\nWait\nAnswer: 2", ("", "Answer:"), ("add\nWait", "Answer: 2")),
        ("Answer: 2", ("", ""), None),
        ("add, so 2", ("", ""), None),
        ("<think>Answer: 2", ("<think>", "</think>"), None),
        ("<think>Answer: 2</think>It is that.", ("<think>", "</think>"), None),
        ("<think></think>Answer: 2", ("<think>", "</think>"), None),
    ],
)
def test_a_response_is_cut_in_the_wrong_place(text, delimiters, parts):
    assert star.split(text, delimiters) == parts


def test_a_generated_problem_loses_its_instance_or_its_scorer(tmp_path, monkeypatch):
    monkeypatch.setattr(reasoning_gym, "_generate_in_child", reasoning_gym._generate)
    task = {"family": "chain_sum", "size": 3, "seed": config_file.SEED}
    problems = experiment.build_task({"task": task}).problems
    engine = FakeEngine({problem.id: (problem.answer, 1.0) for problem in problems})
    found = star.traces({**CONFIG, "task": task}, tmp_path, show=False, engine=engine)
    for trace in found:
        problem = next(problem for problem in problems if problem.id == trace.metadata["problem"])
        expression = problem.metadata["expression"].replace(" ", "")
        assert (trace.metadata["family"], trace.metadata["instance"]) == ("chain_sum", f"chain_sum: {expression}")
        assert {name: trace.metadata[name] for name in ("generator", "entry")} == {
            name: problem.metadata[name] for name in ("generator", "entry")
        }
        assert trace.metadata["score"] == "reasoning_gym"
    assert found


@pytest.mark.parametrize(
    "keep", [None, {}, {"per_problem": 0, "choose": "random"}, {"per_problem": 1, "choose": "best"}, {"per_problem": True}]
)
def test_what_to_keep_is_guessed(tmp_path, keep):
    config = {key: value for key, value in CONFIG.items() if key != "keep"} | ({} if keep is None else {"keep": keep})
    with pytest.raises(InputError, match=r"the config's keep is .* shortest or random"):
        star.traces(config, tmp_path, show=False, engine=FakeEngine(SKILL))
    assert not list(tmp_path.iterdir())


def test_no_right_answer_makes_an_empty_file(tmp_path):
    with pytest.raises(InputError, match=r"of 24 samples 0 are right, and none of them has thinking"):
        star.traces(CONFIG, tmp_path, show=False, engine=FakeEngine(dict.fromkeys(SKILL, ("x", 1.0))))


def test_the_config_of_star_is_no_run_or_draws_problems_of_evaluation():
    config = json.loads(config_file.get_config("n=5,samples=3").to_json())
    assert config.pop("keep").keys() == star.KEEP
    experiment.check(config)
    assert experiment.build_methods(config)["cot"].n == 3 and method("chain_of_thought").n == 1
    assert config["task"]["seed"] > FIRST_SEED and config["task"]["size"] == 5
