"""Sizes of axes that may be unknown until data come: integer polynomials over unknown sizes.

A dimension is an `int` or an `Expression` such as ``N``, ``2*N`` or ``N*T``. Expressions are canonical, so
equal polynomials compare equal; what cannot be a polynomial (a floor division, a minimum) is an atom of its
own. An unknown size is told by the shapes of what is fed, or it is *measured*: the value of a scalar integer
tensor, its `source`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A size known only at run time. Equal only to itself.

    `source` is the tensor whose value it is, None for a size that shapes tell. Such a value may be negative
    as long as it is no size of an axis.
    """

    name: str = field(default="?", compare=False)
    serial: int = field(default_factory=lambda: next(_serial))
    source: Any = field(default=None, compare=False, repr=False)

    def __hash__(self) -> int:
        return hash(self.serial)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Call:
    """A non-polynomial function of dimensions: floordiv, min, max, place, behind."""

    function: str
    arguments: tuple[Dim, ...]

    def __str__(self) -> str:
        if self.function == "floordiv":
            return f"({self.arguments[0]})//{self.arguments[1]}"
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Atom: TypeAlias = Unknown | Call
Monomial: TypeAlias = tuple[Atom, ...]


def _order(atom: Atom) -> tuple[int, int, str]:
    return (0, atom.serial, "") if isinstance(atom, Unknown) else (1, 0, _identity(atom))


def _identity(dim: Dim | Atom) -> str:
    """A text that only equal dimensions share: names are not unique, so unknowns count by number."""
    if isinstance(dim, Unknown):
        return f"#{dim.serial}"
    if isinstance(dim, Call):
        return f"{dim.function}({','.join(map(_identity, dim.arguments))})"
    terms = _terms(dim)
    return "+".join("*".join([str(factor), *map(_identity, monomial)]) for monomial, factor in terms)


@dataclass(frozen=True, slots=True)
class Expression:
    """A polynomial: ((monomial, coefficient), ...), sorted, no zero coefficients, never a plain integer."""

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Dim) -> Dim:
        return _sum([*self.terms, *_terms(other)])

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: Dim) -> Dim:
        return -1 * self + other

    def __mul__(self, other: Dim) -> Dim:
        return _sum(
            (tuple(sorted(a + b, key=_order)), x * y)
            for (a, x), (b, y) in itertools.product(self.terms, _terms(other))
        )

    def __floordiv__(self, other: Dim) -> Dim:
        return quotient(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return quotient(other, self)

    def __neg__(self) -> Dim:
        return -1 * self

    __radd__ = __add__
    __rmul__ = __mul__

    @property
    def value(self) -> None:
        """None, as of a size that TensorFlow 1 does not know."""
        return

    def __bool__(self) -> bool:
        raise TypeError(f"the size {self} is not known until the graph runs, so it has no truth value")

    def __index__(self) -> int:
        raise TypeError(f"the size {self} is not known until the graph runs, so it is no Python integer")

    def __repr__(self) -> str:
        return "+".join(_term_text(monomial, factor) for monomial, factor in self.terms).replace("+-", "-")


Dim: TypeAlias = int | Expression


def _term_text(monomial: Monomial, factor: int) -> str:
    parts = [] if factor in (1, -1) and monomial else [str(abs(factor))]
    return ("-" if factor < 0 else "") + "*".join(parts + [str(atom) for atom in monomial])


def _terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(dim, Expression):
        return dim.terms
    return (((), int(dim)),) if dim else ()


def _sum(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    total: dict[Monomial, int] = {}
    for monomial, factor in terms:
        total[monomial] = total.get(monomial, 0) + factor
    kept = [(m, f) for m, f in total.items() if f]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    kept.sort(key=lambda term: (-len(term[0]), [_order(a) for a in term[0]]))
    return Expression(tuple(kept))


def _atom(atom: Atom) -> Expression:
    return Expression((((atom,), 1),))


def unknown(name: str = "?") -> Expression:
    """A new unknown size, shown as `name`."""
    return _atom(Unknown(name))


def measured(name: str, number: int, source: Any) -> Expression:
    """The value of `source`, a tensor with this serial number, as a size: always the same one."""
    return _atom(Unknown(name, -1 - number, source))


def place(bound: Dim, size: Dim) -> Dim:
    """A bound of a Python slice as a place in [0, size]: a negative one counts from the end."""
    if isinstance(bound, int) and isinstance(size, int):
        return _place(bound, size)
    return _atom(Call("place", (bound, size)))


def _place(bound: int, size: int) -> int:
    return min(bound, size) if bound >= 0 else max(bound + size, 0)


def behind(bound: Dim, size: Dim) -> Dim:
    """The place in [0, size] behind the element at which a slice that runs backwards starts or stops."""
    if isinstance(bound, int) and isinstance(size, int):
        return _behind(bound, size)
    return _atom(Call("behind", (bound, size)))


def _behind(bound: int, size: int) -> int:
    return min(bound + 1, size) if bound >= 0 else max(bound + size + 1, 0)


def quotient(a: Dim, b: Dim) -> Dim:
    """Floor of a / b, in closed form where b divides a term by term."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    divisor = _terms(b)
    if len(divisor) == 1:
        exact = [_divide_term(term, divisor[0]) for term in _terms(a)]
        if all(term is not None for term in exact):
            return _sum(term for term in exact if term is not None)
    return _atom(Call("floordiv", (a, b)))


def _divide_term(term: tuple[Monomial, int], divisor: tuple[Monomial, int]) -> tuple[Monomial, int] | None:
    left = list(term[0])
    for atom in divisor[0]:
        if atom not in left:
            return None
        left.remove(atom)
    return (tuple(left), term[1] // divisor[1]) if term[1] % divisor[1] == 0 else None


def smaller(a: Dim, b: Dim) -> Dim:
    """Minimum of two dimensions."""
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    if a == b:
        return a
    for number, dim in ((a, b), (b, a)):
        bent = _bent(dim) if isinstance(number, int) else None
        # What a slice of a slice takes: without this, sizes would double in length at every slice.
        cut = bent.held(number) if bent is not None and isinstance(number, int) else None
        if cut is not None:
            return cut
    return _atom(Call("min", (a, b)))


@dataclass(frozen=True, slots=True)
class _Bent:
    """A size as a function of one other: ``constant + slope * size + sum of c * min(a, size)``.

    Such are the sizes of slices of an axis of unknown size. `bends` are the pairs (a, c), by rising a.
    """

    size: Dim
    constant: int
    slope: int
    bends: tuple[tuple[int, int], ...]

    def at(self, size: int) -> int:
        """The value for a known size."""
        return self.constant + self.slope * size + sum(c * min(a, size) for a, c in self.bends)

    def slopes(self) -> list[int]:
        """The slopes before, between and behind the bends."""
        found = [self.slope + sum(c for _, c in self.bends)]
        for _, c in self.bends:
            found.append(found[-1] - c)
        return found

    def held(self, most: int) -> Dim | None:
        """The minimum of this and `most`: the function of a held size. None where there is no such form."""
        slopes = self.slopes()
        if min(slopes) < 0 or self.at(0) > most:
            return None
        places = [0, *(a for a, _ in self.bends if a > 0)]
        for place, slope in zip(places, slopes[-len(places) :], strict=True):
            later = place + (most - self.at(place)) // slope if slope else place
            if self.at(later) == most:
                held = [min(a, later) for a, _ in self.bends]
                terms = [c * smaller(a, self.size) for a, (_, c) in zip(held, self.bends, strict=True)]
                return sum(terms, self.constant + self.slope * smaller(later, self.size))
        return self.plain() if slopes[-1] == 0 and self.at(places[-1]) < most else None

    def plain(self) -> Dim:
        """The function itself."""
        terms = [c * smaller(a, self.size) for a, c in self.bends]
        return sum(terms, self.constant + self.slope * self.size)


def _bent(dim: Dim) -> _Bent | None:
    """`dim` as a bent function of one size, None where it is none."""
    bends: list[tuple[int, int]] = []
    size: Dim | None = None
    rest = dim
    if any_measured(dim):
        return None  # it may be negative
    for monomial, factor in _terms(dim):
        atom = monomial[0] if len(monomial) == 1 else None
        if isinstance(atom, Call) and atom.function == "min":
            number, other = atom.arguments if isinstance(atom.arguments[0], int) else atom.arguments[::-1]
            if not isinstance(number, int) or (size is not None and other != size):
                return None
            size = other
            bends.append((number, factor))
            rest = rest - factor * _atom(atom)
    for slope in (0, 1):
        constant = rest - slope * size if size is not None else None
        if size is not None and isinstance(constant, int):
            return _Bent(size, constant, slope, tuple(sorted(bends)))
    return None


def taken_off(dim: Dim) -> tuple[Dim, int] | None:
    """(size, n) where ``max(dim, 0)`` is ``size - min(n, size)`` for every size of at least 0; else None.

    ``N - 2*min(1, N)``, for one, is what is left of N when both ends are cut: 0 or N - 2.
    """
    bent = _bent(dim)
    if bent is None or bent.slope != 1:
        return None
    taken = -(bent.constant + sum(a * c for a, c in bent.bends))
    # Both are straight between these sizes, so they agree everywhere when they do there.
    places = {0, *(a for a, _ in bent.bends if a > 0), taken, taken + 1}
    same = taken >= 0 and all(max(bent.at(n), 0) == n - min(taken, n) for n in places)
    return (bent.size, taken) if same else None


def larger(a: Dim, b: Dim) -> Dim:
    """Maximum of two dimensions."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    return a if a == b else _atom(Call("max", (a, b)))


def product(dims: Iterable[Dim]) -> Dim:
    """Product of dimensions: the number of elements of a shape."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def _divided(a: int, b: int) -> int:
    if not b:
        raise ValueError(f"cannot divide the size {a} by a size of 0")
    return a // b


_FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "floordiv": _divided,
    "min": min,
    "max": max,
    "place": _place,
    "behind": _behind,
}


def evaluate(dim: Dim, sizes: Mapping[Unknown, int]) -> int:
    """The value of `dim` for known `sizes`. ValueError names an unknown that has no size."""
    if isinstance(dim, int):
        return dim
    total = 0
    for monomial, factor in dim.terms:
        for atom in monomial:
            if isinstance(atom, Unknown):
                if atom not in sizes:
                    raise ValueError(f"no input determines the size {atom}")
                factor *= sizes[atom]
            else:
                factor *= _FUNCTIONS[atom.function](*(evaluate(a, sizes) for a in atom.arguments))
        total += factor
    return total


def compiled(dim: Dim) -> Callable[[Mapping[Unknown, int]], int]:
    """`evaluate` of one dimension as a function of the sizes: for what every call asks anew."""
    if isinstance(dim, int):
        return lambda sizes: dim
    terms = [(factor, [_compiled_atom(atom) for atom in monomial]) for monomial, factor in dim.terms]
    if len(terms) == 1 and terms[0][0] == 1 and len(terms[0][1]) == 1:
        return terms[0][1][0]

    def value(sizes: Mapping[Unknown, int]) -> int:
        total = 0
        for factor, atoms in terms:
            for atom in atoms:
                factor *= atom(sizes)
            total += factor
        return total

    return value


def _compiled_atom(atom: Atom) -> Callable[[Mapping[Unknown, int]], int]:
    if isinstance(atom, Unknown):
        return lambda sizes: sizes[atom]
    function, (first, second) = _FUNCTIONS[atom.function], map(compiled, atom.arguments)
    return lambda sizes: function(first(sizes), second(sizes))


def unknowns(dim: Dim) -> Iterator[Unknown]:
    """The unknown sizes that `dim` is made of."""
    for monomial, _ in _terms(dim):
        for atom in monomial:
            if isinstance(atom, Unknown):
                yield atom
            else:
                for argument in atom.arguments:
                    yield from unknowns(argument)


def measured_sizes(dim: Dim) -> Iterator[Unknown]:
    """The sizes in `dim` that are values of tensors."""
    return (size for size in unknowns(dim) if size.source is not None)


def any_measured(dim: Dim) -> bool:
    """Whether `dim` depends on the value of a tensor."""
    return next(measured_sizes(dim), None) is not None


def bind(dim: Dim, size: int, sizes: dict[Unknown, int]) -> bool:
    """Learn from the fact that `dim` is `size`; False where they contradict each other.

    ``a*N + b`` with one unknown left is solved; anything with more unknowns is left for other facts.
    """
    if isinstance(dim, int):
        return dim == size
    missing = {u for u in unknowns(dim) if u not in sizes}
    if not missing:
        return evaluate(dim, sizes) == size
    if len(missing) > 1:
        return True
    name = missing.pop()
    at_zero = evaluate(dim, {**sizes, name: 0})
    slope = evaluate(dim, {**sizes, name: 1}) - at_zero
    if slope == 0 or (size - at_zero) % slope:
        return False
    sizes[name] = (size - at_zero) // slope
    return evaluate(dim, sizes) == size


def shape_text(shape: Sequence[Dim]) -> str:
    """A shape as a reader writes it: ``(N, 28, 28)``."""
    inner = ", ".join(str(d) for d in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def substituted(dim: Dim, sizes: Mapping[Unknown, Dim]) -> Dim:
    """`dim` with other sizes in the place of some unknown ones."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for monomial, factor in dim.terms:
        term: Dim = factor
        for atom in monomial:
            if isinstance(atom, Unknown):
                term = term * sizes.get(atom, _atom(atom))
            else:
                made = {"floordiv": quotient, "min": smaller, "max": larger}[atom.function]
                term = term * made(*(substituted(a, sizes) for a in atom.arguments))
        total = total + term
    return total
