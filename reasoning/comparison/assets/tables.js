"use strict";
// A click on the head of a column sorts by it, another one the other way round.

function sortable(table) {
  for (const head of table.tHead.rows[0].cells) {
    const button = make("button", { type: "button", title: "sort by this column" }, ...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.replaceChildren(button);
  }
}

function sort(table, head) {
  const heads = [...head.parentNode.cells];
  const column = heads.indexOf(head);
  const numeric = head.classList.contains("number");
  // Most at the top first where there are numbers, A at the top where there are none.
  const order = head.getAttribute("aria-sort") === (numeric ? "descending" : "ascending") ? !numeric : numeric;
  for (const one of heads) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order ? "descending" : "ascending");
  const sign = order ? -1 : 1;
  const key = (row) => row.cells[column].dataset.sort;
  const compare = (a, b) => {
    if (!numeric) return sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent, "en", { numeric: true });
    if (key(a) === undefined || key(b) === undefined) return (key(a) === undefined) - (key(b) === undefined); // nothing comes last
    return sign * (Number(key(a)) - Number(key(b)));
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compare));
}

document.querySelectorAll("table.sortable").forEach(sortable);
