"use strict";
// Elements out of names, attributes and children. Strings become text, never markup.

// The namespace, out of an element that the parser makes: no address stands in a page that asks for none.
const SVG = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;

function make(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function draw(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A share in [0, 1] as a custom property: the content security policy allows no style in markup.
function shared(element, share) {
  element.style.setProperty("--share", `${Math.round(1000 * share) / 10}%`);
  return element;
}

// "right", "wrong", "partly" or "unknown", of how far something was right.
function verdict(value) {
  if (value === null || value === undefined) return "unknown";
  return value >= 1 ? "right" : value <= 0 ? "wrong" : "partly";
}

// The little square that says it; `text` is read aloud and shown on hovering.
function square(value, text) {
  const kind = verdict(value);
  return shared(make("span", { class: `square ${kind}`, role: "img", "aria-label": text, title: text }), value || 0);
}

// Of how far something was right, in words.
function inWords(value) {
  const kind = verdict(value);
  return kind === "partly" ? `right with probability ${short(value)}` : kind === "unknown" ? "no samples" : kind;
}

function short(number) {
  if (Number.isInteger(number)) return String(number);
  return Math.abs(number) < 0.001 || Math.abs(number) >= 1e6 ? number.toPrecision(3) : String(Math.round(1000 * number) / 1000);
}
