"use strict";
// The chosen problem: its question, and what each method made of it.

// Parts of the view of `problem`; `state` says which method and sample, `link(changes)` makes addresses.
function problemParts(data, problem, state, link) {
  const there = data.methods.map((_, index) => index).filter((index) => problem.methods[index]);
  const named = data.methods.findIndex((method) => method.label === state.method);
  const chosen = state.method === null || !there.length ? there[0] : named;
  return [
    make("h3", {}, problem.id),
    make("p", { class: "question" }, problem.question),
    make("dl", { class: "facts" }, problemFacts(problem).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    make("nav", { class: "tabs", "aria-label": "Methods" }, there.map((index) => tab(data, problem, index, index === chosen, link))),
    problem.methods[chosen]
      ? methodParts(data, problem, chosen, state, link)
      : make("p", { class: "message", role: "status" }, there.length
        ? `There is no method “${state.method}” here that has answered this problem. Choose one above.`
        : "No method has answered this problem."),
  ];
}

function problemFacts(problem) {
  const out = [["reference answer", problem.reference === "" ? make("em", {}, "the task’s own scorer judges") : make("code", {}, problem.reference)]];
  if (problem.difficulty !== null) out.push(["solved by", `${Math.round(100 * problem.difficulty)} % of the pool’s samples`]);
  out.push(["task", problem.task]);
  return out;
}

function tab(data, problem, index, current, link) {
  const squares = data.columns
    .map((column, place) => [column, problem.values[place]])
    .filter(([column]) => column.method === index)
    .map(([column, value]) => square(value, `${column.name}: ${inWords(value)}`));
  const label = data.methods[index].label;
  const attributes = { href: link({ method: label, sample: null, step: null }), id: `tab-${index}`, "aria-current": current && "true" };
  return make("a", attributes, squares, ` ${label}`);
}

function methodParts(data, problem, index, state, link) {
  const found = problem.methods[index];
  const label = data.methods[index].label;
  const asked = state.sample === null ? found.samples[0].sample : Number(state.sample);
  const sample = found.samples.find((one) => one.sample === asked);
  const step = (one) => link({ method: label, step: `${one.round + 1}.${one.row}` });
  return [
    promptParts(found.prompt || data.methods[index].prompt, problem.question),
    found.samples.length > 1 && found.ballots.map(ballotParts),
    found.tree && treeFigure(found.tree, state.step, step),
    found.samples.length > 1 && sampleLinks(found.samples, asked, (number) => link({ method: label, sample: number })),
    sample
      ? responseParts(sample)
      : make("p", { class: "message", role: "status" }, `${label} has no sample “${state.sample}” of this problem; its samples are `
        + `${found.samples[0].sample} to ${found.samples[found.samples.length - 1].sample}.`),
  ];
}

function promptParts(prompt, question) {
  const turns = prompt.map((turn, index) => {
    const parts = turn.parts.map((part) => (part === null ? make("span", { class: "asked" }, question) : part));
    return make("div", { class: "turn" }, make("span", { class: "role" }, turn.role), make("pre", { class: "said" }, parts));
  });
  const count = `${turns.length} message${turns.length === 1 ? "" : "s"}`;
  return make("details", { class: "prompt" }, make("summary", {}, `Prompt (${count})`), turns);
}

// A vote as bars: as long as what counts for an answer, from 0 or from the least where scores are negative.
function ballotParts(ballot) {
  const votes = ballot.winners.length > 0;
  const counts = (bar) => (votes ? bar[2] : bar[1]);
  const voting = ballot.bars.filter(([answer]) => answer !== null || !votes).map(counts);
  const low = Math.min(0, ...voting);
  const most = Math.max(...voting, low + 1e-9);
  const bars = ballot.bars.map((bar) => {
    const [answer, count, weight, right] = bar;
    const samples = `${count} sample${count === 1 ? "" : "s"}`;
    const won = answer !== null && ballot.winners.includes(answer);
    const wins = ballot.winners.length === 1 ? "wins" : answer === ballot.chosen ? "tied, drawn" : "tied";
    const length = answer === null && votes ? 0 : (counts(bar) - low) / (most - low);
    return make(
      "tr", { class: won ? "won" : null },
      make("th", { scope: "row", title: answer }, answer === null ? make("em", {}, "no answer") : answer),
      make("td", { class: "line" }, shared(make("span", { class: `bar ${verdict(right)}` }), length)),
      make("td", { class: "much" }, samples, votes && answer !== null && weight !== count && ` · weight ${short(weight)}`, won && ` ✓ ${wins}`),
    );
  });
  const caption = make("caption", {}, square(ballot.value, inWords(ballot.value)), " ", make("strong", {}, ballot.name), outcome(ballot));
  return make("table", { class: "votes" }, caption, make("tbody", {}, bars));
}

function outcome(ballot) {
  const much = inWords(ballot.value);
  if (ballot.winners.length > 1) return `: a tie of ${ballot.winners.length} answers, broken at random: ${much}`;
  if (ballot.winners.length === 1) return `: ${much}`;
  return ballot.bars.every(([answer]) => answer === null) ? ": no sample has an answer, wrong" : `: no vote, ${much}`;
}

function sampleLinks(samples, asked, link) {
  const links = samples.map((one) => make(
    "a",
    {
      href: link(one.sample), id: `sample-${one.sample}`, class: one.correct ? "right" : "wrong", "aria-current": one.sample === asked && "true",
      title: `${one.correct ? "right" : "wrong"}: ${one.answer === null ? "no answer" : one.answer}`,
    },
    square(Number(one.correct), one.correct ? "right" : "wrong"), ` ${one.sample}`,
  ));
  return make("nav", { class: "samples", "aria-label": "Samples" }, make("span", { class: "name" }, "sample"), links);
}
