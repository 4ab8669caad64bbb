"use strict";
// The tree that a search grew: a column a round, a line a row, a dot a step, coloured by what it was selected by. A ring is a
// complete response; a hollow dot is a step that nothing continues.

const ROW = 26;
const LABELLED = 80; // steps up to which each has its first words beside it

// A figure with the tree and the text of one step; `chosen` is "round.row" or null, `link` makes the address of a step.
function treeFigure(tree, chosen, link) {
  const steps = stepsOf(tree);
  const labelled = steps.length <= LABELLED;
  const width = labelled ? 118 : 44;
  const at = (round, row) => [28 + width * round, 34 + ROW * row];
  const values = steps.map((step) => step.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const panel = make("div", { class: "panel", "aria-live": "polite" });
  const size = { width: 28 + width * tree.rounds.length + (labelled ? 20 : 0), height: 24 + ROW * tree.rows };
  const picture = draw("svg", { class: "tree", ...size, viewBox: `0 0 ${size.width} ${size.height}`, role: "group" });
  picture.setAttribute("aria-label", `search tree of ${tree.rounds.length} rounds and ${tree.rows} rows`);
  for (let round = 0; round < tree.rounds.length; round++) {
    picture.append(draw("text", { class: "axis", x: at(round, 0)[0], y: 12, "text-anchor": "middle" }, String(round + 1)));
  }
  const dots = new Map();
  const edges = [];
  for (const step of steps) {
    if (step.parent === null) continue;
    const [x1, y1] = at(step.round - 1, step.parent);
    const [x2, y2] = at(step.round, step.row);
    const middle = (x1 + x2) / 2;
    const edge = draw("path", { class: "edge", d: `M${x1},${y1}C${middle},${y1} ${middle},${y2} ${x2},${y2}` });
    edges.push([step, edge]);
    picture.append(edge);
  }
  const show = (step) => {
    const path = pathTo(step, steps);
    for (const [one, dot] of dots) dot.classList.toggle("on", path.includes(one));
    for (const [one, edge] of edges) edge.classList.toggle("on", path.includes(one));
    panel.replaceChildren(...described(step, path));
  };
  for (const step of steps) {
    const [x, y] = at(step.round, step.row);
    const dot = draw("circle", { class: step.continued ? "dot" : "dot hollow", cx: x, cy: y, r: 6 });
    shared(dot, high > low ? (step.value - low) / (high - low) : 1);
    const parts = [dot];
    if (step.complete) parts.push(draw("circle", { class: "ring", cx: x, cy: y, r: 10 }));
    if (labelled) parts.push(draw("text", { class: "words", x: x + 13, y: y + 3.5 }, firstWords(step.text)));
    const name = `round ${step.round + 1}, row ${step.row}, ${short(step.value)}: ${step.text.trim()}`;
    const anchor = draw("a", { href: link(step), id: `step-${step.round}-${step.row}`, class: "step", "aria-label": name }, parts);
    anchor.addEventListener("mouseenter", () => show(step));
    anchor.addEventListener("focus", () => show(step));
    dots.set(step, anchor);
    picture.append(anchor);
  }
  const best = steps.filter((step) => step.complete).sort((a, b) => b.value - a.value)[0] || steps[steps.length - 1];
  const first = steps.find((step) => `${step.round + 1}.${step.row}` === chosen) || best;
  if (first) show(first);
  const key = make(
    "p", { class: "legend" },
    "A column is a round, a dot a step, a ring a complete response; nothing continues a hollow dot. Selected by: ",
    make("span", { class: "scale" }, short(low), make("span", { class: "ramp" }), short(high)), ".",
  );
  return make("figure", { class: "search" }, make("div", { class: "scroll" }, picture), key, panel);
}

// All steps of a tree; `parent` is the row of the round before that it continues.
function stepsOf(tree) {
  const out = [];
  tree.rounds.forEach((one, round) => {
    for (let row = 0; row < tree.rows; row++) {
      if (!one.wrote[row]) continue;
      out.push({
        round, row, text: one.texts[row], score: one.scores[row], value: one.values[row], complete: Boolean(one.complete[row]),
        parent: round ? tree.rounds[round - 1].parents[row] : null, continued: one.parents.filter((parent) => parent === row).length,
        last: round === tree.rounds.length - 1,
      });
    }
  });
  return out;
}

// The steps from the first round to `step`. A row that wrote nothing in a round ends it.
function pathTo(step, steps) {
  const path = [step];
  while (path[0].parent !== null) {
    const before = steps.find((one) => one.round === path[0].round - 1 && one.row === path[0].parent);
    if (!before) break;
    path.unshift(before);
  }
  return path;
}

function described(step, path) {
  const facts = [`round ${step.round + 1}, row ${step.row}`, `score ${short(step.score)}`, `selected by ${short(step.value)}`];
  if (!step.last) facts.push(`continued by ${step.continued} row${step.continued === 1 ? "" : "s"}`);
  if (step.complete) facts.push("complete");
  const before = path.slice(0, -1).map((one) => one.text).join("");
  return [
    make("p", { class: "facts" }, facts.join(" · ")),
    make("pre", { class: "said" }, make("span", { class: "before" }, before), make("strong", {}, step.text)),
  ];
}

function firstWords(text) {
  const words = text.trim().replace(/\s+/g, " ");
  return words.length > 14 ? `${words.slice(0, 13)}…` : words;
}
