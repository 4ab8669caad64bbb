"""Monte-Carlo labels: what is continued, from where, and that a killed run labels nothing twice and nothing differently."""

import json

import pytest
from doubles.stepper import Stepper

from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.rollouts import label, read_labels

CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 6},
    "methods": {"cot": {"method": "chain_of_thought", "n": 3, "temperature": 1.0, "max_tokens": 60}},
}


@pytest.fixture
def run(tmp_path):
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=Stepper())
    return open_finished(tmp_path)


def test_a_prefix_is_cut_elsewhere_or_its_endings_are_graded_without_it(run):
    engine = Stepper()
    n, lines = read_labels(label(run, "cot", engine, n=4, show=False))
    records = {(one["problem"], one["sample"]): one for one in run.samples("cot")}
    tokenizer = engine.model.tokenizer
    assert n == 4 and len(lines) == sum(one["answer"] is not None for one in records.values()) < 18
    for line in lines:
        record = records[line["problem"], line["sample"]]
        starts = [0, *line["ends"][:-1]]
        steps = [tokenizer.decode(record["ids"][a:b], True) for a, b in zip(starts, line["ends"], strict=True)]
        assert "".join(steps) == record["text"] and len(steps) == 4
        bad = next((k for k, step in enumerate(steps) if "bad" in step), 4)
        assert line["right"][3] == 4 * record["correct"], "the grade of the whole response"
        assert all(count == 0 for count in line["right"][bad:]) and max(line["right"]) <= 4
    early = [count for line in lines for count in line["right"][:1]]
    assert 0 < sum(early) < 4 * len(early)
    prompt = len(tokenizer.encode_chat(run.methods["cot"].prompt(run.problems["sum-0"].question)))
    for request in engine.requests:
        problem, sample, step = request.id.split("/")
        line = next(one for one in lines if (one["problem"], one["sample"]) == (problem, int(sample)))
        end = line["ends"][int(step.removeprefix("step "))]
        assert list(request.tokens)[prompt:] == records[problem, int(sample)]["ids"][:end]
        assert request.max_tokens == 60 - end and request.n == 4
    assert sum(line["tokens"] for line in lines) == sum(
        len(engine.respond(r, s, 60, 1.0).tokens) for r in engine.requests for s in range(4)
    )


def test_a_killed_labelling_ends_with_other_bytes_or_asks_again(run):
    whole = label(run, "cot", Stepper(), n=2, show=False)
    wanted = whole.read_bytes()
    whole.unlink()
    with pytest.raises(KeyboardInterrupt):
        label(run, "cot", Stepper(crash_after=40), n=2, show=False)
    there = [json.loads(line) for line in whole.read_text().splitlines()][1:]
    assert 0 < len(there) < 15
    engine = Stepper()
    assert label(run, "cot", engine, n=2, show=False).read_bytes() == wanted
    again = {tuple(request.id.split("/")[:2]) for request in engine.requests}
    assert not again & {(line["problem"], str(line["sample"])) for line in there}


def test_settings_of_labels_are_mixed_or_controls_begin_anew(run, tmp_path):
    path = label(run, "cot", Stepper(), n=2, show=False)
    with pytest.raises(InputError, match="holds labels with other settings"):
        label(run, "cot", Stepper(), n=2, separator="\n", show=False)
    with pytest.raises(InputError, match="has no method 'typo'; choose from cot"):
        label(run, "typo", Stepper(), n=2, show=False)
    with pytest.raises(InputError, match="endings ≥ 1"):
        label(run, "cot", Stepper(), n=0, show=False)
    forced = {**CONFIG, "methods": {"cot": {"method": "budget_forcing", "max_tokens": 60}}}
    experiment.evaluate(forced, tmp_path / "forced", show=False, engine=Stepper())
    with pytest.raises(InputError, match="controls thinking, which a prefix would begin anew"):
        label(open_finished(tmp_path / "forced"), "cot", Stepper(), n=2, show=False)
    path.write_text("")
    with pytest.raises(InputError, match="holds no labels"):
        read_labels(path)
