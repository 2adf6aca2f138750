"""Widgets on a page like that of a notebook's outputs in VS Code, without VS Code.

What differs there from JupyterLab, by the sources of microsoft/vscode and microsoft/vscode-jupyter: colours and letters
are `--vscode-*` variables, and there are none of `--jp-*`; the page has rules of its own for tables and code; the
styles of JupyterLab are not there; anywidget brings our CSS as an element and our module as a blob.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ipywidgets import HBox, Widget
from playwright.sync_api import Page

from regscope.views.explorer import pane as pane_module
from regscope.views.explorer.pane import Pane
from regscope.views.remediator.remediate import Remediator

# From VS Code's own themes, what all of them name; high contrast has no ground for quotes and lists, to take one.
THEMES = {
    "light": {
        "editor-background": "#ffffff", "editor-foreground": "#3b3b3b", "descriptionForeground": "#3b3b3b",
        "focusBorder": "#005fb8", "errorForeground": "#f85149", "textPreformat-foreground": "#3b3b3b",
        "textPreformat-background": "#0000001f",
    },
    "dark": {
        "editor-background": "#1f1f1f", "editor-foreground": "#cccccc", "descriptionForeground": "#9d9d9d",
        "focusBorder": "#0078d4", "errorForeground": "#f85149", "textPreformat-foreground": "#d0d0d0",
        "textPreformat-background": "#3c3c3c",
    },
    "high-contrast": {
        "editor-background": "#000000", "editor-foreground": "#ffffff", "descriptionForeground": "#ffffffb3",
        "focusBorder": "#f38518", "errorForeground": "#f48771", "textPreformat-foreground": "#000000",
        "textPreformat-background": "#ffffff",
    },
}  # fmt: skip
_LETTERS = {"font-family": "sans-serif", "font-size": "13px", "editor-font-family": "monospace"}

_PAGE = """<!DOCTYPE html><html style="{variables}"><head><meta charset="utf-8"><link rel="icon" href="data:,"><style>
@layer vscode-default {{
  body {{ color: var(--vscode-editor-foreground); font: var(--vscode-font-size) var(--vscode-font-family); }}
  code {{ color: var(--vscode-textPreformat-foreground); background-color: var(--vscode-textPreformat-background); }}
}}
html {{ background: var(--vscode-editor-background); }}
table, thead, tbody, tr, th, td {{ border: none !important; text-align: right; }}
thead {{ background-color: rgba(130, 130, 130, 0.16); font-weight: bold; }}
tr:nth-child(even) {{ background-color: rgba(130, 130, 130, 0.08); }}
.column, .row {{ display: flex; flex-direction: column; }}
.row {{ flex-direction: row; }}
</style></head><body class="vscode-{kind}"></body></html>"""

_SCRIPT = """
async ([code, css, first]) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const { default: { render } } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const panes = new Map();
  let shape;

  const makePane = ({ key, html }) => {
    const el = document.createElement("div"), heard = {};
    const tell = (now) => { html = now; heard["change:html"](); };
    const model = {
      get: () => html,
      on: (event, does) => { heard[event] = does; },
      send: async (content) => { show(await window.say(key, content)); heard["msg:custom"](); },
    };
    render({ model, el });
    panes.set(key, { el, tell });
  };
  const tell = (node) => {
    if (node.children) node.children.forEach(tell);
    else if (panes.has(node.key)) panes.get(node.key).tell(node.html);
    else makePane(node);
  };
  const boxed = ({ key, style, children }) => {
    if (key) return panes.get(key).el;
    const box = document.createElement("div");
    box.className = style;
    box.append(...children.map(boxed));
    return box;
  };
  const show = (tree) => {
    tell(tree);
    const now = JSON.stringify(tree, (name, value) => (name === "html" ? undefined : value));
    if (now !== shape) document.body.replaceChildren(boxed(tree));
    shape = now;
  };
  show(first);
}
"""


class Webview:
    """One widget on such a page. What is done to it reaches Python, and what it shows then the page."""

    def __init__(self, page: Page, widget: Widget, theme: str) -> None:
        self._widget = widget
        self._panes: dict[str, Pane] = {}
        variables = {**THEMES[theme], **_LETTERS}
        page.set_content(
            _PAGE.format(
                variables="".join(f"--vscode-{name}: {value};" for name, value in variables.items()), kind=theme
            )
        )
        page.expose_function("say", self._hear)
        code = Path(pane_module.__file__).with_name("pane.js").read_text("utf-8")
        page.evaluate(_SCRIPT, [code, Pane._css, self._tree(widget)])

    def _hear(self, key: str, content: dict[str, Any]) -> dict[str, Any]:
        self._panes[key].do(content["do"], content["value"])
        if isinstance(self._widget, Remediator):
            self._widget.wait()  # nothing but an answer reaches this page
        return self._tree(self._widget)

    def _tree(self, widget: Widget) -> dict[str, Any]:
        if isinstance(widget, Pane):
            key = str(id(widget))
            self._panes[key] = widget
            return {"key": key, "html": widget.html}
        style = " ".join(["row" if isinstance(widget, HBox) else "column", *widget._dom_classes])
        return {"style": style, "children": [self._tree(child) for child in widget.children]}
