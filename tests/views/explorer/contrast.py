"""What is written, and whether it can be read: its contrast to what it stands on."""

from __future__ import annotations

from playwright.sync_api import Page

_FAINT = """
() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  // Over each other, as they are painted: a theme's colours may be transparent, and of any colour space.
  const painted = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const grounds = (node) => {
    const found = [];
    for (; node; node = node.parentElement) found.unshift(getComputedStyle(node).backgroundColor);
    return ["#ffffff", ...found];
  };
  const contrast = (node, colour) => {
    const ground = grounds(node);
    const [one, other] = [light(painted([...ground, colour])), light(painted(ground))].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
  };
  const faint = [];
  let read = 0;
  const look = (node, said, colour) => {
    read += 1;
    const found = contrast(node, colour);
    if (found < 4.5) faint.push(`${said.trim().slice(0, 40)}: ${found.toFixed(2)}`);
  };
  for (const node of document.querySelectorAll(".regscope *")) {
    if (node.closest("svg, :disabled") || !node.getClientRects().length) continue;
    const said = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE).map((child) => child.data);
    if (said.join("").trim()) look(node, said.join(""), getComputedStyle(node).color);
    if (node.matches("input, select")) look(node, node.value, getComputedStyle(node).color);
    if (node.placeholder) look(node, node.placeholder, getComputedStyle(node, "::placeholder").color);
  }
  return [read, faint];
}
"""


def faint(page: Page) -> list[str]:
    """What is written in the widgets and has less contrast to its ground than 4.5, which WCAG asks for."""
    read, found = page.evaluate(_FAINT)
    assert read > 5, "there is hardly anything to read"
    return list(found)
