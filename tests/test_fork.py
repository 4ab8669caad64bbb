"""The way into the house: a copied method that nobody registers, and documents whose every block runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import test_methods_common as common_tests
from doubles import documents, tiny_chat

from reasoning.errors import InputError
from reasoning.evaluation.reports.scores import metric_of
from reasoning.evaluation.statistics.metrics import Samples
from reasoning.methods.base import method

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "reasoning" / "methods" / "forkme.py"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes the template, with changes to its text, as a module of a package of the fork; returns its dotted name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, **changes: str) -> str:
        text = TEMPLATE.read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "forked").mkdir(exist_ok=True)
        (tmp_path / "forked" / f"{name}.py").write_text(text)
        return f"forked.{name}"

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "forked"]:
        del sys.modules[name]


def test_copied_method_must_be_registered(package):
    name = package("mine")
    assert method(name, n=3).name == "mine"
    for test in (
        common_tests.test_paper_is_not_named,
        common_tests.test_equal_arguments_make_unequal_methods,
        common_tests.test_run_skips_a_problem_or_depends_on_their_order,
        common_tests.test_vote_invents_an_answer,
    ):
        test(name)


def test_common_tests_look_at_another_method_than_the_one_they_are_given(package):
    with pytest.raises(AssertionError, match="where it comes from"):
        common_tests.test_paper_is_not_named(package("nowhere", arXiv="somewhere"))
    with pytest.raises(AssertionError):
        common_tests.test_vote_invents_an_answer(
            package("inventing", **{"            return None\n": '            return "0"\n'})
        )


def test_confidence_weighs_in_the_wrong_direction_or_not_by_its_temperature():
    answers, scores = ["1", "2", "2.0", None], [0.9, 0.6, 0.6, 1.0]
    sharp, soft = (method("forkme", confidence_temperature=value).vote for value in (0.1, 10.0))
    assert (sharp("p", answers, scores), soft("p", answers, scores)) == ("1", "2")  # e³ > 2 > e^0.03
    assert sharp("p", answers, [0.1, 0.6, 0.6, 1.0]) == "2"
    assert sharp("p", answers) == "2", "without scores it is the majority vote"
    ties = [sharp(f"p{index}", ["1", "2"], [0.5, 0.5]) for index in range(200)]
    assert 70 < ties.count("1") < 130
    assert method("forkme", confidence_temperature=1e-9).vote("p", answers, scores) == "1"


def test_every_smaller_number_of_samples_votes_without_its_scores():
    samples = Samples("p", ("1", "2", "2"), (True, False, False), scores=(0.9, 0.6, 0.6))
    assert metric_of(method("forkme").vote)(samples, 3) == 1.0
    assert metric_of(method("forkme").vote)(samples, 2) == pytest.approx(2 / 3)  # of three pairs, two hold the right one


def test_senseless_temperature_or_scorer_reaches_the_vote():
    for value in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="'forkme': confidence_temperature must be above 0"):
            method("forkme", confidence_temperature=value)
    with pytest.raises(InputError, match="unknown kind of scorer 'certainty'"):
        method("forkme", scorer={"kind": "certainty"})


def executed(root: Path, document: str) -> str:
    """What the blocks of a document print, run in a copy of the repository at `root` with a model that answers at once."""
    for name in ("configs", "docs", "reasoning", "scripts", "tests", "third_party"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "setup.cfg", root)
    model = tiny_chat.write(root / "tiny")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {
        "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    command = [sys.executable, "-m", "doubles.documents", f"qwen2.5-coder-0.5b-instruct=>{model}", "n=20=>n=2", document]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    languages = [language for language, _, _ in documents.blocks((ROOT / document).read_text())]
    assert set(languages) == {"bash", "python"}
    assert done.stdout.count(f"## {document}:") == len(languages) > 5, "every block has run"
    return done.stdout


def rows(text: str) -> set[tuple[str, str]]:
    """(label, N) of the lines of a report's first table."""
    return set(re.findall(r"^\| (\w+) \| +(\d+) \|", text, re.MULTILINE))


@pytest.mark.slow
def test_guide_to_forking_does_not_lead_to_a_tested_method_and_a_report(tmp_path):
    text = executed(tmp_path, "docs/fork.md")
    passed = re.search(r"^(\d+) passed", text, re.MULTILINE)
    assert int(passed[1]) > 2 * 11, "the common tests, of two methods"
    assert rows(text) == {("cot", "1"), *((label, n) for label in ("majority", "mine") for n in "124")}


@pytest.mark.slow
def test_tutorial_does_not_lead_to_a_report(tmp_path):
    text = executed(tmp_path, "docs/tutorial.md")
    assert rows(text) == {("direct", "1"), ("cot", "1"), *(("majority", n) for n in "124")}


def test_guide_to_forking_outgrows_its_two_pages():
    """What is read before the first line is written: 600 words a page, code among them."""
    assert len((ROOT / "docs/fork.md").read_text().split()) < 1200
