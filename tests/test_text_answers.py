"""Answers in a response: which one counts, and when two are the same vote."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.text.answers import extract, last_number, normalise


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{1} then \boxed{ 2 }", "2"),
        (r"\boxed{\frac{1}{2}} and \boxed{3", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\left\{1\right.}", r"\left\{1\right."),
        (r"put it in \boxed{} please. Answer: 5", "5"),
        (r"\boxed{}", None),
        (r"\boxed {7} \fbox{no} \fboxed{8}", "8"),
        (r"{ \boxed{6} ", "6"),
        (r"\boxed{a \boxed{b} c}", "b"),
        (r"Final Answer: 1 \boxed{2}", "2"),
        (r"Final Answer: 1" + "\nAnswer: 2", "1"),
        ("**Final Answer:** 42\nand more", "42"),
        ("final answer\n: \n **7** ", "7"),
        ("### Final  Answer: x = 3.", "x = 3."),
        ("the answer: 1\nANSWER: 2\n3", "2"),
        ("Answer: 4\nAnswer:\n", "4"),
        ("Answer: 4 Answer: 5", "5"),
        ("The answer is 4", None),
        ("Answer:", None),
        ("", None),
    ],
)
def test_another_answer_than_the_last_stated_is_taken(text, answer):
    assert extract(text) == answer


@pytest.mark.parametrize(
    ("spellings", "vote"),
    [
        (["5", "+5", "5.0", "5.", "$5$", r"\$5", "05", " 5 ", r"\(5\)", "**5**", r"\text{5}", "5.00", "$ 5.0 $."], "5"),
        (["1,050", "1050", r"1{,}050", "$+1,050.0$.", "$1,050"], "1050"),
        (["-3", "−3", "- 3", "-3.0"], "-3"),
        (["0", "-0", "0.0", "+0", ".0"], "0"),
        ([".5", "0.5", "0.50"], "0.5"),
        (["3/4", " 3 / 4", r"\frac{3}{4}", r"$\dfrac{3}{4}$"], "3/4"),
        (["(1,2)", "(1, 2)", r"\left( 1, 2 \right)"], "(1,2)"),
        (["50%", r"50\%", "50 %"], "50%"),
        (["Yes", r"\text{Yes}", "Yes.", r"\mathrm{Yes}"], "Yes"),
        (["New York", "New  York.", r"New\ York"], "New York"),
        (["1,2,3"], "1,2,3"),
        (["12,34"], "12,34"),
        (["1.2.3"], "1.2.3"),
        ([None, "", " ", "$", "$$", ".", r"\text{}"], None),
    ],
)
def test_one_answer_votes_as_two(spellings, vote):
    assert {normalise(spelling) for spelling in spellings} == {vote}


def test_different_answers_vote_as_one():
    apart = ["1", "10", "100", "-1", "0.1", "1.01", "1/2", "2/1", "x", "X", "12", "1 2", "50", "50%", "(1,2)", "[1,2]", "1e5"]
    assert len({normalise(answer) for answer in apart}) == len(apart)


@settings(max_examples=300, deadline=None)
@given(answer=st.text(alphabet=r" $.,+-05a%{}()[]\*`/x", max_size=15))
def test_normalising_again_changes_the_vote(answer):
    once = normalise(answer)
    assert normalise(once) == once


@settings(max_examples=100, deadline=None)
@given(number=st.integers(-(10**15), 10**15))
def test_number_changes_its_value(number):
    assert normalise(f"{number:,}") == normalise(f"{number}.000") == str(number)


SIZE = 100_000
HOSTILE = {
    "boxes never closed": r"\boxed{" * (SIZE // 7),
    "nested boxes": r"\boxed{" * (SIZE // 8) + "x" + "}" * (SIZE // 8),
    "box and spaces": r"\boxed" + " " * SIZE,
    "backslashes": "\\" * SIZE,
    "braces": "{" * SIZE,
    "closing braces": "}" * SIZE,
    "empty boxes": r"\boxed{}" * (SIZE // 8),
    "answer and spaces": "answer" + " " * SIZE,
    "final and spaces": "final" + " " * SIZE,
    "final answer and spaces": "final answer" + " " * SIZE,
    "finals": "final " * (SIZE // 6),
    "empty answers": "Answer:\n" * (SIZE // 8),
    "empty final answer": "Final Answer:" + "\n" * SIZE,
    "digits": "1" * SIZE,
    "zeros": "0" * SIZE,
    "thousands": "1" + ",111" * (SIZE // 4),
    "thousands, not a number": "1" + ",111" * (SIZE // 4) + "x",
    "dollars": "$" * (SIZE // 2) + "5" + "$" * (SIZE // 2),
    "dollars and stops": "$" * (SIZE // 3) + "5" + ".$" * (SIZE // 3),
    "wrappers": r"\(" * (SIZE // 4) + "5" + r"\)" * (SIZE // 4),
    "texts never closed": r"\text{" * (SIZE // 6),
    "fractions": r"\frac{1}" * (SIZE // 8),
    "fraction of digits": r"\frac{" + "1" * SIZE,
    "spaces": " " * SIZE + "x",
    "signs": " , " * (SIZE // 3),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_long_answer_hangs_the_run(name):
    begin = time.process_time()
    extract(HOSTILE[name])
    normalise(HOSTILE[name])
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("b = 178600 / 4465 = 40", "40"),
        ("so it is 1,276,704 apples.", "1276704"),
        ("20 - 5 = -15", "-15"),
        ("5-2", "2"),
        ("(3)-4", "4"),
        ("3.50 dollars", "3.50"),
        ("the end.", None),
        ("", None),
    ],
)
def test_last_number_is_cut_or_loses_its_sign(text, found):
    assert last_number(text) == found
