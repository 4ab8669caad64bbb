"use strict";
// One response: its text with what was forced and where it turned, and what it came to.

const KINDS = { forced: "forced by the method, not chosen by the model", switch: "turns to another approach" };
const TOKENS = {
  prompt: "prompt", sampled: "sampled", forced: "forced", discarded: "discarded", lookahead: "looked ahead",
  scorer: "read by the scorer", scorer_question: "question read by the scorer",
};

function responseParts(sample) {
  const marked = sample.text.map((piece) => (typeof piece === "string" ? piece : make("mark", { class: piece[0] }, piece[1])));
  const kinds = Object.keys(KINDS).filter((kind) => sample.text.some((piece) => piece[0] === kind && typeof piece !== "string"));
  const legend = kinds.map((kind) => [make("mark", { class: kind }, kind), ` ${KINDS[kind]}`]);
  return [
    make("pre", { class: "said response", tabindex: "0", "aria-label": "response" }, marked),
    legend.length > 0 && make("p", { class: "legend" }, legend.map((one, index) => (index ? [" · ", one] : one))),
    make("dl", { class: "facts" }, facts(sample).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
  ];
}

function facts(sample) {
  const tokens = Object.entries(sample.tokens).map(([kind, count]) => `${count} ${TOKENS[kind]}`);
  const out = [
    ["answer", answerText(sample.answer)],
    ["graded", [square(Number(sample.correct), sample.correct ? "right" : "wrong"), sample.correct ? " right" : " wrong"]],
    ["stopped by", sample.stop],
    ["tokens", tokens.join(" · ")],
  ];
  if (sample.logprob !== null) out.push(["log p of the sampled tokens", `${short(sample.logprob)} nats`]);
  for (const [scorer, scores] of Object.entries(sample.scores || {})) {
    out.push([scores.length === 1 ? `score (${scorer})` : `scores of steps (${scorer})`, scores.map(short).join("  ")]);
  }
  return out;
}

function answerText(answer) {
  return answer === null ? make("em", {}, "none") : make("code", {}, answer);
}
