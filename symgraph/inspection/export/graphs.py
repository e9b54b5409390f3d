"""Graphs as networkx graphs, with everything that a node knows as attributes."""

from __future__ import annotations

from dataclasses import fields

import networkx

from symgraph.inspection.facts.function import Facts, NodeFacts


def to_networkx(facts: Facts) -> networkx.DiGraph:
    """One networkx node for each node of a graph, by its id, with the fields of `NodeFacts` as attributes.

    Edges carry the place (`position`) of the input that they feed, the first one where there are several;
    `positions` has all. Graph attributes: `name`, `inputs`, `outputs` (ids).
    """
    names = [field.name for field in fields(NodeFacts)]
    graph = networkx.DiGraph(
        name=facts.name, inputs=tuple(i.id for i in facts.inputs), outputs=tuple(facts.outputs)
    )
    for node in facts.nodes:
        graph.add_node(node.id, **{name: getattr(node, name) for name in names})
    for node in facts.nodes:
        for position, source in enumerate(node.inputs):
            if source not in graph:
                continue
            if graph.has_edge(source, node.id):
                graph.edges[source, node.id]["positions"] += (position,)
            else:
                graph.add_edge(source, node.id, position=position, positions=(position,))
    return graph
