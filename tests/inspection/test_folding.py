"""Repeats: blocks of equal structure are found, and nothing else."""

from __future__ import annotations

from symgraph.inspection.draw.folding import repeats


def chain(count: int) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(count - 1)]


def test_a_run_of_equal_nodes_is_one_repeat():
    (found,) = repeats(["a", *"bbbbb", "c"], chain(7))
    assert found.blocks == ((1,), (2,), (3,), (4,), (5,))
    assert found.count == 5


def test_blocks_of_several_nodes():
    (found,) = repeats(["x", *"abcabcabc", "y"], chain(11))
    assert found.blocks == ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def test_blocks_with_branches_have_equal_edges_inside():
    # Two residual blocks: a node, and a second that reads both it and what came before.
    edges = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4), (4, 5)]
    (found,) = repeats([*"xcacay"], edges, smallest=2)
    assert found.blocks == ((1, 2), (3, 4))
    # In the second one the shortcut is missing.
    assert repeats([*"xcacay"], [e for e in edges if e != (2, 4)], smallest=2) == []


def test_different_labels_and_small_savings_are_not_folded():
    assert repeats([*"abcdef"], chain(6)) == []
    assert repeats([*"xaay"], chain(4)) == []


def test_a_block_that_an_edge_jumps_out_of_is_not_folded():
    edges = [*chain(6), (1, 5)]
    assert repeats([*"xaaaay"], edges) == []


def test_fifty_thousand():
    (found,) = repeats(["x", *["a", "b"] * 25_000], chain(50_001))
    assert found.count == 25_000
    assert found.first == (1, 2)
