"""Filters of the funnel, each by itself: what goes, what stays, and that neither order nor hash seed decides it."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.data.curation import complete, duplicates, families, instances, minhash, near_duplicates, ngrams, quality, sample
from reasoning.data.curation.normal import runs, tokens
from reasoning.data.tasks import Problem
from reasoning.data.traces import Trace
from reasoning.errors import InputError


def trace(key, question="q", thinking="It is so.", answer="Answer: 1", **more):
    return Trace(key, question, thinking, answer, **more)


def problem(question, key="p-1", task="exam", **metadata):
    return Problem(key, question, "1", task, metadata)


def test_failures_of_a_teacher_stay_or_are_not_told_apart():
    pool = [trace("a"), trace("b", thinking=" "), trace("c", answer=""), trace("d", thinking="", answer="")]
    assert {key: why.kind for key, why in complete.drop(pool).items()} == {
        "b": "no thinking",
        "c": "no answer",
        "d": "no thinking",
    }
    assert set(complete.drop([trace("a"), trace("b", reference="5")], reference=True)) == {"a"}


def test_a_sign_is_taken_for_punctuation_and_another_sum_dropped():
    pool = [trace("a", "What is 15 - 43?"), trace("b", "What is 15 + 43?"), trace("c", "what  is 15 - 43?\n")]
    assert duplicates.drop(pool) == {"c": ("repeated question", "a")}


LONG = "A train leaves the station at noon and reaches the next town after three hours, then it waits for ten minutes"


@pytest.mark.parametrize(
    ("text", "similarity"), [(LONG + " there", 0.95), (LONG.replace("noon", "dawn"), 0.56), ("Short one", 0)]
)
def test_a_near_duplicate_stays_or_a_different_question_goes(text, similarity):
    a, b = (minhash.shingles(runs(tokens(one), 5)) for one in (LONG, text))
    assert minhash.jaccard(a, b) == pytest.approx(similarity, abs=0.05)
    assert bool(near_duplicates.drop([trace("a", LONG), trace("b", text)])) == (similarity >= 0.8)


def test_a_question_goes_because_of_one_that_went_itself():
    chain = LONG.split() + [f"word{i}" for i in range(12)]
    pool = [trace(key, " ".join(chain[i : i + 24])) for key, i in (("a", 0), ("b", 2), ("c", 4))]
    assert set(near_duplicates.drop(pool, similarity=0.75)) == {"b"}  # c is like b alone


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_minhash_misses_what_comparing_all_pairs_finds(seed):
    draw = random.Random(seed)
    bases = [[f"w{draw.randrange(400)}" for _ in range(30)] for _ in range(4)]
    pool = []
    for i in range(24):
        text = list(draw.choice(bases))
        for _ in range(draw.randrange(4)):
            text[draw.randrange(30)] = "other"
        pool.append(trace(f"t-{i:02}", " ".join(text)))
    sets = {one.id: set(runs(tokens(one.question), 5)) for one in pool}
    kept = []
    for one in pool:
        if all(len(sets[one.id] & sets[k]) / len(sets[one.id] | sets[k]) < 0.8 for k in kept):
            kept.append(one.id)
    dropped = near_duplicates.drop(pool)
    assert [one.id for one in pool if one.id not in dropped] == kept


def test_signatures_do_not_estimate_the_similarity():
    a, b = (minhash.shingles([f"s{i}" for i in span]) for span in (range(300), range(100, 400)))
    assert minhash.jaccard(a, b) == 0.5
    assert np.mean(minhash.signature(a) == minhash.signature(b)) == pytest.approx(0.5, abs=4 * (0.25 / minhash.K) ** 0.5)


EXAM = [problem("Let ABC be a triangle with sides of length 13, 14 and 15. Find its area."), problem("What is 7 times 8?", "p-2")]


@pytest.mark.parametrize(
    ("question", "goes"),
    [
        ("Suppose first: LET abc be a triangle -- with sides of LENGTH 2, 3 and 4!", True),  # punctuation and case aside
        ("Let ABC be a triangle, with altitudes of length 13 and 14.", False),  # seven words in a row at most
        ("what is 7 times 8", True),
        ("What is 7 times 8, and what is 8 times 7?", False),  # the short question is a part of it only
        ("", False),
    ],
)
def test_a_question_of_the_exam_stays_or_another_goes(question, goes):
    dropped = ngrams.drop([trace("a", question)], EXAM)
    assert bool(dropped) == goes
    assert not goes or dropped["a"].kind == "shares 8 words with exam"


def test_ngrams_eat_a_generated_family_without_a_word():
    pool = [
        trace(f"s-{i}", f"State the final answer to the following sum: {i} + 1 =", metadata={"family": "sums"}) for i in range(9)
    ]
    exam = [problem("State the final answer to the following sum: 90 + 1 =")]
    with pytest.raises(InputError, match=r"9 of 9 \(100%\) of the family 'sums', more than 50%; .*'instances'"):
        ngrams.drop(pool, exam)
    assert len(ngrams.drop(pool, exam, most_lost=1.0)) == 9


SUM = "State the final answer to the following arithmetic problem: {} ="
OTHER_WORDS = "Please add up these numbers and tell me the total. They are {}."


def sums(count, first=0):
    """Templated problems with different numbers, as a program writes them."""
    for i in range(first, first + count):
        numbers = [10 + i % 90, 100 + i, 7]
        yield numbers, SUM.format(" + ".join(map(str, numbers)))


def test_templates_cost_a_generated_pool_its_problems():
    """20,000 problems of the templates of the exam, with other numbers: none goes. One of the exam in other words goes."""
    exam = [problem(text, f"e-{i}", "sums", instance=numbers) for i, (numbers, text) in enumerate(sums(500, 20_000))]
    pool = [
        trace(f"s-{i:05}", text, source="writer", metadata={"family": "sums", "instance": numbers})
        for i, (numbers, text) in enumerate(sums(20_000))
    ]
    assert instances.drop(pool, exam) == {}
    numbers = exam[77].metadata["instance"]
    planted = trace(
        "x", OTHER_WORDS.format(", ".join(map(str, numbers))), metadata={"family": "sums", "instance": tuple(numbers)}
    )
    unnamed = dataclasses.replace(planted, id="y", source="sums", metadata={})  # then the numbers of the question tell
    more = [trace(f"z-{i}", text, source="sums") for i, (_, text) in enumerate(sums(3, 40_000))]
    why = ("is a problem of sums", "sums: e-77")
    assert instances.drop([*pool, planted, unnamed, *more], exam) == {"x": why, "y": why}


def test_other_numbers_of_the_exam_or_an_order_of_them_are_confused():
    named = [trace("a", SUM.format("1 + 2"), metadata={"family": "exam", "instance": [1, 2]})] + [trace("b", source="exam")]
    assert not instances.drop(named, [problem(SUM.format("2 + 1"), instance=[2, 1])])
    assert instances.drop(named, [problem("What is 2 and 1?")])  # it names no instance: sorted numbers, which is coarser
    assert not instances.drop(named, [problem("What is 2 and 1?", task="another")])
    assert not instances.drop([trace("a", "Is Ann a knight?", source="exam")], [problem("Is Ben a knave?")])  # no number at all
    assert instances.content("1,200 and 033 of 2.50, 7") == instances.content("7 33 2.5 1200")
    assert instances.content("1,2") != instances.content("12")


def test_a_problem_comes_twice_in_a_generated_pool():
    pool = [trace(key, key, metadata={"family": "f", "instance": number}) for key, number in (("a", 1), ("b", 2), ("c", 1))]
    assert instances.drop(pool, [problem("none")]) == {"c": ("repeated problem", "a")}
    assert not instances.drop(pool, [problem("none")], repeats=False)


def test_problems_of_the_exam_are_not_named_by_the_program(monkeypatch):
    pool = [trace(f"s-{i}", SUM.format(f"{i} + 1"), source="sums", metadata={"instance": f"{i}+1"}) for i in range(9)]
    monkeypatch.setattr("doubles.sums.instance", lambda one: one.question.removesuffix(" =").replace(" ", ""), raising=False)
    exam = [problem("3 + 1 =", "e-3", "sums")]
    assert set(instances.drop(pool, exam, named_by="doubles.sums")) == {"s-3"}
    for module in ("doubles.nothing", "doubles.apart"):
        with pytest.raises(InputError, match=f"named_by is '{module}', which is no module with a function instance"):
            instances.drop(pool, exam, named_by=module)


def test_a_family_drowns_in_the_exam_without_a_word():
    pool = [trace(f"a-{i}", metadata={"family": "a", "instance": i}) for i in range(4)]
    exam = [problem("q", f"e-{i}", "a", instance=i) for i in range(3)]
    with pytest.raises(InputError, match=r"3 of 4 \(75%\) of the family 'a', more than 50%; draw the pool with other seeds"):
        instances.drop(pool, exam)
    families.refuse_losses([("x", "a"), ("y", "a")], {"x"}, "")  # half is not more than half


@pytest.mark.parametrize(
    ("settings", "change", "kind"),
    [
        ({}, {"question": "[asy] draw(); [/asy]"}, "drawing in the question"),
        ({}, {"question": "[asy] draw(); [/asy]", "source": "qq8933/AIME_1983_2024"}, None),
        ({}, {"question": "![Image](https://x/y.png)"}, "format of the question"),
        ({}, {"question": "**p12.** Prove it."}, "format of the question"),
        ({}, {"question": "Solve **3.** at once"}, "format of the question"),
        ({}, {"question": "This is **bold**, and no number"}, None),
        ({"s1_rules": False}, {"question": "p1. [asy]"}, None),
        ({"thinking": ["(?i)as an ai"]}, {"thinking": "As an AI I cannot."}, "format of the thinking"),
        ({"answer": [r"^(?!Answer: )"]}, {"answer": "It is 1."}, "format of the answer"),
        ({}, {"thinking": "No. </think> Yes."}, "delimiter in the text"),
        ({"min_words": 4}, {"thinking": "one two three"}, "short thinking"),
        ({"max_words": 2}, {"thinking": "one two three"}, "long thinking"),
    ],
)
def test_a_rule_of_format_is_not_applied(settings, change, kind):
    dropped = quality.drop([dataclasses.replace(trace("a"), **change)], **settings)
    assert (dropped["a"].kind if dropped else None) == kind


def test_a_broken_expression_is_not_explained():
    with pytest.raises(InputError, match=r"'\(' is no regular expression"):
        quality.drop([], question=["("])


def test_a_sample_changes_the_shares_or_depends_on_the_order():
    pool = [trace(f"{d}-{i:03}", domain=d) for d, count in (("a", 700), ("b", 290), ("c", 10)) for i in range(count)]
    dropped = sample.drop(pool, size=100, seed=3)
    kept = [one.id for one in pool if one.id not in dropped]
    assert [sum(key.startswith(d) for key in kept) for d in "abc"] == [70, 29, 1]
    shuffled = random.Random(0).sample(pool, len(pool))
    assert sample.drop(shuffled, size=100, seed=3).keys() == dropped.keys()
    assert sample.drop(pool, size=100, seed=4).keys() != dropped.keys()
    assert not sample.drop(pool, size=1000) and not sample.drop(pool, size=0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 100))
def test_a_sample_has_another_size(counts, size):
    pool = [trace(f"{d}-{i}", domain=str(d)) for d, count in enumerate(counts) for i in range(count)]
    assert len(pool) - len(sample.drop(pool, size=size)) == min(size, len(pool))


@pytest.mark.parametrize(
    "call", [lambda: near_duplicates.drop([], similarity=0), lambda: ngrams.drop([], [], n=0), lambda: sample.drop([], size=-1)]
)
def test_a_setting_out_of_range_is_not_explained(call):
    with pytest.raises(InputError, match="; |is a number"):
        call()
