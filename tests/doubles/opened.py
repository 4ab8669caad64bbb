"""Pages as a browser without a window shows them, once their scripts have run; a test is skipped where there is none."""

import functools
import html.parser
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
EMPTY = {"meta", "img", "input", "br", "link"}  # elements that nothing closes


class Elements(html.parser.HTMLParser):
    """The elements of a document, each with its attributes and all text in it."""

    def __init__(self, text: str):
        super().__init__()
        self.all, self._open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **{name: value or "" for name, value in attrs}}
        self.all.append(element)
        if tag not in EMPTY:
            self._open.append(element)

    def handle_endtag(self, tag):
        while self._open and self._open.pop()["tag"] != tag:
            pass

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def find(self, tag: str, kind: str = "", **attributes) -> list[dict]:
        """By name, by one of its classes, and by attributes (class_ for none)."""
        return [
            one for one in self.all
            if one["tag"] == tag and (not kind or kind in one.get("class", "").split())
            and all(one.get(name.replace("_", "-")) == value for name, value in attributes.items())
        ]  # fmt: skip

    def texts(self, tag: str, kind: str = "", **attributes) -> list[str]:
        return [one["text"] for one in self.find(tag, kind, **attributes)]


def dumped(program: str, path: Path, hash_: str = "") -> subprocess.CompletedProcess:
    """The document as text, once its scripts have run."""
    options = ["--headless=new", "--disable-gpu", "--no-first-run", "--virtual-time-budget=5000", "--dump-dom"]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []
    profile = f"--user-data-dir={path.parent}/profile"
    return subprocess.run([program, *options, profile, path.as_uri() + hash_], capture_output=True, text=True, timeout=300)


@functools.cache
def working() -> tuple[str | None, str]:
    """A browser that opens pages from disk, or None and why there is none."""
    there = [program for program in map(shutil.which, BROWSERS) if program]
    with tempfile.TemporaryDirectory() as directory:
        plain = Path(directory) / "plain.html"
        plain.write_text("<p id=x></p><script>x.textContent = 6 * 7</script>")
        # A browser in a box of its own (snap) may not see files in /tmp.
        found = next((program for program in there if ">42<" in dumped(program, plain).stdout), None)
    return found, f"{there[0]} opens no page from disk" if there else f"none of {', '.join(BROWSERS)} is installed"


def opened(path: Path, **state) -> Elements:
    """The document, with `state` in its address, after its scripts ran; none of them may have failed."""
    program, why = working()
    if program is None:
        pytest.skip(why)
    done = dumped(program, path, "#" + urlencode(state, doseq=True) if state else "")
    found = Elements(done.stdout)
    assert found.all, done.stderr
    root = found.find("html")[0]
    assert (root.get("data-ready"), root.get("data-errors")) == ("true", None)
    return found
