"""Thoughts: what counts as a switch, and to which token it belongs."""

import pytest
from doubles.tokenizer import ByteTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.errors import InputError
from reasoning.evaluation.thoughts.segments import Switches, mean_spacing, mean_switches, segment, token_texts


def parts(texts, **rules):
    """The text and the tokens of each thought."""
    found = segment(texts, Switches(**rules))
    return [(found.text[one.start : one.end], "".join(texts[one.first : one.stop])) for one in found.parts]


def test_a_switch_inside_a_token_goes_to_its_neighbour():
    # The first letter of "Wait" is in the token " Wait", that of "Alternatively" in the token "?Alter".
    texts = ["2", "+2", " is", " 5", ".", " Wait", ",", " 4", "?Alter", "natively", " 3"]
    assert parts(texts) == [
        ("2+2 is 5. ", "2+2 is 5."),
        ("Wait, 4?", " Wait, 4"),
        ("Alternatively 3", "?Alternatively 3"),
    ]
    found = segment(texts)
    assert [(one.first, one.stop) for one in found.parts] == [(0, 5), (5, 8), (8, 11)]
    assert (found.switches, found.tokens, found.spacing) == (2, 11, 11 / 3)


def test_tokens_without_text_shift_the_spans():
    # Two tokens of one character ("é"), and an id that writes nothing, before the switch.
    pieces = [b"caf", b"\xc3", b"\xa9.", b"", b" Wait", b" no"]
    texts = token_texts(pieces, [0, 1, 2, 3, 4, 5])
    assert texts == ["caf", "", "é.", "", " Wait", " no"]
    assert [(one.first, one.stop) for one in segment(texts).parts] == [(0, 4), (4, 6)]


def test_token_texts_lose_an_unfinished_character_or_differ_from_decode():
    tokenizer = ByteTokenizer([" Wait"])
    ids = [*tokenizer.encode("é Wait ü"), 0xC3]
    texts = token_texts(tokenizer.token_bytes(tokenizer.size), ids)
    assert len(texts) == len(ids) and "".join(texts) == tokenizer.decode(ids)
    assert texts[-1] == "�"
    assert token_texts([], []) == []


def test_parts_of_words_and_of_longer_expressions_count_twice():
    assert len(parts(["Then Waiters and Hmmm and NoWait come"])) == 1
    assert parts(["So. But wait, no"], ignore_case=True) == [("So. ", ""), ("But wait, no", "So. But wait, no")]
    assert len(parts(["So. But wait"], expressions=("wait", "But", "But wait"))) == 2, "the longest that fits"
    assert len(parts(["a", " But", "\n", " wait", "!"])) == 2, "white space of the text stands for a space"


def test_case_is_as_written_unless_told_otherwise():
    text = ["I must wait; WAIT; however, no. Hmm"]
    assert len(parts(text)) == 2
    assert len(parts(text, ignore_case=True)) == 5


def test_sentence_start_is_ignored_or_markup_hides_it():
    text = ['We Wait. Wait: so. "Wait" (Wait)\n**Wait** and the Wait\n\n- Wait']
    assert len(parts(text)) == 8
    assert [thought[:6] for thought, _ in parts(text, sentence_start=True)] == ["We Wai", "Wait: ", 'Wait" ', "Wait**", "Wait"]


def test_a_switch_that_opens_the_response_leaves_an_empty_thought():
    assert parts(["\n", "Wait", " a", ".", " Hmm"]) == [("\nWait a. ", "\nWait a."), ("Hmm", " Hmm")]
    assert segment(["Wait"]).switches == 0
    assert segment([]).switches == 0 and segment([]).tokens == 0


def test_two_switches_in_one_token_lose_a_thought():
    found = segment(["a", ". Wait. Hmm", " b"])
    assert [(one.first, one.stop) for one in found.parts] == [(0, 1), (1, 1), (1, 3)]


@given(
    st.lists(st.sampled_from(["Wait", " Wait", "Hmm", "But", " wait", ".", "\n", "x", " ", "", "However"]), max_size=20),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_thoughts_leave_gaps_or_overlap(texts, sentence_start):
    found = segment(texts, Switches(sentence_start=sentence_start))
    assert found.parts[0].start == found.parts[0].first == 0
    assert found.parts[-1].end == len("".join(texts)) and found.parts[-1].stop == len(texts)
    for one, following in zip(found.parts, found.parts[1:], strict=False):
        assert one.end == following.start and one.stop == following.first
        begin = sum(map(len, texts[: following.first]))
        assert begin <= following.start < begin + len(texts[following.first])


def test_long_responses_count_no_more_than_short_ones():
    short, long = segment(["a", " Wait"]), segment(["a", *[" b"] * 7, " Hmm", " Wait"])
    assert mean_switches([short, long]) == 1.5
    assert mean_spacing([short, long]) == 12 / 5
    for mean in (mean_switches, mean_spacing):
        with pytest.raises(InputError, match="no responses"):
            mean([])


def test_a_bare_string_is_taken_as_its_letters():
    for wrong in ("Wait", (), ("Wait", " ")):
        with pytest.raises(InputError, match="list of words"):
            Switches(wrong)
