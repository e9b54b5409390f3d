"""The arena's law on made-up lifetimes: nothing overlaps, nothing leaves the arena, no needless growth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from symgraph.compiler.plan.arena import Lifetime, overlapping, pack

LIVES = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 30), st.integers(0, 10)).map(
        lambda t: Lifetime(t[0], t[1], t[1] + t[2])
    ),
    max_size=40,
)


@given(LIVES)
def test_nothing_overlaps(lives: list[Lifetime]) -> None:
    lifetimes = dict(enumerate(lives))
    offsets, size = pack(lifetimes)
    assert set(offsets) == set(lifetimes)
    assert not overlapping(offsets, lifetimes)
    assert all(offset % 64 == 0 and offset + lifetimes[k].nbytes <= size for k, offset in offsets.items())


@given(LIVES)
def test_no_larger_than_the_sum(lives: list[Lifetime]) -> None:
    _, size = pack(dict(enumerate(lives)))
    assert size <= sum(max(64, -(-life.nbytes // 64) * 64) for life in lives)


def test_a_chain_needs_two_buffers() -> None:
    chain = {i: Lifetime(1000, i, i + 1) for i in range(100)}
    _, size = pack(chain)
    assert size == 2 * 1024


def test_overlapping_sees_a_clash() -> None:
    lives = {0: Lifetime(100, 0, 2), 1: Lifetime(100, 1, 3)}
    assert overlapping({0: 0, 1: 64}, lives) == [(0, 1)]
    assert overlapping({0: 0, 1: 128}, lives) == []
