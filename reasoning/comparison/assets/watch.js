"use strict";
// What goes wrong is kept where a test, or whoever opens the inspector, finds it: data-errors of the document.

function note(text) {
  const root = document.documentElement;
  root.dataset.errors = (root.dataset.errors ? root.dataset.errors + "\n" : "") + text;
}

window.addEventListener("error", (event) => note(event.message || "a part of the page could not be loaded"), true);
window.addEventListener("unhandledrejection", (event) => note(String(event.reason)));
document.addEventListener("securitypolicyviolation", (event) => note("refused: " + event.violatedDirective));
