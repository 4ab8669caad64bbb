"use strict";
// What is shown is what the address says behind its #, so that a view can be linked:
//
//     problem, method, sample, step     what was chosen ("step=2.1" is round 2, row 1)
//     find, level, right, wrong         how the list is filtered; right and wrong name columns, any number of them

const KEYS = ["problem", "method", "sample", "step", "find", "level"];
const LISTS = ["right", "wrong"];

// The state in the address, or null if the address names a place on the page.
function readState() {
  const hash = location.hash.slice(1);
  if (hash && !hash.includes("=")) return null;
  const found = new URLSearchParams(hash);
  const state = {};
  for (const key of KEYS) state[key] = found.get(key);
  for (const key of LISTS) state[key] = found.getAll(key);
  return state;
}

// The address of `state` with `changes`.
function address(state, changes) {
  const all = { ...state, ...changes };
  const out = new URLSearchParams();
  for (const key of KEYS) if (all[key] !== null && all[key] !== undefined && all[key] !== "") out.append(key, all[key]);
  for (const key of LISTS) for (const value of all[key]) out.append(key, value);
  return `#${out.toString() || "="}`;
}
