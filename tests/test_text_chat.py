"""Chat templates render as transformers renders them, and fail in one line."""

import functools
import json
from pathlib import Path

import pytest

from reasoning.errors import InputError
from reasoning.text import chat

GOLDEN = json.loads((Path(__file__).parent / "golden" / "text" / "chat.json").read_text(encoding="utf-8"))
USER = [{"role": "user", "content": "hi"}]


def said(render, case):
    """The text, or the error's message."""
    messages = GOLDEN["conversations"][case["conversation"]]
    try:
        return render(messages, add_generation_prompt=case["add_generation_prompt"], **case["extra"])
    except InputError as error:
        return error


def check(case, got):
    if "error" in case:
        assert isinstance(got, InputError)
        assert case["error"] in str(got)
    else:
        assert got == case["text"]


@pytest.mark.parametrize("name", sorted(GOLDEN["templates"]))
def test_template_renders_differently_from_transformers(name):
    template = GOLDEN["templates"][name]
    cases = [case for case in GOLDEN["cases"] if case["template"] == name]
    assert cases
    for case in cases:
        check(case, said(functools.partial(chat.render, template["source"], special_tokens=template["special_tokens"]), case))


@pytest.mark.parametrize("name", ["smollm2", "qwen05"])
def test_published_template_renders_differently_from_transformers(name, request):
    tokenizer = request.getfixturevalue(f"{name}_tokenizer")
    for case in (case for case in GOLDEN["cases"] if case["template"] == name):
        check(case, said(tokenizer.render, case))


def test_user_text_is_run_as_a_template():
    assert chat.render("{{ messages[0].content }}", [{"role": "user", "content": "{{ 7 * 7 }}"}]) == "{{ 7 * 7 }}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if %}", "does not compile.*line 1.*prompt="),
        ("{{ raise_exception('only\nEnglish') }}", "only English.*prompt="),
        ("{{ messages[7].content }}", "no element 7"),
        ("{{ 'a' + none }}", "refuses these messages"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% set n = namespace() %}{% set n.__class__ = 1 %}", "__class__"),
        ("{{ messages.append(1) }}", "append"),
        ("{{ ''.__class__.__mro__[1].__subclasses__()[0]() }}", "unsafe|undefined"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "[Rr]ange too big"),
    ],
)
def test_failing_or_hostile_template_gives_a_stack_trace(template, message):
    with pytest.raises(InputError, match=message) as error:
        chat.render(template, USER)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("messages", [[], None, "hi", {"role": "user", "content": "hi"}, ["hi"], [{"content": "hi"}]])
def test_messages_of_the_wrong_shape_give_a_stack_trace(messages):
    with pytest.raises(InputError, match="non-empty list"):
        chat.render("x", messages)


@pytest.mark.parametrize(
    ("template", "token"),
    [
        ("{% for m in messages %}[{{ m.role }}]{{ m.content }}<end>\n{% endfor %}", "<end>"),
        ("{% for m in messages %}{{ m.content }} <end_more>{% endfor %}", "<end_more>"),
        ("{% for m in messages %}{{ m.content + eos_token }}{% endfor %}", "</s>"),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", None),
        ("{{ raise_exception('no') }}", None),
        ("fixed", None),
    ],
)
def test_end_of_turn_of_the_template_is_missed(template, token):
    tokens = ["<end>", "<end_more>", "<end_", "</s>", ""]
    assert chat.end_of_turn(template, {"eos_token": "</s>"}, tokens) == token
