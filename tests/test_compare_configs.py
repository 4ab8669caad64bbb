"""The presets of configs/compare.py: what they run, what they share with the quickstart, and that s1's fits its hardware."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doubles import tiny_chat
from doubles.config_files import read, resolve

from reasoning.comparison.plan import plan
from reasoning.comparison.run import configs
from reasoning.decode.plan import bucket_of, make_plan, slots_of
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.models.cache import ACCELERATOR
from reasoning.models.transformer import network
from reasoning.weights.hf_config import read_config

ROOT = Path(__file__).parents[1]
FILE = ROOT / "configs" / "compare.py"
PRESETS = ("cpu", "cpu,full", "small", "s1")


def runs(argument):
    return configs(resolve(f"--config={FILE}:{argument}"))


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_has_a_method_in_no_curve_or_a_curve_without_methods(preset):
    for part in runs(preset).values():
        experiment.check(part)
        methods = experiment.build_methods(part)
        planned = plan(part, methods)
        assert {label for line in planned.lines for label in line.labels} == set(methods)
        assert planned.primary[0] == "beam search" and planned.pool == "majority"
        curves = {line.name for line in planned.lines}
        assert {"majority", "best-of-N", "weighted best-of-N", "beam search", "budget forcing"} <= curves
        assert preset == "cpu" or {"DVTS", "lookahead"} <= curves


def test_searches_have_another_width_than_was_asked_for():
    (part,) = runs("cpu,full,widths=8+2").values()
    widths = {label: one["n"] for label, one in part["methods"].items() if "step_ends" in one}
    assert widths == {f"{kind}_{n}": n for kind in ("beam", "dvts", "lookahead") for n in (2, 8)}
    selecting = {
        label: method.search.search.beam_width for label, method in experiment.build_methods(part).items() if method.search
    }
    assert all(selecting[label] == 2 for label in widths)  # with M = 1 nothing is selected


def test_cpu_preset_cannot_use_the_samples_of_the_quickstart():
    (mine,) = runs("cpu").values()
    quick = json.loads(read(ROOT / "configs" / "quickstart.py").get_config().to_json())
    assert {label: mine["methods"][label] for label in quick["methods"]} == quick["methods"]
    assert all(mine[key] == quick[key] for key in ("model", "dtype", "seed", "task"))


def test_s1_preset_needs_more_context_or_memory_than_there_is():
    """Checked without weights: s1.1-32B and an 8B reward model in bfloat16, weights and caches over eight devices of 80 GB."""
    config, critic = (read_config(ROOT / "tests/golden/configs" / f"{name}.json") for name in ("s1.1-32b", "llama-3.1-8b"))
    made, reads = network(config, ACCELERATOR), network(critic, ACCELERATOR)
    for part in runs("s1").values():
        assert part["mesh"] == {"data": 1, "tensor": 8}, "a search runs on no other mesh"
        slots = part["max_slots"]
        for label, one in experiment.build_methods(part).items():
            assert one.max_tokens + 1024 <= config.context, label
            size = bucket_of(make_plan(0, slots, memory=None), one.max_tokens + 1024, config.context)
            free = int(80e9 - 2 * (32.8e9 + 8e9) / 8)
            if scorer := part["methods"][label].get("scorer"):
                assert scorer["model"].startswith("hf:RLHFlow/Llama3.1-8B") and size <= critic.context
                free -= reads.cache_bytes(slots, critic.context) // 8
            assert slots_of(make_plan(0, slots, memory=free), made, size, parts=8) >= one.n, label


def test_command_of_the_docstring_does_not_work():
    text = read(FILE).__doc__
    assert "arXiv" in text and "\nMEASURED" in text
    for line in re.findall(r"^  (python .*)$", text, re.M):
        _, script, *arguments = line.split()
        assert script == "scripts/compare.py"
        given = [one for one in arguments[1:] if one.startswith("--config.")]
        assert configs(resolve(f"--config={ROOT / arguments[1]}", *given))


def test_probe_of_a_preset_scores_with_something_else():
    (part,) = runs("probe=runs/probe.npz").values()
    assert part["methods"]["beam_4"]["scorer"] == {"kind": "probe", "path": "runs/probe.npz"}
    assert part["compare"]["curves"]["best-of-N"]["scorer"] == {"kind": "probe", "path": "runs/probe.npz", "separator": ";"}
    plan(part, experiment.build_methods(part))


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("cpu,small", "one preset, got cpu and small"),
        ("tasks=gsm8k", "no task 'gsm8k'"),
        ("s1,tasks=asdiv", "s1 has no task"),
        ("widths=4-8", r"widths are whole numbers with \+ between them, as 4\+8, got '4-8'"),
        ("probe=a,prm=b,format=own", "prm=… or probe=…, not both"),
    ],
)
def test_wrong_preset_or_task_is_a_stack_trace(argument, says):
    with pytest.raises(InputError, match=says):
        read(FILE).get_config(argument)


@pytest.mark.slow
def test_command_of_the_readme_fails_on_a_model_or_draws_again_what_is_there(tmp_path):
    """The whole of scripts/compare.py, every method of the preset, on a tiny random model; then once more, with nothing to do."""
    model = tiny_chat.write(tmp_path / "tiny")
    about = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(about | {"max_position_embeddings": 2048}))  # a byte is a token
    command = [sys.executable, ROOT / "scripts" / "compare.py", f"--config={FILE}:full,n=3,samples=4,timed=1,model={model}"]
    command += ["--config.dtype=float32", "--config.max_slots=8", "--workdir", tmp_path / "runs" / "mine"]
    first = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert first.returncode == 0, first.stderr
    assert "beam search − majority (primary)" in first.stdout and "lookahead" in first.stdout
    page = tmp_path / "runs" / "mine" / "comparison.html"
    assert page.stat().st_size > 100_000
    pool = tmp_path / "runs" / "mine" / "chain_sum" / "majority" / "generations.jsonl"
    before, timed = pool.read_bytes(), (pool.parents[1] / "timed.jsonl").read_bytes()
    again = subprocess.run([*command, "--price=2"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert again.returncode == 0, again.stderr
    assert "at 2 for an hour of a device" in again.stdout and "an hour" not in first.stdout
    behind = [done.stdout.partition("\n\nContrasts\n")[2] for done in (first, again)]
    assert behind[0] == behind[1] != "", "a price draws nothing and changes nothing else"
    assert (pool.read_bytes(), (pool.parents[1] / "timed.jsonl").read_bytes()) == (before, timed)
