"""Config files and the command line: every file resolves, says what it is, and a typing error costs one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from doubles.config_files import read, resolve
from doubles.fake_engine import FakeEngine
from ml_collections import config_flags

from configs import common
from reasoning import command
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.reports.report import report
from reasoning.text.answers import extract

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden" / "data"  # rows of published data sets, see test_data_published.py
# Those of scripts/evaluate.py; the others are read by the tests of their scripts.
CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.py") if "def get_config(" in path.read_text())
FILES = [path for path in CONFIGS if f"\n  python scripts/evaluate.py --config configs/{path.name}" in path.read_text()]
EVERY = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def plain(config) -> dict:
    return json.loads(config.to_json())


@EVERY
@pytest.mark.slow
def test_config_names_what_does_not_exist(path, tmp_path):
    own = tmp_path / "own.jsonl"
    columns = '"category": "a", "source": "b", "forbidden_prompt": "c"'
    own.write_text("".join(f'{{"question": "1 + {i} =", "answer": "{1 + i}", {columns}}}\n' for i in range(3)))
    arguments = {
        "files": [f"--config={path}:path={own}"],
        "strong_reject": [f"--config={path}:path={own}"],
        "benchmarks": [f"--config={path}:path={GOLDEN / 'multiple_choice.jsonl'}", "--config.task.size=3"],
    }
    config = resolve(*arguments.get(path.stem, [f"--config={path}", "--config.task.size=3"]))
    experiment.check(config)
    assert experiment.build_methods(config)
    assert len(experiment.build_task(config)) == 3


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_holds_what_is_no_plain_data(path):
    """`arg.values` of a ConfigDict is a method, whatever argument has that name."""
    try:
        made = read(path).get_config()
    except InputError:  # one that needs an argument
        return
    assert json.loads(made.to_json())


@EVERY
def test_docstring_lacks_paper_or_result(path):
    doc = read(path).__doc__
    assert "arXiv" in doc
    assert "\nMEASURED" in doc


@EVERY
def test_command_of_the_docstring_does_not_work(path):
    commands = [line.split() for line in read(path).__doc__.split("\nCOMMAND\n")[1].splitlines() if line.startswith("  python ")]
    assert commands
    for python, script, *arguments in commands:
        assert (python, script) == ("python", "scripts/evaluate.py")
        assert f"configs/{path.name}" in arguments[1]
        arguments[1] = arguments[1].replace("configs/", f"{ROOT}/configs/")
        experiment.build_methods(resolve(*arguments))


@EVERY
def test_sweep_sets_a_field_that_the_config_lacks(path):
    sweep = read(path).get_sweep()
    found = [resolve(f"--config={path}", *(f"--{name}={value}" for name, value in setting.items())) for setting in sweep]
    assert len({json.dumps(config) for config in found}) == len(sweep) > 1
    for config in found:
        experiment.build_methods(config)


def test_default_is_hidden_from_the_command_line_and_the_record():
    config = resolve(
        f"--config={ROOT}/configs/majority.py", "--config.methods.majority.top_p=0.9", "--config.methods.majority.stop=('a',)",
        "--config.task.max_terms=7", "--config.max_slots=4", "--config.mesh.data=2", "--config.dtype=float32",
        "--config.methods.majority.temperature=1",
    )  # fmt: skip
    made = experiment.build_methods(config)["majority"]
    assert (made.knobs["top_p"], made.knobs["temperature"], made.stop, made.n) == (0.9, 1.0, ("a",), 8)
    assert (config["task"]["max_terms"], config["task"]["min_terms"]) == (7, 4)
    assert (config["max_slots"], config["dtype"], config["mesh"]) == (4, "float32", {"data": 2, "tensor": 1})


def test_argument_is_ignored_or_misread():
    quickstart = read(ROOT / "configs" / "quickstart.py")
    config = quickstart.get_config("n=7,samples=4,model=my/model,seed=3")
    assert (config.task.size, config.methods.majority.n, config.model, config.seed) == (7, 4, "my/model", 3)
    assert list(config.methods) == ["cot", "direct", "majority"] or list(config.methods) == ["direct", "cot", "majority"]
    with pytest.raises(InputError, match="no argument 'm'; choose from n, samples, model, seed"):
        quickstart.get_config("m=3")
    with pytest.raises(InputError, match="argument n must be of type int, got 'many'"):
        quickstart.get_config("n=many")
    assert common.parse_arg("fast", fast=False).fast is True
    assert common.parse_arg("fast=0", fast=True).fast is False
    with pytest.raises(InputError, match="fast is true or false, got 'maybe'"):
        common.parse_arg("fast=maybe", fast=True)


def test_worked_example_teaches_wrong_arithmetic():
    (question, steps), (_, short) = common.CHAIN_SUM_STEPS[0], common.CHAIN_SUM_ANSWER[0]
    chain, answer = steps.split("\nAnswer: ")
    for step in chain.split("; "):
        left, right = step.split(" = ")
        assert sum(int(term) for term in left.replace("- ", "-").replace("+ ", "").split()) == int(right)
    assert int(answer) == int(right)
    assert short == f"Answer: {answer}"
    expression = question.removesuffix(" =").split(": ")[1]
    assert sum(int(term) for term in expression.replace("- ", "-").replace("+ ", "").split()) == int(answer)


def test_quickstart_lacks_a_row(tmp_path):
    config = plain(read(ROOT / "configs" / "quickstart.py").get_config("n=3"))
    config["task"] = {"family": "doubles.sums", "size": 3}
    experiment.evaluate(config, tmp_path, show=False, engine=FakeEngine())
    made = report(tmp_path)
    assert [(row.label, row.samples) for row in made.rows] == [
        ("direct", 1), ("cot", 1), ("majority", 1), ("majority", 2), ("majority", 4), ("majority", 8),
    ]  # fmt: skip


BENCHMARKS = {
    "gsm8k": "gsm8k.jsonl",
    "math500": "math500.jsonl",
    "aime24": "aime_2024.jsonl",
    "aime25": "aime_2025.jsonl",
    "amc23": "amc23.jsonl",
    "gpqa": "gpqa.csv",
    **dict.fromkeys(("mmlu", "logiqa", "commonsenseqa"), "multiple_choice.jsonl"),
}


def test_benchmark_without_a_test():
    assert set(BENCHMARKS) == set(read(ROOT / "configs" / "benchmarks.py").TASKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_is_another_task_or_its_examples_break_the_form_it_asks_for(name):
    config = resolve(f"--config={ROOT}/configs/benchmarks.py:task={name},n=2,samples=4,path={GOLDEN / BENCHMARKS[name]}")
    methods, task = experiment.build_methods(config), experiment.build_task(config)
    assert len(task) == 2 and [(label, one.n) for label, one in methods.items()] == [("direct", 1), ("cot", 1), ("majority", 4)]
    assert methods["direct"].max_tokens < methods["cot"].max_tokens == methods["majority"].max_tokens
    for one in methods.values():
        *examples, asked = one.prompt(task.problems[0].question)
        assert asked["content"].endswith(task.problems[0].question)
        shown = [message["content"] for message in examples if message["role"] == "assistant"]
        instruction = asked["content"].splitlines()[0]
        form = r"\boxed{" if r"\boxed" in instruction else "Answer: "
        assert form in instruction and all(form in answer and extract(answer) for answer in shown)
        if task.score == "choice":
            assert "letter" in instruction and len({extract(answer) for answer in shown}) == len(shown) == 2


def test_benchmark_argument_is_not_explained():
    with pytest.raises(InputError, match="no task 'gsm9k'; choose from gsm8k, math500, .*, as in benchmarks.py:task=gsm8k"):
        read(ROOT / "configs" / "benchmarks.py").get_config("task=gsm9k")


def test_benchmark_of_letters_lacks_a_row(tmp_path):
    path = GOLDEN / "multiple_choice.jsonl"
    config = plain(read(ROOT / "configs" / "benchmarks.py").get_config(f"task=mmlu,path={path},samples=2"))
    experiment.evaluate(config, tmp_path, show=False, engine=FakeEngine())
    assert [(row.label, row.samples) for row in report(tmp_path).rows] == [
        ("direct", 1), ("cot", 1), ("majority", 1), ("majority", 2),
    ]  # fmt: skip


COT = f"--config={ROOT}/configs/cot.py"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([f"{COT}:k=3"], "no argument 'k'; choose from n, model"),
        ([COT, "--config.modle=x"], "the config has no field 'modle'; did you mean 'model'?"),
        ([COT, "--config.methods.cot.zzz=x"], "the config has no field 'zzz'; see the config file"),
        ([COT, "--config.task.size=x"], "invalid literal for int"),
        ([COT, "--wrokdir=x"], "Unknown command line flag 'wrokdir'"),
    ],
)
def test_typing_error_is_not_explained(monkeypatch, arguments, message):
    monkeypatch.setattr(command.flags, "FLAGS", flags.FlagValues())
    config_flags.DEFINE_config_file("config", flag_values=command.flags.FLAGS)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
    with pytest.raises(InputError) as caught:
        command._parse(sys.argv)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:", "line 1: invalid syntax"),
        ("def get_config(arg=None):\n    raise ValueError('boo')", "ValueError: boo"),
        ("def get_config(arg=None):\n    return 5", "get_config() returned 5"),
    ],
)
@pytest.mark.slow
def test_broken_config_file_prints_a_stack_trace(tmp_path, text, message):
    path = tmp_path / "broken.py"
    path.write_text(text + "\n")
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), f"--config={path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config=FILE.py is needed"),
        (["--config=no/such.py"], "No such file"),
        ([COT, "n=3"], "unexpected argument 'n=3'"),
        ([COT, "--config.methods.cot.n=0", "--workdir=/nowhere/run"], "n must be a whole number"),
    ],
)
@pytest.mark.slow
def test_typing_error_prints_a_stack_trace(arguments, message):
    script = str(ROOT / "scripts" / "evaluate.py")
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
