"""A compiled graph as a sketch: collapsed by layer, layers expanded on request, repeats drawn once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import networkx

from symgraph.inspection.draw.drawing import Box, Group, Sketch
from symgraph.inspection.draw.folding import repeats
from symgraph.inspection.draw.palette import op_kind
from symgraph.inspection.draw.wrap import wrapped
from symgraph.inspection.facts.function import Facts, NodeFacts

MOST_BOXES = 5000
_CHUNKS = 250
_PHASES = ("forward", "backward", "update")


@dataclass(frozen=True)
class Cluster:
    """Nodes that are drawn as one box: those of a layer, or what is written outside of layers in one place.

    Attributes
    ----------
    key : str
        The layer's name; for nodes outside of layers the id of the first one.
    layer : str or None
    nodes : tuple of NodeFacts
        All phases, in order.
    merged : tuple of str
        Other layers whose forward work these nodes do too.
    """

    key: str
    layer: str | None
    nodes: tuple[NodeFacts, ...]
    merged: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the box is called."""
        if self.layer is not None:
            return self.layer
        kinds = list(dict.fromkeys(base_name(node.kind) for node in self.nodes))
        return ", ".join(kinds[:3]) + (" ..." if len(kinds) > 3 else "")

    @property
    def single(self) -> bool:
        """Whether it is one node, not a layer's."""
        return self.layer is None and len(self.nodes) == 1

    @property
    def phases(self) -> dict[str, int]:
        """Nodes by phase."""
        counts = Counter(node.phase for node in self.nodes)
        return {phase: counts[phase] for phase in _PHASES if counts[phase]}

    @property
    def result(self) -> NodeFacts:
        """The last node of the forward phase, or the last of all."""
        forward = [node for node in self.nodes if node.phase == "forward"]
        return (forward or self.nodes)[-1]

    @property
    def kind(self) -> str:
        """What its box is coloured by: the kind of most of its operations."""
        if not any(node.phase == "forward" for node in self.nodes):
            return "update" if any(node.phase == "update" for node in self.nodes) else "other"
        work: Counter[str] = Counter()
        for node in self.nodes:
            work[op_kind(base_name(node.kind))] += 1 + (node.flops or 0)
        return min(work, key=lambda kind: (-work[kind], kind))


class Outline:
    """The nodes of a Function's graph in clusters, and who reads whom.

    Parts of tuples, constants and sizes belong to those that read them and are not shown.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.nodes = {node.id: node for node in facts.nodes}
        self.number = {node.id: i for i, node in enumerate(facts.nodes)}
        self.shown = tuple(n for n in facts.nodes if n.role in ("op", "input") and n.inside is None)

    def producer(self, name: str) -> NodeFacts | None:
        """The node that makes a value; parts stand for the node that they are part of."""
        node = self.nodes.get(name)
        while node is not None and node.role == "part" and node.inputs:
            node = self.nodes.get(node.inputs[0])
        return node

    @cached_property
    def inputs(self) -> dict[str, tuple[NodeFacts, ...]]:
        """For each node that is shown, those that it reads."""
        kept = {node.id for node in self.shown}
        found = {}
        for node in self.shown:
            read = (self.producer(name) for name in node.inputs)
            found[node.id] = tuple({n.id: n for n in read if n is not None and n.id in kept}.values())
        return found

    @cached_property
    def readers(self) -> dict[str, tuple[NodeFacts, ...]]:
        """For each node that is shown, those that read it."""
        found: dict[str, list[NodeFacts]] = {node.id: [] for node in self.shown}
        for node in self.shown:
            for read in self.inputs[node.id]:
                found[read.id].append(node)
        return {key: tuple(nodes) for key, nodes in found.items()}

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        """All clusters by key, in the order of their first nodes. Without layers each node is its own."""
        keys = self._keys()
        layers = {node.layer for node in self.shown if node.role == "op"}
        members: dict[str, list[NodeFacts]] = {}
        for node in self.shown:
            members.setdefault(keys[node.id], []).append(node)
        merged: dict[str, list[str]] = {}
        for layer, home in self._homes.items():
            merged.setdefault(home, []).append(layer)
        return {
            key: Cluster(key, key if key in layers else None, tuple(nodes), tuple(merged.get(key, ())))
            for key, nodes in members.items()
        }

    @cached_property
    def cluster_of(self) -> dict[str, str]:
        """The key of each node's cluster."""
        return {node.id: key for key, cluster in self.clusters.items() for node in cluster.nodes}

    @cached_property
    def _homes(self) -> dict[str, str]:
        """For layers whose forward work is done by another layer's nodes, that layer."""
        forward = [n for n in self.shown if n.phase == "forward" and n.layer is not None]
        own = {node.layer for node in forward}
        homes: dict[str, str] = {}
        for node in forward:
            for origin in node.origins:
                name = origin_layer(origin)
                if name is not None and name not in own and node.layer is not None:
                    homes.setdefault(name, node.layer)
        return homes

    def _keys(self) -> dict[str, str]:
        layered = any(node.layer is not None for node in self.shown if node.role == "op")
        loose = networkx.Graph()
        keys = {}
        for node in self.shown:
            if node.role == "op" and node.layer is not None:
                keys[node.id] = self._homes.get(node.layer, node.layer)
                continue
            loose.add_node(node.id)
            for read in self.inputs[node.id] if layered and node.role == "op" else ():
                if read.layer is None and read.role == "op" and read.phase == node.phase:
                    loose.add_edge(read.id, node.id)
        for part in networkx.connected_components(loose):
            first = min(part, key=self.number.__getitem__)
            keys.update(dict.fromkeys(part, self._host(part, keys) if layered else first))
        return keys

    def _host(self, part: Collection[str], keys: Mapping[str, str]) -> str:
        """The layer that nodes outside of layers belong to: all that they feed, or are fed by, is its.

        Where there is none, the first of the nodes.
        """
        first = min(part, key=self.number.__getitem__)
        if self.nodes[first].role != "op":
            return first
        after = {r.id for name in part for r in self.readers[name] if r.id not in part}
        before = {r.id for name in part for r in self.inputs[name] if r.id not in part and r.role == "op"}
        backward = self.nodes[first].phase == "backward"
        for names in (before, after) if backward else (after, before):
            layers = {keys.get(name) for name in names}
            if len(layers) == 1 and (layer := layers.pop()) is not None:
                return layer
        return first


def origin_layer(origin: str) -> str | None:
    """The layer in the text of an origin (``layer dense_1 (file.py:3)``); None outside of layers."""
    return origin.removeprefix("layer ").rsplit(" (", 1)[0] if origin.startswith("layer ") else None


def sketch(outline: Outline, expand: bool | Collection[str] = False, title: str = "") -> Sketch:
    """The whole graph: one box a layer, or boxes for all nodes of the layers in `expand` (True for all).

    Boxes of closed layers are joined by what the forward phase reads; of those that are opened, all is shown.

    Raises
    ------
    ValueError
        A name in `expand` is no layer's.
    """
    opened = _opened(outline, expand)
    owner = {
        node.id: node.id if key in opened else key
        for key, cluster in outline.clusters.items()
        for node in cluster.nodes
    }
    boxes = [
        box
        for key, cluster in outline.clusters.items()
        for box in (map(node_box, cluster.nodes) if key in opened else [cluster_box(cluster)])
    ]
    arrows: dict[tuple[str, str], None] = {}
    for node in outline.shown:
        for read in outline.inputs[node.id]:
            source, target = owner[read.id], owner[node.id]
            both = outline.cluster_of[read.id] in opened and outline.cluster_of[node.id] in opened
            if source != target and (both or read.phase == node.phase == "forward"):
                arrows[source, target] = None
    labels = {key: _cluster_label(cluster) for key, cluster in outline.clusters.items()}
    labels |= {
        node.id: (node.op, node.type, node.phase) for key in opened for node in outline.clusters[key].nodes
    }
    named = expand is not True
    groups = [
        Group(key, tuple(node.id for node in outline.clusters[key].nodes))
        for key in outline.clusters
        if named and key in opened and len(outline.clusters[key].nodes) > 1
    ]
    whole = Sketch(tuple(boxes), tuple(arrows), tuple(groups), title or outline.facts.name)
    return limited(whole if groups else folded(whole, labels))


def _opened(outline: Outline, expand: bool | Collection[str]) -> set[str]:
    if isinstance(expand, bool):
        single = {key for key, cluster in outline.clusters.items() if cluster.single}
        return set(outline.clusters) if expand else single
    names = [expand] if isinstance(expand, str) else list(expand)
    unknown = [name for name in names if name not in outline.clusters]
    if unknown:
        known = ", ".join(list(outline.clusters)[:20])
        raise ValueError(f"expand: there is no layer {unknown[0]!r}; there are {known}")
    return set(names)


def _cluster_label(cluster: Cluster) -> Hashable:
    forward = tuple((n.op, n.type) for n in cluster.nodes if n.phase == "forward")
    return forward or cluster.key


def inside(outline: Outline, key: str, most: int = 160) -> Sketch:
    """One cluster, opened: its nodes, the weights they read, and the layers that they are joined to.

    Parts that are alike but for their shapes (updates of many weights) are drawn once.
    """
    cluster = outline.clusters[key]
    own = {node.id for node in cluster.nodes}
    boxes: dict[str, Box] = {node.id: node_box(node) for node in cluster.nodes}
    arrows: dict[tuple[str, str], None] = {}
    labels: dict[str, Hashable] = {node.id: (node.op, node.phase) for node in cluster.nodes}
    folds = folded_parts(cluster, outline)
    hidden = {name for parts in folds for part in parts[1:] for name in part}
    for node in cluster.nodes:
        for name in node.inputs:
            read = outline.producer(name)
            if read is None or read.role in ("constant", "size"):
                continue
            source = read.id
            if source not in own:
                source = _outside(outline, read, boxes, node.id in hidden)
            if source:
                arrows[source, node.id] = None
        for reader in outline.readers[node.id]:
            if reader.id not in own and node.id not in hidden:
                target = f"to {outline.cluster_of[reader.id]}"
                boxes[target] = Box(
                    target, outline.clusters[outline.cluster_of[reader.id]].title, ("reads this",), "input"
                )
                arrows[node.id, target] = None
    whole = Sketch(tuple(boxes.values()), tuple(arrows), (), cluster.title)
    kept = _without(whole, hidden, folds)
    return limited(folded(kept, labels) if not folds else kept, most)


def _outside(outline: Outline, read: NodeFacts, boxes: dict[str, Box], hidden: bool) -> str:
    """The key of the box for a value that comes from elsewhere: a weight, or another layer."""
    if hidden:
        return ""
    if read.role == "variable":
        boxes[read.id] = replace(node_box(read), lines=(_shape_text(read),))
        return read.id
    cluster = outline.clusters.get(outline.cluster_of.get(read.id, ""))
    if cluster is None:
        return ""
    key = f"from {cluster.key}"
    boxes[key] = Box(key, cluster.title, ("read here",), "input", link=page_link(cluster))
    return key


def folded_parts(cluster: Cluster, outline: Outline) -> list[list[list[str]]]:
    """Parts of a cluster that are not joined, in lists of those of equal structure (two or more)."""
    graph = networkx.Graph()
    own = {node.id for node in cluster.nodes}
    graph.add_nodes_from(node.id for node in cluster.nodes)
    for node in cluster.nodes:
        graph.add_edges_from((read.id, node.id) for read in outline.inputs[node.id] if read.id in own)
    alike: dict[Hashable, list[list[str]]] = {}
    for part in networkx.connected_components(graph):
        names = sorted(part, key=outline.number.__getitem__)
        place = {name: i for i, name in enumerate(names)}
        label = tuple(
            (
                outline.nodes[name].op,
                outline.nodes[name].phase,
                tuple(place[r.id] for r in outline.inputs[name] if r.id in place),
            )
            for name in names
        )
        alike.setdefault(label, []).append(names)
    return [parts for parts in alike.values() if len(parts) > 1]


def _without(whole: Sketch, hidden: set[str], folds: Sequence[Sequence[Sequence[str]]]) -> Sketch:
    """A sketch without the boxes in `hidden`; the first of equal parts says how many it stands for."""
    badges: dict[str, str] = {}
    also: dict[str, tuple[str, ...]] = {}
    groups = []
    for parts in folds:
        if len(parts[0]) == 1:
            badges[parts[0][0]] = f"×{len(parts)}"
        else:
            groups.append(Group(f"×{len(parts)}", tuple(parts[0])))
        for place, key in enumerate(parts[0]):
            also[key] = tuple(part[place] for part in parts[1:])
    boxes = tuple(
        replace(box, badge=badges.get(box.key, box.badge), also=also.get(box.key, ()))
        for box in whole.boxes
        if box.key not in hidden
    )
    arrows = tuple(a for a in whole.arrows if a[0] not in hidden and a[1] not in hidden)
    return Sketch(boxes, arrows, tuple(groups), whole.title)


def folded(whole: Sketch, labels: Mapping[str, Hashable]) -> Sketch:
    """A sketch with each run of equal blocks drawn once, with a note how often it comes."""
    order = _topological(whole)
    if order is None:
        return whole
    place = {key: i for i, key in enumerate(order)}
    found = repeats([labels.get(key, key) for key in order], [(place[s], place[t]) for s, t in whole.arrows])
    stand: dict[str, str] = {}
    hidden: set[str] = set()
    folds = []
    for repeat in found:
        blocks = [[order[i] for i in block] for block in repeat.blocks]
        folds.append(blocks)
        for block in blocks[1:]:
            hidden |= set(block)
            stand.update(zip(block, blocks[0], strict=True))
    arrows: dict[tuple[str, str], None] = {}
    for s, t in whole.arrows:
        source, target = stand.get(s, s), stand.get(t, t)
        if place[source] < place[target]:
            arrows[source, target] = None
    return _without(Sketch(whole.boxes, tuple(arrows), whole.groups, whole.title), hidden, folds)


def _topological(whole: Sketch) -> list[str] | None:
    """The boxes, each after those that it reads; None where there is a cycle."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(box.key for box in whole.boxes)
    graph.add_edges_from(whole.arrows)
    number = {box.key: i for i, box in enumerate(whole.boxes)}
    try:
        return list(networkx.lexicographical_topological_sort(graph, key=number.__getitem__))
    except networkx.NetworkXUnfeasible:
        return None


def limited(whole: Sketch, most: int = MOST_BOXES) -> Sketch:
    """A sketch of at most `most` boxes: of more, those that follow each other are put together."""
    if len(whole.boxes) <= most:
        return whole
    order = _topological(whole) or [box.key for box in whole.boxes]
    size = -(-len(order) // min(_CHUNKS, most))
    chunk = {key: f"chunk {i // size}" for i, key in enumerate(order)}
    by_key = {box.key: box for box in whole.boxes}
    boxes = []
    for start in range(0, len(order), size):
        keys = order[start : start + size]
        kinds = Counter(by_key[key].kind for key in keys)
        first, last = by_key[keys[0]].title, by_key[keys[-1]].title
        kind = min(kinds, key=lambda k: (-kinds[k], k))
        href = by_key[keys[0]].link
        title, lines = f"{first} to {last}", (f"{len(keys)} boxes",)
        boxes.append(Box(chunk[keys[0]], title, lines, kind, link=href, also=tuple(keys)))
    arrows = dict.fromkeys((chunk[s], chunk[t]) for s, t in whole.arrows if chunk[s] != chunk[t])
    return Sketch(tuple(boxes), tuple(arrows), (), whole.title)


def cluster_box(cluster: Cluster) -> Box:
    """The box of a closed cluster."""
    if cluster.nodes[0].role == "input":
        return node_box(cluster.nodes[0])
    lines = [f"with {text}" for text in wrapped(", ".join(cluster.merged), 38)[:3]] if cluster.merged else []
    if any(node.phase == "forward" for node in cluster.nodes):
        lines.append(_shape_text(cluster.result))
    lines.append(phase_text(cluster))
    return Box(
        cluster.key,
        cluster.title,
        tuple(lines),
        cluster.kind,
        link=cluster_link(cluster.key),
        tip="\n".join(f"{node.id} {node.op}" for node in cluster.nodes[:12]),
    )


def phase_text(cluster: Cluster) -> str:
    """How many nodes it has, by phase: ``3 nodes: 1 forward, 2 backward``."""
    total = sum(cluster.phases.values())
    if len(cluster.phases) == 1:
        return f"{total} {'node' if total == 1 else 'nodes'}, {next(iter(cluster.phases))}"
    return f"{total} nodes: " + ", ".join(f"{count} {phase}" for phase, count in cluster.phases.items())


def node_box(node: NodeFacts) -> Box:
    """The box of a node."""
    if node.role in ("input", "variable"):
        return Box(node.id, node.name or node.id, (_shape_text(node),), node.role, link=node_link(node.id))
    kind = base_name(node.kind)
    rest = _inner(node.op.removeprefix(kind))
    lines = [*(wrapped(rest, 34)[:4] if rest else ()), _shape_text(node)]
    tip = "\n".join([f"{node.id} {node.op}", node.type, *node.origins[:3]])
    link = node_link(node.id)
    return Box(node.id, f"{node.id} {kind}", tuple(lines), op_kind(kind, node.role), link=link, tip=tip)


def base_name(kind: str) -> str:
    """An op's name without its parameters."""
    return kind.split("(", maxsplit=1)[0].split("[", maxsplit=1)[0].split(" ", maxsplit=1)[0]


def _inner(text: str) -> str:
    """Parameters without the brackets around them."""
    return text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text.strip()


def _shape_text(node: NodeFacts) -> str:
    """Dtype and shape: with the sizes of the Program where there is one."""
    if node.shapes is None or len(node.shapes) != len(node.dtypes):
        return wrapped(node.type, 40)[0]
    texts = [f"{d}({', '.join(map(str, s))})" for d, s in zip(node.dtypes, node.shapes, strict=True)]
    return texts[0] if len(texts) == 1 else f"{texts[0]} and {len(texts) - 1} more"


def node_link(name: str) -> str:
    """Where a node's page is in a report."""
    return f"#n{name.removeprefix('%').replace('.', '-')}"


def cluster_link(key: str) -> str:
    """Where a layer's page is in a report."""
    return f"#layer-{slug(key)}"


def page_link(cluster: Cluster) -> str:
    """Where a cluster's page is in a report.

    Inputs, and single nodes outside of layers, have a node's page only.
    """
    first = cluster.nodes[0]
    return node_link(first.id) if cluster.single else cluster_link(cluster.key)


def slug(text: str) -> str:
    """A text as part of an address: letters, digits and dashes, others as their code points."""
    return "".join(c if c.isascii() and c.isalnum() else f"-{ord(c):x}-" for c in text)
