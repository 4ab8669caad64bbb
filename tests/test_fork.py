"""The way into the house: a copied method that nobody registers, and documents whose every block runs."""

import functools
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
from reasoning.evaluation.metrics import Samples
from reasoning.evaluation.scores import metric_of
from reasoning.methods.base import method

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "reasoning" / "methods" / "forkme.py"
DOCUMENTS = ("docs/fork.md", "docs/tutorial.md")


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


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> str:
    """What the documents print, run in a copy of the repository with a model that answers at once."""
    root = tmp_path_factory.mktemp("fork")
    for name in ("configs", "docs", "reasoning", "scripts", "tests", "third_party"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "setup.cfg", root)
    model = tiny_chat.write(root / "tiny")
    done = subprocess.run(
        [sys.executable, "-m", "doubles.documents", f"smollm2-135m-instruct=>{model}", "n=20=>n=2", *DOCUMENTS],
        cwd=root,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        | {
            "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_block_of_a_document_does_not_run(executed):
    for name in DOCUMENTS:
        languages = [language for language, _, _ in documents.blocks((ROOT / name).read_text())]
        assert set(languages) == {"bash", "python"}
        assert executed.count(f"## {name}:") == len(languages) > 5


def test_command_of_the_documents_tests_nothing_or_compares_nothing(executed):
    passed = re.search(r"^(\d+) passed", executed, re.MULTILINE)
    assert int(passed[1]) > 2 * 11, "the common tests, of two methods"
    ran = re.findall(r"^\| (\w+) +\| +(\d+) ", executed, re.MULTILINE)
    assert {("cot", "1"), ("mine", "4"), ("majority", "4"), ("direct", "1")} <= set(ran)


def test_guide_to_forking_outgrows_its_two_pages():
    """What is read before the first line is written; the tutorial may be twice as long."""
    words = functools.partial(re.findall, r"\S+")
    assert len(words((ROOT / "docs/fork.md").read_text())) < 1500
    assert len(words((ROOT / "docs/tutorial.md").read_text())) < 3000
