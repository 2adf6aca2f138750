"use strict";
// Sorting and filtering of the tables, and links within the page. Without this the page reads just as well.

for (const table of document.querySelectorAll("table")) {
  makeSortable(table);
  if (table.tBodies[0].rows.length > 8) addFilter(table);
}

// In a notebook's frame a link such as #tags would load the notebook itself.
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById(link.getAttribute("href").slice(1)).scrollIntoView();
  });
}

function makeSortable(table) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sortBy(table, head));
  }
}

function sortBy(table, head) {
  const isNumber = head.className === "number" || head.className === "bar";
  const before = head.getAttribute("aria-sort");
  // The first click on numbers brings the largest up, on words the first of the alphabet.
  const order = before ? (before === "ascending" ? "descending" : "ascending") : isNumber ? "descending" : "ascending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const column = head.cellIndex;
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => (isNumber ? compareNumbers : compareWords)(a.cells[column], b.cells[column], sign));
  table.tBodies[0].append(...rows);
}

function compareNumbers(a, b, sign) {
  const [x, y] = [a.dataset.value, b.dataset.value];
  // What is absent stays at the end, either way.
  if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
  return sign * (Number(x) - Number(y));
}

function compareWords(a, b, sign) {
  return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
}

function addFilter(table) {
  const rows = table.tBodies[0].rows;
  const label = document.createElement("label");
  const input = document.createElement("input");
  const found = document.createElement("output");
  label.className = "filter";
  label.textContent = "Filter";
  input.type = "search";
  input.spellcheck = false;
  label.append(input, found);
  table.parentElement.before(label);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !textOf(row).includes(wanted);
      if (!row.hidden) shown += 1;
    }
    found.textContent = wanted ? `${shown} of ${rows.length} rows` : "";
  });
}

function textOf(row) {
  return Array.from(row.cells, (cell) => `${cell.textContent} ${cell.title}`).join(" ").toLowerCase();
}
