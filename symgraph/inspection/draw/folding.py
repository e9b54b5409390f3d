"""Repeats in a graph: blocks of equal structure, one after the other, that need to be drawn only once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

_LONGEST = 48


@dataclass(frozen=True)
class Repeat:
    """`count` equal blocks in a row; `first` are the nodes of the first one, `blocks` those of all."""

    blocks: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        """How many blocks."""
        return len(self.blocks)

    @property
    def first(self) -> tuple[int, ...]:
        """The nodes of the first block."""
        return self.blocks[0]


def repeats(
    labels: Sequence[Hashable], edges: Sequence[tuple[int, int]], least: int = 2, smallest: int = 3
) -> list[Repeat]:
    """Find blocks that follow each other, with equal labels and equal edges inside.

    Parameters
    ----------
    labels : sequence
        Of the nodes, which come in topological order.
    edges : sequence of (source, target)
    least : int
        Blocks that a repeat has at least.
    smallest : int
        Nodes that all but the first block have at least, together.
    """
    segments = _segments(len(labels), edges)
    names = _names(labels, edges, segments)
    found: list[Repeat] = []
    position = 0
    while position < len(segments):
        period, count = _best(names, position, segments, least, smallest)
        if count:
            blocks = [
                tuple(
                    node
                    for segment in segments[position + i * period : position + (i + 1) * period]
                    for node in segment
                )
                for i in range(count)
            ]
            found.append(Repeat(tuple(blocks)))
        position += max(period * count, 1)
    return found


def _segments(count: int, edges: Sequence[tuple[int, int]]) -> list[range]:
    """Cut the nodes after each one that every path goes through."""
    reach = [node for node in range(count)]
    for source, target in edges:
        reach[source] = max(reach[source], target)
    segments, start, far = [], 0, -1
    for node in range(count):
        # No edge jumps over `node`: what comes before it is joined to what follows by this node alone.
        if far <= node:
            segments.append(range(start, node + 1))
            start = node + 1
        far = max(far, reach[node])
    if start < count:
        segments.append(range(start, count))
    return segments


def _names(
    labels: Sequence[Hashable], edges: Sequence[tuple[int, int]], segments: Sequence[range]
) -> list[int]:
    """A number for each segment, equal for those of equal structure."""
    inputs: list[list[int]] = [[] for _ in labels]
    for source, target in edges:
        inputs[target].append(target - source)
    known: dict[Hashable, int] = {}
    names = []
    for segment in segments:
        key = tuple((labels[node], tuple(sorted(inputs[node]))) for node in segment)
        names.append(known.setdefault(key, len(known)))
    return names


def _best(
    names: Sequence[int], start: int, segments: Sequence[range], least: int, smallest: int
) -> tuple[int, int]:
    """Length in segments, and number, of the blocks from `start` on that save most; (1, 0) for none."""
    best, most = (1, 0), 0
    for period in range(1, min(_LONGEST, (len(names) - start) // 2) + 1):
        count, place = 1, start + period
        while place + period <= len(names) and all(
            names[place + i] == names[start + i] for i in range(period)
        ):
            count += 1
            place += period
        saved = sum(len(s) for s in segments[start + period : start + period * count])
        if count >= least and saved >= smallest and saved > most:
            best, most = (period, count), saved
    return best
