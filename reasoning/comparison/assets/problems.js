"use strict";
// The list of problems with its filters, beside the chosen one.

const LEVELS = {
  never: ["never right", (share) => share === 0],
  hard: ["hard: up to a third", (share) => share > 0 && share <= 1 / 3],
  middle: ["middling: a third to two thirds", (share) => share > 1 / 3 && share <= 2 / 3],
  easy: ["easy: over two thirds", (share) => share > 2 / 3 && share < 1],
  always: ["always right", (share) => share === 1],
};

function browse(root, data) {
  let state = readState() || { problem: null, method: null, sample: null, step: null, find: null, level: null, right: [], wrong: [] };
  const go = (changes) => location.replace(address(state, changes));
  const common = commonStart(data.problems.map((problem) => problem.question));
  const rows = data.problems.map((problem) => listRow(data, problem, common));
  const find = make("input", { type: "search", placeholder: "find in questions", "aria-label": "Find in questions, ids and answers" });
  const level = make("select", { "aria-label": "Difficulty" }, make("option", { value: "" }, "any difficulty"),
    Object.entries(LEVELS).map(([name, [text]]) => make("option", { value: name }, text)));
  const heads = data.columns.map((column) => columnHead(column, () => go(turned(state, column.name))));
  const count = make("p", { class: "count", role: "status" });
  const list = make("ol", { class: "list" }, rows);
  const detail = make("article", { class: "detail", "aria-label": "Problem" });
  const filters = [find, data.problems.some((problem) => problem.difficulty !== null) && level];
  find.addEventListener("input", () => go({ find: find.value }));
  level.addEventListener("change", () => go({ level: level.value }));
  root.replaceChildren(
    make("p", { class: "note" }, showing(data), data.notes.map((text) => ` ${text}`)),
    make("div", { class: "panes" }, make(
      "div", { class: "choice" }, make("div", { class: "filters" }, filters), count,
      make("div", { class: "listing", tabindex: "-1" }, make("div", { class: "heads" }, make("span", { class: "hint" }, "Click a method to keep what it got right, again for wrong."), heads), list),
    ), detail),
  );

  function render() {
    const kept = data.problems.filter((problem) => keeps(data, problem, state));
    const listed = new Set(kept);
    data.problems.forEach((problem, index) => {
      const row = rows[index];
      row.hidden = !listed.has(problem);
      row.firstChild.href = address(state, { problem: problem.id, sample: null, step: null });
    });
    data.columns.forEach((column, index) => turn(heads[index], column, state));
    if (document.activeElement !== find) find.value = state.find || "";
    level.value = state.level in LEVELS ? state.level : "";
    count.textContent = kept.length === data.problems.length ? `${kept.length} problems` : `${kept.length} of ${data.problems.length} problems`;
    const chosen = state.problem === null ? kept[0] || data.problems[0] : data.problems.find((problem) => problem.id === state.problem);
    rows.forEach((row, index) => current(row.firstChild, data.problems[index] === chosen));
    const focused = document.activeElement && document.activeElement.id;
    detail.replaceChildren(...detailParts(data, kept, chosen, state));
    if (focused && detail.querySelector(`#${CSS.escape(focused)}`)) document.getElementById(focused).focus({ preventScroll: true });
  }

  window.addEventListener("hashchange", (event) => {
    const before = state.problem;
    state = readState() || state;
    render();
    if (event && state.problem !== before && detail.getBoundingClientRect().top > window.innerHeight / 2) detail.scrollIntoView();
  });
  render();
  const link = list.querySelector("[aria-current]");
  if (link) list.parentNode.scrollTop = link.parentNode.offsetTop - list.parentNode.clientHeight / 2;
  // On a phone the problem stands below the list.
  if (state.problem !== null) (detail.offsetLeft > root.offsetLeft ? root.parentNode : detail).scrollIntoView();
}

function showing(data) {
  const all = data.problems.length === data.total;
  return all ? `All ${data.total} problems.` : `Showing ${data.problems.length} of ${data.total} problems, chosen evenly over difficulty to keep this page small.`;
}

// Marks a link as the one that is shown.
function current(link, is) {
  if (is) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function keeps(data, problem, state) {
  const words = (state.find || "").toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${problem.id} ${problem.question} ${problem.reference}`.toLowerCase();
  const value = (name) => problem.values[data.columns.findIndex((column) => column.name === name)];
  return words.every((word) => text.includes(word))
    && state.right.every((name) => value(name) > 0.5)
    && state.wrong.every((name) => typeof value(name) === "number" && value(name) <= 0.5)
    && (!(state.level in LEVELS) || (problem.difficulty !== null && LEVELS[state.level][1](problem.difficulty)));
}

function listRow(data, problem, common) {
  const strip = data.columns.map((column, index) => square(problem.values[index], `${column.name}: ${inWords(problem.values[index])}`));
  const share = problem.difficulty === null ? "" : `solved by ${Math.round(100 * problem.difficulty)} % · `;
  const excerpt = (common ? "…" : "") + problem.question.slice(common, common + 200);
  const text = make("span", { class: "text" }, make("span", { class: "excerpt" }, excerpt), make("span", { class: "id" }, share + problem.id));
  return make("li", {}, make("a", {}, text, make("span", { class: "strip" }, strip)));
}

// How many characters all questions begin with alike, whole words of them, where that is more than a few.
function commonStart(questions) {
  if (questions.length < 2) return 0;
  let count = 0;
  while (count < questions[0].length && questions.every((one) => one[count] === questions[0][count])) count++;
  const start = questions[0].lastIndexOf(" ", count - 1) + 1;
  return start >= 20 ? start : 0;
}

function columnHead(column, click) {
  const head = make("button", { type: "button" }, make("span", { class: "label" }, column.name), make("span", { class: "square" }));
  head.addEventListener("click", click);
  return head;
}

// Any, then right, then wrong, then any again.
function turned(state, name) {
  const without = { right: state.right.filter((one) => one !== name), wrong: state.wrong.filter((one) => one !== name) };
  if (state.right.includes(name)) without.wrong.push(name);
  else if (!state.wrong.includes(name)) without.right.push(name);
  return without;
}

function turn(head, column, state) {
  const wanted = state.right.includes(column.name) ? "right" : state.wrong.includes(column.name) ? "wrong" : "any";
  head.lastChild.className = `square ${wanted}`;
  head.setAttribute("aria-label", `${column.name}: ${wanted === "any" ? "right or wrong" : `only ${wanted}`}`);
  head.title = head.getAttribute("aria-label");
}

function detailParts(data, kept, chosen, state) {
  if (!data.problems.length) return [make("p", { class: "message", role: "status" }, "No problem fits on this page.")];
  if (!chosen) {
    return [make("p", { class: "message", role: "status" },
      `There is no problem “${state.problem}” on this page, which has ${data.problems.length} of ${data.total}. Choose one from the list.`)];
  }
  const place = kept.indexOf(chosen);
  const beside = (offset, text, id) => {
    const other = place >= 0 && kept[place + offset];
    return other ? make("a", { id, href: address(state, { problem: other.id, sample: null, step: null }) }, text) : make("span", {}, text);
  };
  const where = place >= 0 ? `${place + 1} of ${kept.length}` : "not among those listed";
  return [
    make("nav", { class: "beside", "aria-label": "Neighbours" }, beside(-1, "← previous", "previous"), make("span", { class: "where" }, where), beside(1, "next →", "next")),
    ...problemParts(data, chosen, state, (changes) => address(state, { problem: chosen.id, ...changes })).flat(Infinity).filter(Boolean),
  ];
}

const holder = document.getElementById("browser");
if (holder) browse(holder, JSON.parse(document.getElementById("browser-data").textContent));
document.documentElement.dataset.ready = "true";
