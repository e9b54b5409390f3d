"""Layers of a directed graph: where boxes go, so that edges run one way and seldom cross.

After Sugiyama, Tagawa and Toda (1981): edges that close cycles are turned round; every node gets a rank; long
edges are cut by dummy nodes, which edges of one source share; the order within ranks comes from barycenters;
then each rank is moved as close to its neighbours as the order allows (isotonic regression). Nothing recurses
and nothing is random: equal graphs are laid out equally.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from symgraph.inspection.draw.ordering import order_ranks

_DUMMY_WIDTH = 6.0
_MOST_DUMMIES = 30_000
_SWEEPS = 12
_COLUMNS = 6


@dataclass(frozen=True)
class Spacing:
    """Gaps in pixels: between boxes of a rank, and between ranks."""

    beside: float = 22.0
    between: float = 34.0


@dataclass(frozen=True)
class Placement:
    """A laid out graph.

    Attributes
    ----------
    centers : list of (x, y)
        Of the boxes.
    ranks : list of int
    paths : list of lists of (x, y)
        Of the edges, from the lower end of the source's box to the upper end of the target's; between two
        points with different x they bend.
    far : list of bool
        Edges that were too many and too long to be led around boxes.
    width, height : float
    """

    centers: list[tuple[float, float]]
    ranks: list[int]
    paths: list[list[tuple[float, float]]]
    far: list[bool]
    width: float
    height: float


@dataclass
class _Layers:
    """Nodes and dummies in ranks; `links` lead from one rank to the next."""

    rank: list[int]
    width: list[float]
    links: list[tuple[int, int]] = field(default_factory=list)
    routes: list[list[int] | None] = field(default_factory=list)


def layered(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    spacing: Spacing = Spacing(),
) -> Placement:
    """Lay out boxes of these sizes (width, height), joined by these edges (source, target), downwards."""
    if not sizes:
        return Placement([], [], [], [], 0.0, 0.0)
    kept = _without_cycles(len(sizes), edges)
    ranks = _ranks(len(sizes), kept)
    layers = _with_dummies(ranks, [w for w, _ in sizes], kept)
    order = order_ranks(layers.rank, layers.links)
    x = _coordinates(layers, order, spacing)
    tops, heights = _rows(ranks, sizes, spacing)
    centers = [(x[i], tops[r] + heights[r] / 2) for i, r in enumerate(ranks)]
    paths = []
    for (source, target), (low, _), route in zip(edges, kept, layers.routes, strict=True):
        path = _path(source, target, route, centers, sizes, x, layers.rank, tops, heights, low != source)
        paths.append(path)
    width = max(x[i] + layers.width[i] / 2 for i in range(len(x)))
    far = [route is None for route in layers.routes]
    return Placement(centers, ranks, paths, far, width, tops[-1] + heights[-1])


def _without_cycles(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges, those that close a cycle turned round; edges from a node to itself stay as they are."""
    targets: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        targets[source].append(target)
    state, position = [0] * count, [0] * count
    back: set[tuple[int, int]] = set()
    for root in range(count):
        stack = [root] if not state[root] else []
        state[root] = state[root] or 1
        while stack:
            node = stack[-1]
            if position[node] == len(targets[node]):
                state[node] = 2
                stack.pop()
                continue
            following = targets[node][position[node]]
            position[node] += 1
            if state[following] == 1:
                back.add((node, following))
            elif not state[following]:
                state[following] = 1
                stack.append(following)
    return [(t, s) if (s, t) in back and s != t else (s, t) for s, t in edges]


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The length of the longest path to each node; then those that nothing holds above are moved down."""
    after: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        if source != target:
            after[source].append(target)
            before[target].append(source)
    left = [len(sources) for sources in before]
    ready = [node for node in range(count) if not left[node]]
    rank = [0] * count
    for node in ready:
        for target in after[node]:
            rank[target] = max(rank[target], rank[node] + 1)
            left[target] -= 1
            if not left[target]:
                ready.append(target)
    for node in reversed(ready):
        # One edge less above than below: it gets shorter in sum.
        if after[node] and len(set(before[node])) < len(set(after[node])) + (not before[node]):
            rank[node] = min(rank[target] for target in after[node]) - 1
    lowest = min(rank)
    rank = [r - lowest for r in rank]
    # Those that nothing is joined to come last, a few beside each other.
    alone = [node for node in range(count) if not before[node] and not after[node]]
    last = max((r for node, r in enumerate(rank) if before[node] or after[node]), default=-1) + 1
    columns = max(_COLUMNS, int(len(alone) ** 0.5))
    for i, node in enumerate(alone):
        rank[node] = last + i // columns
    return rank


def _with_dummies(ranks: list[int], widths: Sequence[float], edges: Sequence[tuple[int, int]]) -> _Layers:
    layers = _Layers(list(ranks), list(widths))
    lengths = [ranks[t] - ranks[s] for s, t in edges]
    room = _MOST_DUMMIES
    chains: dict[int, list[int]] = {}
    seen: set[tuple[int, int]] = set()
    routes: dict[int, list[int] | None] = {}
    for number in sorted(range(len(edges)), key=lambda i: (lengths[i], i)):
        source, target = edges[number]
        chain = chains.setdefault(source, [])
        missing = max(lengths[number] - 1 - len(chain), 0)
        if missing > room or lengths[number] < 1:
            routes[number] = None if lengths[number] >= 1 else []
            continue
        room -= missing
        for _ in range(missing):
            above = chain[-1] if chain else source
            chain.append(len(layers.rank))
            layers.rank.append(layers.rank[above] + 1)
            layers.width.append(_DUMMY_WIDTH)
            layers.links.append((above, chain[-1]))
        route = chain[: lengths[number] - 1]
        link = (route[-1] if route else source, target)
        if link not in seen:
            seen.add(link)
            layers.links.append(link)
        routes[number] = route
    layers.routes = [routes[number] for number in range(len(edges))]
    return layers


def _coordinates(layers: _Layers, order: list[list[int]], spacing: Spacing) -> list[float]:
    """The x of each node's center."""
    count = len(layers.rank)
    width = np.array(layers.width)
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in layers.links:
        below[source].append(target)
        above[target].append(source)
    x = np.zeros(count)
    offsets = []
    for nodes in order:
        gaps = (width[nodes][:-1] + width[nodes][1:]) / 2 + spacing.beside
        offsets.append(np.concatenate([[0.0], np.cumsum(gaps)]))
        x[nodes] = offsets[-1] - offsets[-1][-1] / 2
    # Edges between dummies are to be straight before all else.
    weight = np.where(np.array(layers.width) == _DUMMY_WIDTH, 4.0, 1.0)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        ranks = range(1, len(order)) if down else range(len(order) - 2, -1, -1)
        for rank in ranks:
            nodes = order[rank]
            near = [above[n] if down else below[n] for n in nodes]
            wanted = np.array(
                [_mean(x, weight, n) if n else x[node] for node, n in zip(nodes, near, strict=True)]
            )
            pull = np.array([float(weight[node]) if n else 0.05 for node, n in zip(nodes, near, strict=True)])
            x[nodes] = _isotonic(wanted - offsets[rank], pull) + offsets[rank]
    x -= float(np.min(x - width / 2))
    return [round(float(v), 1) for v in x]


def _mean(x: np.ndarray, weight: np.ndarray, nodes: list[int]) -> float:
    if len(nodes) == 1:
        return float(x[nodes[0]])
    return float(np.average(x[nodes], weights=weight[nodes]))


def _isotonic(wanted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The non-decreasing numbers closest to `wanted` (least squares): pool adjacent violators."""
    means: list[float] = []
    weights: list[float] = []
    counts: list[int] = []
    for value, w in zip(wanted.tolist(), weight.tolist(), strict=True):
        mean, total, count = value, w, 1
        while means and means[-1] >= mean:
            other, more = means.pop(), weights.pop()
            mean = (mean * total + other * more) / (total + more)
            total += more
            count += counts.pop()
        means.append(mean)
        weights.append(total)
        counts.append(count)
    return np.repeat(means, counts)


def _rows(
    ranks: list[int], sizes: Sequence[tuple[float, float]], spacing: Spacing
) -> tuple[list[float], list[float]]:
    """Top and height of each rank."""
    heights = [0.0] * (max(ranks) + 1)
    for rank, (_, height) in zip(ranks, sizes, strict=True):
        heights[rank] = max(heights[rank], height)
    tops, top = [], 0.0
    for height in heights:
        tops.append(top)
        top += height + spacing.between
    return tops, heights


def _path(
    source: int,
    target: int,
    route: list[int] | None,
    centers: list[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    x: list[float],
    rank: list[int],
    tops: list[float],
    heights: list[float],
    turned: bool,
) -> list[tuple[float, float]]:
    """The points of an edge. One that was turned round is led from its own source all the same."""
    if turned:
        source, target = target, source
    start = (centers[source][0], centers[source][1] + sizes[source][1] / 2)
    end = (centers[target][0], centers[target][1] - sizes[target][1] / 2)
    points = [start]
    for dummy in route or []:
        top, height = tops[rank[dummy]], heights[rank[dummy]]
        points += [(x[dummy], top), (x[dummy], top + height)]
    points.append(end)
    return points[::-1] if turned else points
