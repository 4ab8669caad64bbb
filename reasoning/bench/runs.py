"""The subcommands of scripts/bench.py: measure, print a table, return what a program may read."""

import gc
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reasoning.bench import decode, forcing, long, machine, mixed, search, sft, stages, tables
from reasoning.bench.document import environment
from reasoning.bench.models import Measured
from reasoning.bench.peers import PEERS, Make, open_peers, training_peer
from reasoning.errors import InputError

NAMES = ("decode", "prefill", "mixed", "stages", "long", "forcing", "search", "sft", "packing", "all")
ROUNDS = {"sft": 3, "packing": 3}  # where no number is given: a step of a peer that emulates bfloat16 takes minutes; others 5
PREFILL = ((8, 128), (1, 512))  # rows × prompt length


def run(name: str, measured: Measured, settings: Mapping[str, Any], say: Callable[[str], None] = print) -> dict[str, Any]:
    """Runs one subcommand of `NAMES`, or all of them one after the other, and prints its tables.

    Args:
      settings: peers (labels), threads, batch (list), prompt, new, requests, slots, median, longest, rounds (None: `ROUNDS`, 5).
    Raises InputError for a peer that there is not.
    """
    if unknown := sorted(set(settings["peers"]) - set(PEERS)):
        raise InputError(f"unknown peer {unknown[0]!r}; choose from {', '.join(PEERS)}")
    model, document = measured.model, {"environment": environment(), "settings": dict(settings)}
    document["machine"] = machine.measure().to_json()
    say(f"{model.name} on {' '.join(f'{key} {value}' for key, value in document['machine'].items())}")
    settings, document["rounds"] = {**settings, "gguf": measured.gguf, "say": say}, {}
    names = NAMES[:-1] if name == "all" else (name,)
    peers: Mapping[str, Make] = {}
    if {"decode", "prefill"} & set(names):
        peers = open_peers(settings["peers"], measured.gguf, settings["threads"], say)
    for each in names:
        gc.collect()  # the masters and moments of peers that were measured before
        document["rounds"][each] = settings["rounds"] or ROUNDS.get(each, 5)
        document[each], text = _ONE[each](model, peers, {**settings, "rounds": document["rounds"][each]})
        say(f"\n{each}\n\n{text}")
    return document


def _decode(model, peers, s):
    entries = decode.decode(model, peers, s["batch"], s["prompt"], s["new"], s["rounds"])
    return entries, tables.decode_table(entries)


def _prefill(model, peers, s):
    entries = decode.prefill(model, peers, s["prefill"], s["rounds"])
    return entries, tables.prefill_table(entries)


def _mixed(model, peers, s):
    entry = mixed.mixed(model, s["requests"], s["slots"], s["prompt"] // 2, s["median"], s["longest"], s["rounds"])
    return entry, tables.mixed_table(entry)


def _stages(model, peers, s):
    entries = stages.stages(model, s["slots"], s["prompt"] // 2, s["new"] // 2, s["rounds"])
    return entries, tables.stages_table(entries)


def _long(model, peers, s):
    entry = long.long(model, max(s["requests"] // 2, long.TAIL + 1), s["slots"], s["prompt"] // 2, s["median"])
    return entry, tables.long_table(entry)


def _forcing(model, peers, s):
    chosen = next((label for label in s["peers"] if label in forcing.DTYPES), None)
    if chosen is None or s["gguf"] is None or importlib.util.find_spec("torch") is None:
        return None, "left out: it needs transformers (pip install -e '.[bench]') and a model from a GGUF file"
    entry = forcing.forcing(
        s["gguf"], forcing.DTYPES[chosen], s["slots"], s["prompt"] // 2, s["new"], 1, s["threads"], s["rounds"]
    )
    return entry, tables.forcing_table(entry)


def _search(model, peers, s):
    if model.network.training is None:
        return None, "left out: this model has no body that could bear the head of a reward model"
    entry = search.search(model, s["prompt"] // 2, s["slots"], s["rounds"])
    return entry, tables.search_table(entry)


def _sft(model, peers, s):
    if model.network.training is None:
        return None, "left out: this model is not trained"
    chosen = [peer for peer in s["peers"] if peer in sft.PEER]
    if chosen and (s["gguf"] is None or importlib.util.find_spec("torch") is None):
        s["say"](f"{', '.join(chosen)}: left out: it needs transformers (pip install -e '.[bench]') and a model from a GGUF file")
        chosen = []
    entry = sft.sft(model, chosen, lambda dtype: training_peer(s["gguf"], s["threads"], dtype), 4 * s["prompt"], s["rounds"])
    return entry, sft.sft_table(entry)


def _packing(model, peers, s):
    if model.network.training is None:
        return None, "left out: this model is not trained"
    entries = sft.packing(model, 4 * s["prompt"], s["rounds"])
    return entries, sft.packing_table(entries)


_ONE: dict[str, Callable[..., tuple[Any, str]]] = {
    "decode": _decode,
    "prefill": _prefill,
    "mixed": _mixed,
    "stages": _stages,
    "long": _long,
    "forcing": _forcing,
    "search": _search,
    "sft": _sft,
    "packing": _packing,
}
__all__: Sequence[str] = ("NAMES", "PREFILL", "run")
