"""The fourth part of a report: a list of the nodes, and a page for each node and each kernel."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from symgraph.inspection.draw.outline import cluster_link, node_link
from symgraph.inspection.facts.function import NodeFacts, RowFacts
from symgraph.inspection.report.markup import (
    breakable,
    bytes_text,
    details,
    element,
    facts_list,
    flops_text,
    link,
    percent,
    plural,
    rate_text,
    seconds_text,
    table,
    text,
)
from symgraph.inspection.report.material import Numbers
from symgraph.inspection.text.table import count_text
from symgraph.kernels.run.source import KernelSource

_MOST_LISTED = 5000
_CHUNK = 50
_LONGEST_TEXT = 160_000
_HEAD = ("node", "op", "layer", "phase", "result", "a call", "share", "FLOP", "bytes", "roofline", "kernel")


def listed(numbers: Numbers) -> str:
    """The list: rows in chunks that a browser lays out only when they are in view."""
    work = numbers.work[:_MOST_LISTED]
    head = element("div", "".join(element("b", text(h)) for h in _HEAD), class_="row head")
    paged = numbers.page_ids
    chunks = [
        element("div", "".join(_row(numbers, node, paged) for node in work[i : i + _CHUNK]), class_="chunk")
        for i in range(0, len(work), _CHUNK)
    ]
    note = ""
    if len(numbers.work) > len(work):
        rest = len(numbers.work) - len(work)
        note = element(
            "p",
            text(f"{plural(rest, 'node')} with less work are left out here: print(function.cost)"),
            class_="note",
        )
    return element("div", head + "".join(chunks), class_="list", id="list") + note


def _row(numbers: Numbers, node: NodeFacts, paged: Collection[str]) -> str:
    measure = numbers.of_node(node)
    rows = numbers.rows.get(node.id, [])
    name = link(node_link(node.id), node.id) if node.id in paged else text(node.id)
    cells = (
        name,
        breakable(node.op),
        breakable(node.layer or ""),
        text(node.phase),
        text(shapes_text(node)),
        text(seconds_text(measure.seconds) if measure.seconds is not None else ""),
        text(percent(share) if (share := numbers.share(measure)) is not None else ""),
        text(count_text(measure.flops) if measure.flops is not None else "unknown"),
        text(bytes_text(measure.bytes)),
        text(percent(measure.attained) if measure.attained is not None else ""),
        breakable(rows[0].kernel if rows else ""),
    )
    return element("div", "".join(f"<span>{cell}</span>" for cell in cells), class_="row")


def short_rows(numbers: Numbers, nodes: Sequence[NodeFacts]) -> str:
    """A small table of nodes."""
    paged = numbers.page_ids
    rows = []
    for node in nodes:
        measure = numbers.of_node(node)
        kernel = numbers.rows[node.id][0].kernel
        rows.append(
            (
                link(node_link(node.id), node.id) if node.id in paged else text(node.id),
                breakable(node.op),
                text(node.phase),
                text(
                    seconds_text(measure.seconds)
                    if measure.seconds is not None
                    else flops_text(measure.flops)
                ),
                breakable(kernel),
            )
        )
    return table(("node", "op", "phase", "a call", "kernel"), rows, (3,))


def shapes_text(node: NodeFacts) -> str:
    """Dtypes and shapes of a node's results."""
    if node.shapes is None:
        return node.type
    return " ".join(f"{d}({', '.join(map(str, s))})" for d, s in zip(node.dtypes, node.shapes, strict=True))


def node_pages(numbers: Numbers) -> str:
    """All node pages. Each is shown when it is the page's target: that needs no script."""
    return "".join(_page(numbers, numbers.nodes[name]) for name in numbers.page_ids)


def _page(numbers: Numbers, node: NodeFacts) -> str:
    measure = numbers.of_node(node)
    share = numbers.share(measure)
    origins = "".join(element("li", text(origin)) for origin in node.origins[:12])
    more = element("li", text(f"and {len(node.origins) - 12} more")) if len(node.origins) > 12 else ""
    speed = ""
    if measure.seconds and measure.flops is not None:
        speed = (
            f"{rate_text(measure.flops / measure.seconds / 1e9, 'GFLOP/s')}, "
            f"{rate_text(measure.bytes / measure.seconds / 1e9, 'GB/s')}"
        )
    time = ""
    if measure.seconds is not None and node.rows:
        time = (
            f"{seconds_text(measure.seconds)} a call, {percent(share)} of it; "
            f"{percent(measure.attained)} of the roofline"
        )
    pairs = [
        ("result", text(f"{node.type}" + (f" = {shapes_text(node)}" if node.shapes is not None else ""))),
        ("written at", f"<ul>{origins}{more}</ul>"),
        ("layer", _layer_link(numbers, node)),
        (
            "phase",
            text(
                node.phase + (f", inside {node.inside}, {plural(node.turns, 'turn')}" if node.inside else "")
            ),
        ),
        ("reads", _names(numbers, node.inputs)),
        ("read by", _names(numbers, numbers.reader_ids(node.id))),
        ("time", text(time)),
        ("speed", text(speed)),
        (
            "work",
            text(f"{flops_text(node.flops)}: {node.formula}") if node.role == "op" and node.formula else "",
        ),
        ("bytes", text(_bytes(node)) if node.bytes else ""),
        ("arena", _arena(numbers, node)),
        ("in place of", _in_place(numbers, node)),
        ("rows", _rows(numbers.rows.get(node.id, []), numbers)),
    ]
    bar = link("#_", "×", class_="close", title="close (Esc)")
    title = f"<h3>{text(node.id)} <small>{text(node.op)}</small></h3>"
    name = element("p", text(node.name)) if node.name else ""
    name_ = node_link(node.id)[1:]
    return element("article", bar + title + name + facts_list(pairs), id=name_, class_="page") + "\n"


def _bytes(node: NodeFacts) -> str:
    ratio = f", {node.flops / node.bytes:.3g} FLOP a byte" if node.flops and node.bytes else ""
    return f"{bytes_text(node.bytes)} of operands and results, each once{ratio}"


def _layer_link(numbers: Numbers, node: NodeFacts) -> str:
    key = numbers.outline.cluster_of.get(node.id.split(".")[0])
    label = node.layer or "outside of layers"
    known = key is not None and node.layer and not numbers.outline.clusters[key].single
    return link(cluster_link(key or ""), label) if known else text(label)


def _names(numbers: Numbers, names: Sequence[str], most: int = 16) -> str:
    known = numbers.page_ids
    shown = []
    for name in names[:most]:
        node = numbers.nodes.get(name)
        label = name if node is None else f"{name} {node.name or node.kind}"
        shown.append(link(node_link(name), label) if name in known else text(label))
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + rest if shown else "nothing"


def _arena(numbers: Numbers, node: NodeFacts) -> str:
    found = {}
    for row in numbers.rows.get(node.id, []):
        for place in row.results:
            piece = numbers.piece(place, row.row)
            if piece is not None:
                found[piece.offset, piece.first] = (
                    f"{bytes_text(piece.nbytes)} at {piece.offset:,}, taken from row "
                    f"{piece.first} to row {piece.last}"
                )
    return "<br>".join(text(line) for line in list(found.values())[:4])


def _in_place(numbers: Numbers, node: NodeFacts) -> str:
    parent = numbers.overwritten(node)
    return _names(numbers, [parent.id]) if parent is not None else ""


def _rows(rows: Sequence[RowFacts], numbers: Numbers) -> str:
    lines = []
    for row in rows[:12]:
        number = numbers.kernel_number(row.kernel)
        kernel = link(f"#k{number}", row.kernel) if number is not None else text(row.kernel)
        turns = f", {row.turns} turns" if row.turns > 1 else ""
        note = text(f"{_code_note(numbers, row.kernel)}{plural(row.tiles, 'tile')}, gang {row.gang}{turns}")
        places = text(f"{' '.join(row.operands)} → {' '.join(row.results)}")
        lines.append(f"<li value={row.row}>{kernel}: {note}<br><code>{places}</code></li>")
    rest = element("p", text(f"and {len(rows) - 12} rows more")) if len(rows) > 12 else ""
    return f"<ol>{''.join(lines)}</ol>{rest}" if lines else ""


def _code_note(numbers: Numbers, kernel: str) -> str:
    """What the assembly shows of a kernel whose code is given."""
    source = numbers.material.sources.get(kernel)
    if source is None:
        return ""
    return f"{source.vector_bits}-bit registers, {plural(source.fma_count, 'multiply-add')}, "


def kernel_pages(numbers: Numbers) -> str:
    """A page for each kernel whose code is given."""
    return "".join(
        _kernel(number, numbers.material.sources[name], numbers)
        for name in numbers.kernels
        if (number := numbers.kernel_number(name)) is not None
    )


def _kernel(number: int, source: KernelSource, numbers: Numbers) -> str:
    users = [row.node for row in numbers.facts.rows if row.kernel == source.name]
    names = _names(numbers, list(dict.fromkeys(users)))
    width = f"{source.vector_bits} bits" if source.vector_bits else "no vector registers"
    pairs = [
        ("widest registers", text(width)),
        ("multiply-adds", text(f"{plural(source.fma_count, 'fused multiply-add')} in the assembly")),
        ("used by", names),
    ]
    texts = [
        _code("Python", source.python, source.name),
        _code("LLVM IR", source.llvm, source.name),
        _code("assembly", source.assembly, source.name),
    ]
    close = link("#_", "×", class_="close", title="close (Esc)")
    title = f"<h3>kernel <small>{text(source.name)}</small></h3>"
    body = close + title + facts_list(pairs) + "".join(texts)
    return element("article", body, id=f"k{number}", class_="page", data_name=source.name) + "\n"


def _code(title: str, code: str, name: str) -> str:
    shown = code.rstrip()
    if len(shown) > _LONGEST_TEXT:
        shown = shown[:_LONGEST_TEXT] + f"\n... cut here: function.source({name!r}) has all of it"
    lines = shown.count("\n") + 1
    return details(f"{text(title)} <small>{plural(lines, 'line')}</small>", f"<pre>{text(shown)}</pre>")
