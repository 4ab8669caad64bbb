"""The tokeniser files of a model directory as transformers reads and writes them.

`tokenizer.json` is the pipeline; `tokenizer_config.json` and, in older directories, `special_tokens_map.json` name the
special tokens; the chat template is in `chat_template.jinja`, `chat_template.json` or `tokenizer_config.json`;
`generation_config.json` and `config.json` list the ids that end a response.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import tokenizers

from reasoning.errors import InputError


class Files(NamedTuple):
    """What a `Tokenizer` is made of; see its constructor."""

    backend: tokenizers.Tokenizer
    special_tokens: dict[str, str]
    eos_ids: list[int]
    chat_template: str | None


def read(path: Path) -> Files:
    """Reads the directory. Raises InputError: no tokenizer.json, or a file that is not what it should be."""
    source = path / "tokenizer.json"
    if not source.is_file():
        raise InputError(f"{path} has no tokenizer.json; save the model with its fast tokeniser (tokenizer.save_pretrained)")
    try:
        backend = tokenizers.Tokenizer.from_file(str(source))
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{source} cannot be read as a tokeniser ({error}); fetch it again") from error
    # A pipeline saved with truncation or padding would silently shorten prompts.
    backend.no_truncation()
    backend.no_padding()
    config = _json(path / "tokenizer_config.json")
    _add_listed_tokens(backend, config)
    return Files(
        backend,
        _special_tokens(config, _json(path / "special_tokens_map.json")),
        _eos_ids(_json(path / "generation_config.json"), _json(path / "config.json")),
        _chat_template(path, config),
    )


def write(path: Path, files: Files, context: int) -> None:
    """Writes the files that `read` reads, for transformers too; `context` is the longest sequence, tokens."""
    files.backend.save(str(path / "tokenizer.json"))
    # The generic class takes the pipeline as it is, whatever class the model type suggests.
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": context, "clean_up_tokenization_spaces": False}
    _write_json(path / "tokenizer_config.json", {**config, **files.special_tokens})
    _write_json(path / "special_tokens_map.json", files.special_tokens)
    ids = {name: files.backend.token_to_id(files.special_tokens.get(f"{name}_token", "")) for name in ("bos", "pad")}
    known = {f"{name}_token_id": i for name, i in ids.items() if i is not None}
    _write_json(path / "generation_config.json", {**known, "eos_token_id": files.eos_ids})
    if files.chat_template is not None:
        (path / "chat_template.jinja").write_text(files.chat_template, encoding="utf-8", newline="")


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} when there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); fetch it again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} should hold a JSON object; fetch it again")
    return value


def _add_listed_tokens(backend: tokenizers.Tokenizer, config: dict[str, Any]) -> None:
    """Tokens of tokenizer_config.json that tokenizer.json lacks; they must get the ids that the file says."""
    have = backend.get_added_tokens_decoder()
    listed = {int(i): entry for i, entry in config.get("added_tokens_decoder", {}).items() if int(i) not in have}
    for i, entry in sorted(listed.items()):
        options = {key: entry[key] for key in ("lstrip", "rstrip", "single_word", "normalized", "special") if key in entry}
        backend.add_tokens([tokenizers.AddedToken(entry["content"], **options)])
        if backend.token_to_id(entry["content"]) != i:
            raise InputError(
                f"tokenizer_config.json gives {entry['content']!r} an id that tokenizer.json does not; fetch both again"
            )


def _special_tokens(config: dict[str, Any], older: dict[str, Any]) -> dict[str, str]:
    """Texts by role ("bos_token", …); an entry is a string or an object with "content"."""
    special = {}
    for source in (older, config):  # the later one wins
        for name, value in source.items():
            text = value.get("content") if isinstance(value, dict) else value
            if name.endswith("_token") and isinstance(text, str):
                special[name] = text
    return special


def _eos_ids(*configs: dict[str, Any]) -> list[int]:
    ids = []
    for config in configs:
        value = config.get("eos_token_id")
        ids += value if isinstance(value, list) else [value]
    return [i for i in ids if isinstance(i, int)]


def _chat_template(path: Path, config: dict[str, Any]) -> str | None:
    """The template, or the one called "default" of several."""
    file = path / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = _json(path / "chat_template.json").get("chat_template", config.get("chat_template"))
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}
    if isinstance(template, dict):
        if "default" not in template:
            raise InputError(f"{path} has chat templates {sorted(template)} and none called 'default'; rename the one to use")
        template = template["default"]
    return template
