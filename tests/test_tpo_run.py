"""Runs of TPO from a configuration: killed in any state, shared by processes, mixed wordings, controls, config files."""

import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from doubles import tiny_chat
from doubles.config_files import read, resolve
from doubles.mesh_run import random_params
from doubles.models import hash_model
from doubles.sayer import Sayer, by_rounds

import reasoning
from reasoning.data.tasks import Problem
from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.parts import gather
from reasoning.evaluation.reports.report import report
from reasoning.evaluation.rounds import report as round_report
from reasoning.evaluation.run import run as evaluate_alone
from reasoning.methods import tpo
from reasoning.methods.base import method
from reasoning.models.model import Model
from reasoning.processes import ALONE, Processes
from reasoning.records import read_lines

PACKAGE = Path(tpo.__file__).parent
BY_NUMBER = {"kind": "doubles.number_scorer"}  # the score is the number behind "Answer:"
PROBLEMS = [{"id": f"p{index}", "question": f"What is {index} + 2?", "answer": str(index + 2)} for index in range(3)]


CONFIG = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 3},
    "methods": {
        "tpo": {"method": "tpo", "width": 2, "depth": 2, "scorer": BY_NUMBER, "max_tokens": 64, "critic_tokens": 64},
        "pool": {"method": "best_of_n", "n": 8, "scorer": BY_NUMBER, "max_tokens": 64, "top_p": 0.95},
    },
}


def said_by_sums(request, sample):
    """As `by_rounds`, but the second update of sum-2 needs its retry."""
    return "What?" if (request.id, sample) == ("sum-2/1/update", 1) else by_rounds(request, sample)


def evaluate(workdir, engine):
    experiment.evaluate(CONFIG, workdir, show=False, engine=engine)


def files(workdir):
    """Bytes that must not depend on how often the run was stopped."""
    return {name: (workdir / "tpo" / name).read_bytes() for name in ("generations.jsonl", "rounds.jsonl")}


class Stopped(Sayer):
    """Is killed in place of its response number `after`, all calls counted."""

    def __init__(self, after):
        super().__init__(said_by_sums)
        self.after = after

    def generate(self, requests, **options):
        for response in super().generate(requests, **options):
            if self.after == 0:
                raise KeyboardInterrupt
            self.after -= 1
            yield response


def test_run_killed_in_any_state_ends_with_other_bytes_or_asks_again(tmp_path):
    whole = Sayer(said_by_sums)
    evaluate(tmp_path / "whole", whole)
    expected = sorted(map(str, lines(tmp_path / "whole")))
    assert len(expected) == 1 + 31 + 18, "header; 30 calls and a retry; answers scored"
    for after in range(0, 31, 3):  # responses of TPO; later ones are of the pool
        workdir = tmp_path / str(after)
        with pytest.raises(KeyboardInterrupt):
            evaluate(workdir, Stopped(after))
        path = workdir / "tpo" / "journal.jsonl"
        if after % 2 == 0:
            os.truncate(path, path.stat().st_size - 7)
        kept = sum("request" in line for line in lines(workdir))
        again = Sayer(said_by_sums)
        evaluate(workdir, again)
        assert files(workdir) == files(tmp_path / "whole")
        assert sorted(map(str, lines(workdir))) == expected
        assert len(again.served) == len(whole.served) - kept, "what the journal holds is not asked again"


def lines(workdir):
    return read_lines(workdir / "tpo" / "journal.jsonl")[0]


def test_lost_generations_come_back_from_the_journal(tmp_path):
    evaluate(tmp_path, Sayer(said_by_sums))
    before = files(tmp_path)
    (tmp_path / "tpo" / "generations.jsonl").unlink()
    (tmp_path / "tpo" / "rounds.jsonl").unlink()
    engine = Sayer(said_by_sums)
    evaluate(tmp_path, engine)
    assert files(tmp_path) == before and not engine.served


def test_resumed_run_mixes_two_wordings(tmp_path):
    folder = tmp_path / "wording"
    folder.mkdir()
    for name in ("loss", "gradient", "update"):
        (folder / f"{name}.txt").write_text((PACKAGE / "wording" / "tpo" / f"{name}.txt").read_text())
    config = json.loads(json.dumps(CONFIG))
    config["methods"]["tpo"]["templates"] = f"{folder}/"
    with pytest.raises(KeyboardInterrupt):
        experiment.evaluate(config, tmp_path / "run", show=False, engine=Stopped(9))
    (folder / "loss.txt").write_text((folder / "loss.txt").read_text() + "Be kind.\n")
    with pytest.raises(InputError, match="journal.jsonl was begun with another wording"):
        experiment.evaluate(config, tmp_path / "run", show=False, engine=Sayer(said_by_sums))


def test_record_of_a_run_lacks_a_cost_or_holds_another_answer(tmp_path):
    evaluate(tmp_path, Sayer(said_by_sums))
    records = {line["problem"]: line for line in read_lines(tmp_path / "tpo" / "generations.jsonl")[0]}
    histories = {line["problem"]: line for line in read_lines(tmp_path / "tpo" / "rounds.jsonl")[0]}
    for name, record in records.items():
        last = histories[name]["rounds"][-1]
        best = next(one for one in histories[name]["answers"] if one["number"] == last["best"])
        assert (record["text"], record["answer"]) == (best["text"], best["answer"])
        assert record["ledger"]["sampled"] == sum(one["generated"] for one in histories[name]["rounds"])
        assert record["tokens"] == len(record["ids"])
    assert report(tmp_path).rows[0].label == "tpo"


@pytest.mark.slow
def test_answer_gets_another_score_than_its_reward_head_gives(tmp_path):
    """The rewards on the disk are those of a forward pass over each question and answer alone, updates too."""
    shape = dataclasses.replace(
        tiny_chat.CONFIG, family="qwen2", qkv_bias=True, tie_embeddings=False, language_head=False, num_labels=1
    )
    made = Model(shape, random_params(shape), tiny_chat.tokenizer(tmp_path / "tokenizer"))
    reward = reasoning.load(str(reasoning.save(made, tmp_path / "reward")), dtype="float32")
    scorer = {"kind": "outcome", "model": str(tmp_path / "reward"), "dtype": "float32"}
    settings = {"method": "tpo", "width": 2, "depth": 1, "scorer": scorer, "max_tokens": 64, "critic_tokens": 64}
    config = {**CONFIG, "methods": {"tpo": settings}}
    experiment.evaluate(config, tmp_path / "run", show=False, engine=Sayer(by_rounds))
    questions = {one.id: one.question for one in experiment.build_task(config).problems}
    histories = read_lines(tmp_path / "run" / "tpo" / "rounds.jsonl")[0]
    assert len(histories) == 3
    for history in histories:
        answers = history["answers"]
        assert [one["answer"] for one in answers] == ["10", "11", "20", "21"]
        for one in answers:
            assert "improved" not in one["text"]
            turns = {"user": questions[history["problem"]], "assistant": one["text"]}
            ids = reward.tokenizer.encode("".join(f"<|im_start|>{who}\n{said}<|im_end|>\n" for who, said in turns.items()))
            (value,) = np.asarray(reward.scores(np.array([ids]), np.array([len(ids)])))[0]
            assert one["score"] == pytest.approx(1 / (1 + math.exp(-value)), abs=2e-5)
        scores = [one["score"] for one in answers]
        assert len({round(score, 3) for score in scores}) == 4 and history["rounds"][-1]["best"] == int(np.argmax(scores))


def test_processes_that_share_problems_come_to_something_else(tmp_path):
    one = method("tpo", width=2, depth=2, scorer=BY_NUMBER, max_tokens=64, critic_tokens=64)
    problems = [Problem(problem["id"], problem["question"], problem["answer"], "sums") for problem in PROBLEMS]

    def unwanted():
        raise AssertionError("nothing is missing")

    def start(directory, processes, engine):
        return evaluate_alone(one, problems, tmp_path / directory, engine, grader, show=False, processes=processes)

    with Grader() as grader:
        whole = start("whole", ALONE, lambda: Sayer(by_rounds))
        for index in (0, 1):
            start("shared", Processes(index, 2), lambda: Sayer(by_rounds))
        for name in ("generations", "rounds", "journal", "timings"):
            gather(tmp_path / "shared" / f"{name}.jsonl")
        assert start("shared", ALONE, unwanted) == whole
    for name in ("rounds", "journal"):
        ours, theirs = (set((tmp_path / part / f"{name}.jsonl").read_bytes().splitlines()) for part in ("shared", "whole"))
        assert ours == theirs


@pytest.mark.slow
def test_first_round_is_not_what_best_of_n_draws():
    engine, problems = Engine(hash_model(sharpness=1.0), max_slots=3), PROBLEMS[:2]
    shared = {"max_tokens": 6, "seed": 3, "temperature": 0.7, "top_p": 0.95, "instruction": ""}
    pool = {(one.id, one.sample): one for one in method("best_of_n", n=4, **shared).generate(engine, problems)}
    histories = []
    list(method("tpo", mode="best_of_n", width=3, **shared).generate(engine, problems, keep=histories.append))
    for history in histories:
        texts = [pool[history["problem"], sample].text for sample in range(3)]
        assert [one["text"] for one in history["answers"]] == texts and len(set(texts)) == 3


CONFIG_FILE = PACKAGE.parents[1] / "configs" / "tpo.py"


@pytest.mark.parametrize("arguments", ["n=3", "n=3,preset=1.5b,scorer=certainty", "n=3,widths,width=20,depth=4,scorer=oracle"])
def test_config_has_a_pool_that_is_no_control(arguments):
    config = resolve(f"--config={CONFIG_FILE}:{arguments}")
    experiment.check(config)
    methods = experiment.build_methods(config)
    labels = [label for label in methods if label != "pool"]
    assert labels == ([f"tpo_{width}" for width in (1, 2, 5, 10, 20)] if "widths" in arguments else ["revision", "tpo"])
    for label in labels:
        assert round_report.pools(Finished(Path(), {}, {}, methods), label) == ["pool"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("preset=7b", "no preset '7b'; choose from 0.5b, 1.5b"),
        ("scorer=me", "no scorer 'me'; choose from outcome, prm, checker"),
        ("task=sums", "no task 'sums'"),
    ],
)
def test_config_argument_is_not_explained(arguments, message):
    with pytest.raises(InputError, match=message):
        read(CONFIG_FILE).get_config(arguments)


def test_config_of_a_reward_model_does_not_reach_the_judge():
    methods = experiment.build_methods(resolve(f"--config={CONFIG_FILE}:n=3,scorer=prm,prm=my/prm,format=skywork"))
    expected = {"kind": "prm", "model": "my/prm", "format": "skywork", "separator": ";"}
    assert dict(methods["tpo"].rounds.scorer) == dict(methods["pool"].scorer) == expected
    methods = experiment.build_methods(resolve(f"--config={CONFIG_FILE}:n=3,scorer=outcome,orm=my/orm,samples=0"))
    assert dict(methods["tpo"].rounds.scorer) == {"kind": "outcome", "model": "my/orm"} and "pool" not in methods
