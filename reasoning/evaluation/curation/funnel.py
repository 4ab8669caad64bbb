"""s1's funnel over a pool of traces, resumable: killed at any moment and started again, it ends with the same bytes.

    curation.json           what all results depend on: the resolved configuration, hashes of the pool and the evaluation sets
    steps/1-complete.json   what each filter dropped and why; <filter>/ is its own, if it works long (models that try)
    selection.json          lengths, and the ids of each selection
    curated.jsonl           the selected traces; random.jsonl, diverse.jsonl, longest.jsonl for s1's ablations
    report/                 see `reasoning.evaluation.curation.report`

The configuration is plain data: `pool` (sources, teacher, split), `against` ({label: task of an evaluation set}), `stages`
(filters in their order, modules of `reasoning.data.curation` or dotted ones), `<filter>` (its settings), `selection` (size, seed,
seeds, length, keep) and `ablations` (names, and `after` which filter they draw). A pool may lack thinking or answers if a filter
"complete" counts them. Everything is a function of the traces: the order of files, lines and hashes changes no byte.
"""

import dataclasses
import functools
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reasoning.data.curation import selection
from reasoning.data.curation.lengths import measure
from reasoning.data.curation.why import Why
from reasoning.data.tasks import Problem
from reasoning.data.traces import Trace, read_traces, write_traces
from reasoning.errors import InputError
from reasoning.evaluation.curation.files import Files
from reasoning.evaluation.experiment import build_task
from reasoning.evaluation.identity import digest_of
from reasoning.records import dumps, exclusive

PARTS = {"pool", "against", "stages", "selection", "ablations"}
GIVEN = {"against", "workdir", "show", "engine"}  # what a filter may ask this module for, besides its settings


@dataclasses.dataclass(frozen=True)
class Step:
    """One filter, done. `entered`: ids in order. `dropped`: those that went."""

    name: str
    entered: Sequence[str]
    dropped: Mapping[str, Why]

    @functools.cached_property
    def left(self) -> list[str]:
        """Ids that stayed, in order."""
        return [name for name in self.entered if name not in self.dropped]


@dataclasses.dataclass(frozen=True)
class Curated:
    """A finished funnel.

    Attributes:
      traces: the pool, by id, in the order of the ids. steps: the filters in their order.
      unit: of lengths. lengths: of the thinking, of all traces that a selection could draw from.
      selected: ids by the name of the selection, "curated" first.
    """

    workdir: Path
    config: Mapping[str, Any]
    traces: Mapping[str, Trace]
    steps: Sequence[Step]
    unit: str
    lengths: Mapping[str, int]
    selected: Mapping[str, Sequence[str]]

    def after(self, name: str) -> Sequence[str]:
        """Ids that the filter `name` left."""
        return next(step.left for step in self.steps if step.name == name)


def curate(config: Mapping[str, Any], workdir: Path, *, show: bool = True, engine: Any = None) -> Curated:
    """Does what `workdir` lacks, and writes the selected traces.

    Args:
      config: see the module; resolved, JSON-able.
      show: progress bars on standard error.
      engine: for filters that run a model, instead of the one that they name.
    Raises:
      InputError: a wrong configuration, an unreadable pool, a directory of another run, a filter that refuses the pool, too few
        traces left; the steps that were finished stay.
    """
    filters = _filters(config)
    with exclusive(workdir):
        pool = read_pool(config)
        sets = _evaluation_sets(config, filters)
        files = Files(workdir, config, digest_of_pool(pool.values()), {label: digest_of(found) for label, found in sets.items()})
        against = [problem for problems in sets.values() for problem in problems]
        steps: list[Step] = []
        for number, (name, function) in enumerate(filters.items(), start=1):
            entered = steps[-1].left if steps else list(pool)
            given = {"against": against, "workdir": workdir / name, "show": show, "engine": engine}
            dropped = files.step(number, name)
            if dropped is None:
                selection.enough(entered, config["selection"]["size"])  # before a model works for nothing: filters only drop
                with _bar((pool[one] for one in entered), len(entered), name, show) as traces:
                    dropped = function(traces, given)
                files.keep_step(number, name, len(entered), dropped)
            steps.append(Step(name, entered, dropped))
        found = files.selection()
        if found is None:
            found = _select(config, pool, steps, show)
            files.keep_selection(found)
        made = Curated(workdir, config, pool, steps, found["unit"], found["lengths"], found["selected"])
        for label, ids in made.selected.items():
            path = workdir / f"{label}.jsonl"
            if not path.exists():
                write_traces(path, (pool[one] for one in ids))
    return made


def read_pool(config: Mapping[str, Any]) -> dict[str, Trace]:
    """All traces of the sources, by id, ascending. Raises InputError."""
    part = config["pool"]
    options = {"teacher": part.get("teacher") or "deepseek", "split": part.get("split") or None}
    pool, origin = {}, {}
    for source in part["sources"]:
        for trace in read_traces(source, complete="complete" not in config["stages"], **options):
            if trace.id in pool:
                raise InputError(f"{source}: id {trace.id!r} is in {origin[trace.id]} too; make ids unique over all sources")
            pool[trace.id], origin[trace.id] = trace, source
    return dict(sorted(pool.items()))


def digest_of_pool(traces: Iterable[Trace]) -> str:
    """sha256 of all that the traces say, in their order."""
    found = hashlib.sha256()
    for trace in traces:
        found.update(dumps(dataclasses.asdict(trace)))
    return found.hexdigest()


def _filters(config: Mapping[str, Any]) -> dict[str, Callable[[Iterable[Trace], Mapping[str, Any]], dict[str, Why]]]:
    """{short name: its function}, checked. Raises InputError."""
    if not config.get("pool", {}).get("sources"):
        raise InputError("the config's pool names no sources; give files of traces, --config=configs/curate.py:pool=FILE")
    out = {}
    for stage in config.get("stages") or ():
        name, path = stage.rpartition(".")[2], stage if "." in stage else f"reasoning.data.curation.{stage}"
        if name in out or name in PARTS:
            raise InputError(f"the config's stages name {name!r} twice, or like a part of the config; call it otherwise")
        out[name] = _filter(name, path, dict(config.get(name) or {}))
    unknown = sorted(config.keys() - PARTS - out.keys())
    if unknown:
        raise InputError(f"the config has an unknown key {unknown[0]!r}; known: {', '.join(sorted(PARTS | out.keys()))}")
    ablations = config.get("ablations") or {}
    odd = [name for name in ablations.get("names") or () if name not in selection.ABLATIONS]
    if odd or (ablations.get("names") and ablations.get("after") not in out):
        known = f"names are of {', '.join(selection.ABLATIONS)}, after is one of {', '.join(out)}"
        raise InputError(f"the config's ablations are {dict(ablations)}; {known}")
    return out


def _filter(name: str, path: str, settings: dict[str, Any]) -> Callable:
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise
        raise InputError(f"unknown filter {path!r}; name a module of reasoning.data.curation, or one of yours") from None
    if not hasattr(module, "drop"):
        raise InputError(f"{path} is no filter: it has no function drop(traces, …); see reasoning/data/curation")
    parameters = inspect.signature(module.drop).parameters
    asked, known = GIVEN & parameters.keys(), sorted(parameters.keys() - GIVEN - {"traces"})
    odd = sorted(settings.keys() - set(known))
    if odd:
        raise InputError(f"the filter {name} has no setting {odd[0]!r}; it has {', '.join(known) or 'none'}")
    lacking = [key for key in known if parameters[key].default is inspect.Parameter.empty and key not in settings]
    if lacking:
        raise InputError(f"the filter {name} needs the setting {lacking[0]!r}; give it, --config.{name}.{lacking[0]}=…")

    def run(traces: Iterable[Trace], given: Mapping[str, Any]) -> dict[str, Why]:
        return module.drop(traces, **settings, **{key: given[key] for key in asked})

    run.asked = asked
    return run


def _evaluation_sets(config: Mapping[str, Any], filters: Mapping[str, Callable]) -> dict[str, Sequence[Problem]]:
    wanting = [name for name, one in filters.items() if "against" in one.asked]
    if not wanting:
        return {}
    if not config.get("against"):
        raise InputError(f"the filter {wanting[0]} needs evaluation sets, config.against = {{label: task}}; name some")
    return {label: build_task({"task": part}).problems for label, part in config["against"].items()}


def _select(config: Mapping[str, Any], pool: Mapping[str, Trace], steps: Sequence[Step], show: bool) -> dict[str, Any]:
    part, ablations = config["selection"], config.get("ablations") or {}
    names = ablations.get("names") or ()
    left = steps[-1].left if steps else list(pool)
    wide = next(step.left for step in steps if step.name == ablations["after"]) if names else left
    unit, length = measure(part.get("length") or "words")
    with _bar(wide, len(wide), f"lengths in {unit}", show) as bar:
        lengths = {name: length(pool[name].thinking) for name in bar}
    size, seed = part["size"], part.get("seed", 0)
    seeds = [(pattern, least) for pattern, least in part.get("seeds") or ()]
    keep = part.get("keep") or ""
    selected = {"curated": selection.curated([pool[name] for name in left], lengths, size, seed, seeds, keep)}
    for name in names:
        selected[name] = selection.ABLATIONS[name]([pool[one] for one in wide], lengths, size, seed)
    return {"unit": unit, "lengths": lengths, "selected": selected}


def _bar(items: Iterable, total: int, name: str, show: bool) -> tqdm:
    return tqdm(items, total=total, desc=name, unit="trace", file=sys.stderr, disable=not show)
