"""Algorithms of Allreduce played message by message on small vectors, with a clock for each node.

Independent of the formulas: nodes hold numbers, messages carry them, and what a message and an addition cost
is counted as it happens. A node may send and receive at the same time, one message of each.
"""

from __future__ import annotations

import numpy as np

from symgraph.distributed.scaling.network import Network

Message = tuple[int, int, slice, bool]
"""From whom, to whom, which elements, and whether they are added to what is there."""


class Game:
    """Nodes with a vector each, of one byte an element, and the time that has passed on each."""

    def __init__(self, network: Network, nodes: int, elements: int) -> None:
        self.network, self.nodes, self.elements = network, nodes, elements
        self.vectors = np.random.default_rng(nodes).integers(0, 99, (nodes, elements)).astype(float)
        self.expected = self.vectors.sum(axis=0)
        self.clocks = np.zeros(nodes)

    def round(self, messages: list[Message]) -> None:
        """Messages at the same time: each needs both its nodes free, and nobody sends or receives two."""
        for role in (0, 1):
            assert len({message[role] for message in messages}) == len(messages)
        parts = [self.vectors[source, part].copy() for source, _, part, _ in messages]
        start = self.clocks.copy()
        for (source, target, part, adds), values in zip(messages, parts, strict=True):
            took = self.network.latency + len(values) / self.network.bandwidth
            arrived = max(start[source], start[target]) + took
            self.clocks[source] = max(self.clocks[source], arrived)
            if adds:
                self.vectors[target, part] += values
                arrived += len(values) / self.network.reduction
            else:
                self.vectors[target, part] = values
            self.clocks[target] = max(self.clocks[target], arrived)

    def end(self) -> float:
        """The time when all nodes have the sum."""
        np.testing.assert_array_equal(self.vectors, np.tile(self.expected, (self.nodes, 1)))
        return float(self.clocks.max())


def _pieces(game: Game, count: int) -> list[slice]:
    size, rest = divmod(game.elements, count)
    assert not rest
    return [slice(i * size, (i + 1) * size) for i in range(count)]


def ring(game: Game) -> float:
    """Pieces travel around; in the second half finished ones replace what is there."""
    p, pieces = game.nodes, _pieces(game, game.nodes)
    for adds in (True, False):
        for step in range(p - 1):
            first = 0 if adds else 1
            game.round([(i, (i + 1) % p, pieces[(i + first - step) % p], adds) for i in range(p)])
    return game.end()


def tree(game: Game) -> float:
    """Up a binomial tree to node 0, and down again."""
    everything, distances = slice(None), [1 << k for k in range((game.nodes - 1).bit_length())]
    for distance in distances:
        senders = range(distance, game.nodes, 2 * distance)
        game.round([(i, i - distance, everything, True) for i in senders])
    for distance in reversed(distances):
        receivers = range(distance, game.nodes, 2 * distance)
        game.round([(i - distance, i, everything, False) for i in receivers])
    return game.end()


def _folded(game: Game) -> list[int]:
    """The nodes that go on, a power of two of them: of the first pairs the even ones gave theirs away."""
    power = 1 << (game.nodes.bit_length() - 1)
    extra = game.nodes - power
    if extra:
        game.round([(2 * i, 2 * i + 1, slice(None), True) for i in range(extra)])
    return [2 * i + 1 for i in range(extra)] + list(range(2 * extra, game.nodes))


def _unfold(game: Game) -> float:
    extra = game.nodes - (1 << (game.nodes.bit_length() - 1))
    if extra:
        game.round([(2 * i + 1, 2 * i, slice(None), False) for i in range(extra)])
    return game.end()


def doubling(game: Game) -> float:
    """Pairs at distances 1, 2, 4 exchange and add whole vectors."""
    active, distance = _folded(game), 1
    while distance < len(active):
        pairs = [(active[i], active[i ^ distance], slice(None), True) for i in range(len(active))]
        game.round(pairs)
        distance *= 2
    return _unfold(game)


def rabenseifner(game: Game) -> float:
    """Pairs at distances p/2, p/4, ... exchange halves of what they still have, and the other way round."""
    active = _folded(game)
    held = [(0, game.elements)] * len(active)
    history: list[list[tuple[int, int]]] = []
    distance = len(active) // 2
    while distance:
        history.append(held)
        messages, after = [], []
        for i, (begin, end) in enumerate(held):
            middle = (begin + end) // 2
            keep, give = (
                ((begin, middle), (middle, end)) if i & distance == 0 else ((middle, end), (begin, middle))
            )
            messages.append((active[i], active[i ^ distance], slice(*give), True))
            after.append(keep)
        game.round(messages)
        held, distance = after, distance // 2
    distance = 1
    for before in reversed(history):
        game.round([(active[i], active[i ^ distance], slice(*held[i]), False) for i in range(len(active))])
        held, distance = before, distance * 2
    return _unfold(game)


PLAYED = {"ring": ring, "rabenseifner": rabenseifner, "doubling": doubling, "tree": tree}
