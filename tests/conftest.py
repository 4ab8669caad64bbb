"""Real models for the tests that need them: fetched once into $REASONING_CACHE, loaded once a session; and our one option.

Where the tokenizer is enough, only that is read: weights take seconds."""

import pytest

import reasoning
from reasoning.weights.load import load_tokenizer


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


@pytest.fixture(scope="session")
def smollm2_tokenizer():
    """Of `smollm2`: a BPE that reads digit by digit."""
    return load_tokenizer("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def qwen05_tokenizer():
    """Of `qwen05`: 151,665 pieces, 271 rows of padding."""
    return load_tokenizer("qwen2.5-coder-0.5b-instruct")


@pytest.fixture(scope="session")
def gemma3_tokenizer():
    """Of `gemma3`."""
    return load_tokenizer("gemma3-270m")
