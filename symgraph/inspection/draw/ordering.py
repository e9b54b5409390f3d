"""The order of nodes within the ranks of a layered graph: few crossings, by sweeps of barycenters."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

_SWEEPS = 8
_LARGE = 4_000  # links: with more, crossings are not counted and sweeps are fewer


def order_ranks(rank: Sequence[int], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The nodes of each rank from left to right.

    `links` lead from a node of one rank to one of the next.
    """
    above: list[list[int]] = [[] for _ in rank]
    below: list[list[int]] = [[] for _ in rank]
    for source, target in links:
        below[source].append(target)
        above[target].append(source)
    order = _first_order(rank, above, below)
    large = len(links) > _LARGE
    best, least = [list(nodes) for nodes in order], None if large else crossings(order, links)
    position = [0.0] * len(rank)
    for nodes in order:
        _place(nodes, position)
    for sweep in range(4 if large else _SWEEPS):
        if least == 0:
            break
        down = sweep % 2 == 0
        for number in range(1, len(order)) if down else range(len(order) - 2, -1, -1):
            _sort(order[number], above if down else below, position)
        found = None if large else crossings(order, links)
        if found is None or least is None or found < least:
            best, least = [list(nodes) for nodes in order], found
    return best


def _first_order(rank: Sequence[int], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """As a walk along the links meets the nodes, so that what belongs together is together."""
    order: list[list[int]] = [[] for _ in range(max(rank) + 1)]
    seen = [False] * len(rank)
    for root in sorted(range(len(rank)), key=lambda node: (rank[node], node)):
        stack = [root]
        while stack:
            node = stack.pop()
            if seen[node]:
                continue
            seen[node] = True
            order[rank[node]].append(node)
            stack += [n for n in reversed(above[node]) if not seen[n]]
            stack += [n for n in reversed(below[node]) if not seen[n]]
    return order


def _sort(nodes: list[int], near: list[list[int]], position: list[float]) -> None:
    """Sort a rank by the mean position of neighbours; nodes without any stay where they are."""
    own = {node: place for place, node in enumerate(nodes)}
    scale = 1.0 / max(len(nodes), 1)
    keys = {
        node: sum(position[n] for n in near[node]) / len(near[node])
        if near[node]
        else (own[node] + 0.5) * scale
        for node in nodes
    }
    nodes.sort(key=lambda node: (keys[node], own[node]))
    _place(nodes, position)


def _place(nodes: list[int], position: list[float]) -> None:
    for place, node in enumerate(nodes):
        position[node] = (place + 0.5) / len(nodes)


def crossings(order: Sequence[Sequence[int]], links: Sequence[tuple[int, int]]) -> int:
    """How many pairs of links cross."""
    place: dict[int, int] = {}
    rank: dict[int, int] = {}
    for number, nodes in enumerate(order):
        for position, node in enumerate(nodes):
            place[node], rank[node] = position, number
    between: dict[int, list[tuple[int, int]]] = {}
    for source, target in links:
        between.setdefault(rank[source], []).append((place[source], place[target]))
    total = 0
    for pairs in between.values():
        pairs.sort()
        seen: list[int] = []
        for _, target in pairs:
            total += len(seen) - bisect_right(seen, target)
            insort(seen, target)
    return total
