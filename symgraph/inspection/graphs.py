"""Graphs as networkx graphs, with everything that a node knows as attributes."""

from __future__ import annotations

from collections.abc import Iterable

import networkx

from symgraph.graph.tensor import Tensor


def to_networkx(nodes: Iterable[Tensor]) -> networkx.DiGraph:
    """One networkx node per tensor, keyed by position in `nodes`.

    Edges carry the place of the input they feed.

    Node attributes: op, type, layer, name, origins (text). Edge attribute: position.
    """
    graph = networkx.DiGraph()
    number: dict[int, int] = {}
    for index, node in enumerate(nodes):
        number[id(node)] = index
        graph.add_node(
            index,
            op=str(node.op),
            type=str(node.type),
            layer=node.layer,
            name=node.name,
            origins=tuple(str(o) for o in node.origins),
        )
        for position, value in enumerate(node.inputs):
            graph.add_edge(number[id(value)], index, position=position)
    return graph
