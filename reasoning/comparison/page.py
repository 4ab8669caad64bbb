"""A comparison as one HTML file: text, tables, pictures and a browser of problems, complete in itself.

It is opened from disk and asks nobody for anything: styles and scripts are the files of `assets/`, written into it, pictures are
data: addresses, and its content security policy allows these and nothing else. Whatever comes from a model or a data set
stands in it as text.
"""

import base64
import hashlib
import html
import importlib.resources
import json
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# In the order in which they run; later ones use what earlier ones declare.
SCRIPTS = ("watch", "elements", "tables", "state", "tree", "response", "problem", "problems")
BROWSER = "Problems"  # title of the section that the browser is in
MISSING = {"", "–", "-", "n/a"}
NUMERIC = ' class="number"'
NUMBER = re.compile(r"[<>≤≥≈~×\s]*([-+−]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(.*)", re.DOTALL)
WORD = re.compile(r"[^\W\d_]+")
SCALES = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
UNIT = re.compile(r"([kMGTPE])(?:FLOPs?|B)?\b")
# What a script element may hold without being ended or changed by it, and what older readers of JavaScript take for a line's end.
ESCAPES = {ord("<"): "\\u003c", ord("\u2028"): "\\u2028", ord("\u2029"): "\\u2029"}


class Table(NamedTuple):
    """Cells as they are to be read. A column of numbers is set to the right and sorted by value."""

    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    caption: str = ""


class Picture(NamedTuple):
    """A PNG; the caption is also what is read aloud in its place."""

    png: bytes
    caption: str


class Section(NamedTuple):
    """A part of the page with a title; a string is a paragraph, in which `backticks` set code."""

    title: str
    parts: Sequence[str | Table | Picture]


def render(title: str, subtitle: str, sections: Sequence[Section], browser: Mapping[str, Any] | None) -> str:
    """The page.

    Args:
      title: one line. subtitle: any number of them.
      browser: what `reasoning.comparison.browser.browser` returns; None for a page without one.
    """
    names = _names([section.title for section in sections] + [BROWSER] * (browser is not None))
    style, scripts = _asset("page.css"), [_asset(f"{name}.js") for name in SCRIPTS]
    bodies = [_section(section, name) for section, name in zip(sections, names, strict=False)]
    titles = [section.title for section in sections]
    if browser is not None:
        titles.append(BROWSER)
        data = f'<script type="application/json" id="browser-data">{as_json(browser)}</script>'
        bodies.append(string.Template(_asset("browser.html")).substitute(id=names[-1], title=_text(BROWSER), data=data))
    return string.Template(_asset("page.html")).substitute(
        policy=_policy(style, scripts),
        title=_text(title),
        subtitle="\n".join(f"<p>{_text(line)}</p>" for line in subtitle.split("\n")),
        contents="\n".join(f'<li><a href="#{name}">{_text(one)}</a></li>' for name, one in zip(names, titles, strict=True)),
        sections="\n".join(bodies),
        style=f"<style>{style}</style>",
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def as_json(value: Any) -> str:
    """JSON that is safe inside a script element, whatever the strings in it say. Raises ValueError for NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(ESCAPES)
    return text.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair becomes its escape


def _asset(name: str) -> str:
    return (importlib.resources.files("reasoning.comparison") / "assets" / name).read_text(encoding="utf-8").strip("\n")


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Only our own style and scripts, by what they say, so that none that slipped into the page would run."""
    hashes = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; script-src {hashes}; style-src {_digest(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(text: str) -> str:
    """Escaped for text and for attributes; half of a surrogate pair, which no file can hold, becomes U+FFFD."""
    return html.escape(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _names(titles: Sequence[str]) -> list[str]:
    """An address in the page for each title, none twice."""
    out: list[str] = []
    for title in titles:
        name = base = "-".join(re.findall(r"[a-z0-9]+", title.lower())) or "section"
        while name in out or "=" in name:
            name = f"{base}-{len(out)}"
        out.append(name)
    return out


def _section(section: Section, name: str) -> str:
    parts = [_part(part) for part in section.parts]
    return "\n".join([f'<section id="{name}">', f"<h2>{_text(section.title)}</h2>", *parts, "</section>"])


def _part(part: str | Table | Picture) -> str:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Picture):
        data, caption = base64.b64encode(part.png).decode(), _text(part.caption)
        return f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    pieces = part.split("`")
    if len(pieces) % 2 == 0:  # a backtick without its partner is one
        pieces[-2:] = ["`".join(pieces[-2:])]
    return f"<p>{''.join(f'<code>{_text(one)}</code>' if i % 2 else _text(one) for i, one in enumerate(pieces))}</p>"


def _table(table: Table) -> str:
    values = [[_number(cell) for cell in line] for line in table.lines]
    columns = range(len(table.header))
    numeric = [_is_numeric([(line[i], value[i]) for line, value in zip(table.lines, values, strict=True)]) for i in columns]

    def cell(i: int, text: str, value: float | None) -> str:
        kind = (NUMERIC if numeric[i] else "") + (f' data-sort="{value!r}"' if numeric[i] and value is not None else "")
        return f'<th scope="row"{kind}>{_text(text)}</th>' if i == 0 else f"<td{kind}>{_text(text)}</td>"

    head = "".join(
        f'<th scope="col"{NUMERIC if number else ""}>{_text(name)}</th>'
        for name, number in zip(table.header, numeric, strict=True)
    )
    rows = "\n".join(
        f"<tr>{''.join(map(cell, columns, line, value))}</tr>" for line, value in zip(table.lines, values, strict=True)
    )
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    label = _text(table.caption or "table")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table class="sortable">{caption}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _is_numeric(column: Sequence[tuple[str, float | None]]) -> bool:
    """Whether there is a number in every cell that says anything, and in one at least."""
    return any(value is not None for _, value in column) and all(
        value is not None or text.strip() in MISSING for text, value in column
    )


def _number(cell: str) -> float | None:
    """What a cell is sorted by: the number that it begins with, as in "0.41 … 0.52", "+3 %", "12 of 200", "1.5 GFLOP".

    None if it begins with none, or goes on in words.
    """
    found = NUMBER.fullmatch(cell)
    if found is None or len(WORD.findall(found[2])) > 1:
        return None
    unit = UNIT.match(found[2])
    return float(found[1].replace(",", "").replace("−", "-")) * (SCALES[unit[1]] if unit else 1.0)
