"""Chat templates: messages to the text that the model was trained on.

The environment is that of transformers' `apply_chat_template` (utils/chat_template_utils.py): jinja2's immutable
sandbox with `trim_blocks` and `lstrip_blocks`, loop controls, the `generation` tag, `tojson` that escapes nothing,
`raise_exception` and `strftime_now`. Templates come with models, so they are untrusted code.
"""

import datetime
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox

from reasoning.errors import InputError

# Names under which a message's reasoning is passed; templates read the first, gpt-oss's the second.
_REASONING = ("reasoning_content", "thinking", "reasoning")


def render(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool = True,
    special_tokens: Mapping[str, str] | None = None,
    **extra: Any,
) -> str:
    """The conversation as one text.

    Args:
      messages: mappings with "role" and "content"; a value of None counts as absent.
      add_generation_prompt: end with the header of an assistant turn, for the model to continue.
      special_tokens: what the template may write by name: `bos_token`, `eos_token`, …
      extra: more variables for the template (`tools`, `enable_thinking`, …).

    Raises InputError: no messages, a message that is not a mapping, or a template that does not compile or fails.
    """
    variables = {"tools": None, "documents": None, **(special_tokens or {}), **extra}
    conversation = [_message(message) for message in _checked(messages)]
    try:
        return _compiled(template).render(messages=conversation, add_generation_prompt=add_generation_prompt, **variables)
    except jinja2.TemplateSyntaxError as error:
        raise InputError(
            f"the model's chat template does not compile (line {error.lineno}: {_line(error)}); "
            "pass prompt= instead of messages=, or repair the template"
        ) from error
    except Exception as error:  # a template may raise anything: it runs arbitrary expressions on the messages
        raise InputError(
            f"the model's chat template refuses these messages ({_line(error)}); "
            "change their roles or order, or pass prompt= instead"
        ) from error


def end_of_turn(template: str, special_tokens: Mapping[str, str], candidates: Sequence[str]) -> str | None:
    """The token of `candidates` that the template writes right after an assistant's message; None when there is none."""
    said = "assistant-words"
    turns = [{"role": "user", "content": "user-words"}, {"role": "assistant", "content": said}]
    try:
        text = render(template, turns, add_generation_prompt=False, special_tokens=special_tokens)
    except InputError:  # said again, with the user's own messages, when the template is used
        return None
    _, found, after = text.rpartition(said)
    after = after.lstrip()
    return max((token for token in candidates if found and token and after.startswith(token)), key=len, default=None)


def _checked(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    listed = bool(messages) and not isinstance(messages, str | Mapping)
    if not listed or not all(isinstance(message, Mapping) and "role" in message for message in messages):
        raise InputError('messages must be a non-empty list of {"role": "user", "content": "…"}; pass plain text as prompt=')
    return messages


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    present = {key: value for key, value in message.items() if value is not None}
    reasoning = next((present[name] for name in _REASONING if name in present), None)
    return present if reasoning is None else {"thinking": reasoning, **present, "reasoning_content": reasoning}


def _line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__


class _Generation(jinja2.ext.Extension):
    """`{% generation %}…{% endgeneration %}` marks what the assistant wrote; for the text it is transparent."""

    tags = {"generation"}  # noqa: RUF012 (jinja2's own interface)

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


class _Namespace(jinja2.utils.Namespace):
    """A namespace without underscore names, which could pose as attributes that Python itself looks up."""

    def __init__(*args, **kwargs):  # no named self, so that a template may write namespace(self=…)
        jinja2.utils.Namespace.__init__(*args, **kwargs)
        for name in dict(*args[1:], **kwargs):
            _Namespace._check(name)

    def __setitem__(self, name, value):
        _Namespace._check(name)
        super().__setitem__(name, value)

    @staticmethod
    def _check(name):
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a template may not set {name!r} on a namespace")


def _to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message):
    raise jinja2.exceptions.TemplateError(message)


@functools.lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    environment.globals["namespace"] = _Namespace
    return environment.from_string(template)
