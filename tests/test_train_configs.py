"""Configs and script of fine-tuning: every file resolves, its commands work, a mistake costs a line; the paper's recipe fits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from doubles.apart import apart
from doubles.config_files import read, resolve

from configs import curate, sft_evaluation, traces
from reasoning.errors import InputError
from reasoning.train import settings, trials
from reasoning.train.optim import optimizer, schedule

ROOT = Path(__file__).parents[1]
FILES = sorted(path for path in (ROOT / "configs").glob("*.py") if "\n  python scripts/train_sft.py" in path.read_text())
EVERY = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def made(config):
    """Checks all of a config that needs no model and no file."""
    settings.check(config)
    part = dict(config["optimizer"])
    return optimizer(schedule(part.pop("schedule"), part.pop("learning_rate"), 100, part.pop("warmup")), **part)


def test_config_without_a_test():
    assert {path.stem for path in FILES} == {"sft", "sft_s1k"}


@EVERY
def test_docstring_lacks_paper_or_its_command_does_not_work(path):
    doc = read(path).__doc__
    assert "arXiv" in doc and "\nMEASURED" in doc
    commands = [line.split() for line in doc.split("\nCOMMAND\n")[1].splitlines() if "scripts/train_sft.py" in line]
    assert commands
    for _, script, *arguments in commands:
        assert script == "scripts/train_sft.py" and f"configs/{path.name}" in arguments[1]
        arguments[1] = arguments[1].replace("configs/", f"{ROOT}/configs/")
        assert made(resolve(*arguments))


@EVERY
def test_sweep_sets_a_field_that_the_config_lacks(path):
    sweep = read(path).get_sweep()
    flag = f"--config={path}:traces=traces.jsonl"
    found = [resolve(flag, *(f"--{name}={value}" for name, value in setting.items())) for setting in sweep]
    assert len({json.dumps(config) for config in found}) == len(sweep) > 1
    assert all(map(made, found))


def test_constants_of_the_paper_are_others():
    """Appendix D; 1,000 traces in batches of 16 are 63 steps an epoch and 315 in all, of which 16 warm up."""
    config = resolve(f"--config={ROOT}/configs/sft_s1k.py:size=32b")
    part = config["optimizer"]
    assert (part["name"], part["learning_rate"], part["schedule"], part["warmup"]) == ("adamw", 1e-5, "cosine", 0.05)
    assert (part["b1"], part["b2"], part["weight_decay"], part["eps"], part["clip"]) == (0.9, 0.95, 1e-4, 1e-8, 1.0)
    assert (config["traces"]["form"], config["traces"]["max_tokens"]) == ("s1", 32768)
    assert config["batches"]["layout"] != "packed" and config["step"]["compute_dtype"] == "bfloat16"
    assert settings.total_steps(config, [100] * 1000) == 315


def test_evaluation_of_the_config_does_not_exist():
    tasks = resolve(f"--config={ROOT}/configs/sft.py:traces=a.jsonl,size=2")["evaluation"]["tasks"]
    assert tasks
    trials.check(tasks)


def test_equal_tokens_and_adapters_are_one_argument():
    file = f"{ROOT}/configs/sft.py"
    config = resolve(f"--config={file}:traces=a.jsonl,tokens=5000,lora,optimizer=muon,seed=2,max_steps=9")
    assert (config["tokens"], config["seed"], config["max_steps"], config["optimizer"]["name"]) == (5000, 2, 9, "muon")
    assert config["lora"]["pattern"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config=FILE.py is needed"),
        ([f"--config={ROOT}/configs/sft.py"], "the config names no file of traces"),
        ([f"--config={ROOT}/configs/sft.py:traces=nowhere.jsonl"], "nowhere.jsonl"),
        ([f"--config={ROOT}/configs/sft_s1k.py:size=8b"], "the config has no size '8b'; choose from 0.5b"),
    ],
)
def test_mistake_prints_a_stack_trace(arguments, message, tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "train_sft.py"), *arguments, f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr and done.stderr.startswith("error: ")


def test_a_level_is_kept_apart_from_problems_of_another():
    """What the curation keeps the short pool apart from is what is evaluated on."""
    asked = {
        name: (sft_evaluation.get_config(f"level=short,n=1000,family={name}").task.to_dict())
        for name in traces.get_config("level=short").families
    }
    against = curate.get_config("level=short,pool=a.jsonl").against.to_dict()
    assert against == asked and asked != curate.get_config("pool=a.jsonl").against.to_dict()
    for config in (traces, curate, sft_evaluation):
        with pytest.raises(InputError, match="no level 'tiny'; choose from full, short"):
            config.get_config("level=tiny")


@pytest.mark.slow
def test_recipe_of_the_paper_does_not_fit_together():
    """A tiny Qwen2.5 on four devices: every device holds a quarter of masters and moments, all of it updated in place."""
    memory = json.loads(apart(__file__, devices=4))
    assert memory["state"] / (12 * memory["parameters"]) == pytest.approx(0.25, rel=0.05)
    assert memory["aliased"] == memory["state"] < memory["whole"]


def _tiny_memory():
    import dataclasses

    from reasoning.train.memory import estimate, model_config

    config = json.loads(read(ROOT / "configs" / "sft_s1k.py").get_config("size=0.5b,fsdp=4").to_json())
    sizes = {"vocab_size": 512, "d_model": 64, "num_layers": 2, "num_heads": 4, "head_dim": 16, "d_ff": 128}
    model = dataclasses.replace(model_config(config["model"]), **sizes)
    print(json.dumps(estimate(config, model, 64)._asdict()))


if __name__ == "__main__":
    _tiny_memory()
