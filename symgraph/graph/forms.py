"""Numbers as exp(log) · rest, so that neither overflow nor underflow loses them.

`Forms.of` finds such a form of an expression that is made of exponentials, sigmoids, softmax and their kin.
How an op's form follows from those of its inputs is said in `scaled.py`, and in `complements.py` for 1 - x;
what the forms are used for in `stable.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from symgraph.graph.dims import product
from symgraph.graph.leaves import DimValue, constant, constant_value
from symgraph.graph.logs import (
    balanced,
    largest,
    largest_exponent,
    log_sum,
    number,
    power_of_gap,
    top_of,
    unless_zero,
)
from symgraph.graph.op import Op
from symgraph.graph.ops.barrier import Bounded, bounded, stop_gradient
from symgraph.graph.ops.compare import equal, greater, less, less_equal, logical_and
from symgraph.graph.ops.elementwise import Add, minimum, power, where
from symgraph.graph.ops.math import (
    Negative,
    Reciprocal,
    Rsqrt,
    Sqrt,
    Square,
    absolute,
    exp,
    log,
    log1p,
    softplus,
)
from symgraph.graph.ops.reduce import Sum
from symgraph.graph.ops.shape import BroadcastTo, Reshape
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, is_float

# Nodes are compared as expressions down to this depth.
_DEPTH = 6

# So many summands of a chain of additions are looked at together.
_MOST_TERMS = 16


@dataclass(frozen=True)
class Form:
    """A number as exp(log) · rest.

    `rest` is 1 where it is not given; `signed` tells that it may be 0 or less. `log_rest` makes a better
    logarithm of it than ``log(rest)``. `wild` tells that the plain expression may overflow, `calm` that it is
    as good as this form where a positive constant is added to it. `free` counts the factors of `rest` that
    can be any number: from two on it may overflow where the whole number does not.
    """

    log: Tensor
    rest: Tensor | None = None
    log_rest: Callable[[], Tensor] | None = None
    signed: bool = False
    wild: bool = False
    calm: bool = False
    free: int = 0

    def total(self) -> Tensor:
        """The logarithm of the number."""
        if self.rest is None:
            return self.log
        if not self.signed or self.log_rest is not None:
            return self.log + self.logarithm_of_rest()
        # A negative number that is rounded to zero has the logarithm -inf, not none.
        none = equal(self.log, constant(-np.inf, self.log.dtype))
        return self.log + log(where(none, absolute(self.rest), self.rest))

    def logarithm_of_rest(self) -> Tensor:
        """The logarithm of the second factor."""
        assert self.rest is not None
        return log(self.rest) if self.log_rest is None else self.log_rest()

    def value(self) -> Tensor:
        """The number itself."""
        return exp(self.log) if self.rest is None else exp(self.log) * self.rest


class Not:
    """The question for log(1 - x), of an x that is between 0 and 1."""

    __slots__ = ("node",)

    def __init__(self, node: Tensor) -> None:
        self.node = node


Question: TypeAlias = "Tensor | Not"
Search: TypeAlias = "Generator[Question, Form | None, Form | None]"
Handler: TypeAlias = Callable[[Tensor, Collection[int]], Search]


class Table(dict[type[Op], Handler]):
    """How the forms of ops are found."""

    def of(self, *ops: type[Op]) -> Callable[[Handler], Handler]:
        """Make a search the one for these ops."""

        def decorate(handler: Handler) -> Handler:
            self.update(dict.fromkeys(ops, handler))
            return handler

        return decorate

    def begin(self, op: type[Op], function: Callable[[Tensor], Form]) -> None:
        """Let forms begin at an op of x: that of its result is a function of x."""

        def handler(node: Tensor, opaque: Collection[int]) -> Search:
            (x,) = node.inputs
            return None if isinstance(x.op, Bounded) else function(x)
            yield

        self[op] = handler


class Forms:
    """The forms of the nodes of a graph, each looked for once.

    `tables` tell how those of x and those of 1 - x are found. `opaque` are the ids of nodes that nothing is
    known of.
    """

    def __init__(self, tables: tuple[Table, Table], opaque: Collection[int] = ()) -> None:
        self.tables = tables
        self.opaque = opaque
        # With the nodes themselves, since an id may be used again after its node is gone.
        self._known: dict[tuple[bool, int], tuple[Tensor, Form | None]] = {}

    def of(self, question: Question) -> Form | None:
        """The form of a node; None where it has none that is better than the node itself.

        Searches ask for the forms of other nodes by yielding them, so that no depth of a graph is too much.
        """
        stack: list[tuple[Question, Search]] = []
        asked: Question | None = question
        answer: Form | None = None
        while asked is not None or stack:
            if asked is not None:
                known = self._known.get(_key(asked))
                if known is not None:
                    answer = known[1]
                else:
                    stack.append((asked, self._search(asked)))
                    answer = None
            if not stack:
                break
            try:
                asked = stack[-1][1].send(answer)
            except StopIteration as end:
                done, _ = stack.pop()
                answer, asked = _fitted(end.value, _node(done)), None
                self._known[_key(done)] = _node(done), answer
        return answer

    def remember(self, node: Tensor, form: Form | None) -> None:
        """Let a node that was made of a form have it."""
        self._known[_key(node)] = node, _fitted(form, node)

    def _search(self, question: Question) -> Search:
        node = _node(question)
        handler = self.tables[isinstance(question, Not)].get(type(node.op))
        if handler is None or id(node) in self.opaque or not isinstance(node.type, TensorType):
            return _nothing()
        return handler(node, self.opaque)


def _node(question: Question) -> Tensor:
    return question.node if isinstance(question, Not) else question


def _key(question: Question) -> tuple[bool, int]:
    return isinstance(question, Not), id(_node(question))


def _nothing() -> Search:
    return None
    yield


def _fitted(form: Form | None, node: Tensor) -> Form | None:
    """`form` with both parts in the shape of the node."""
    if form is None:
        return None
    rest, log_rest = form.rest, form.log_rest
    return replace(
        form,
        log=fitted(form.log, node),
        rest=None if rest is None else fitted(rest, node),
        log_rest=None if log_rest is None else lambda: fitted(log_rest(), node),
    )


def fitted(value: Tensor, node: Tensor) -> Tensor:
    """`value` stretched to the shape of the node."""
    return value if value.shape == node.shape else BroadcastTo(node.shape)(value)


# Arithmetic of forms


EXPONENTS: dict[type[Op], float] = {Square: 2, Sqrt: 0.5, Rsqrt: -0.5, Reciprocal: -1}


def negated(x: Tensor) -> Tensor:
    """-x, without a sign that cancels."""
    return x.inputs[0] if isinstance(x.op, Negative) else -x


def fixed_value(node: Tensor) -> np.ndarray | None:
    """The array of a constant, also of a stretched one; a single number in any shape."""
    place, moved = node, False
    while isinstance(place.op, (BroadcastTo, Reshape)):
        moved = moved or isinstance(place.op, Reshape)
        (place,) = place.inputs
    value = constant_value(place)
    return value if value is None or not moved else value.reshape(()) if value.size == 1 else None


def positive_constant(node: Tensor) -> Form | None:
    """The form of a constant above 0."""
    value = fixed_value(node)
    if value is None or not is_float(node.dtype) or not (value > 0).all():
        return None
    return Form(constant(np.log(value.astype(np.float64)), node.dtype))


def is_number(node: Tensor, number: float) -> bool:
    """Whether a node is a constant all of whose elements are `number`."""
    value = fixed_value(node)
    return value is not None and value.size > 0 and bool((value == number).all())


def scalar(node: Tensor) -> float | None:
    """The value of a constant that holds one number."""
    value = fixed_value(node)
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None


def same(a: Tensor, b: Tensor, depth: int = _DEPTH) -> bool:
    """Whether two nodes are one expression, as far as a short look tells."""
    if a is b:
        return True
    if not depth or type(a.op) is not type(b.op) or len(a.inputs) != len(b.inputs) or not a.op.pure:
        return False
    alike = all(same(x, y, depth - 1) for x, y in zip(a.inputs, b.inputs, strict=True))
    return alike and a.op == b.op and a.type == b.type


def summands(node: Tensor, opaque: Collection[int]) -> list[tuple[Tensor, bool]]:
    """What a chain of additions adds, and whether it has a sign before it."""
    terms: list[tuple[Tensor, bool]] = []
    stack = list(node.inputs[::-1])
    while stack:
        term = stack.pop()
        seen = id(term) in opaque
        if isinstance(term.op, Add) and not seen and len(stack) + len(terms) < _MOST_TERMS:
            stack += term.inputs[::-1]
        elif isinstance(term.op, Negative) and not seen:
            terms.append((term.inputs[0], True))
        else:
            terms.append((term, False))
    return terms


def times(a: Form, b: Form) -> Form:
    """The form of a product."""
    total = b.log if is_number(a.log, 0) else a.log if is_number(b.log, 0) else a.log + b.log
    return _joined(a, b, total, 1)


def divided(a: Form, b: Form) -> Form:
    """The form of a quotient."""
    total = negated(b.log) if is_number(a.log, 0) else a.log - b.log
    return _joined(a, b, total, -1)


def _joined(a: Form, b: Form, total: Tensor, sign: int) -> Form:
    """The form with the logarithm `total` of a product (`sign` 1) or quotient (-1)."""
    signed, wild = a.signed or b.signed, a.wild or b.wild
    if b.rest is None:
        return replace(a, log=total, signed=signed, wild=wild, calm=False)
    if a.rest is None:
        return replace(to_the(b, sign), log=total, signed=signed, wild=wild, calm=False)
    first, second = a, b
    rest = a.rest * b.rest if sign > 0 else a.rest / b.rest
    better = None if signed else lambda: first.logarithm_of_rest() + sign * second.logarithm_of_rest()
    return Form(total, rest, better, signed, wild, free=a.free + b.free)


def product_value(a: Form, b: Form, joined: Form) -> Tensor:
    """The product of two numbers, `joined` in form."""
    return _joined_value(a, b, joined, 1)


def quotient_value(a: Form, b: Form, joined: Form) -> Tensor:
    """The quotient of two numbers, `joined` in form; 1 where they are the same."""
    return _joined_value(a, b, joined, -1)


def _joined_value(a: Form, b: Form, joined: Form, sign: int) -> Tensor:
    if joined.rest is None:
        return exp(joined.log)
    first, second = balanced(a.log, b.log, sign, by_sums=not joined.free)
    left = replace(a, log=bounded(first)).value()
    right = replace(b, log=bounded(second)).value()
    return left * right if sign > 0 else left / right


def to_the(form: Form, exponent: float) -> Form:
    """The form of a power."""
    if exponent == 1:
        return form
    rest = None if form.rest is None else power(form.rest, exponent)
    better = None if form.signed or rest is None else lambda: form.logarithm_of_rest() * exponent
    free = form.free * max(1, math.ceil(abs(exponent)))
    return Form(form.log * exponent, rest, better, form.signed, form.wild, free=free)


def plain(node: Tensor) -> Form:
    """A number that has no better form."""
    return positive_constant(node) or Form(number(0, node), node, signed=True, free=1)


def with_sign(form: Form) -> Form:
    """The form of -x."""
    rest = number(-1, form.log) if form.rest is None else -form.rest
    return replace(form, rest=rest, log_rest=None, signed=True, calm=False)


def within(node: Tensor, low: float = -np.inf, high: float = np.inf) -> bool:
    """Whether a node is a constant between two numbers."""
    value = fixed_value(node)
    return value is not None and bool(((value >= low) & (value <= high)).all())


def added(forms: Sequence[Form]) -> Form:
    """The form of a sum: the largest exponential is taken out. As a factor it may be held constant."""
    wild = any(f.wild for f in forms)
    if len(forms) == 2 and all(f.rest is None for f in forms):
        for one, other in (forms, forms[::-1]):
            if is_number(one.log, 0):
                return Form(softplus(other.log), wild=wild)
    top = top_of([f.log if f.rest is None else unless_zero(f.log, f.rest) for f in forms])
    gaps = [f.log - top for f in forms]
    total: Tensor | None = None
    for form, gap in zip(forms, gaps, strict=True):
        part = power_of_gap(gap) if form.rest is None else form.rest * power_of_gap(gap)
        total = part if total is None else total + part
    better = (lambda: log_sum(gaps)) if all(f.rest is None for f in forms) else None
    signed, free = any(f.signed for f in forms), max(f.free for f in forms)
    return Form(top, total, better, signed, wild, free=free)


def log_one_plus(form: Form) -> Tensor:
    """log(1 + a number), of which nothing is lost where it is small."""
    zero, one = number(0, form.log), number(1, form.log)
    rest = one if form.rest is None else form.rest
    # Each half of the exponent alone is in range wherever the number is not above 1.
    half = exp(bounded(minimum(form.log * 0.5, largest_exponent(form.log))))
    value = rest * half * half
    small = less_equal(absolute(stop_gradient(value)), one)
    logarithm = where(small, zero, form.log) + log(where(small, one, rest))
    return where(small, log1p(where(small, value, zero)), softplus(logarithm))


def within_range(form: Form, function: Callable[[Form], Tensor], node: Tensor) -> Tensor:
    """A function of a form with several free factors; the plain node where their product is out of range."""
    assert form.rest is not None
    (x,) = node.inputs
    size = stop_gradient(absolute(form.rest))
    inside = logical_and(
        greater(size, number(float(np.finfo(size.dtype).tiny), size)), less(size, number(np.inf, size))
    )
    one = number(1, size)
    found = function(replace(form, rest=where(inside, form.rest, one)))
    return where(inside, found, node.op(where(inside, one, bounded(x))))


def summed(node: Tensor, axes: tuple[int, ...], form: Form) -> Form:
    """The form of the sum over `axes`, in the shape of the node."""
    logs = form.log if form.rest is None else unless_zero(form.log, form.rest)
    top = largest(logs, axes)
    gap = form.log - top
    value = power_of_gap(gap) if form.rest is None else form.rest * power_of_gap(gap)

    def shaped(value: Tensor) -> Tensor:
        return value if value.ndim == node.ndim else Reshape(node.shape)(value)

    better = (lambda: shaped(log_sum([gap], axes))) if form.rest is None else None
    return Form(shaped(top), shaped(Sum(axes, True)(value)), better, form.signed, form.wild, free=form.free)


def averaged(node: Tensor, axes: tuple[int, ...], form: Form) -> Form:
    """The form of the mean over `axes` of the node's input, in the shape of the node."""
    (x,) = node.inputs
    found = summed(node, axes, form)
    return replace(found, log=found.log - log(DimValue(product(x.shape[a] for a in axes), x.dtype)()))
