"""The page: parts, style and script in one file, which needs no network, and no scripts to be read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from symgraph.inspection.report.advice import advice
from symgraph.inspection.report.charts import arena_map, roofline
from symgraph.inspection.report.environment import environment
from symgraph.inspection.report.graph import graph
from symgraph.inspection.report.markup import element, link, plural, text
from symgraph.inspection.report.material import Material, Numbers
from symgraph.inspection.report.nodes import kernel_pages, listed, node_pages
from symgraph.inspection.report.passes import passes
from symgraph.inspection.report.summary import summary

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_SECTIONS: tuple[tuple[str, str, str, Callable[[Numbers], str]], ...] = (
    ("summary", "Summary", "what it became, and where the time goes", summary),
    ("advice", "Advice", "what would make it faster, by what could be won at most", advice),
    ("graph", "Graph", "one box a layer; choose one to open it", graph),
    ("passes", "Passes", "how the graph was rewritten, and where each kernel comes from", passes),
    ("nodes", "Nodes", "all that have kernels; choose one for its page", listed),
    ("arena", "Memory", "the arena: rows across, offsets downwards", arena_map),
    ("roofline", "Roofline", "what was reached, beside what this machine can do", roofline),
    ("machine", "Machine", "and what else the times depend on", environment),
)


def page(material: Material) -> str:
    """The whole report as HTML."""
    numbers = Numbers(material)
    facts = material.facts
    sections = "\n".join(
        f'<section id="{key}"><h2>{title}</h2><p class="sub">{sub}</p>\n{part(numbers)}</section>'
        for key, title, sub, part in _SECTIONS
    )
    nav = "".join(link(f"#{key}", title) for key, title, _, _ in _SECTIONS)
    search = (
        '<span class="js-only search"><input id="search" type="search" placeholder="Search '
        'layers, nodes, kernels  /" '
        'aria-label="search" autocomplete="off"><div id="found"></div></span>'
    )
    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">\n'
        f"<title>{text(facts.name)}: symgraph report</title>\n<style>\n{_asset('style.css')}</style></head>\n"
    )
    body = (
        f'<body><header id="top">{_title(numbers)}</header>\n<nav><div>{nav}{search}</div></nav>\n'
        f"<main>\n{sections}\n</main>\n"
        f'<div id="pages">{node_pages(numbers)}{kernel_pages(numbers)}</div>\n'
        f"<footer>{_keys()}</footer>\n<script>\n{_asset('script.js')}</script></body></html>\n"
    )
    return head + body


def _title(numbers: Numbers) -> str:
    facts = numbers.facts
    fed = ", ".join(f"{i.name or i.id}: {i.type}" for i in facts.inputs) or "nothing"
    shapes = " with " + ", ".join(map(str, facts.shapes)) if facts.shapes else ""
    operations = sum(1 for node in facts.nodes if node.role == "op")
    line = f"{plural(operations, 'operation')}, {plural(len(facts.rows), 'row')}; fed {fed}{shapes}"
    name = element("h1", text(facts.name))
    return name + element("p", text(line)) + element("p", text(f"symgraph {facts.version}"), class_="version")


def _keys() -> str:
    keys = (("/", "search"), ("j k", "next, previous node"), ("Enter", "open"), ("Esc", "close"))
    return '<p class="js-only">' + " ".join(f"<kbd>{k}</kbd> {v}" for k, v in keys) + "</p>"


def _asset(name: str) -> str:
    """A file that lies beside this one."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
