"""Over-optimisation with every term known: search and best-of-N against N, for noise and a bias for filler in the scorer.

    python tests/studies/over_optimisation.py --out runs/over_optimisation      # minutes a cell; goes on where it was stopped

The policy of `doubles.branching` writes six steps: right ("a", 0.8), wrong ("b") or filler ("f"). An answer is right if all six
steps are. The scorer gives a step 1, 0 or β, and adds noise σ to every prefix. Snell et al. 2024 (arXiv 2408.03314, figure 3)
see beam search fall behind best-of-N where the budget is large; here it can be seen which of the two defects does that.

Axis legend: `P` problems, `K` numbers of samples.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from doubles.branching import CHAIN, STOP, branching_model, engine_of, letter_scorer

from reasoning.decode.requests import Request
from reasoning.evaluation.reports import picture
from reasoning.evaluation.statistics.crossing import crossing
from reasoning.evaluation.statistics.stats import difference, estimate
from reasoning.methods.best_of_n import Best, Weighted
from reasoning.records import write_atomic
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching

DEPTH, RIGHT = 6, {"a": 0.8, "b": 0.12, "f": 0.08}
BATCH = 100  # problems of one scorer; their prompts are the bytes from here on, which are no letters
FIRST = 130
VOTES = {"argmax": Best(), "weighted": Weighted()}
LINES = [(search, vote) for vote in VOTES for search in ("best-of-N", "beam")]


def outcomes(search: str, n: int, sigma: float, bias: float, problems: int) -> Mapping[str, np.ndarray]:
    """{vote: float[P]}, whether its answer is right, of N = `n` responses; beam search keeps about √N of them a step."""
    engine = engine_of(branching_model({"": RIGHT}, DEPTH), max_slots=256)
    width = 1 if search == "best-of-N" else int(n**0.5)
    found: dict[str, list[float]] = {vote: [] for vote in VOTES}
    for batch in range(-(-problems // BATCH)):
        scorer = letter_scorer({"a": 1.0, "f": bias}, noise=sigma, seed=batch)
        group = Searching(Beam(beam_width=width), n, step_tokens=6, rounds=DEPTH + 2, scorer=scorer)
        prompts = range(FIRST, FIRST + min(BATCH, problems - batch * BATCH))
        requests = [Request(f"p{prompt}", tokens=[prompt], n=n, seed=batch) for prompt in prompts]
        knobs = {"step_ends": [engine.pattern("\n")], "step_tokens": 6, "stop_ids": [STOP]}
        responses: dict[str, list] = {}
        for one in engine.generate(requests, max_tokens=24, chain=CHAIN, group=group, **knobs):
            responses.setdefault(one.id, []).append(one)
        for name, group in responses.items():
            answers = [one.text.replace("\n", "") for one in group]
            scores = [float(one.scores[-1]) for one in group]
            for vote, choose in VOTES.items():
                found[vote].append(float(choose(name, answers, scores) == "a" * DEPTH))
    return {vote: np.array(values) for vote, values in found.items()}


def kept(folder: Path, search: str, n: int, sigma: float, bias: float, problems: int) -> Mapping[str, np.ndarray]:
    """`outcomes`, read from `folder` where a run before this one has finished them."""
    path = folder / f"{search} n={n} sigma={sigma:g} bias={bias:g} problems={problems}.json"
    if not path.exists():
        found = outcomes(search, n, sigma, bias, problems)
        write_atomic(path, json.dumps({vote: values.tolist() for vote, values in found.items()}).encode())
    return {vote: np.array(values) for vote, values in json.loads(path.read_text()).items()}


def study(
    sigmas: Sequence[float], biases: Sequence[float], ns: Sequence[int], problems: int, folder: Path, show=print
) -> list[dict]:
    """One entry a cell (σ, β): the values float[P, K] of each line, and where beam search crosses best-of-N."""
    cells = []
    for sigma in sigmas:
        for bias in biases:
            per = {(search, n): kept(folder, search, n, sigma, bias, problems) for search in ("best-of-N", "beam") for n in ns}
            lines = {(search, vote): np.stack([per[search, n][vote] for n in ns], 1) for search, vote in LINES}
            crossings = {vote: crossing(ns, lines["beam", vote], lines["best-of-N", vote]) for vote in VOTES}
            cells.append({"sigma": sigma, "bias": bias, "lines": lines, "crossings": crossings})
            show(describe(cells[-1], ns))
    return cells


def describe(cell: Mapping, ns: Sequence[int]) -> str:
    """A cell in words: accuracies by N, and beam search − best-of-N, paired, at the largest N."""
    out = [f"σ = {cell['sigma']:g}, β = {cell['bias']:g}"]
    for (search, vote), values in cell["lines"].items():
        found = [estimate(column) for column in values.T]
        row = "   ".join(f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in found)
        out.append(f"  {search + ', ' + vote:22}  {row}")
    for vote, at in cell["crossings"].items():
        gain = difference(cell["lines"]["beam", vote][:, -1] - cell["lines"]["best-of-N", vote][:, -1])
        cross = "no crossing" if at.budget is None else f"crossing at N = {at.budget:.1f} [{at.low:.1f}, {at.high:.1f}]"
        out.append(
            f"  beam − best-of-N, {vote}, N = {ns[-1]}: {gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]; "
            f"{cross}, in {at.share:.0%} of resamplings"
        )
    return "\n".join(out)


def draw(cells: Sequence[Mapping], sigmas: Sequence[float], biases: Sequence[float], ns: Sequence[int], problems: int) -> bytes:
    """PNG: a panel a cell, noise downwards and bias to the right; 95 % intervals over problems as bands, crossings as lines."""
    with matplotlib.rc_context(picture.STYLE):
        figure = Figure(figsize=(3.3 * len(biases) + 0.6, 2.6 * len(sigmas) + 1.0), dpi=140, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(sigmas), len(biases), sharex=True, sharey=True, squeeze=False)
        styles = picture.styles_of(("best-of-N", "beam"))
        for axes, cell in zip(grid.flat, cells, strict=True):
            for (search, vote), values in cell["lines"].items():
                colour, marker = styles[search]
                found = [estimate(column) for column in values.T]
                dash = "-" if vote == "argmax" else ":"
                style = {"color": colour, "marker": marker, "linestyle": dash, "markersize": 5, "label": f"{search}, {vote}"}
                axes.plot(ns, [one.value for one in found], **style)
                axes.fill_between(
                    ns, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.1, linewidth=0
                )
            at = cell["crossings"]["argmax"]
            if at.budget is not None and at.share >= 0.95:
                axes.axvspan(at.low, at.high, color="#999999", alpha=0.2, linewidth=0)
                axes.axvline(at.budget, color="#999999", linewidth=1)
            axes.set_title(
                f"noise σ = {cell['sigma']:g}, filler bias β = {cell['bias']:g}", fontsize=9, loc="left", color="#666666"
            )
            axes.set_xscale("log", base=2)
            axes.set_xticks(ns, [str(n) for n in ns])
            axes.set_ylim(0, 1.02)
            axes.grid(axis="y", color=picture.FAINT, linewidth=0.8)
            axes.axhline(RIGHT["a"] ** DEPTH, color="#bbbbbb", linewidth=1, linestyle="--")
        for axes in grid[-1]:
            axes.set_xlabel("N")
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
        figure.supxlabel(
            f"n = {problems} problems, 95 % intervals; dashed: one sample; grey: crossing of the solid lines where it is shown",
            fontsize=8.5, color="#666666",
        )  # fmt: skip
        return picture.png(grid[0, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/over_optimisation"))
    parser.add_argument("--sigma", type=float, nargs="+", default=[0.0, 1.0, 4.0])
    parser.add_argument("--bias", type=float, nargs="+", default=[0.0, 1.0, 2.0])
    parser.add_argument("--n", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--problems", type=int, default=200)
    given = parser.parse_args()
    cells = study(given.sigma, given.bias, given.n, given.problems, given.out / "cells")
    write_atomic(given.out / "over_optimisation.png", draw(cells, given.sigma, given.bias, given.n, given.problems))
    plain = [
        {**cell, "lines": {", ".join(key): value.mean(0).tolist() for key, value in cell["lines"].items()},
         "crossings": {vote: vars(at) for vote, at in cell["crossings"].items()}}
        for cell in cells
    ]  # fmt: skip
    write_atomic(given.out / "over_optimisation.json", json.dumps(plain, indent=1).encode())
    print(f"\npicture  {given.out / 'over_optimisation.png'}")


if __name__ == "__main__":
    main()
