"use strict";
// Sorting and searching of the tables, and links within the page. The page is complete without this script.

const FEW = 50; // rows of a table that are shown at first; the style sheet hides the others, in any order

for (const table of document.querySelectorAll("table")) {
  makeSortable(table);
  if (table.tBodies[0].rows.length > 8) addTools(table);
}

// In a notebook's frame a link such as #tags would load the notebook itself.
if (window.top !== window) {
  for (const link of document.querySelectorAll("a")) link.addEventListener("click", follow);
}

function follow(event) {
  event.preventDefault();
  const section = document.getElementById(event.currentTarget.getAttribute("href").slice(1));
  section.scrollIntoView();
  section.tabIndex = -1;
  section.focus({ preventScroll: true });
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
  // The first click sorts numbers in descending order, and text in ascending order.
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
  // Absent values are last in both orders.
  if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
  return sign * (Number(x) - Number(y));
}

function compareWords(a, b, sign) {
  return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
}

function addTools(table) {
  const rows = table.tBodies[0].rows;
  const all = rows.length.toLocaleString("en");
  const [tools, label, input, found, more] = ["div", "label", "input", "output", "button"].map((name) =>
    document.createElement(name)
  );
  let isWhole = rows.length <= FEW;
  tools.className = "tools";
  label.textContent = "Search";
  input.type = "search";
  input.spellcheck = false;
  input.setAttribute("aria-label", `Search in ${table.closest("section").querySelector("h2").textContent}`);
  more.type = "button";
  more.textContent = `Show all ${all} rows`;
  label.append(input);
  tools.append(label, found, more);
  table.parentElement.before(tools);
  input.addEventListener("input", update);
  more.addEventListener("click", () => {
    isWhole = true;
    update();
    table.parentElement.focus({ preventScroll: true }); // the button, which had the focus, is hidden
  });
  update();

  function update() {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !textOf(row).includes(wanted);
      if (!row.hidden) shown += 1;
    }
    const isShort = !isWhole && !wanted;
    table.classList.toggle("short", isShort);
    more.hidden = !isShort;
    found.textContent = wanted || isShort ? `${(isShort ? FEW : shown).toLocaleString("en")} of ${all} rows` : "";
  }
}

function textOf(row) {
  return Array.from(row.cells, (cell) => `${cell.textContent} ${cell.title}`).join(" ").toLowerCase();
}
