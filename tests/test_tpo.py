"""TPO: what is asked in each state, what becomes of what cannot be read, and that a stopped run ends as if it had not been."""

import dataclasses
from pathlib import Path

import pytest
from doubles import number_scorer
from doubles.sayer import Sayer, role_of
from doubles.sayer import by_rounds as say

from reasoning.errors import InputError
from reasoning.methods import templates, tpo
from reasoning.methods.base import method

PROBLEMS = [{"id": f"p{index}", "question": f"What is {index} + 2?", "answer": str(index + 2)} for index in range(3)]
PACKAGE = Path(tpo.__file__).parent
BY_NUMBER = {"kind": "doubles.number_scorer"}  # the score is the number behind "Answer:"


def make(**changes):
    return method("tpo", **{"width": 2, "depth": 2, "scorer": BY_NUMBER, "max_tokens": 64, "critic_tokens": 64, **changes})


def run(one, said=say, problems=PROBLEMS, **settings):
    """(results by problem, histories by problem, engine)."""
    engine, histories = Sayer(said, **settings), {}
    responses = list(one.generate(engine, problems, keep=lambda line: histories.setdefault(line["problem"], line)))
    return {response.id: response for response in responses}, histories, engine


def test_problems_are_not_asked_together_or_in_another_order():
    found, _, engine = run(make())
    names, pair = [f"p{index}" for index in range(3)], range(2)
    expected = [[(name, k) for name in names for k in pair]]
    for index in (1, 2):
        expected += [[(f"{name}/{index}/{role}", 0) for name in names] for role in ("loss", "gradient")]
        expected += [[(f"{name}/{index}/update", k) for name in names for k in pair]]
    assert engine.calls == expected
    assert {name: one.text for name, one in found.items()} == dict.fromkeys(names, "I think so.\nAnswer: 31")


def test_prompts_show_other_texts_than_the_best_and_the_worst_of_the_whole_cache():
    scores = {"0": (5, 3), "1": (1, 4), "2": (9, 0)}  # by round; in round 2 best is of round 0 and worst of round 1

    def said(request, sample):
        index, role = role_of(request)
        text = f"{role} {index} says so; Answer: {scores[index][sample]}"
        return f"<improved>{text}</improved>" if role == "update" else text

    _, histories, engine = run(make(), said)
    texts = {name: "\n".join(message["content"] for message in messages) for name, messages in engine.prompts.items()}
    first, second = texts["p0/1/loss"], texts["p0/2/loss"]
    assert "<chosen_answer>\nanswer 0 says so; Answer: 5" in first and "<rejected_answer>\nanswer 0 says so; Answer: 3" in first
    assert "<chosen_answer>\nanswer 0 says so; Answer: 5" in second and "<rejected_answer>\nupdate 1 says so; Answer: 1" in second
    assert all(PROBLEMS[0]["question"] in text for name, text in texts.items() if name.startswith("p0"))
    assert "loss 1 says so" in texts["p0/1/gradient"] and "Answer: 3" not in texts["p0/1/gradient"]
    assert "loss 2 says so" in texts["p0/2/update"] and "gradient 2 says so" in texts["p0/2/update"]
    assert [one["best"] for one in histories["p0"]["rounds"]] == [0, 0, 4]
    assert [one["reward"] for one in histories["p0"]["rounds"]] == [5, 5, 9]
    assert [(one["number"], one["round"], one["score"]) for one in histories["p0"]["answers"]] == [
        (0, 0, 5), (1, 0, 3), (2, 1, 1), (3, 1, 4), (4, 2, 9), (5, 2, 0),
    ]  # fmt: skip


def test_critics_and_updates_take_the_settings_of_answers():
    one = make(critic_temperature=0.2, stop=("Better",), temperature=0.9)
    _, _, engine = run(one)
    assert engine.knobs["p0"]["temperature"] == engine.knobs["p0/1/update"]["temperature"] == 0.9
    assert engine.knobs["p0/1/loss"]["temperature"] == engine.knobs["p0/2/gradient"]["temperature"] == 0.2
    assert engine.knobs["p0"]["top_p"] == 0.95
    long = "word " * 100
    found, _, engine = run(make(), lambda request, sample: long + say(request, sample))
    assert found["p0"].ledger.sampled == 2 * 64 + 2 * (64 + 64 + 4 * (64 + tpo.TAGS)), "all are cut, updates twice"
    assert max(len(message["content"]) for messages in engine.prompts.values() for message in messages) < 2400


def test_cost_forgets_a_call_or_pays_a_prompt_for_each_sample():
    found, histories, engine = run(make())
    tokenizer = engine.model.tokenizer
    for name, response in found.items():
        mine = [call for calls in engine.calls for call in calls if call[0].split("/")[0] == name]
        prompts = {asked: len(tokenizer.encode_chat(engine.prompts[asked])) for asked, _ in mine}
        assert response.ledger.prompt == sum(prompts.values()) == (response.ledger.flops_prompt - 3) / 2
        rounds = histories[name]["rounds"]
        assert [one["calls"] for one in rounds] == [2, 4, 4] and len(mine) == 10, "N + D (1 + 1 + N)"
        assert sum(one["prompt"] for one in rounds) == response.ledger.prompt
        assert sum(one["generated"] for one in rounds) == response.ledger.generated
        # The number scorer reads 7 tokens of each answer and 3 of the question, the question once.
        assert [one["scorer"] for one in rounds] == [17, 14, 14] and response.ledger.scorer == 45
        assert sum(one["flops"] for one in rounds) == response.ledger.flops_prompt + response.ledger.flops_generated


def test_equal_scores_compare_an_answer_with_itself_or_move_the_best():
    constant = {"kind": "form", "pattern": "so"}
    _, histories, engine = run(make(scorer=constant))
    text = engine.prompts["p0/1/loss"]
    assert "Answer: 11" in text[0]["content"] and "Answer: 10" in text[1]["content"], "best is the first, worst the last"
    assert [one["best"] for one in histories["p0"]["rounds"]] == [0, 0, 0]
    assert "Answer: 21" in engine.prompts["p0/2/loss"][0]["content"]


def test_updates_that_cannot_be_read_are_dropped_in_silence_or_asked_for_ever():
    def never(request, sample):
        return say(request, sample).replace("</improved>", "")

    found, histories, engine = run(make(), never)
    assert found["p1"].text == "I think so.\nAnswer: 11"
    assert [(one["unparsed"], one["lost"], one["calls"]) for one in histories["p1"]["rounds"][1:]] == [(2, 2, 6), (2, 2, 6)]
    assert histories["p1"]["rounds"][1]["drawn"] is None
    assert engine.calls[4] == [(f"p{index}/1/retry", k) for index in range(3) for k in range(2)]
    assert len(histories["p1"]["answers"]) == 2


def test_retry_asks_for_what_was_read_or_its_answer_is_lost():
    def second(request, sample):
        """Of p1 alone the second update of the first round is unreadable, once."""
        text = say(request, sample)
        return "Sorry." if request.id == "p1/1/update" and sample == 1 else text

    found, histories, engine = run(make(), second)
    assert engine.calls[4] == [("p1/1/retry", 1)]
    assert engine.prompts["p1/1/retry"] == engine.prompts["p1/1/update"]
    assert engine.calls[5] == [(f"p{index}/2/loss", 0) for index in range(3)], "back in step with the others"
    assert [(one["unparsed"], one["lost"]) for one in histories["p1"]["rounds"][1:]] == [(1, 0), (0, 0)]
    assert [(one["number"], one["score"]) for one in histories["p1"]["answers"]][2:4] == [(2, 20), (3, 21)]
    assert found["p1"].ledger.sampled == found["p0"].ledger.sampled + len("Sorry.") + 1


@pytest.mark.parametrize(
    ("text", "reason", "expected"),
    [
        ("<improved>a</improved>", "stop", "a"),
        ("<improved> a\nb ", "pattern", "a\nb"),
        ("<improved>a", "length", None),
        ("<improved> </improved>", "stop", None),
        ("between <improved> and </improved>: <improved>a</improved> or so", "stop", "a"),
        ("<improved>plan <improved>a</improved>", "stop", "a"),
        ("a</improved>", "stop", None),
        ("", "stop", None),
        ("<improved>" * 20_000, "pattern", None),
    ],
)
def test_update_is_read_from_the_wrong_place(text, reason, expected):
    engine = Sayer(lambda request, sample: "")
    (response,) = method("direct").generate(engine, PROBLEMS[:1])
    assert tpo.improved(dataclasses.replace(response, text=text, stop_reason=reason)) == expected


def test_update_is_scored_as_what_it_is_not(monkeypatch):
    """An update is an answer to the question: prompt, ids and text are those of one, and its number is its own."""
    seen = []
    monkeypatch.setattr(number_scorer, "SEEN", seen)
    found, _, engine = run(make(depth=1), problems=PROBLEMS[:1])
    tokenizer = engine.model.tokenizer
    assert [one.sample for one in seen] == [0, 1, 2, 3]
    for one in seen:
        assert (one.problem, one.question, one.reference) == ("p0", "What is 0 + 2?", "2")
        assert one.prompt == tuple(tokenizer.encode_chat(engine.prompts["p0"]))
        assert tokenizer.decode(one.tokens[:-1]) == one.text and one.tokens[-1] == tokenizer.stop_ids[0]
    assert seen[3].text == "I think so.\nAnswer: 21" and seen[3].answer == "21"
    assert found["p0"].tokens.tolist() == list(seen[3].tokens)


def test_mode_revision_shows_the_rejected_answer_and_best_of_n_goes_on():
    _, histories, engine = run(make(mode="revision"))
    text = "".join(message["content"] for message in engine.prompts["p0/1/loss"])
    assert "Answer: 11" in text and "Answer: 10" not in text
    assert histories["p0"]["mode"] == "revision" and len(histories["p0"]["rounds"]) == 3
    for one in (make(mode="best_of_n"), make(depth=0)):
        found, histories, engine = run(one)
        assert len(engine.calls) == 1 and len(histories["p0"]["rounds"]) == 1
        assert found["p0"].text == "I think so.\nAnswer: 11"


def test_width_of_one_is_special():
    found, histories, engine = run(make(width=1))
    assert [len(calls) for calls in engine.calls] == [3] * 7
    first, second = ("".join(message["content"] for message in engine.prompts[f"p0/{index}/loss"]) for index in (1, 2))
    assert first.count("Answer: 10") == 2, "the only answer is both"
    assert second.count("Answer: 10") == second.count("Answer: 20") == 1
    assert found["p0"].text.endswith("Answer: 30") and len(histories["p0"]["answers"]) == 3


def test_runs_of_a_problem_share_their_requests_or_samples():
    one = make(n=2, depth=1)
    engine = Sayer(say)
    responses = sorted(one.generate(engine, PROBLEMS[:1]), key=lambda response: response.sample)
    assert [(response.id, response.sample) for response in responses] == [("p0", 0), ("p0", 1)]
    assert engine.calls[0] == [("p0", 0), ("p0", 1), ("p0#1", 0), ("p0#1", 1)]
    assert engine.calls[1] == [("p0/1/loss", 0), ("p0#1/1/loss", 0)]
    assert [response.sample for response in one.generate(engine, PROBLEMS[:1], {"p0": [1]})] == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "tops"}, "mode must be one of tpo, revision, best_of_n, got 'tops'"),
        ({"width": 0}, "width must be a whole number ≥ 1, got 0"),
        ({"depth": -1}, "depth must be a whole number ≥ 0"),
        ({"depth": True}, "depth must be a whole number ≥ 0"),
        ({"critic_tokens": 0}, "critic_tokens must be a whole number ≥ 1"),
        ({"n": 0}, "n must be a whole number ≥ 1"),
        ({"scorer": {"kind": "nobody"}}, "unknown kind of scorer 'nobody'"),
        ({"scorer": {"kind": "length"}}, "scorer 'length' needs the argument 'target'"),
        ({"aggregation": "median"}, "unknown aggregation 'median'"),
        ({"templates": "tpos"}, "a folder of templates is one of .*tpo, tpo_example"),
        ({"templates": "no/where"}, "there is no template no/where/loss.txt"),
    ],
)
def test_bad_setting_reaches_the_engine(arguments, message):
    with pytest.raises(InputError, match=message):
        make(**arguments)


def test_prompt_of_a_later_round_is_too_long_in_the_middle_of_the_run():
    engine = Sayer(say)
    with pytest.raises(InputError, match="the update of 'p0' may take .* more than the model's context of 4096; lower"):
        make(max_tokens=1650).generate(engine, PROBLEMS)
    assert not engine.served
    make(max_tokens=1650, mode="best_of_n").generate(engine, PROBLEMS).close()


def test_score_that_is_no_number_is_compared():
    with pytest.raises(InputError, match="gave nan for problem 'p0', sample 0"):
        run(make(), lambda request, sample: say(request, sample).replace("10", "nan"))


BROKEN = [
    ("$question $chosen", "must be turns under"),
    ("[user]\n$question $chosen\n[assistant]\nHm.", "the last one .user.'s"),
    ("[user]\n$question", r"lacks the field \$chosen; its fields are"),
    ("[user]\n$question $chosen $answer", r"has an unknown field \$answer"),
    ("[user]\n$question $chosen costs $5", "write \\$\\$ for a dollar sign"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_template_is_used(tmp_path, text, message):
    (tmp_path / "revision.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        templates.read(f"{tmp_path}/", "revision", ("question", "chosen"))


def test_template_eats_dollars_or_braces_or_asks_for_no_tags(tmp_path):
    (tmp_path / "t.txt").write_text("[system]\nPay $$3 {x}.\n\n[user]\n${a}b $a\n")
    template = templates.read(f"{tmp_path}/", "t", ("a",))
    assert template(a="$b \\1 {c}", unused="") == [
        {"role": "system", "content": "Pay $3 {x}."},
        {"role": "user", "content": "$b \\1 {c}b $b \\1 {c}"},
    ]
    assert (template.uses("a"), template.uses("b")) == (2, 0)
    with pytest.raises(InputError, match="must ask for <improved>, by which the answer is found"):
        templates.read(f"{tmp_path}/", "t", ("a",), literal=("<improved>",))


@pytest.mark.parametrize("folder", ["tpo", "tpo_example"])
def test_templates_of_the_package_are_not_installed_or_lack_a_field(folder):
    assert [role for role, _ in tpo.read_prompts(folder, "tpo")] == ["loss", "gradient", "update"]
    assert make(templates=folder, mode="revision") != make(templates=folder)
    assert "reasoning.methods =\n    wording/*/*.txt" in (PACKAGE.parents[1] / "setup.cfg").read_text()
