"""The arena: temporaries of known lifetime packed into one block of memory."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LINE = 64


@dataclass(frozen=True)
class Lifetime:
    """`nbytes` that are needed from row `first` to row `last`, both included."""

    nbytes: int
    first: int
    last: int


def pack(lifetimes: Mapping[int, Lifetime]) -> tuple[dict[int, int], int]:
    """Offsets for each key, and the size of the arena.

    Best fit in order of first use, with free neighbours joined. Offsets are multiples of 64 bytes; two keys
    overlap in memory only if their lifetimes do not.
    """
    starts: dict[int, list[int]] = {}
    for key, life in lifetimes.items():
        starts.setdefault(life.first, []).append(key)
    ends: dict[int, list[int]] = {}
    offsets: dict[int, int] = {}
    free: list[tuple[int, int]] = []
    top = 0
    events = sorted({*starts, *(life.last + 1 for life in lifetimes.values())})
    for now in events:
        for key in ends.pop(now, ()):
            free, top = _release(free, top, offsets[key], _rounded(lifetimes[key].nbytes))
        for key in sorted(starts.get(now, ()), key=lambda k: -lifetimes[k].nbytes):
            size = _rounded(lifetimes[key].nbytes)
            fits = min((b for b in free if b[1] >= size), key=lambda b: b[1], default=None)
            if fits is None:
                offsets[key] = top
                top += size
            else:
                free.remove(fits)
                offsets[key] = fits[0]
                if fits[1] > size:
                    insort(free, (fits[0] + size, fits[1] - size))
            ends.setdefault(lifetimes[key].last + 1, []).append(key)
    peak = max((offsets[k] + _rounded(v.nbytes) for k, v in lifetimes.items()), default=0)
    return offsets, peak


def _rounded(nbytes: int) -> int:
    return max(_LINE, -(-nbytes // _LINE) * _LINE)


def _release(
    free: list[tuple[int, int]], top: int, offset: int, size: int
) -> tuple[list[tuple[int, int]], int]:
    """Give a block back, joined with its free neighbours; a block at the top lowers the top."""
    insort(free, (offset, size))
    joined: list[tuple[int, int]] = []
    for start, length in free:
        if joined and joined[-1][0] + joined[-1][1] == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + length)
        else:
            joined.append((start, length))
    if joined and joined[-1][0] + joined[-1][1] == top:
        top = joined.pop()[0]
    return joined, top


def overlapping(offsets: Mapping[int, int], lifetimes: Mapping[int, Lifetime]) -> Sequence[tuple[int, int]]:
    """Pairs of keys that share memory while both live: always empty, or the planner is at fault."""
    keys = sorted(lifetimes, key=lambda k: offsets[k])
    clashes = []
    for i, a in enumerate(keys):
        for b in keys[i + 1 :]:
            if offsets[b] >= offsets[a] + lifetimes[a].nbytes:
                break
            apart = lifetimes[a].last < lifetimes[b].first or lifetimes[b].last < lifetimes[a].first
            if not apart:
                clashes.append((a, b))
    return clashes
