"""Written traces: true wherever they do not say that they were wrong, judged by the tasks' scorers, apart from evaluation."""

import inspect
import re
import statistics
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from configs.traces import ATTEMPTS, SETTINGS
from reasoning.data import chain_sum, reasoning_gym
from reasoning.data.tasks import Problem
from reasoning.data.traces import Trace
from reasoning.data.writers import pool
from reasoning.data.writers.base import instance, name_instance, writer
from reasoning.data.writers.summary import summary
from reasoning.errors import InputError
from reasoning.text.answers import extract

ROOT = Path(__file__).parent.parent
COUNT = 80
EVERY = pytest.mark.parametrize("name", SETTINGS)
STATEMENT = re.compile(r"(?<![\w*])(-?[\d(][\d+\-*/() ]*) ([=<>]) (-?\d+)(?![\d*])")
SMALL = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}


@pytest.fixture(scope="module", autouse=True)
def in_this_process():
    """Problems are drawn without a process of their own, which takes seconds to start; test_data_reasoning_gym.py has that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reasoning_gym, "_generate_in_child", reasoning_gym._generate)
        yield


@pytest.fixture(scope="module")
def written(in_this_process) -> dict[str, list[Trace]]:
    families = {name: {"count": COUNT, **ATTEMPTS[name], "settings": SETTINGS[name]} for name in SETTINGS}
    traces = pool.write_pool({"seed": 0, "families": families}, show=False)
    assert [trace.metadata["family"] for trace in traces] == [name for name in SETTINGS for _ in range(COUNT)]
    return {name: [trace for trace in traces if trace.metadata["family"] == name] for name in SETTINGS}


def entry(trace: Trace) -> dict:
    return reasoning_gym.read_entry(trace.metadata["entry"])


def statements(text: str) -> list[tuple[str, bool]]:
    """What a text claims about numbers, each with its truth."""
    out = []
    for left, relation, right in STATEMENT.findall(text):
        value = eval(left)  # digits, signs and parentheses alone
        true = {"=": value == int(right), "<": value < int(right), ">": value > int(right)}[relation]
        out.append((f"{left} {relation} {right}", true))
    return out


@EVERY
def test_a_statement_is_false_and_not_the_marked_mistake(written, name):
    for trace in written[name]:
        text = trace.thinking
        for mistake in trace.metadata["mistakes"]:
            assert mistake in text
            text = text.replace(mistake, "…")
        wrong = [said for said, true in statements(text) if not true]
        assert not wrong, f"{trace.id} says {wrong[0]}:\n{trace.thinking}"
    if name != "knights_knaves":
        assert all(statements(trace.thinking) for trace in written[name])


def test_a_marked_mistake_is_none(written):
    marked = [trace for trace in written["chain_sum"] if trace.metadata["mistakes"]]
    assert marked
    for trace in marked:
        assert [true for mistake in trace.metadata["mistakes"] for _, true in statements(mistake)] == [False] * len(
            trace.metadata["mistakes"]
        )
        assert len(trace.metadata["mistakes"]) == trace.metadata["tries"] - 1
    for trace in written["simple_equations"]:
        name, solution = entry(trace)["metadata"]["variable"], trace.reference
        for mistake in trace.metadata["mistakes"]:
            claim = re.search(rf"(-?\d*)\*?{name} = (-?\d+)", mistake)
            factor = int(claim[1] + "1" if claim[1] in ("", "-") else claim[1])
            assert factor * int(solution) != int(claim[2])


def test_an_equation_on_the_way_has_another_solution(written):
    for trace in written["simple_equations"]:
        name, text = entry(trace)["metadata"]["variable"], re.sub(r"[Tt]ry \w = \d+", "", trace.thinking)
        for mistake in trace.metadata["mistakes"]:
            text = text.replace(mistake, "")
        for factor, right in re.findall(rf"(-?\d*)\*?\b{name} = (-?\d+)", text):
            assert int(factor + "1" if factor in ("", "-") else factor) * int(trace.reference) == int(right), trace.thinking


def test_a_slip_is_made_twice_or_there_are_none_left():
    for expression in ("5 - 0", "10 + 5", "3 - 4 + 1"):
        made = writer("chain_sum").write({"metadata": {"expression": expression}}, 9, Random(0))
        assert made.tries == 5 == len(set(made.mistakes)) + 1
        assert made.answer == str(eval(expression))


def test_a_check_compares_with_another_number(written):
    for trace in written["chain_sum"]:
        *failed, last = re.findall(r"= (-?\d+), (but it must be|and the first number is) (-?\d+)\.", trace.thinking)
        assert all(word.startswith("but") and left != right for left, word, right in failed)
        assert last[0] == last[2] == entry(trace)["metadata"]["expression"].split()[0] and last[1].startswith("and")
        assert len(failed) == trace.metadata["tries"] - 1
    for trace in written["simple_equations"]:
        right = entry(trace)["metadata"]["equation"].split(" = ")[1]
        *failed, last = re.findall(r"Check: (?:.*= )(-?\d+), (but the|the) right side is (-?\d+)\.", trace.thinking) or [None]
        if last:
            assert last == (right, "the", right)
            assert all(word == "but the" and left != right == there for left, word, there in failed)


@EVERY
def test_the_number_of_attempts_is_not_what_was_asked_for(written, name):
    counts = []
    for trace in written[name]:
        tries = trace.metadata["tries"]
        assert trace.thinking.count("Wait, ") == tries - 1 and not trace.thinking.startswith("Wait")
        assert 1 <= tries <= ATTEMPTS[name]["max_tries"]
        counts.append(tries)
    assert abs(statistics.mean(count > 1 for count in counts) - ATTEMPTS[name]["backtracking"]) < 0.18
    assert set(counts) == set(range(1, ATTEMPTS[name]["max_tries"] + 1))
    never = pool.Family(name, 20, backtracking=0.0, settings=SETTINGS[name])
    assert all("Wait" not in trace.thinking for trace in pool.write_family(never))


@EVERY
def test_a_thought_is_too_long_for_a_small_model(written, name):
    assert statistics.mean(len(trace.thinking.split()) for trace in written[name]) < 100
    assert max(len(trace.thinking.split()) for trace in written[name]) < 200


def test_a_failed_branch_of_countdown_holds_a_solution_or_comes_twice(written):
    for trace in written["countdown"]:
        target, numbers = entry(trace)["metadata"]["target"], entry(trace)["metadata"]["numbers"]
        tried = re.findall(r"ry (\d+) ([-+*/]) (\d+) = (\d+), with (\d+): .*, (yes|no)\.", trace.thinking)
        assert len(set(tried)) == len(tried) == trace.metadata["tries"]
        for a, _, b, made, left, verdict in tried:
            assert sorted(map(int, (a, b, left))) == sorted(numbers)
            x, y = int(made), int(left)
            reachable = {x + y, x - y, y - x, x * y, x / y if y else None, y / x if x else None}
            assert (target in reachable) == (verdict == "yes")
        assert [verdict for *_, verdict in tried] == ["no"] * (len(tried) - 1) + ["yes"]


def test_countdown_of_two_or_four_numbers_is_not_solved():
    for numbers, target in (([7, 9], 63), ([9, 3], 3), ([4, 7, 9, 2], 29), ([5, 5, 5, 1], 20), ([3, 8, 3, 8], 48)):
        made = writer("countdown").write({"metadata": {"numbers": numbers, "target": target}}, 3, Random(0))
        assert eval(made.answer) == target
        assert sorted(map(int, re.findall(r"\d+", made.answer))) == sorted(numbers)
        assert all(true for _, true in statements(made.thinking))
        assert made.tries <= 3 and (made.tries == 3 or len(numbers) == 2)
    with pytest.raises(InputError, match=r"no way found from \[1, 1\] to 50"):
        writer("countdown").write({"metadata": {"numbers": [1, 1], "target": 50}}, 1, Random(0))
    with pytest.raises(InputError, match="for 2 to 4 numbers"):
        writer("countdown").write({"metadata": {"numbers": [1] * 5, "target": 5}}, 1, Random(0))


ATOM = r"(\w+) (\w+)(?: \((true|false)\))?"
FORMS = {
    rf"{ATOM}": lambda a: a,
    rf"{ATOM} and {ATOM}": lambda a, b: a and b,
    rf"{ATOM} or {ATOM}": lambda a, b: a or b,
    rf"if {ATOM} then {ATOM}": lambda a, b: b or not a,
    rf"{ATOM} if and only if {ATOM}": lambda a, b: a == b,
}


def said_truth(text: str, world: dict[str, str]) -> bool:
    """Of a statement, computed anew; the truths that it notes must be right."""
    form, found = next((FORMS[form], found) for form in FORMS if (found := re.fullmatch(form, text)))
    groups = found.groups()
    atoms = [groups[place : place + 3] for place in range(0, len(groups), 3)]
    for name, role, noted in atoms:
        assert noted == (None if len(atoms) == 1 else str(world[name] == role).lower())
    return form(*(world[name] == role for name, role, _ in atoms))


def test_an_assignment_is_judged_wrongly_or_supposed_twice(written):
    for trace in written["knights_knaves"]:
        metadata = entry(trace)["metadata"]
        knight, seen = metadata["knight_knave_terms"]["knight"], []
        *attempts, end = re.split(r"(?:^|\n)(?:Wait, s|S)uppose |\n(?=All fit\.$)", trace.thinking)[1:]
        assert end == "All fit." and len(attempts) == trace.metadata["tries"]
        for place, attempt in enumerate(attempts):
            supposed, *lines = attempt.splitlines()
            world = dict(person.split() for person in supposed.rstrip(".").split(", "))
            seen.append(supposed)
            for number, line in enumerate(lines):
                name, text, truth, word, law = re.fullmatch(r"(\w+) says (.*): (true|false), (as|but) (.*)\.", line).groups()
                assert name == metadata["names"][number]
                assert said_truth(text, world) == (truth == "true"), line
                assert world[name] in law and law.endswith("tells the truth" if world[name] == knight else "lies")
                assert (word == "as") == ((truth == "true") == (world[name] == knight)), line
                assert (word == "but") == (place < len(attempts) - 1 and number == len(lines) - 1)
        assert len(set(seen)) == len(seen)
        assert len(lines) == len(metadata["names"])


@EVERY
def test_the_scorer_is_not_asked_or_a_template_is_lost(written, name):
    for trace in written[name]:
        assert extract(trace.answer) and trace.question == entry(trace)["question"]
    trace = written[name][0]
    problem = Problem(trace.id, trace.question, trace.reference, name, trace.metadata, "reasoning_gym")
    assert pool.checked(trace, problem, entry(trace)) is trace
    with pytest.raises(InputError, match=r"ends in 'Answer: 1 and 1', which its scorer gives .*mistake in the writer"):
        pool.checked(Trace(trace.id, "", "", "Answer: 1 and 1"), problem, entry(trace))


@EVERY
def test_a_pool_depends_on_its_size_or_repeats_a_problem(written, name):
    part = pool.write_family(pool.family(name, {"count": 30, **ATTEMPTS[name], "settings": SETTINGS[name]}))
    strip = [(trace.question, trace.thinking, trace.answer) for trace in part]
    assert strip == [(trace.question, trace.thinking, trace.answer) for trace in written[name][:30]]
    keys = [trace.metadata["instance"] for trace in written[name]]
    assert len(set(keys)) == COUNT and all(key.startswith(f"{name}: ") for key in keys)


def test_a_pool_draws_from_the_seeds_of_evaluation_or_of_another_pool(written):
    for load in (reasoning_gym.load, chain_sum.load):
        assert inspect.signature(load).parameters["seed"].default + pool.SEEDS < pool.FIRST_SEED
    seeds = {trace.metadata["seed"] for traces in written.values() for trace in traces}
    assert min(seeds) >= pool.FIRST_SEED and max(seeds) < pool.FIRST_SEED + pool.SEEDS
    other = pool.write_family(pool.Family("chain_sum", 5, settings=SETTINGS["chain_sum"]), seed=1)
    assert min(trace.metadata["seed"] for trace in other) >= pool.FIRST_SEED + pool.SEEDS
    for trace in written["chain_sum"]:
        again = reasoning_gym.load("chain_sum", 1, trace.metadata["seed"], **SETTINGS["chain_sum"]).problems[0]
        assert (again.question, instance(again)) == (trace.question, trace.metadata["instance"])


def test_an_instance_depends_on_its_wording():
    def key(name, **metadata):
        return name_instance(name, {"metadata": metadata})

    assert key("chain_sum", expression="12 + 30 - 17") == "chain_sum: 12+30-17"
    assert key("simple_equations", equation="3*q + 12 = 27", variable="q") == "simple_equations: 3*x+12=27"
    assert key("countdown", numbers=[12, 3, 5], target=24) == "countdown: 3 5 12 -> 24"
    said = (("not", ("lying", 1)), ("and", ("telling-truth", 2), ("lying", 0)), ("->", ("lying", 0), ("lying", 1)))
    same = (("->", ("lying", 1), ("lying", 2)), ("telling-truth", 2), ("and", ("lying", 1), ("telling-truth", 0)))
    one, two = (key("knights_knaves", statements=statements) for statements in (said, same))
    assert one == two == "knights_knaves: 0: (1+ and 2-); 1: (2- -> 0-); 2: 0+"
    turned = (*said[:2], ("->", ("lying", 1), ("lying", 0)))
    assert key("knights_knaves", statements=turned) != one
    assert instance(Problem("p", "1 + 1 =", "2", "sums")) is None


@pytest.mark.parametrize(
    ("equation", "solution", "last"),
    [
        ("7 - 2*q = -1", "4", "Check: 2 * 4 = 8, 7 - 8 = -1, the right side is -1."),
        ("-8*q - 3 = -83", "10", "Check: -8 * 10 = -80, -80 - 3 = -83, the right side is -83."),
        ("12 - q = 3", "9", "Check: 12 - 9 = 3, the right side is 3."),
        ("-q - 5 = -14", "9", "Check: -9 - 5 = -14, the right side is -14."),
        ("5*q = 20", "4", "Check: 5 * 4 = 20, the right side is 20."),
        ("q + 3 = 9", "6", "Check: 6 + 3 = 9, the right side is 9."),
        ("-q = -9", "9", "Check: the right side is -9."),
    ],
)
def test_an_equation_of_another_shape_is_misread(equation, solution, last):
    for tries in (1, 2, 4):
        made = writer("simple_equations").write({"metadata": {"equation": equation, "variable": "q"}}, tries, Random(tries))
        assert (made.answer, made.thinking.splitlines()[-1]) == (solution, last)
        assert made.thinking.count("Wait, ") == made.tries - 1 < tries


@pytest.mark.parametrize("equation", ["q**2 = 4", "2*q + 1 = 4", "3 = 3", "2*q = -4", "2*r = 4"])
def test_an_equation_that_is_not_understood_is_written_about(equation):
    with pytest.raises(InputError, match=r"traces of simple_equations need .*; leave it out"):
        writer("simple_equations").write({"metadata": {"equation": equation, "variable": "q"}}, 1, Random(0))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "names no families; it has seed and families"),
        ({"families": {}, "sede": 1}, "unknown key 'sede'"),
        ({"families": {"chain_sums": {"count": 1}}}, "no writer of traces for 'chain_sums'; choose from chain_sum, countdown, "),
        ({"families": {"base": {"count": 1}}}, "no writer of traces for 'base'"),
        ({"families": {"chain_sum": {}}}, "has no count; its arguments: count, backtracking, max_tries, settings"),
        ({"families": {"chain_sum": {"count": 1, "size": 1}}}, "unknown argument 'size'"),
        ({"families": {"chain_sum": {"count": 0}}}, "count is 0"),
        ({"families": {"chain_sum": {"count": 1, "backtracking": 1.5}}}, "backtracking is 1.5"),
        ({"families": {"chain_sum": {"count": 1, "max_tries": 1}}}, "max_tries is 1"),
        ({"families": {"chain_sum": {"count": 1}}, "seed": -1}, "seed of a pool is -1"),
        ({"families": {"chain_sum": {"count": 1, "settings": {"min_terms": 0}}}}, "refuses"),
        ({"families": {"chain_sum": {"count": 1, "settings": {"min_terms": 1, "max_terms": 1}}}}, "two terms or more"),
        ({"families": {"chain_sum": {"count": 300, "settings": SMALL}}}, r"hardly more than \d+ distinct problems, 300 are"),
    ],
)
def test_a_wrong_config_of_a_pool_is_not_explained(config, message):
    with pytest.raises(InputError, match=message) as caught:
        pool.write_pool(config, show=False)
    assert "\n" not in str(caught.value)


def test_the_summary_counts_something_else():
    def trace(**metadata):
        return Trace("t", "q", "one two three", "a", source="somewhere", metadata=metadata)

    table = summary([trace(family="sums", tries=1), trace(family="sums", tries=2), trace()]).splitlines()
    assert [re.split(r"  +", line) for line in table[1:]] == [
        ["sums", "2", "0.50", "1.50", "3", "3"],
        ["somewhere", "1", "–", "–", "3", "3"],
        ["all", "3", "0.50", "1.50", "3", "3"],
    ]


@pytest.mark.slow
def test_the_script_writes_elsewhere_or_leaves_something_behind(tmp_path):
    config = tmp_path / "mine.py"
    config.write_text(
        "from configs import traces\n"
        "def get_config(arg=None):\n"
        "    config = traces.get_config('n=24')\n"
        "    for name in ('simple_equations', 'countdown', 'knights_knaves'):\n"
        "        del config.families[name]\n"
        "    return config\n"
    )
    output = tmp_path / "there" / "pool.jsonl"
    command = [sys.executable, str(ROOT / "scripts/generate_traces.py"), f"--config={config}", f"--output={output}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(output) in done.stdout and len(output.read_text().splitlines()) == 6
    assert [path.name for path in output.parent.iterdir()] == ["pool.jsonl"]
