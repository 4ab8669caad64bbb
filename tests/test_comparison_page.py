"""The page of a comparison: complete in itself, safe whatever a model says, and what a browser makes of it."""

import configparser
import json
import re
from pathlib import Path

import pytest
from doubles.opened import Elements, opened

from reasoning.comparison import marking, page
from reasoning.comparison.browser import Ballot, Bar, Source, browser, fitting, template
from reasoning.comparison.page import Picture, Section, Table, as_json, render
from reasoning.data.tasks import Problem

ROOT = Path(__file__).parents[1]
HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u2028 & \"'"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
WORDS = [b"", b"1 + 1", b" = 3\n", b"Wait", b", it is 2.\n", b"However, I", b" checked.\n", b"Answer:", b" 2", b"<end>"]
TREE = {
    "problem": "sum 1",
    "rows": 2,
    "rounds": [
        {"texts": ["one\n", "uno\n"], "scores": [0.1, 0.9], "values": [0.1, 0.9]},
        {"texts": ["two\n", "Answer: 2"], "scores": [0.5, 0.8], "values": [0.5, 0.8]},
    ],
}
for one, complete in zip(TREE["rounds"], ([False, False], [False, True]), strict=True):
    one |= {"wrote": [True, True], "complete": complete, "parents": [1, 1]}
PROBLEMS = [
    Problem("sum 1", "What is 1 + 1?", "2", "sums"),
    Problem("evil&x=1#", f"Say {HOSTILE}", HOSTILE, "sums"),
    Problem("sum 3", "What is 3 + 3?", "6", "sums"),
]


def record(problem: str, sample: int = 0, **more) -> dict:
    """A line of generations.jsonl."""
    ledger = {"prompt": 20, "sampled": 7, "forced": 1, "discarded": 0, "lookahead": 0, "scorer": 0, "flops_prompt": 1.0}
    made = {"problem": problem, "sample": sample, "correct": True, "answer": "2", "stop_reason": "stop", "logprob": -3.25}
    ids = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    text = b"".join(WORDS[i] for i in ids[:-1]).decode()
    return {**made, "ledger": ledger, "ids": ids, "forced": [2], "text": text, **more}


def ask(question: str) -> list[dict[str, str]]:
    """A prompt with one worked example."""
    return [
        {"role": "user", "content": "Think. What is 5 + 5?"},
        {"role": "assistant", "content": "Answer: 10"},
        {"role": "user", "content": f"Think. {question}"},
    ]


def alone(name: str, value: float = 1.0, answer: str = "2") -> tuple[Ballot, ...]:
    return (Ballot(name, (answer,), answer, value, (Bar(answer, 1, 1.0, value),)),)


def made(**options) -> dict:
    """Three problems, three methods: one sample, a vote over three, and a search that has answered one problem."""
    single = Source("single", ask, [record(problem.id) for problem in PROBLEMS], {one.id: alone("single") for one in PROBLEMS})
    votes, samples = {}, []
    for problem in PROBLEMS:
        samples += [record(problem.id, i, correct=i < 2, answer="2" if i < 2 else None) for i in range(3)]
        bars = (Bar("2", 2, 2.0, 1.0), Bar(None, 1, 0.0, 0.0))
        votes[problem.id] = (Ballot("vote", ("2",), "2", 1.0, bars),)
    tied = (Bar("2", 1, 1.0, 1.0), Bar("6", 1, 1.0, 0.0), Bar(None, 1, 0.0, 0.0))
    votes["sum 3"] = (Ballot("vote", ("2", "6"), "6", 0.5, tied),)
    samples[1] |= {"text": HOSTILE, "answer": HOSTILE, "scores": {"prm": [0.5, 0.75]}}  # its ids do not spell that
    vote = Source("vote", ask, samples, votes)
    search = Source("search", ask, [record("sum 1", i) for i in range(2)], {"sum 1": alone("search")}, [TREE])
    difficulty = {"sum 1": 0.9, "evil&x=1#": 0.5, "sum 3": 0.0}
    return browser(PROBLEMS, [single, vote, search], difficulty=difficulty, vocabulary=WORDS, **options)


def whole(data: dict | None) -> str:
    table = Table(
        ("method", "accuracy", "tokens"), (("b", "0.50 … 0.60", "9"), ("a", "0.45", "1,200"), ("c", "–", "80")), "All of them"
    )
    return render("Methods <compared>", f"a model\n{HOSTILE}", [Section("Results", [f"See `a<b`. {HOSTILE}", table]),
                                                          Section("Results", [Picture(PNG, HOSTILE)])], data)  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(whole(made()))
    return path


def test_page_asks_another_machine_for_something():
    text = whole(made())
    assert "http://" not in text and "https://" not in text and "@import" not in text and "url(" not in text
    elements = Elements(text)
    loaded = [one[name] for one in elements.all for name in ("src", "href", "srcset", "data", "action") if name in one]
    assert loaded and all(address.startswith(("#", "data:image/png;base64,")) for address in loaded)
    assert not elements.find("link") and not elements.find("iframe") and not elements.find("base")


def test_page_runs_a_script_or_style_that_is_not_its_own():
    elements = Elements(whole(made()))
    (policy,) = [one["content"] for one in elements.find("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    ours = [one["text"] for one in elements.find("script") if "type" not in one]
    assert len(ours) == len(page.SCRIPTS) and rules["script-src"].split() == [page._digest(script) for script in ours]
    assert [rules["style-src"]] == [page._digest(style) for style in elements.texts("style")]
    assert not [one for one in elements.all if any(name.startswith("on") or name == "style" for name in one)]


def test_text_of_a_model_becomes_markup():
    text = whole(made())
    elements = Elements(text)
    assert [image["alt"] for image in elements.find("img")] == [HOSTILE]
    assert (
        HOSTILE in elements.texts("p")[1] and elements.texts("code") == ["a<b"] and elements.texts("h1") == ["Methods <compared>"]
    )
    (data,) = elements.texts("script", type="application/json")
    assert "<" not in data and "\u2028" not in data
    assert json.loads(data)["problems"][1]["question"] == f"Say {HOSTILE}"


def test_half_a_surrogate_pair_stops_the_file_from_being_written():
    text = render("\ud83d", "a\udc80", [Section("\ud83d", ["`\ud83d`", Table(("x",), (("\ud83d",),))])], {"notes": ["\udc80"]})
    assert "\ufffd" in text and text.encode()
    assert json.loads(as_json({"x": "\udc80"})) == {"x": "\udc80"}


def test_two_sections_of_one_title_share_an_address_or_one_is_not_in_the_contents():
    elements = Elements(whole(made()))
    names = [one["id"] for one in elements.find("section")]
    assert names == ["results", "results-1", "problems"]
    assert [one["href"] for one in elements.find("a")[1:]] == [f"#{name}" for name in names]


def test_column_of_numbers_is_sorted_as_text():
    cells = Elements(whole(None)).find("td", "number")
    assert [cell.get("data-sort") for cell in cells] == ["0.5", "9.0", "0.45", "1200.0", None, "80.0"]
    assert [page._number(cell) for cell in ("1.5 GFLOP", "−3 %", "12 of 200", "2 apples and pears", "none")] == [
        1.5e9,
        -3,
        12,
        None,
        None,
    ]


def test_assets_are_not_installed_or_one_is_not_used():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assets = sorted((ROOT / "reasoning/comparison/assets").iterdir())
    patterns = settings["options.package_data"]["reasoning.comparison"].split()
    assert all(any(path.match(pattern) for pattern in patterns) for path in assets)
    assert {path.stem for path in assets if path.suffix == ".js"} == set(page.SCRIPTS)
    assert not [
        path.name for path in assets if path.suffix in (".js", ".css") and re.search(r"</(script|style)|<!--", path.read_text())
    ]


def test_forced_token_is_unmarked_or_a_forced_switch_counts_as_the_models():
    pieces, marked = marking.pieces(record("x"), WORDS)
    assert marked and pieces == [
        "1 + 1 = 3\n",
        ["forced", "Wait"],
        ", it is 2.\n",
        ["switch", "However"],
        ", I checked.\nAnswer: 2",
    ]
    assert marking.pieces(record("x", forced=[1, 2, 3]), WORDS)[0][:2] == ["1 + 1", ["forced", " = 3\nWait, it is 2.\n"]]


@pytest.mark.parametrize("more, vocabulary", [({}, None), ({"ids": [1, 1]}, WORDS), ({"ids": []}, WORDS)])
def test_ids_that_do_not_spell_the_text_change_what_is_shown(more, vocabulary):
    pieces, marked = marking.pieces(record("x", **more), vocabulary)
    assert not marked and [piece for piece in pieces if isinstance(piece, list)] == [["switch", "Wait"], ["switch", "However"]]
    assert "".join(piece if isinstance(piece, str) else piece[1] for piece in pieces) == record("x")["text"]


def test_character_split_over_a_forced_and_a_sampled_token_is_lost():
    word = "é".encode()
    split = record("x", ids=[0, 1, 2], forced=[0, 1], text="aéb")
    assert marking.pieces(split, [b"a" + word[:1], word[1:], b"b"])[0] == [["forced", "aé"], "b"]
    empty = record("x", ids=[9], forced=[], text="")
    assert marking.pieces(empty, WORDS) == ([], True)


def test_worked_examples_are_repeated_for_every_problem():
    data = made()
    assert as_json(data).count("What is 5 + 5?") == len(data["methods"])
    assert data["methods"][0]["prompt"][2] == {"role": "user", "parts": ["Think. ", None]}
    assert template([{"role": "user", "content": "a q b q"}], "q") == [{"role": "user", "parts": ["a ", None, " b ", None]}]


def test_prompt_that_depends_on_the_problem_is_shown_as_another_ones():
    def odd(question: str):
        return [{"role": "system", "content": "Beware."}, *ask(question)] if "3 + 3" in question else ask(question)

    source = Source("odd", odd, [record(one.id) for one in PROBLEMS], {one.id: alone("odd") for one in PROBLEMS})
    data = browser(PROBLEMS, [source])
    assert ["prompt" in one["methods"][0] for one in data["problems"]] == [False, False, True]
    assert data["problems"][2]["methods"][0]["prompt"][0] == {"role": "system", "parts": ["Beware."]}


def test_browser_loses_numbers_or_says_nothing_of_what_it_could_not_mark():
    data = made(notes=["A note."])
    assert data["notes"][0] == "A note." and "1 of the responses" in data["notes"][1]
    assert [column["name"] for column in data["columns"]] == ["single", "vote", "search"]
    assert [one["values"] for one in data["problems"]] == [[1.0, 1.0, 1.0], [1.0, 1.0, None], [1.0, 0.5, None]]
    sample = data["problems"][0]["methods"][1]["samples"][1]
    assert sample["scores"] == {"prm": [0.5, 0.75]} and sample["tokens"] == {"prompt": 20, "sampled": 7, "forced": 1}
    assert data["problems"][0]["methods"][2]["tree"]["rounds"][0]["parents"] == [1, 1]
    assert data["problems"][1]["methods"][2] is None


def test_page_grows_beyond_its_limit_or_keeps_the_easy_problems():
    problems = [{"id": str(i), "difficulty": (i * 7 % 100) / 100, "text": "x" * 1000} for i in range(100)]
    size = len(as_json(problems[50]).encode()) + 1
    kept = fitting(problems, 10 * size)
    assert 9 <= len(kept) <= 10 and kept == [one for one in problems if one in kept]
    assert [round(one["difficulty"] * 10) for one in sorted(kept, key=lambda one: one["difficulty"])] == sorted(
        {round(one["difficulty"] * 10) for one in kept}
    )
    assert fitting(problems, 10**9) == problems and fitting(problems, 10) == []
    whole_bytes = len(as_json(made()).encode())
    some = made(limit_bytes=whole_bytes - 1)
    assert len(as_json(some).encode()) < whole_bytes and len(some["problems"]) < some["total"] == 3


def test_chosen_problem_lacks_its_text_its_marks_or_its_numbers(file):
    dom = opened(file, problem="sum 1", method="single")
    assert dom.texts("p", "question") == ["What is 1 + 1?"] and dom.texts("h3") == ["sum 1"]
    assert [one["text"] for one in dom.find("a", aria_current="true")][1].strip() == "single"
    (response,) = dom.texts("pre", "response")
    assert response == record("x")["text"]
    assert dom.texts("mark", "forced")[0] == "Wait" and dom.texts("mark", "switch")[0] == "However"
    facts = " ".join(dom.texts("dl", "facts"))
    assert "20 prompt · 7 sampled · 1 forced" in facts and "-3.25 nats" in facts and "90 %" in facts
    prompt = dom.texts("details", "prompt")[0]
    assert "What is 5 + 5?" in prompt and "Think. What is 1 + 1?" in prompt and "open" not in dom.find("details")[0]


def test_votes_or_samples_are_not_those_of_the_method_or_text_of_a_model_runs(file):
    dom = opened(file, problem="sum 1", method="vote", sample=1)
    assert dom.texts("pre", "response") == [HOSTILE] and not [one for one in dom.find("img") if "onerror" in one]
    assert dom.texts("tr", "won") == ["22 samples ✓ wins"] and "no answer" in dom.texts("table", "votes")[0]
    (current,) = [one for one in dom.find("a", aria_current="true") if one.get("id", "").startswith("sample")]
    assert current["id"] == "sample-1" and len([one for one in dom.find("a") if one.get("id", "").startswith("sample-")]) == 3
    tied = opened(file, problem="sum 3", method="vote")
    assert tied.texts("tr", "won") == ["21 sample ✓ tied", "61 sample ✓ tied, drawn"]
    assert "a tie of 2 answers, broken at random: right with probability 0.5" in tied.texts("caption")[-1]
    assert "0.5  0.75" in " ".join(dom.texts("dl", "facts"))


def test_tree_is_not_drawn_or_says_another_steps_text(file):
    dom = opened(file, problem="sum 1", method="search", step="2.0")
    steps = dom.find("a", "step")
    assert len(dom.find("svg", "tree")) == 1 and len(steps) == len(dom.find("circle", "dot")) == 4
    assert len(dom.find("circle", "ring")) == 1 and len(dom.find("path", "edge")) == 2
    assert [one["id"] for one in steps if "on" in one["class"].split()] == ["step-0-1", "step-1-0"]
    assert [one["aria-label"].split(",")[1] for one in steps] == [" row 0", " row 1", " row 0", " row 1"]
    assert len(dom.find("circle", "hollow")) == 2
    (panel,) = dom.texts("div", "panel")
    assert panel == "round 2, row 0 · score 0.5 · selected by 0.5uno\ntwo\n"


def test_filters_in_the_address_change_nothing_or_unknown_names_are_met_with_silence(file):
    dom = opened(file, problem="gone", find="what", right="single", wrong="vote")
    assert "There is no problem “gone” on this page" in dom.texts("p", "message")[0]
    rows = [("hidden" in row, row["text"]) for row in dom.find("li") if "What is" in row["text"] or "Say" in row["text"]]
    assert [hidden for hidden, _ in rows] == [True, True, False] and dom.texts("p", "count") == ["1 of 3 problems"]
    assert dom.find("input")[0]["type"] == "search"
    dom = opened(file, problem="evil&x=1#", method="search", level="middle")
    assert dom.texts("p", "question") == [f"Say {HOSTILE}"] and not [one for one in dom.find("img") if "onerror" in one]
    assert "There is no method “search” here" in dom.texts("p", "message")[0] and dom.texts("p", "count") == ["1 of 3 problems"]


def test_a_click_sorts_or_filters_nothing_or_cannot_be_linked(tmp_path, monkeypatch):
    """The clicks are a script of the page's own, since it runs no other."""
    clicks = """
    const head = (name) => [...document.querySelectorAll("th button")].find((one) => one.textContent === name);
    head("tokens").click();
    head("method").click(); head("method").click();
    head("accuracy").click();
    const chosen = [...document.querySelectorAll(".heads button")].find((one) => one.textContent === "vote");
    chosen.click();
    setTimeout(() => {
      chosen.click();
      setTimeout(() => {
        document.querySelector(".filters input").value = "3 + 3";
        document.querySelector(".filters input").dispatchEvent(new Event("input"));
        setTimeout(() => { document.body.dataset.address = location.hash; document.getElementById("tab-1").focus(); }, 300);
      }, 300);
    }, 300);
    """
    asset = page._asset
    monkeypatch.setattr(page, "_asset", lambda name: asset(name) + (clicks if name == f"{page.SCRIPTS[-1]}.js" else ""))
    (tmp_path / "page.html").write_text(whole(made()))
    dom = opened(tmp_path / "page.html")
    assert [one["text"] for one in dom.find("th", scope="row") if one["text"] in "abc"] == ["b", "a", "c"]
    assert [one.get("aria-sort") for one in dom.find("th", scope="col")] == [None, "descending", None]
    assert dom.find("body")[0]["data-address"] == "#find=3+%2B+3&wrong=vote"
    assert dom.texts("p", "count") == ["1 of 3 problems"] and dom.texts("h3") == ["sum 3"]
    assert dom.texts("span", "label") == ["single", "vote", "search"]
