"""The last step of the funnel and s1's ablations: who is drawn, how often, and that nothing but the traces decides."""

import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from reasoning.data.curation import selection
from reasoning.data.curation.lengths import measure
from reasoning.data.traces import Trace
from reasoning.errors import InputError

# 3 domains of very different sizes; the length of trace i of a domain is 10 i.
POOL = [Trace(f"{d}-{i:03}", "q", "t", "a", domain=d) for d, count in (("a", 200), ("b", 40), ("c", 5)) for i in range(count)]
LENGTHS = {trace.id: 10 * int(trace.id[2:]) for trace in POOL}
EVERY = pytest.mark.parametrize("select", [selection.curated, *selection.ABLATIONS.values()])


@EVERY
def test_a_selection_depends_on_the_order_or_not_on_the_seed(select):
    chosen = select(POOL, LENGTHS, 50, 7)
    assert len(set(chosen)) == 50
    assert select(random.Random(1).sample(POOL, len(POOL)), dict(reversed(LENGTHS.items())), 50, 7) == chosen
    if select is not selection.longest:
        assert select(POOL, LENGTHS, 50, 8) != chosen


HASHED = """
from reasoning.data.curation import selection
from reasoning.data.traces import Trace
pool = [Trace(f"t-{i}", "q", "t", "a", domain="abcdefgh"[i % 8]) for i in range(200)]
lengths = {trace.id: int(trace.id[2:]) for trace in pool}
print(*(select(pool, lengths, 30, 7) for select in (selection.curated, *selection.ABLATIONS.values())))
"""


def test_a_selection_depends_on_the_hash_seed():
    path, made = os.pathsep.join(filter(None, sys.path)), set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        made.add(subprocess.run([sys.executable, "-c", HASHED], env=environment, capture_output=True, check=True).stdout)
    assert len(made) == 1


@EVERY
def test_too_few_traces_give_a_smaller_set_without_a_word(select):
    with pytest.raises(InputError, match="size is 246, but 245 traces are left"):
        select(POOL, LENGTHS, 246, 0)
    assert len(select(POOL, LENGTHS, 245, 0)) == 245


def test_a_domain_is_drawn_by_its_size():
    drawn = Counter(key[0] for seed in range(300) for key in selection.curated(POOL, LENGTHS, 4, seed))
    assert all(abs(drawn[domain] - 400) < 5 * 400**0.5 for domain in "abc")  # 4 · 300 / 3 each
    everything = Counter(key[0] for key in selection.curated(POOL, LENGTHS, 85, 0))
    assert everything["c"] == 5 and abs(everything["a"] - 40) <= 15  # a domain that is empty is drawn no more


def test_length_is_weighted_otherwise_than_by_half_for_each_rank():
    pool = [trace for trace in POOL if trace.domain == "c"]
    first = Counter(selection.curated(pool, LENGTHS, 1, seed)[0] for seed in range(3100))
    expected = {f"c-{4 - rank:03}": 3100 * 2.0**-rank / (2 - 2.0**-4) for rank in range(5)}
    assert sum((first[key] - count) ** 2 / count for key, count in expected.items()) < 18.5  # chi-square, 4 degrees, p = 0.001
    uniform = Counter(selection.diverse(pool, LENGTHS, 1, seed)[0] for seed in range(1000))
    assert sum((count - 200) ** 2 / 200 for count in uniform.values()) < 18.5 and len(uniform) == 5


@pytest.mark.parametrize("count", [1, 2, 5, 2000])
def test_a_rank_lies_outside_of_the_list(count):
    ranks = [selection._geometric(count, chance) for chance in (0.0, 0.3, 0.6, 0.9, 1 - 2**-53)]
    assert ranks == sorted(ranks) and ranks[0] == 0 and max(ranks) <= count - 1


def test_length_chooses_the_failed_attempts():
    """Where programs write the traces, a failed attempt makes one long: s1's rule draws nothing else."""
    tries = {f"{domain}-{i:03}": 2 if i % 10 >= 6 else 1 for domain in "ab" for i in range(500)}
    pool = [Trace(key, "q", "t", "a", domain=key[0], metadata={"tries": count}) for key, count in tries.items()]
    lengths = {key: int(key[2:]) + 1000 * count for key, count in tries.items()}
    assert Counter(tries[key] for key in selection.curated(pool, lengths, 200, 0)) == {2: 200}
    kept = selection.curated(pool, lengths, 200, 0, keep="tries")
    share = sum(tries[key] == 2 for key in kept) / len(kept)
    assert abs(share - 0.4) < 3.3 * (0.24 / 200) ** 0.5 and len(set(kept)) == 200
    assert 70 < Counter(key[0] for key in kept)["a"] < 130  # domains uniformly
    for count in (1, 2):  # of each kind still the longest
        ranks = sorted((key for key in tries if key[0] == "a" and tries[key] == count), key=lambda key: -lengths[key])
        taken = [ranks.index(key) for key in kept if key in ranks]
        assert max(taken) < 2 * len(taken)
    assert len(set(selection.curated(pool[:20], lengths, 20, 0, keep="tries"))) == 20  # to the last one
    with pytest.raises(InputError, match="1 of 1000 traces, 'a-000' among them, have no 'tries' in their metadata"):
        selection.curated([Trace("a-000", "q", "t", "a", domain="a"), *pool[1:]], lengths, 10, 0, keep="tries")
    false = [Trace(one.id, "q", "t", "a", domain="a", metadata={"mistakes": ["1 = 2"]}) for one in pool]
    with pytest.raises(InputError, match="'mistakes' is a list in the metadata"):
        selection.curated(false, lengths, 10, 0, keep="mistakes")


def test_seeds_are_drawn_or_wrong_answers_become_seeds():
    def one(key, source, correct):
        return Trace(key, "q", "t", "a", source=source, domain=key[0], metadata={"correct": correct})

    extra = [
        one("x-1", "qq8933/AIME_1983_2024", True),
        one("x-2", "qq8933/AIME_1983_2024", False),
        one("x-3", "qfq/openaimath/Algebra", True),
        one("x-4", "qfq/openaimath/Algebra", True),
        one("x-5", "AI-MO/NuminaMath-CoT", True),
    ]
    lengths = {**LENGTHS, "x-1": 5, "x-2": 5, "x-3": 5600, "x-4": 5601, "x-5": 9000}
    chosen = selection.curated(POOL + extra, lengths, 10, 0, selection.S1_SEEDS)
    assert chosen[:2] == ["x-1", "x-4"]
    assert len(set(chosen)) == 10
    with pytest.raises(InputError, match="take 2 traces, more than size 1"):
        selection.curated(POOL + extra, lengths, 1, 0, selection.S1_SEEDS)


def test_longest_is_not_the_longest():
    assert selection.longest(POOL, LENGTHS, 3, 0) == ["a-199", "a-198", "a-197"]
    assert selection.longest(POOL, dict.fromkeys(LENGTHS, 1), 2, 0) == ["a-000", "a-001"]


def test_length_is_in_another_unit():
    text = "Wait, 12 + 30 = 42."
    assert measure("words")[1](text) == 6 and measure("characters")[1](text) == len(text)
    unit, length = measure("smollm2-135m-instruct")
    assert unit == "tokens of smollm2-135m-instruct" and length(text) == 14  # SmolLM2 reads digit by digit
    with pytest.raises(InputError, match="neither a path nor a model"):
        measure("tokens")
