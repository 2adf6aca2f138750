// The browser's part of every pane: it shows the HTML that Python rendered, and sends clicks and input to Python.
//
//   data-do="sort" data-value="size"   a click on it, or Enter, sends ["sort", "size"]; a field sends its own value
//   data-roving                        the arrow keys move within it, and it is one stop of the Tab key
//   data-key                           an element with another key is replaced, not updated
//
// Input is sent at once; input before the response to the last message is sent after it, as one message.

function render({ model, el }) {
  let typed; // the field with input that is not sent yet
  let unanswered = 0; // messages that have no response yet
  el.classList.add("regscope", "interface-colours", "layer-colours");

  const show = () => {
    const made = document.createElement("template");
    made.innerHTML = model.get("html");
    update(el, made.content);
    el.querySelectorAll("[data-roving]").forEach(makeOneStop);
    // JupyterLab's shortcuts for cells, such as x for cutting one, do not apply to focused elements of the widget.
    el.querySelectorAll("[data-do]").forEach((one) => one.setAttribute("data-lm-suppress-shortcuts", "true"));
  };
  const say = (target) => {
    flush();
    unanswered += 1;
    el.setAttribute("aria-busy", "true");
    model.send({ do: target.dataset.do, value: target.value || target.dataset.value || "" });
  };
  const done = () => {
    unanswered = Math.max(unanswered - 1, 0); // the message may be that of another view of this widget
    if (unanswered) return;
    flush();
    if (!unanswered) el.removeAttribute("aria-busy");
  };

  const clicked = (event) => {
    const target = event.target.closest("[data-do], tr");
    const button = target?.matches("tr") ? target.querySelector("button[data-do]") : target;
    if (button && el.contains(button) && !button.matches("input, select") && !button.disabled) say(button);
  };
  const flush = () => {
    const field = typed;
    typed = undefined;
    if (field) say(field);
  };
  const entered = ({ target }) => {
    if (!target.matches("[data-do]")) return;
    if (typed !== target) flush();
    typed = target;
    if (!unanswered) flush();
  };
  const pressed = (event) => {
    const target = event.target.closest("[data-do]");
    if (!target || event.ctrlKey || event.metaKey || event.altKey) return;
    if ((event.key === "Enter" || event.key === " ") && target.matches("g, rect")) say(target);
    else if (!moved(target, event.key)) return;
    event.preventDefault();
  };
  const focused = ({ target }) => {
    const group = target.closest("[data-roving]");
    if (group) stops(group).forEach((one) => one.setAttribute("tabindex", one === target ? 0 : -1));
  };

  el.addEventListener("click", clicked);
  el.addEventListener("input", entered);
  el.addEventListener("keydown", pressed);
  el.addEventListener("focusin", focused);
  model.on("change:html", show);
  model.on("msg:custom", done);
  show();
  return () => {
    model.off("change:html", show);
    model.off("msg:custom", done);
  };
}

// Update `old` to the content of `made`. Equal elements are kept, and with them focus, input and scroll position.
function update(old, made) {
  const there = [...old.childNodes];
  [...made.childNodes].forEach((child, at) => {
    const twin = there[at];
    if (!twin) old.append(child);
    else if (twin.nodeName !== child.nodeName || twin.dataset?.key !== child.dataset?.key) twin.replaceWith(child);
    else if (child.nodeType === Node.ELEMENT_NODE) updateElement(twin, child);
    else if (twin.data !== child.data) twin.data = child.data;
  });
  there.slice(made.childNodes.length).forEach((child) => child.remove());
}

function updateElement(old, made) {
  const kept = old.matches("details") ? "open" : ""; // details that the reader opened stay open
  for (const { name } of [...old.attributes]) if (!made.hasAttribute(name) && name !== kept) old.removeAttribute(name);
  for (const { name, value } of made.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  update(old, made);
  const isField = old.matches("input, select");
  if (isField && old !== document.activeElement && old.value !== made.value) old.value = made.value;
}

const stops = (group) => [...group.querySelectorAll("[data-do]")];

function makeOneStop(group) {
  const all = stops(group);
  const current = all.find((one) => one === document.activeElement)
    ?? all.find((one) => one.matches('[aria-pressed="true"], [aria-selected="true"]')) ?? all[0];
  all.forEach((one) => one.setAttribute("tabindex", one === current ? 0 : -1));
}

// Whether `key` moved the focus from `target`, or opened or closed it.
function moved(target, key) {
  const group = target.closest("[data-roving]");
  if (!group) return false;
  const open = target.getAttribute("aria-expanded");
  if ((key === "ArrowRight" && open === "false") || (key === "ArrowLeft" && open === "true")) {
    target.click();
    return true;
  }
  const all = stops(group), at = all.indexOf(target);
  const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[key];
  all[to]?.focus();
  return to !== undefined;
}

export default { render };
