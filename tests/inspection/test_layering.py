"""Layered layout: boxes lie apart, edges run downwards, and equal graphs are laid out equally."""

from __future__ import annotations

import itertools
import random

import pytest

from symgraph.inspection.draw.layering import Placement, layered
from symgraph.inspection.draw.ordering import crossings, order_ranks


def random_graph(seed: int, count: int, edges: int):
    draw = random.Random(seed)
    sizes = [(draw.uniform(20, 120), draw.uniform(15, 60)) for _ in range(count)]
    pairs = {tuple(sorted(draw.sample(range(count), 2))) for _ in range(edges)}
    return sizes, sorted(pairs)


def overlaps(laid: Placement, sizes) -> list[tuple[int, int]]:
    found = []
    for i, j in itertools.combinations(range(len(sizes)), 2):
        (xi, yi), (xj, yj) = laid.centers[i], laid.centers[j]
        wide = abs(xi - xj) < (sizes[i][0] + sizes[j][0]) / 2 - 0.2
        high = abs(yi - yj) < (sizes[i][1] + sizes[j][1]) / 2 - 0.2
        if wide and high:
            found.append((i, j))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_boxes_lie_apart_and_edges_lead_downwards(seed):
    sizes, edges = random_graph(seed, 40, 70)
    laid = layered(sizes, edges)
    assert overlaps(laid, sizes) == []
    for (source, target), path in zip(edges, laid.paths, strict=True):
        assert laid.ranks[source] < laid.ranks[target]
        (x, y), (x1, y1) = laid.centers[source], laid.centers[target]
        assert path[0] == pytest.approx((x, y + sizes[source][1] / 2))
        assert path[-1] == pytest.approx((x1, y1 - sizes[target][1] / 2))
        assert [y for _, y in path] == sorted(y for _, y in path)
    for (x, y), (width, height) in zip(laid.centers, sizes, strict=True):
        assert x - width / 2 >= -0.2 and x + width / 2 <= laid.width + 0.2
        assert y - height / 2 >= -0.2 and y + height / 2 <= laid.height + 0.2


@pytest.mark.parametrize("seed", range(4))
def test_long_edges_go_around_boxes(seed):
    sizes, edges = random_graph(seed, 30, 45)
    laid = layered(sizes, edges)
    for (source, target), path in zip(edges, laid.paths, strict=True):
        for (x0, y0), (x1, y1) in itertools.pairwise(path):
            if x0 != x1:
                continue  # a bend lies between two ranks
            for box, ((x, y), (width, height)) in enumerate(zip(laid.centers, sizes, strict=True)):
                if box not in (source, target):
                    beside = abs(x - x0) >= width / 2
                    assert beside or y1 <= y - height / 2 + 0.2 or y0 >= y + height / 2 - 0.2


def test_cycles_are_drawn_too():
    laid = layered([(30, 20)] * 4, [(0, 1), (1, 2), (2, 0), (2, 3)])
    assert laid.ranks == [0, 1, 2, 3]
    assert laid.paths[2][0][1] > laid.paths[2][-1][1], "the edge that closes the cycle leads upwards"


def test_a_chain_is_straight_and_one_rank_a_box():
    laid = layered([(50, 20)] * 6, [(i, i + 1) for i in range(5)])
    assert laid.ranks == list(range(6))
    assert len({x for x, _ in laid.centers}) == 1


def test_equal_graphs_are_laid_out_equally():
    sizes, edges = random_graph(7, 60, 110)
    assert layered(sizes, edges) == layered(list(sizes), list(edges))


def test_nothing_and_one_box():
    assert layered([], []).centers == []
    assert layered([(40, 20)], []).centers == [(20, 10)]


def test_crossings_are_counted_as_pairs():
    order = [[0, 1, 2], [3, 4, 5]]
    links = [(0, 5), (1, 4), (2, 3), (0, 3)]
    place = {node: i for nodes in order for i, node in enumerate(nodes)}
    expected = sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in itertools.combinations(links, 2)
    )
    assert crossings(order, links) == expected == 3


def test_a_tangle_that_can_be_undone_is():
    # Two ladders, whose sides are given in opposite order.
    rank = [0, 0, 0, 1, 1, 1]
    links = [(0, 5), (1, 4), (2, 3)]
    assert crossings([[0, 1, 2], [3, 4, 5]], links) == 3
    assert crossings(order_ranks(rank, links), links) == 0


def test_five_thousand_boxes_and_a_chain_of_twenty_thousand():
    sizes, _ = random_graph(1, 5000, 0)
    draw = random.Random(2)
    edges = [(max(0, i - draw.randint(1, 12)), i) for i in range(1, 5000)]
    laid = layered(sizes, edges)
    ranks: dict[int, list[int]] = {}
    for node, rank in enumerate(laid.ranks):
        ranks.setdefault(rank, []).append(node)
    for nodes in ranks.values():
        nodes.sort(key=lambda n: laid.centers[n][0])
        for left, right in itertools.pairwise(nodes):
            assert (
                laid.centers[left][0] + sizes[left][0] / 2
                <= laid.centers[right][0] - sizes[right][0] / 2 + 0.2
            )
    chain = layered([(10, 10)] * 20_000, [(i, i + 1) for i in range(19_999)])
    assert chain.ranks[-1] == 19_999


def test_edges_that_are_too_many_and_too_long_are_marked():
    count = 600
    edges = [(i, i + 1) for i in range(count - 1)] + [(i, count - 1) for i in range(count - 1)]
    laid = layered([(10, 10)] * count, edges)
    assert any(laid.far)
    assert not any(laid.far[: count - 1]), "short edges come first"
