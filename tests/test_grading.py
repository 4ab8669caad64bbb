"""Grading: what counts as right, and that an answer can neither hang, kill nor make execute anything."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("math_verify")
pytest.importorskip("reasoning_gym")

from reasoning.data import reasoning_gym
from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.evaluation.grading import guard as grading_guard
from reasoning.evaluation.grading.grader import MAX_ANSWER_CHARS, Grade, Grader, grade_at_once


def problem_of(answer, score="math", **metadata):
    return Problem("p", "?", answer, "t", metadata, score)


def gym_problem(generator, **parameters):
    parameters = {"size": 1, "seed": 3, **parameters}
    (item,) = reasoning_gym._generate({"generator": generator, "parameters": parameters})
    return problem_of(item["answer"], "reasoning_gym", generator=generator, parameters=parameters, entry=item["entry"])


@pytest.fixture(scope="module")
def grader():
    with Grader(workers=2, seconds=2, memory_bytes=512 << 20) as grader:
        yield grader


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("42", "42"), ("42", "42 apples"), ("42", "$42$"), ("42", "42.0"), ("42", "42."), ("1000", "1,000"),
        ("5", "x = 5"), ("42", "12 + 30"),
        ("1/2", "0.5"), (r"\frac{1}{2}", "1/2"), ("x+1", "1 + x"), (r"\sqrt{2}", "2^{1/2}"),
        ("(1,2)", "(1, 2)"), ("-3", "-3"), ("2x", "2*x"),
    ],
)  # fmt: skip
def test_equal_mathematics_in_another_spelling_is_right(grader, reference, answer):
    assert grader.submit_answer(problem_of(reference), answer).result() == Grade(True, 1.0, answer)


@pytest.mark.parametrize(
    ("reference", "answer"), [("42", "43"), ("42", "-42"), ("x+1", "x+2"), ("1/2", "0.49"), ("42", "forty"), ("(1,2)", "(2,1)")]
)
def test_unequal_mathematics_is_wrong(grader, reference, answer):
    assert grader.submit_answer(problem_of(reference), answer).result() == Grade(False, 0.0, answer)


def test_the_last_box_wins_over_words_and_what_was_extracted_is_kept(grader):
    text = "Answer: 1\nFinal Answer: 2\nso \\boxed{3} or rather \\boxed{\\frac{8}{2}}."
    grades = [grader.grade(problem_of(reference), text) for reference in "1234"]
    assert [grade.correct for grade in grades] == [False, False, False, True]
    assert {grade.extracted for grade in grades} == {r"\frac{8}{2}"}
    assert grader.grade(problem_of("2"), "Final Answer: 2\nAnswer: 1").correct
    assert grader.grade(problem_of("2"), "it is 2") == Grade(False, 0.0, None, "no answer")
    assert grader.submit_answer(problem_of("2"), None).result().status == "no answer"


def test_exact_and_choice_answers_need_no_worker():
    assert grade_at_once(problem_of("Paris", "exact"), "Paris.").correct
    assert not grade_at_once(problem_of("Paris", "exact"), "paris is in France").correct
    for answer in (
        "B",
        "(B)",
        "b.",
        "B. a desert",
        "**B**",
        "$B$",
        r"\text{B}",
        "B) a desert",
        "option B",
        "The correct answer is (B).",
    ):
        assert grade_at_once(problem_of("B", "choice"), answer) == Grade(True, 1.0, "B"), answer
    assert grade_at_once(problem_of("B", "choice"), "the Bahamas").extracted == "the Bahamas"
    for answer in ("A", "A. not B", "Both", "42", "B2", "B flat", "the Bahamas", "b and c"):
        assert not grade_at_once(problem_of("B", "choice"), answer).correct, answer


def test_reasoning_gym_scores_partly_but_counts_only_full_score_as_right(grader):
    problem = gym_problem("chain_sum")
    assert grader.submit_answer(problem, f"{problem.answer}.0").result() == Grade(True, 1.0, f"{problem.answer}.0")
    partial = grader.submit_answer(problem, f"{problem.answer} apples").result()
    assert not partial.correct and 0 < partial.score < 1
    queens = gym_problem(
        "n_queens"
    )  # its scorer evals the answer, and gives a right board that is written as a Python list half a point
    board = str([row.split() for row in queens.answer.splitlines()])
    assert grader.submit_answer(queens, board).result() == Grade(False, 0.5, board)


def hostile_answers(witness):
    command = f"__import__('os').system('touch {witness}')"
    return [
        command,
        f"open('{witness}', 'w')",
        f"[{command}]",
        f"exec(\"{command}\")",
        f"lambdify([], '{command}')()",
        f"Symbol('x').func.__class__.__base__.__subclasses__({command})",
        f"sympify(\"{command}\")",
        f"[x for x in [{command}]]",
        "9**9**9**9",
        "9^{9^{9^{9}}}",
        "(10^{9})!",
        "factorial(factorial(20))",
        "[0]*10**10",
        "exit()",
        "__import__('os')._exit(0)",
        "{" * 15_000,
        "\\frac{" * 3_000,
        "(" * 15_000,
        "9" * 15_000,
        "\x00\ud800",
        "\n".join(["{}"] * 5_000),
    ]  # fmt: skip


def test_hostile_answers_are_wrong_in_bounded_time_and_execute_nothing(grader, tmp_path):
    witness = tmp_path / "executed"
    # Scorers that eval: sympy's parser (math, polynomial_multiplication, simple_integration, countdown, puzzle24),
    # Python's (n_queens, string_insertion).
    generators = (
        "polynomial_multiplication",
        "simple_integration",
        "countdown",
        "puzzle24",
        "n_queens",
        "string_insertion",
        "spiral_matrix",
    )
    pairs = [(problem_of("42"), answer) for answer in hostile_answers(witness)]
    pairs += [(problem, answer) for problem in map(gym_problem, generators) for answer in hostile_answers(witness)[:8]]
    pairs += [(gym_problem("n_queens"), answer) for answer in hostile_answers(witness)[8:]]
    start = time.monotonic()
    grades = [future.result() for future in [grader.submit_answer(*pair) for pair in pairs]]
    assert not any(grade.correct for grade in grades)
    assert not witness.exists()
    assert time.monotonic() - start < 90
    assert grader.submit_answer(problem_of("1/2"), "0.5").result().correct  # the pool survives


def test_a_megabyte_is_wrong_at_once(grader):
    start = time.monotonic()
    for text in (
        "Answer: " + "9" * 1_000_000,
        "\\boxed{" * 150_000,
        "\\boxed{" + "{" * 500_000 + "}" * 500_001,
        "Answer: " * 125_000,
    ):
        assert not grader.grade(problem_of("42"), text).correct
    grade = grader.grade(problem_of("42"), "Answer: " + "9" * 1_000_000)
    assert grade.status == "too long" and len(grade.extracted) == MAX_ANSWER_CHARS
    assert time.monotonic() - start < 10


def test_an_answer_that_takes_too_long_costs_its_limit_and_one_worker():
    with Grader(workers=1, seconds=1) as grader:
        grader.submit_answer(problem_of("1/2"), "0.5").result()
        start = time.monotonic()
        grade = grader.submit_answer(problem_of("42"), "9^{9^{9^{9}}}").result()
        assert grade == Grade(False, 0.0, "9^{9^{9^{9}}}", "timeout") and time.monotonic() - start < 4
        assert grader.submit_answer(problem_of("1/2"), "0.5").result().correct


def test_a_worker_that_dies_is_replaced_and_the_answer_asked_again():
    with Grader(workers=1) as grader:
        assert grader.submit_answer(problem_of("1/2"), "0.5").result().correct
        (worker,) = list(grader._workers.queue)
        os.kill(worker._process.pid, signal.SIGKILL)
        assert grader.submit_answer(problem_of("1/2"), "0.50").result().correct


def test_grades_come_in_the_order_asked(grader):
    pairs = [
        (problem_of(f"{index}/7"), f"Answer: \\frac{{{index}}}{{7}}" if index % 3 else "Answer: 1/7") for index in range(2, 20)
    ]
    assert [grade.correct for grade in grader.grade_many(pairs)] == [bool(index % 3) for index in range(2, 20)]


def test_closing_twice_is_harmless_and_leaves_no_process():
    grader = Grader(workers=1)
    grader.submit_answer(problem_of("1/2"), "0.5").result()
    (worker,) = list(grader._workers.queue)
    process = worker._process
    grader.close()
    grader.close()
    assert process.poll() is not None


def test_a_pool_of_nobody_is_refused():
    with pytest.raises(InputError, match="must be positive"):
        Grader(workers=0)


def test_a_missing_scorer_is_the_users_error_and_not_a_wrong_answer():
    with Grader(workers=1) as grader, pytest.raises(InputError, match="no generator 'nonsense'"):
        grader.submit_answer(problem_of("x", "reasoning_gym", generator="nonsense", parameters={}, entry="{}"), "y").result()


def in_a_process(code):
    """Run `code` confined and fenced as in a worker → what it printed."""
    fenced = "\n".join("    " + line for line in code.splitlines())
    script = (
        "import os, socket, subprocess\n"
        "from reasoning.evaluation.grading import guard\n"
        "start = guard.address_space_bytes()\n"
        "guard.confine()\n"
        "with guard.fenced(1.0, 64 << 20, start):\n"
        f"  try:\n{fenced}\n"
        "  except BaseException as error:\n    caught = type(error).__name__\n"
        "print(caught)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "os.system('true')", "subprocess.run(['true'])", "socket.socket()", "open('WITNESS', 'w')",
        "os.open('WITNESS', os.O_CREAT | os.O_WRONLY)",
        "os.fork()", "os.kill(os.getppid(), 0)", "os.unlink('WITNESS')", "os.execv('/bin/true', ['true'])",
        "import ctypes; ctypes.CDLL(None)",
    ],
)  # fmt: skip
def test_code_that_did_run_could_still_not_leave_the_process(code, tmp_path):
    assert in_a_process(code.replace("WITNESS", str(tmp_path / "w"))).stdout == "RefusedError\n"
    assert not (tmp_path / "w").exists()


def test_memory_and_time_are_limited_by_the_kernel_too():
    assert in_a_process("block = bytearray(256 << 20)").stdout == "MemoryError\n"
    start = time.monotonic()
    assert in_a_process("9 ** 9 ** 9 ** 9").returncode == -signal.SIGALRM
    assert time.monotonic() - start < 8


def test_workers_import_neither_jax_nor_the_callers_main_module(tmp_path):
    # `spawn` of multiprocessing would run main.py again in every worker.
    (tmp_path / "main.py").write_text(
        "print('main')\n"
        "from pathlib import Path\n"
        "from reasoning.data.tasks import Problem\n"
        "from reasoning.evaluation.grading.grader import Grader\n"
        "with Grader(workers=1) as grader:\n"
        "    print(grader.submit_answer(Problem('p', '?', '1/2', 't'), '0.5').result().correct)\n"
        "    maps = Path(f'/proc/{grader._workers.queue[0]._process.pid}/maps')\n"
        "    print('jax' in maps.read_text() if maps.exists() else False)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["main", "True", "False"]
    modules = "import sys, reasoning.evaluation.grading.worker; print('jax' in sys.modules, 'numpy' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, env=environment, check=True)
    assert loaded.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("text", ["[1, 2, 'a']", "(1, -2.5)", "{'a': 1}", "3 * (4 + 2) // 5", "True and 1 < 2", "[[0]] * 2"])
def test_the_stand_in_for_eval_reads_what_scorers_read(text):
    assert grading_guard.safe_eval(text) == eval(text)
