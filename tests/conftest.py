"""Real models for the tests that need them: fetched once into $REASONING_CACHE, loaded once a session; and our one option."""

import pytest

import reasoning


def pytest_addoption(parser):
    """What the common tests of methods are about (tests/test_methods_common.py)."""
    text = "a method to test: a file of reasoning/methods, or the dotted name of a module of your own; may be given several times"
    parser.addoption("--method", action="append", metavar="NAME", help=text)


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2-135M-Instruct: Llama architecture, tied head, small enough for the fast suite."""
    return reasoning.load("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def qwen05():
    """Qwen2.5-Coder-0.5B-Instruct: Qwen2 architecture, biases, the default of the main job."""
    return reasoning.load("qwen2.5-coder-0.5b-instruct")


@pytest.fixture(scope="session")
def gemma3():
    """Gemma 3 270M, the base model: sliding windows, 262,144 SentencePiece pieces, no chat template; float32, for its goldens."""
    return reasoning.load("gemma3-270m", dtype="float32")
