"""Transforms of small tiles for convolutions with few multiplications, and code that applies them to vectors.

A correlation of `inputs` numbers with `taps` weights that gives ``outputs = inputs - taps + 1`` numbers is a
product of polynomials; evaluated at as many points as there are inputs it takes one multiplication a point
(Toom 1963, Cook 1966; for convolutions Winograd 1980, Lavin & Gray 2015):

    y = back @ ((weights @ w) * (forth @ x))

The matrices are derived from the points in exact fractions. Where a point and its negative both occur, rows
or columns come in pairs that share their even and odd parts; `apply` finds such pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations

from symgraph.kernels.tile.nest import Writer
from symgraph.kernels.tile.vector import Vec

Matrix = tuple[tuple[Fraction, ...], ...]

# The last point is infinity. Small points of both signs keep the matrices, and with them the errors, small.
_POINTS = (0, 1, -1, 2, -2)


@dataclass(frozen=True, slots=True)
class Transforms:
    """The three matrices of a correlation of `inputs` numbers with `taps` weights.

    `forth` is [inputs, inputs], `weights` [inputs, taps], `back` [outputs, inputs].
    """

    forth: Matrix
    weights: Matrix
    back: Matrix


@cache
def correlation(outputs: int, taps: int, scaled: str = "weights") -> Transforms:
    """The transforms that give `outputs` numbers from one more than ``outputs + taps - 2``.

    Each point has a factor, which goes to the `scaled` matrix, "weights" or "back"; the other gets plain
    powers of the points, which are cheap to apply.
    """
    points = [Fraction(p) for p in _POINTS[: outputs + taps - 2]]
    assert len(points) == outputs + taps - 2, "too few points"
    scales = [1 / _product([p - q for q in points if q != p]) for p in points] + [Fraction(1)]

    def powers(count: int) -> list[list[Fraction]]:
        """By point: its powers, and of infinity the leading coefficient."""
        last = [Fraction(int(i == count - 1)) for i in range(count)]
        return [[p**i for i in range(count)] for p in points] + [last]

    without = [[*_polynomial([q for q in points if q != p]), Fraction(0)] for p in points]
    weights, back = powers(taps), powers(outputs)
    target = weights if scaled == "weights" else back
    target[:] = [[s * x for x in row] for s, row in zip(scales, target, strict=True)]
    return Transforms(
        _matrix([*without, _polynomial(points)]), _matrix(weights), _matrix(zip(*back, strict=True))
    )


def _matrix(rows: object) -> Matrix:
    return tuple(tuple(row) for row in rows)  # type: ignore[attr-defined]


def _product(factors: Sequence[Fraction]) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients, lowest first, of the monic polynomial with these roots."""
    result = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *result]
        result = [a - root * b for a, b in zip(shifted, [*result, Fraction(0)], strict=True)]
    return result


def apply(matrix: Matrix, values: Sequence[Vec]) -> list[Vec]:
    """``matrix @ values`` for a list of vectors, with sums that two rows or columns share made once."""
    columns = list(zip(*matrix, strict=True))
    terms = list(values)
    for i, j in combinations(range(len(columns)), 2):
        if _are_pair(columns[i], columns[j]):
            alike = [a == b for a, b in zip(columns[i], columns[j], strict=True)]
            column = columns[i]
            columns[i] = tuple(x if same else Fraction(0) for x, same in zip(column, alike, strict=True))
            columns[j] = tuple(Fraction(0) if same else x for x, same in zip(column, alike, strict=True))
            terms[i], terms[j] = terms[i] + terms[j], terms[i] - terms[j]
    rows = list(zip(*columns, strict=True))
    results: dict[int, Vec] = {}
    for i, j in combinations(range(len(rows)), 2):
        if i not in results and j not in results and _are_pair(rows[i], rows[j]):
            even = [(x, t) for x, y, t in zip(rows[i], rows[j], terms, strict=True) if x == y]
            odd = [(x, t) for x, y, t in zip(rows[i], rows[j], terms, strict=True) if x != y]
            scale = min(abs(x) for x, _ in odd)
            a, b = _sum(even), _sum([(x / scale, t) for x, t in odd])
            results[i], results[j] = _add(a, scale, b), _add(a, -scale, b)
    for i, row in enumerate(rows):
        if i not in results:
            results[i] = _sum(list(zip(row, terms, strict=True)))
    return [results[i] for i in range(len(rows))]


def _are_pair(a: Sequence[Fraction], b: Sequence[Fraction]) -> bool:
    """Whether two lines differ in nothing but some signs, and agree in others."""
    signs = {x == y for x, y in zip(a, b, strict=True) if x}
    return [abs(x) for x in a] == [abs(y) for y in b] and signs == {True, False}


def _sum(terms: Sequence[tuple[Fraction, Vec]]) -> Vec:
    """The sum of factors times vectors."""
    # A term without a factor first: it needs no multiplication.
    used = sorted((t for t in terms if t[0]), key=lambda term: term[0] != 1)
    if not used:
        return terms[0][1].constant(0)
    factor, total = used[0]
    if factor != 1:
        total = total * float(factor)
    for factor, value in used[1:]:
        total = _add(total, factor, value)
    return total


def _add(total: Vec, factor: Fraction, value: Vec) -> Vec:
    """``total + factor * value``."""
    if factor == 1:
        return total + value
    if factor == -1:
        return total - value
    return value.multiply_add(float(factor), total)


def apply_both_ways(
    writer: Writer,
    matrix: Matrix,
    load: Callable[[Vec, int], Vec],
    store: Callable[[Vec, int, Vec], None],
    lanes: int,
    stop: Vec | None = None,
) -> None:
    """``matrix @ x @ matrix.T`` for a square tile of float32 vectors of `lanes`.

    `load` (i, j) gives x[i, j]; `store` (j, i, value) takes element [i, j] of the result, for j below `stop`
    where that is given. The first index of both is a number in the code: the passes are loops.
    """
    outputs, inputs = len(matrix), len(matrix[0])
    between = writer.array(outputs * inputs, "float32", lanes)
    with writer.loop(0, writer.integer(inputs)) as row:
        for j, value in enumerate(apply(matrix, [load(row, j) for j in range(inputs)])):
            between.set(row + j * inputs, value)
    with writer.loop(0, writer.integer(outputs) if stop is None else stop) as column:
        values = [between.get(column * inputs + i) for i in range(inputs)]
        for i, value in enumerate(apply(matrix, values)):
            store(column, i, value)
