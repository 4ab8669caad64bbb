"""What is learnt of a trace: everything after the prompt that inference would write, and nothing else."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from doubles.tokenizer import ByteTokenizer, ChatTokenizer
from golden.train.regenerate import CASES, TRACE, readable

from reasoning.data.traces import Trace
from reasoning.errors import InputError
from reasoning.methods import budget_forcing
from reasoning.train.examples import FORMS, encode, encode_all, end_of_turn, question_alone

GOLDEN = Path(__file__).parent / "golden" / "train"


def test_a_token_is_learnt_that_should_not_be_or_the_other_way_round(smollm2_tokenizer, qwen05_tokenizer):
    golden = json.loads((GOLDEN / "masks.json").read_text(encoding="utf-8"))
    tokenizers = {"qwen2.5-coder-0.5b-instruct": qwen05_tokenizer, "smollm2-135m-instruct": smollm2_tokenizer}
    for name, (model, form) in CASES.items():
        tokenizer = tokenizers[model]
        assert readable(encode(TRACE, tokenizer, FORMS[form]), tokenizer) == golden[name]
    learnt = golden["qwen05"]["learnt"]
    assert learnt[:3] == ["<|im_start|>", "think", "\n"] and learnt[-2:] == ["<|im_end|>", "\n"], "s1's rule, in words"
    assert golden["qwen05"]["not learnt"][-3:] == ["<|im_start|>", "assistant", "\n"]


def test_s1_would_have_trained_on_other_ids(qwen05_tokenizer):
    """Its data/tokenization.py renders the whole conversation and encodes it at once."""
    tokenizer = qwen05_tokenizer
    said = f"<|im_start|>think\n{TRACE.thinking.strip()}\n<|im_start|>answer\nAnswer: {TRACE.answer.strip()}"
    turns = [*question_alone(TRACE.question), {"role": "assistant", "content": said}]
    example = encode(TRACE, tokenizer, FORMS["s1"])
    assert example.ids.tolist() == tokenizer.encode_chat(turns, add_generation_prompt=False)
    assert example.ids.dtype == np.int32 and example.loss.dtype == bool and qwen05_tokenizer.pad_id not in example.ids


@pytest.mark.parametrize("name", FORMS)
def test_training_and_inference_mark_a_thought_differently(name):
    form, forced = FORMS[name], budget_forcing.FORMS[name]
    assert form.opening.startswith(forced.start) and forced.opening in ("", form.opening)
    text = form.response(Trace("a", "q", "thought", "5"))
    assert text.index("thought") < text.index(forced.end) < text.index("Answer: 5") + len("Answer: "), "inference finds the end"
    assert form.end == forced.end


def test_the_prompt_is_not_what_inference_feeds(smollm2_tokenizer):
    method = budget_forcing.make(form="prompt")
    form = dataclasses.replace(FORMS["prompt"], messages=method.prompt)
    example = encode(TRACE, smollm2_tokenizer, form)
    prompt = smollm2_tokenizer.encode_chat(method.requests([{"id": "a", "question": TRACE.question}])[0].messages)
    assert example.ids[: len(prompt)].tolist() == prompt and example.loss.tolist() == [False] * len(prompt) + [True] * (
        len(example.ids) - len(prompt)
    )


def test_answer_is_announced_once_and_the_opening_is_written_once():
    form = FORMS["think"]
    assert form.response(Trace("a", "q", "t", "Answer: 5")) == "<think>\nt\n</think>\n\nAnswer: 5"
    assert form.response(Trace("a", "q", "t", "So it is. Answer: 5")).count("Answer:") == 1
    for opening in ("", "<think>\n"):
        tokenizer = ChatTokenizer(opening)
        assert tokenizer.decode(encode(TRACE, tokenizer, form).ids).count("<think>") == 1
    assert end_of_turn(ChatTokenizer()) == "<stop>\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": " "}, "empty answer"),
        ({"thinking": ""}, "empty thinking"),
        ({"question": "\n"}, "empty question"),
        ({"thinking": "so </think> I think"}, "holds '</think>'"),
        ({"thinking": "it is <stop> done"}, "ends a turn in the middle"),
        ({"answer": "5<stop>"}, "ends a turn in the middle"),
    ],
)
def test_a_bad_trace_is_learnt_silently(change, message):
    with pytest.raises(InputError, match=message):
        encode(dataclasses.replace(TRACE, **change), ChatTokenizer(), FORMS["think"])


def test_a_template_that_ends_no_turn_teaches_a_model_never_to_stop():
    with pytest.raises(InputError, match="no token that ends it"):
        encode(TRACE, ByteTokenizer(), FORMS["think"])


def test_truncation_cuts_answers_off_and_nobody_hears_of_it():
    traces = [dataclasses.replace(TRACE, id=str(n), thinking="x" * n) for n in (10, 300, 20, 400)]
    arguments = (traces, ChatTokenizer(), FORMS["think"])
    with pytest.raises(InputError, match=r"2 of 4 examples are longer than max_tokens 150 .* longest is '400'"):
        encode_all(*arguments, max_tokens=150)
    dropped = encode_all(*arguments, max_tokens=150, too_long="drop")
    assert [example.id for example in dropped.examples] == ["10", "20"] and dropped.counts["too_long"] == 2
    cut = encode_all(*arguments, max_tokens=150, too_long="cut")
    assert [len(example.ids) for example in cut.examples][1::2] == [150, 150] and cut.counts["too_long"] == 2
    assert cut.counts["targets"] == sum(int(example.loss.sum()) for example in cut.examples)
    whole = encode_all(*arguments, max_tokens=1000)
    assert whole.counts["too_long"] == 0 and whole.counts["examples"] == whole.counts["traces"] == 4
    with pytest.raises(InputError, match="none of 4 traces"):
        encode_all(*arguments, max_tokens=8, too_long="cut")
    with pytest.raises(InputError, match="refuse, drop, cut"):
        encode_all(*arguments, max_tokens=8, too_long="truncate")
    with pytest.raises(InputError, match="two traces have the id '10'"):
        encode_all([traces[0]] * 2, *arguments[1:], max_tokens=1000)
