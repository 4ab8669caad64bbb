"""The runner: a killed run ends with the bytes of an uninterrupted one, whatever was torn; files are whole or not there."""

import dataclasses
import itertools
import os
import resource

import jax
import pytest
from doubles.fake_engine import FakeEngine
from doubles.tokenizer import ByteTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reasoning.data.tasks import Problem
from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.evaluation.board import SCALARS
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.run import run
from reasoning.methods.base import Method, method
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.transformer import init_params
from reasoning.records import Lines, read_lines, write_atomic

PROBLEMS = [Problem(f"p{index}", f"{index} + 1 =", str(index + 1), "sums") for index in range(5)]
SKILL = {problem.id: (problem.answer, 0.2 * (index + 1)) for index, problem in enumerate(PROBLEMS)}
SLOW = (None, "p0", "p3")
METHOD = method("majority", n=4, max_tokens=200)


@pytest.fixture(scope="module")
def grader():
    with Grader() as grader:
        yield grader


def attempt(directory, grader, **engine):
    """One start of the program with a fake engine; whether it came to its end."""
    try:
        run(METHOD, PROBLEMS, directory, lambda: FakeEngine(SKILL, **engine), grader, show=False)
    except KeyboardInterrupt:
        return False
    return True


def generations(directory) -> bytes:
    return (directory / "generations.jsonl").read_bytes()


def tear(path, kept):
    """What kill −9 in the middle of a write, or a crash of the machine, leaves of a file: a share `kept` of its bytes."""
    if path.exists():
        os.truncate(path, int(kept * path.stat().st_size))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, grader):
    """{problem with samples ten times longer, or None: bytes of generations.jsonl}."""

    def whole(slow):
        directory = tmp_path_factory.mktemp("uninterrupted")
        assert attempt(directory, grader, slow={slow: 10})
        return generations(directory)

    return {slow: whole(slow) for slow in SLOW}


@settings(max_examples=25, deadline=None)
@given(
    kills=st.lists(st.tuples(st.integers(0, 19), st.floats(0, 1)), max_size=4),
    slots=st.integers(1, 8),
    slow=st.sampled_from(SLOW),
)
def test_killed_run_ends_with_other_bytes(tmp_path_factory, grader, uninterrupted, kills, slots, slow):
    directory = tmp_path_factory.mktemp("killed")
    for after, kept in kills:
        attempt(directory, grader, crash_after=after, max_slots=slots, slow={slow: 10})
        for name in ("generations.jsonl", "timings.jsonl", "metrics.jsonl"):
            tear(directory / name, kept)
    assert attempt(directory, grader, max_slots=slots, slow={slow: 10})
    assert generations(directory) == uninterrupted[slow]
    steps = [line["step"] for line in read_lines(directory / "metrics.jsonl")[0]]
    assert steps == sorted(set(steps))


@dataclasses.dataclass(frozen=True)
class OneLong(Method):
    """Samples of p0 may be ten times longer than the others'."""

    def requests(self, problems, samples=None):
        return [
            dataclasses.replace(request, max_tokens=40 if request.id == "p0" else 4)
            for request in super().requests(problems, samples)
        ]


class Interrupted:
    """An engine that is killed after so many responses."""

    def __init__(self, engine, after):
        self.engine, self.after = engine, after

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def generate(self, requests, **options):
        for index, response in enumerate(self.engine.generate(requests, **options)):
            if index == self.after:
                raise KeyboardInterrupt
            yield response


@pytest.fixture(scope="module")
def bf16_engine():
    tokenizer = ByteTokenizer()
    config = ModelConfig(
        family="llama", vocab_size=tokenizer.size, d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8, d_ff=64,
        context=256, rope_theta=1e4, norm_eps=1e-5, tie_embeddings=True,
    )  # fmt: skip
    params = init_params(config, jax.random.key(0), jax.numpy.bfloat16)
    return Engine(Model(config, params, tokenizer, "tiny"), max_slots=3)


@pytest.mark.slow
def test_killed_run_of_a_real_bf16_engine_ends_with_other_bytes(tmp_path_factory, grader, bf16_engine):
    one = OneLong(
        "majority", lambda question: [{"role": "user", "content": question}], METHOD.vote, n=4, knobs={"temperature": 1.0}
    )

    def attempt(directory, after=None):
        try:
            run(one, PROBLEMS, directory, lambda: Interrupted(bf16_engine, after), grader, show=False)
        except KeyboardInterrupt:
            return False
        return True

    whole = tmp_path_factory.mktemp("whole")
    assert attempt(whole)
    lengths = {line["problem"]: line["tokens"] for line in read_lines(whole / "generations.jsonl")[0]}
    assert lengths["p0"] >= 5 * max(lengths[f"p{index}"] for index in range(1, 5)), "the neighbour must be long to test anything"

    @settings(max_examples=8, deadline=None)
    @given(after=st.integers(0, 19), kept=st.floats(0, 1))
    def kill_and_resume(after, kept):
        directory = tmp_path_factory.mktemp("killed")
        attempt(directory, after)
        tear(directory / "generations.jsonl", kept)
        assert attempt(directory)
        assert generations(directory) == generations(whole)

    kill_and_resume()


def test_resumed_run_draws_finished_samples_again(tmp_path, grader):
    first, second = FakeEngine(SKILL, crash_after=7), FakeEngine(SKILL)
    with pytest.raises(KeyboardInterrupt):
        run(METHOD, PROBLEMS, tmp_path, lambda: first, grader, show=False)
    run(METHOD, PROBLEMS, tmp_path, lambda: second, grader, show=False)
    assert len(first.served) == 7
    assert len(second.served) == 13
    assert not set(first.served) & set(second.served)


def test_finished_run_loads_the_model_again(tmp_path, grader, uninterrupted):
    assert attempt(tmp_path, grader)

    def unwanted():
        raise AssertionError("nothing is missing")

    records = run(METHOD, PROBLEMS, tmp_path, unwanted, grader, show=False)
    assert [(line["problem"], line["sample"]) for line in records] == [(p.id, sample) for p in PROBLEMS for sample in range(4)]
    assert generations(tmp_path) == uninterrupted[None]


def test_logprob_counts_forced_tokens_or_record_lacks_a_field(tmp_path, grader):
    engine = FakeEngine(SKILL)
    records = run(METHOD, PROBLEMS, tmp_path, lambda: engine, grader, show=False)
    responses = {(r.id, r.sample): r for r in METHOD.generate(engine, PROBLEMS)}
    assert any(response.forced.any() for response in responses.values())
    for line in records:
        response = responses[line["problem"], line["sample"]]
        logprobs = zip(response.logprobs.astype(float), response.forced, strict=True)
        assert line["logprob"] == pytest.approx(sum(value for value, forced in logprobs if not forced), rel=1e-6)
        assert line["tokens"] == line["thinking"] == len(response.tokens)
        assert line["ids"] == response.tokens.tolist()
        assert line["text"] == response.text
        assert line["correct"] == (line["answer"] == SKILL[response.id][0])
        assert line["grading"] == ("no answer" if line["answer"] is None else "graded")
        assert line["stop_reason"] == "stop"
        assert line["ledger"]["sampled"] + line["ledger"]["forced"] == line["tokens"]
        assert "seconds" not in line["ledger"]


def test_a_damaged_line_is_thrown_away_with_all_after_it(tmp_path, grader):
    assert attempt(tmp_path, grader)
    path = tmp_path / "generations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3][:20] + b"\n", *lines[4:]]))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"line 4 of .*generations.jsonl is damaged; delete that line"):
        attempt(tmp_path, grader)
    assert path.read_bytes() == before


def test_a_line_that_is_json_but_no_sample_escapes_as_a_key_error(tmp_path, grader):
    assert attempt(tmp_path, grader)
    path = tmp_path / "generations.jsonl"
    path.write_bytes(path.read_bytes() + b'{"foo": 1}\n')
    with pytest.raises(InputError, match=r"line 21 of .*generations.jsonl is no sample; delete that line"):
        attempt(tmp_path, grader)


def test_two_problems_share_their_records(tmp_path, grader):
    with pytest.raises(InputError, match="two problems have the id 'p0'"):
        run(METHOD, [PROBLEMS[0], PROBLEMS[0]], tmp_path, lambda: FakeEngine(), grader, show=False)


def test_samples_of_another_run_are_mixed_in(tmp_path, grader):
    assert attempt(tmp_path, grader)
    with pytest.raises(InputError, match=r"holds sample \d of 'p4', not part of this run; use another --workdir"):
        run(METHOD, PROBLEMS[:4] + [dataclasses.replace(PROBLEMS[4], id="other")], tmp_path, FakeEngine, grader, show=False)


@pytest.fixture
def disk_of():
    """disk_of(bytes): no file may grow beyond, as on a full disk; the kernel then writes what fits and fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_leaves_half_a_line_or_a_stack_trace(tmp_path, grader, uninterrupted, disk_of):
    disk_of(2000)
    with pytest.raises(
        InputError, match=r"no room left to write .*run the same command again; what was finished is kept"
    ) as caught:
        attempt(tmp_path, grader)
    disk_of(resource.RLIM_INFINITY)
    assert "\n" not in str(caught.value)
    kept = generations(tmp_path)
    assert 0 < len(kept) < 2000
    assert kept.endswith(b"\n")
    assert attempt(tmp_path, grader)
    assert generations(tmp_path) == uninterrupted[None]


def test_full_disk_replaces_a_whole_file_by_half_of_another(tmp_path, disk_of):
    path = tmp_path / "scores.json"
    write_atomic(path, "old")
    disk_of(100)
    with pytest.raises(InputError, match="no room left"):
        write_atomic(path, "new" * 100)
    disk_of(resource.RLIM_INFINITY)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_odd_text_does_not_survive_the_file(tmp_path):
    texts = ["line\nbreak \u2028 \x00 “ü” 😀", "\udc80 lone surrogate", ""]
    with Lines(tmp_path / "x.jsonl") as lines:
        for text in texts:
            lines.append({"text": text})
    records, size = read_lines(tmp_path / "x.jsonl")
    assert [record["text"] for record in records] == texts
    assert size == (tmp_path / "x.jsonl").stat().st_size


def read_board(directory) -> EventAccumulator:
    events = EventAccumulator(str(directory / "tensorboard"), size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
    return events.Reload()


def test_tensorboard_repeats_steps_or_misses_them_after_a_kill(tmp_path, grader):
    for after in (9, 4):
        assert not attempt(tmp_path, grader, crash_after=after)
    tear(tmp_path / "generations.jsonl", 0.4)  # the metrics now know of samples that are lost
    assert attempt(tmp_path, grader)
    lines = read_lines(tmp_path / "metrics.jsonl")[0]
    events = read_board(tmp_path)
    tags = events.Tags()
    assert sorted(tags["scalars"]) == sorted(SCALARS.values())
    assert tags["histograms"] == ["lengths"]
    for name, tag in SCALARS.items():
        assert [(event.step, event.wall_time) for event in events.Scalars(tag)] == [
            (line["step"], line["time"]) for line in lines
        ]
        assert [event.value for event in events.Scalars(tag)] == pytest.approx([line[name] for line in lines])
    assert [line["step"] for line in lines] == list(range(1, 21))
    assert lines[-1]["accuracy_low"] <= lines[-1]["accuracy"] <= lines[-1]["accuracy_high"]
    assert max(line["live_slots"] for line in lines) == 4


def test_tensorboard_shows_wrong_lengths_or_texts(tmp_path, grader):
    records = run(METHOD, PROBLEMS, tmp_path, lambda: FakeEngine(SKILL), grader, show=False)
    events = read_board(tmp_path)
    last = events.Histograms("lengths")[-1].histogram_value
    assert last.num == len(records)
    assert sum(last.bucket) == len(records)
    assert last.sum == sum(line["tokens"] for line in records)
    assert last.max <= last.bucket_limit[-1]
    for limit, below in zip(last.bucket_limit, itertools.accumulate(last.bucket), strict=True):
        assert below == sum(line["tokens"] <= limit for line in records)
    shown = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("samples")]
    assert len(shown) == 20
    assert any(records[0]["text"] in text for text in shown)
