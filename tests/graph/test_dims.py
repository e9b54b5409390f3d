"""Symbolic sizes against Python's integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.graph.dims import (
    bind,
    evaluate,
    larger,
    product,
    quotient,
    shape_text,
    smaller,
    unknown,
    unknowns,
)

SMALL = st.integers(-5, 5)


@given(st.lists(SMALL, min_size=4, max_size=4), st.integers(0, 9), st.integers(0, 9))
def test_polynomials_evaluate_as_integers(c: list[int], n: int, t: int) -> None:
    N, T = unknown("N"), unknown("T")
    (un,) = unknowns(N)
    (ut,) = unknowns(T)
    symbolic = (c[0] * N + c[1]) * (c[2] * T - c[3]) + N * T
    assert evaluate(symbolic, {un: n, ut: t}) == (c[0] * n + c[1]) * (c[2] * t - c[3]) + n * t


def test_equal_polynomials_are_equal() -> None:
    N, T = unknown("N"), unknown("T")
    assert N * T + 2 * N == N * (T + 2)
    assert N - N == 0
    assert N != T
    assert hash(N + T) == hash(T + N)
    assert unknown("N") != N


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 50))
def test_quotient(a: int, b: int, n: int) -> None:
    N = unknown("N")
    (un,) = unknowns(N)
    assert quotient(a * b * N, b) == a * N
    assert quotient(a * N * N, N) == a * N
    assert evaluate(quotient(N + a, b), {un: n}) == (n + a) // b


@given(st.integers(0, 20), st.integers(0, 20))
def test_smaller_and_larger(a: int, n: int) -> None:
    N = unknown("N")
    (un,) = unknowns(N)
    assert evaluate(smaller(N, a), {un: n}) == min(n, a)
    assert evaluate(larger(a, N), {un: n}) == max(n, a)
    assert smaller(3, 5) == 3


def test_product_of_a_shape() -> None:
    N = unknown("N")
    assert product((N, 2, 3)) == 6 * N
    assert product(()) == 1


def test_bind_solves_and_contradicts() -> None:
    N = unknown("N")
    (un,) = unknowns(N)
    sizes: dict = {}
    assert bind(2 * N + 1, 7, sizes)
    assert sizes == {un: 3}
    assert not bind(N, 4, sizes)
    assert not bind(5, 4, sizes)
    assert not bind(2 * unknown(), 3, {})


def test_unknown_sizes_are_no_integers() -> None:
    N = unknown("N")
    with pytest.raises(TypeError, match="not known"):
        bool(N)
    with pytest.raises(TypeError, match="not known"):
        range(N)  # type: ignore[arg-type]


def test_texts() -> None:
    N = unknown("N")
    assert shape_text((N, 2 * N + 1, 3)) == "(N, 2*N+1, 3)"
    assert shape_text((N,)) == "(N,)"
    assert str(2 - N) == "-N+2"
