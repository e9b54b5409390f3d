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

from llvmlite import ir

from symgraph.kernels.tile.emit import Code, Int, zero

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


def apply(code: Code, matrix: Matrix, values: Sequence[ir.Value]) -> list[ir.Value]:
    """``matrix @ values`` for a list of vectors, with sums that two rows or columns share made once."""
    builder = code.builder
    columns = list(zip(*matrix, strict=True))
    terms = list(values)
    for i, j in combinations(range(len(columns)), 2):
        if _are_pair(columns[i], columns[j]):
            alike = [a == b for a, b in zip(columns[i], columns[j], strict=True)]
            total, difference = builder.fadd(terms[i], terms[j]), builder.fsub(terms[i], terms[j])
            column = columns[i]
            columns[i] = tuple(x if same else Fraction(0) for x, same in zip(column, alike, strict=True))
            columns[j] = tuple(Fraction(0) if same else x for x, same in zip(column, alike, strict=True))
            terms[i], terms[j] = total, difference
    rows = list(zip(*columns, strict=True))
    results: dict[int, ir.Value] = {}
    for i, j in combinations(range(len(rows)), 2):
        if i not in results and j not in results and _are_pair(rows[i], rows[j]):
            even = [(x, t) for x, y, t in zip(rows[i], rows[j], terms, strict=True) if x == y]
            odd = [(x, t) for x, y, t in zip(rows[i], rows[j], terms, strict=True) if x != y]
            scale = min(abs(x) for x, _ in odd)
            a, b = _sum(code, even), _sum(code, [(x / scale, t) for x, t in odd])
            results[i], results[j] = _add(code, a, scale, b), _add(code, a, -scale, b)
    for i, row in enumerate(rows):
        if i not in results:
            results[i] = _sum(code, list(zip(row, terms, strict=True)))
    return [results[i] for i in range(len(rows))]


def _are_pair(a: Sequence[Fraction], b: Sequence[Fraction]) -> bool:
    """Whether two lines differ in nothing but some signs, and agree in others."""
    signs = {x == y for x, y in zip(a, b, strict=True) if x}
    return [abs(x) for x in a] == [abs(y) for y in b] and signs == {True, False}


def _sum(code: Code, terms: Sequence[tuple[Fraction, ir.Value]]) -> ir.Value:
    """The sum of factors times vectors."""
    # A term without a factor first: it needs no multiplication.
    used = sorted((t for t in terms if t[0]), key=lambda term: term[0] != 1)
    if not used:
        return zero(terms[0][1].type)
    factor, total = used[0]
    if factor != 1:
        total = code.builder.fmul(_constant(factor, total), total)
    for factor, value in used[1:]:
        total = _add(code, total, factor, value)
    return total


def _add(code: Code, total: ir.Value, factor: Fraction, value: ir.Value) -> ir.Value:
    """``total + factor * value``."""
    if factor == 1:
        return code.builder.fadd(total, value)
    if factor == -1:
        return code.builder.fsub(total, value)
    return code.multiply_add(_constant(factor, value), value, total)


def _constant(factor: Fraction, like: ir.Value) -> ir.Constant:
    return ir.Constant(like.type, [float(factor)] * like.type.count)


def apply_both_ways(
    code: Code,
    matrix: Matrix,
    kind: ir.VectorType,
    load: Callable[[Int, int], ir.Value],
    store: Callable[[Int, int, ir.Value], None],
    stop: Int | int | None = None,
) -> None:
    """``matrix @ x @ matrix.T`` for a square tile of vectors.

    `load` (i, j) gives x[i, j]; `store` (j, i, value) takes element [i, j] of the result, for j below `stop`
    where that is given. The first index of both is a number in the code: the passes are loops.
    """
    builder = code.builder
    outputs, inputs = len(matrix), len(matrix[0])
    between = code.variable(ir.ArrayType(kind, outputs * inputs))

    def cell(j: Int | int, i: Int | int) -> ir.Value:
        place = code.number(j) * inputs + i
        return builder.gep(between, [ir.IntType(64)(0), place.value], inbounds=True)

    with code.loop(inputs) as row:
        for j, value in enumerate(apply(code, matrix, [load(row, j) for j in range(inputs)])):
            builder.store(value, cell(j, row))
    with code.loop(outputs if stop is None else stop) as column:
        values = [builder.load(cell(column, i)) for i in range(inputs)]
        for i, value in enumerate(apply(code, matrix, values)):
            store(column, i, value)
