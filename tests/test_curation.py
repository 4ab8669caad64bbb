"""The funnel as a whole: counts, bytes after a kill, what it refuses, its report, its command and config."""

import csv
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from doubles import tiny_chat
from doubles.fake_engine import FakeEngine

import reasoning
from configs import curate as page
from reasoning.data.curation import near_duplicates
from reasoning.data.curation.why import Why
from reasoning.data.tasks import load_task
from reasoning.data.traces import Trace, read_traces, write_traces
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.curation import difficulty
from reasoning.evaluation.curation import funnel as curation
from reasoning.evaluation.curation import report as curation_report
from reasoning.evaluation.curation.funnel import curate

ROOT = Path(__file__).parents[1]
DIFFICULTY = "reasoning.evaluation.curation.difficulty"
METHOD = {"method": "direct", "max_tokens": 16}


def pool():
    """60 questions in 3 domains, and what the filters are there to take."""
    words = [f"{'one two three four five six seven eight nine'.replace('five', f'number{i}')} {i}" for i in range(60)]
    good = [
        Trace(f"t-{i:02}", f"{words[i]} is what?", "step " * (i + 1), f"Answer: {i}", str(i), "made", "abc"[i % 3])
        for i in range(60)
    ]
    bad = [
        Trace("u-1", "unanswered", "step", "", "1", "made", "a"),
        Trace("u-2", f"{words[5].upper()} is what?", "step", "Answer: 5", "5", "made", "a"),
        Trace("u-3", "0 + 1 =", "step", "Answer: 1", "1", "made", "a"),  # of doubles.sums
        Trace("u-4", "Look at ![Image](x.png)", "step", "Answer: 1", "1", "made", "a"),
    ]
    return good + bad


def config(path, **changes):
    made = {
        "pool": {"sources": [str(path)], "teacher": "deepseek", "split": "train"},
        "against": {"sums": {"family": "doubles.sums", "size": 3}},
        "stages": ["complete", "duplicates", "ngrams", "quality", "sample", DIFFICULTY],
        "sample": {"size": 48, "seed": 0},
        "difficulty": {"models": {"small": {"model": "none", "methods": {"attempt": METHOD}}}},
        "selection": {"size": 12, "seed": 0, "length": "words", "seeds": []},
        "ablations": {"names": ["random", "diverse", "longest"], "after": "quality"},
    }
    return json.loads(json.dumps({**made, **changes}))


@pytest.fixture
def path(tmp_path):
    write_traces(tmp_path / "pool.jsonl", pool())
    return tmp_path / "pool.jsonl"


def engine(**options):
    """Solves every third question and no other."""
    return FakeEngine({f"t-{i:02}": (str(i), 1.0 if i % 3 == 0 else 0.0) for i in range(60)}, **options)


def contents(folder):
    """Bytes of all files that must not differ between runs."""
    own = {"timings.jsonl", "metrics.jsonl"}
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in own and "tensorboard" not in file.parts and "difficulty" not in file.parts
    }


def test_counts_of_the_funnel_do_not_add_up(path, tmp_path):
    made = curate(config(path), tmp_path / "out", show=False, engine=engine())
    kinds = {step.name: {key: why.kind for key, why in step.dropped.items()} for step in made.steps}
    assert kinds["complete"] == {"u-1": "no answer"} and kinds["duplicates"] == {"u-2": "repeated question"}
    assert kinds["ngrams"] == {"u-3": "shares 8 words with sums"} and kinds["quality"] == {"u-4": "format of the question"}
    for step, after in zip(made.steps, made.steps[1:], strict=False):
        assert len(step.entered) == len(step.left) + len(step.dropped) and after.entered == step.left
    assert len(made.steps[-1].entered) == 48
    solved = set(made.steps[-1].dropped)
    assert 8 <= len(solved) <= 16 and all(int(key[2:]) % 3 == 0 for key in solved)
    assert not solved & set(made.selected["curated"])
    for label, ids in made.selected.items():
        assert [trace.id for trace in read_traces(tmp_path / "out" / f"{label}.jsonl")] == ids and len(set(ids)) == 12
    assert made.selected["longest"] == [f"t-{i}" for i in range(59, 47, -1)]


def test_order_of_the_pool_changes_what_is_selected(path, tmp_path):
    traces = random.Random(0).sample(pool(), 64)
    write_traces(tmp_path / "a.jsonl", traces[:30])
    write_traces(tmp_path / "b.jsonl", traces[30:])
    one = curate(config(path), tmp_path / "one", show=False, engine=engine())
    sources = {"sources": [str(tmp_path / "b.jsonl"), str(tmp_path / "a.jsonl")], "teacher": "deepseek", "split": "train"}
    two = curate(config(path, pool=sources), tmp_path / "two", show=False, engine=engine(max_slots=3))
    assert one.selected == two.selected and [step.dropped for step in one.steps] == [step.dropped for step in two.steps]


def test_a_killed_funnel_ends_otherwise_or_repeats_a_step(path, tmp_path, monkeypatch):
    whole = curate(config(path), tmp_path / "whole", show=False, engine=engine())
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        curate(config(path), out, show=False, engine=engine(crash_after=20))
    assert not (out / "selection.json").exists() and len(list((out / "steps").iterdir())) == 5
    monkeypatch.setattr(curation.importlib.import_module("reasoning.data.curation.complete"), "drop", lambda traces: 1 / 0)
    rest = engine()
    again = curate(config(path), out, show=False, engine=rest)
    assert again.selected == whole.selected and len(rest.served) == 48 - 20
    assert contents(out) == contents(tmp_path / "whole")
    third = engine()
    (out / "random.jsonl").unlink()
    curate(config(path), out, show=False, engine=third)
    assert not third.served and contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selection": {"size": 11, "seed": 0, "length": "words", "seeds": []}}, "another config: selection.size was 12, now 11"),
        ({"quality": {"min_words": 3}}, "another config: quality.min_words was null, now 3|quality was null"),
        ({"against": {"sums": {"family": "doubles.sums", "size": 4}}}, "against.sums.size was 3, now 4"),
    ],
)
def test_a_directory_is_continued_with_another_config(path, tmp_path, change, message):
    curate(config(path), tmp_path / "out", show=False, engine=engine())
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match=message):
        curate(config(path, **change), tmp_path / "out", show=False)
    assert contents(tmp_path / "out") == before


def test_a_directory_is_continued_with_another_pool_or_exam(path, tmp_path, monkeypatch):
    out = tmp_path / "out"
    curate(config(path), out, show=False, engine=engine())
    (out / "steps" / "2-duplicates.json").write_text("{")
    with pytest.raises(InputError, match=r"2-duplicates\.json is damaged; remove it"):
        curate(config(path), out, show=False, engine=engine())
    (out / "steps" / "2-duplicates.json").write_text("{}")
    with pytest.raises(InputError, match=r"2-duplicates\.json is of another run; remove it"):
        curate(config(path), out, show=False, engine=engine())
    (out / "steps" / "2-duplicates.json").unlink()
    curate(config(path), out, show=False, engine=engine())
    other = load_task("doubles.sums", size=3, first=1)
    with monkeypatch.context() as patch, pytest.raises(InputError, match="other evaluation sets under the same names"):
        patch.setattr("doubles.sums.load", lambda size: other)
        curate(config(path), out, show=False)
    write_traces(path, pool()[:-1])
    with pytest.raises(InputError, match="other traces in the pool under the same names"):
        curate(config(path), out, show=False)
    (out / "curation.json").unlink()
    with pytest.raises(InputError, match=r"holds steps but no curation\.json"):
        curate(config(path), out, show=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool": {"sources": []}}, "pool names no sources"),
        ({"stages": ["complete", "compleat"]}, "unknown filter 'reasoning.data.curation.compleat'"),
        ({"stages": ["complete", "reasoning.data.curation.normal"]}, "is no filter: it has no function drop"),
        ({"stages": ["complete", "complete"]}, "name 'complete' twice"),
        ({"quality": {"max_wrods": 3}}, "the filter quality has no setting 'max_wrods'; it has answer, delimiters, max_words"),
        ({"ngrams": {"against": []}}, "the filter ngrams has no setting 'against'; it has most_lost, n"),
        ({"difficulty": {}}, "the filter difficulty needs the setting 'models'"),
        ({"qualiti": {}}, "unknown key 'qualiti'"),
        ({"against": {}}, "the filter ngrams needs evaluation sets"),
        ({"ablations": {"names": ["shortest"], "after": "quality"}}, "names are of random, diverse, longest"),
        ({"ablations": {"names": ["random"], "after": "qualty"}}, "after is one of complete, duplicates"),
        ({"selection": {"size": 61, "seed": 0}}, "size is 61, but .* traces are left"),
    ],
)
def test_a_wrong_config_is_not_explained_in_one_line(path, tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        curate(config(path, **change), tmp_path / "out", show=False, engine=engine())
    assert "\n" not in str(caught.value)


def test_a_model_works_before_too_few_traces_are_refused(path, tmp_path):
    nobody = FakeEngine({})  # has an answer to nothing
    with pytest.raises(InputError, match="size is 49, but 48 traces are left"):
        curate(config(path, selection={"size": 49, "seed": 0}), tmp_path / "run", show=False, engine=nobody)
    assert (tmp_path / "run" / "steps" / "5-sample.json").exists() and not (tmp_path / "run" / "difficulty").exists()


def test_an_id_of_two_sources_hides_a_trace(path, tmp_path):
    write_traces(tmp_path / "more.jsonl", pool()[3:4])
    both = {"sources": [str(path), str(tmp_path / "more.jsonl")]}
    with pytest.raises(InputError, match=r"more\.jsonl: id 't-03' is in .*pool\.jsonl too"):
        curate(config(path, pool=both), tmp_path / "out", show=False)
    bare = {key: config(path)[key] for key in ("pool", "selection")} | {"stages": ["duplicates"]}
    with pytest.raises(InputError, match="line 61: answer is empty"):  # nobody would count it
        curate(bare, tmp_path / "out", show=False)


def test_a_filter_of_your_own_needs_a_change_elsewhere(path, tmp_path, monkeypatch):
    (tmp_path / "elsewhere_filters").mkdir()
    text = "def drop(traces, last=''):\n    return {t.id: Why('odd') for t in traces if t.id[-1] == last}\n"
    (tmp_path / "elsewhere_filters" / "odd.py").write_text(f"from reasoning.data.curation.why import Why\n{text}")
    monkeypatch.syspath_prepend(tmp_path)
    settings = config(path, stages=["complete", "quality", "elsewhere_filters.odd"], odd={"last": "7"})
    for part in ("sample", "difficulty"):
        del settings[part]
    made = curate(settings, tmp_path / "out", show=False)
    assert [step.name for step in made.steps] == ["complete", "quality", "odd"] and len(made.steps[-1].dropped) == 6


def asked(tmp_path, traces, models, served, **settings):
    """What `difficulty` drops; `served` collects what the engine was asked."""
    fake = engine()
    dropped = difficulty.drop(traces, models=models, workdir=tmp_path / "difficulty", show=False, engine=fake, **settings)
    served += [name for name, _ in fake.served]
    return {key: why.kind for key, why in dropped.items()}


def test_the_dear_model_tries_what_the_cheap_one_solved_or_the_unjudgeable_is_tried(tmp_path):
    traces = [*pool()[1:7], Trace("x", "Why?", "t", "a")]
    models = {name: {"model": "none", "methods": {"attempt": METHOD}} for name in ("cheap", "dear")}
    served = []
    assert asked(tmp_path, traces, models, served) == {"x": "no reference", "t-03": "solved by cheap", "t-06": "solved by cheap"}
    assert sorted(served[:6]) == [f"t-0{i}" for i in range(1, 7)] and sorted(served[6:]) == [f"t-0{i}" for i in (1, 2, 4, 5)]


def test_one_right_answer_of_many_counts_as_solved(tmp_path):
    models = {"small": {"model": "none", "methods": {"attempt": {"method": "chain_of_thought", "n": 16, "temperature": 1.0}}}}
    half = FakeEngine({"t-07": ("7", 0.3), "t-08": ("8", 1.0)})
    options = {"models": models, "workdir": tmp_path, "show": False, "engine": half}
    records = [json.loads(line) for line in generations(tmp_path, pool()[7:9], options)]
    share = {key: sum(one["correct"] for one in records if one["problem"] == key) / 16 for key in ("t-07", "t-08")}
    assert 0 < share["t-07"] < 0.5 <= share["t-08"]
    assert set(difficulty.drop(pool()[7:9], share=0.5, **options)) == {"t-08"}
    assert set(difficulty.drop(pool()[7:9], share=share["t-07"], **options)) == {"t-07", "t-08"}


@pytest.mark.slow
def test_the_filter_works_with_an_engine_that_there_is_not(tmp_path):
    """A model of files on the disk, loaded, asked and judged; it can say nothing but sevens. Started again, it asks nothing."""
    folder = tiny_chat.write(tmp_path / "tiny")
    (seven,) = reasoning.load(folder).tokenizer.encode("7", bos=False)
    method = {"method": "budget_forcing", "form": "prompt", "max_thinking": 2, "max_tokens": 13, "answer_tokens": 3}
    method["knobs"] = {"bias_ids": [seven], "bias_values": [1e4]}
    config = {"model": str(folder), "max_slots": 2, "seed": 0, "methods": {"attempt": method}}
    references = {"a": "777", "b": "8", "c": "7", "d": "777"}
    traces = [Trace(name, f"What is {name}?", "step", "Answer: 1", answer) for name, answer in references.items()]
    options = {"models": {"small": config}, "workdir": tmp_path / "difficulty", "show": False}
    lines = [json.loads(line) for line in generations(tmp_path / "difficulty", traces, options)]
    assert {one["problem"]: one["answer"] for one in lines} == dict.fromkeys(references, "777")
    asked = {path: path.read_bytes() for path in (tmp_path / "difficulty").rglob("*.jsonl")}  # seconds too
    assert len(asked) >= 3
    solved = difficulty.drop(traces, **options)
    assert solved == {name: Why("solved by small", "attempt") for name in ("a", "d")}
    assert {path: path.read_bytes() for path in asked} == asked


def generations(folder, traces, options):
    difficulty.drop(traces, **options)
    return (folder / "small/math/attempt/generations.jsonl").read_text().splitlines()


def test_traces_are_judged_by_another_score_than_theirs(tmp_path, monkeypatch):
    exact = [dataclasses.replace(trace, metadata={"score": "exact"}) for trace in pool()[3:5]]
    gym = [Trace("g", "Is it?", "t", "a", metadata={"score": "reasoning_gym"})]  # its scorer needs no reference
    models = {"small": {"model": "none", "methods": {"attempt": METHOD}}}
    assert asked(tmp_path, [*exact, *pool()[5:7]], models, []) == {"t-03": "solved by small", "t-06": "solved by small"}
    for score, ids in (("exact", ["t-03", "t-04"]), ("math", ["t-05", "t-06"])):
        assert [
            one.id for one in load_task("traces", path=str(tmp_path / f"difficulty/small/{score}/problems.jsonl")).problems
        ] == ids
    tried = []
    monkeypatch.setattr(difficulty, "_solved", lambda traces, *_: tried.append([one.id for one in traces]) or {})
    assert difficulty.drop(gym, models=models) == {} and tried == [["g"]]


def test_a_filter_that_does_nothing_or_takes_all_is_not_told(path, tmp_path):
    made = curate(config(path), tmp_path / "out", show=False, engine=engine())
    found = curation_report.report(made)
    assert not found.warnings  # each takes 1 of about 62, which is more than 1 %
    steps = [
        curation.Step("quality", [str(i) for i in range(200)], {"1": Why("x")}),
        curation.Step("ngrams", [str(i) for i in range(200)], {str(i): Why("x") for i in range(191)}),
        curation.Step("sample", [str(i) for i in range(200)], {}),
    ]
    low, high = [line for step in steps for line in curation_report._warnings(step)]
    assert low.startswith("the filter quality drops 1 of 200 (0.5%); it does next to nothing")
    assert high.startswith("the filter ngrams drops 191 of 200 (95.5%); next to nothing is left")


def test_a_report_tells_other_numbers_than_the_files(path, tmp_path):
    made = curate(config(path), tmp_path / "out", show=False, engine=engine())
    found = curation_report.report(made)
    folder = tmp_path / "out" / "report"
    rows = list(csv.DictReader((folder / "funnel.csv").open()))
    assert [row["filter"] for row in rows] == ["complete", "duplicates", "ngrams", "quality", "sample", "difficulty", "selection"]
    assert [int(row["in"]) for row in rows][:5] == [64, 63, 62, 61, 60] and int(rows[-1]["out"]) == 12
    assert all(int(row["in"]) - int(row["out"]) == int(row["dropped"]) for row in rows)
    domains = list(csv.DictReader((folder / "domains.csv").open()))
    assert [(row["domain"], row["pool"]) for row in domains] == [("a", "24"), ("b", "20"), ("c", "20")]
    assert sum(int(row["curated"]) for row in domains) == 12
    told = json.loads((folder / "curation.json").read_text())
    lengths = {row["set"]: row for row in told["lengths"]}
    assert lengths["longest"]["mean"] == 53.5 + 1 and lengths["after quality"]["traces"] == 60 and told["unit"] == "words"
    assert "| ngrams | 62 | 61 | 1 | 1.6% |" in found.table.read_text()
    assert "- ngrams: shares 8 words with sums 1\n" in found.table.read_text()
    assert "Length of the thinking in words" in found.text()
    for picture in found.pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")


def written(failing):
    """The 60 traces of `pool`, of which those of the places `failing` (0 is the shortest) fail first."""
    return [
        dataclasses.replace(trace, metadata={"tries": 1 + (place in failing), "mistakes": ["1 + 1 = 3"] * (place in failing)})
        for place, trace in enumerate(pool()[:60])
    ]


def drawn(tmp_path, name, traces, stages=("complete", "quality"), **changes):
    """The report of a curation of these traces, without a model, and its directory."""
    write_traces(tmp_path / f"{name}.jsonl", traces)
    settings = config(tmp_path / f"{name}.jsonl", stages=list(stages), **changes)
    settings = {key: settings[key] for key in settings.keys() - {"sample", "difficulty"}}
    return curation_report.report(curate(settings, tmp_path / name, show=False))


def test_a_draw_of_the_longest_is_a_draw_of_failures_and_nobody_is_told(tmp_path):
    found = drawn(tmp_path, "some", written(range(45, 60)))
    shares = {row[0]: row[-2:] for row in found.lengths}
    assert shares["after all filters"] == (0.25, 0.25) and shares["longest"] == (1.0, 1.0)
    assert "| failing first | with a mistake |" in found.table.read_text() and "| 1.00 | 1.00 |" in found.table.read_text()
    line = "in 100% of the set longest a first attempt fails, in 25% of what it was drawn from"
    assert [one for one in found.warnings if one.startswith(line)]
    assert not [one for one in found.warnings if "the set diverse" in one]
    assert not [one for one in drawn(tmp_path, "all", written(range(60))).warnings if "attempt fails" in one]
    # Fewer failures teach none, and a failure that states nothing false (countdown) counts too.
    assert not [one for one in drawn(tmp_path, "short", written(range(45))).warnings if "attempt fails" in one]
    honest = [dataclasses.replace(one, metadata={**one.metadata, "mistakes": []}) for one in written(range(45, 60))]
    assert [one for one in drawn(tmp_path, "honest", honest).warnings if one.startswith(line)]
    # A pool that does not tell has no such columns.
    silent = drawn(tmp_path, "mixed", written(range(45, 60))[1:] + pool()[:1])
    assert {row[-2:] for row in silent.lengths if row[0] in ("after all filters", "longest")} == {(None, None), (1.0, 1.0)}
    assert "failing" not in drawn(tmp_path, "silent", pool()[:60]).text()


def test_curated_is_compared_with_what_it_was_not_drawn_from(tmp_path):
    """Where a filter behind the source of the ablations leaves failures alone, it was the filter, not the draw."""
    kept = {"ablations": {"names": ["longest"], "after": "complete"}, "quality": {"min_words": 31}}
    found = drawn(tmp_path, "late", written(range(30, 60)), **kept)
    shares = {row[0]: row[-2] for row in found.lengths}
    assert shares == {"after complete": 0.5, "after all filters": 1.0, "curated": 1.0, "longest": 1.0}
    assert [one.partition(" a first")[0] for one in found.warnings if "attempt fails" in one] == ["in 100% of the set longest"]


def test_the_funnel_forgets_what_length_may_not_choose(tmp_path):
    selected = {}
    for keep in ("", "tries"):
        found = drawn(tmp_path, f"kept{keep}", written(range(40, 60)), selection={**config("")["selection"], "keep": keep})
        selected[keep] = {row[0]: row[-2] for row in found.lengths}["curated"]
    assert selected[""] > 0.8 and selected["tries"] < 0.7


@pytest.mark.slow
def test_the_command_does_not_work_or_a_kill_loses_what_is_finished(path, tmp_path):
    """Killed with −9 inside of a filter, started again: the bytes of a run that nobody killed."""
    file = tmp_path / "mine.py"
    settings = config(path, stages=["complete", "duplicates", "near_duplicates", "ngrams", "quality"])
    for part in ("sample", "difficulty"):
        del settings[part]
    file.write_text(f"from ml_collections import ConfigDict\ndef get_config(arg=None):\n    return ConfigDict({settings!r})\n")
    command = [sys.executable, str(ROOT / "scripts/curate.py"), f"--config={file}", f"--workdir={tmp_path / 'out'}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(
        "import os, signal\nimport reasoning.data.curation.near_duplicates as one\n"
        "one.drop = lambda traces, similarity=0.8: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        command, env={**environment, "PYTHONPATH": f"{slow}{os.pathsep}{environment['PYTHONPATH']}"}, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    assert sorted(one.name for one in (tmp_path / "out/steps").iterdir()) == ["1-complete.json", "2-duplicates.json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "near_duplicates  62" in done.stdout and "curated.jsonl" in done.stdout
    assert (
        near_duplicates.__name__.rpartition(".")[2] in done.stderr and "complete" not in done.stderr
    )  # bars of what was missing
    whole = curate(settings, tmp_path / "whole", show=False)
    curation_report.report(whole)
    assert contents(tmp_path / "whole") == contents(tmp_path / "out")


def resolved(argument):
    """The plain config that scripts/curate.py gets."""
    return json.loads(page.get_config(argument).to_json())


@pytest.mark.parametrize("kind", ["generated", "natural"])
def test_the_config_names_what_does_not_exist(kind):
    made = resolved(f"kind={kind},pool=x.jsonl")
    filters = curation._filters(made)
    assert next(iter(filters)) == "complete" and list(filters)[-1] == "difficulty"
    assert ("instances" in filters) == (kind == "generated") and ("ngrams" in filters) == (kind == "natural")
    for models in made["difficulty"]["models"].values():
        experiment.check({**models, "task": {"family": "traces", "path": "x"}})
        assert experiment.build_methods(models)
    assert made["selection"]["size"] == 1000 and made["sample"]["size"] == 4000
    bare = resolved(f"kind={kind},pool=x.jsonl,difficulty=false")
    assert list(curation._filters(bare)) == [name for name in filters if name not in ("sample", "difficulty")]


def test_the_docstring_of_the_config_lacks_its_paper_or_a_command_is_wrong():
    assert "arXiv 2501.19393" in page.__doc__ and "\nMEASURED" in page.__doc__
    lines = [line.split() for line in page.__doc__.splitlines() if line.startswith("  python ")]
    assert len(lines) == 4
    for *command, value in (line[:4] for line in lines):
        assert command == ["python", "scripts/curate.py", "--config"]
        file, _, argument = value.partition(":")
        made = resolved(argument)
        assert file == "configs/curate.py" and curation._filters(made) and made["pool"]["sources"]
    with pytest.raises(InputError, match="no kind 'real'; choose from generated, natural"):
        resolved("kind=real")
    for setting in page.get_sweep():
        for name, value in setting.items():
            page.get_config().update_from_flattened_dict({name.removeprefix("config."): value})
