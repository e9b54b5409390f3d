"""The forms (`forms.py`) of ops: products add logarithms, sums take the largest exponential out.

Ops that only move elements move both parts of a form.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from symgraph.graph.forms import (
    EXPONENTS,
    Form,
    Not,
    Search,
    Table,
    added,
    averaged,
    divided,
    fitted,
    is_number,
    negated,
    plain,
    positive_constant,
    same,
    scalar,
    summands,
    summed,
    times,
    to_the,
    with_sign,
    within,
)
from symgraph.graph.leaves import constant_value
from symgraph.graph.logs import (
    log_one_minus_exp,
    log_softplus,
    number,
)
from symgraph.graph.ops.barrier import Identity, StopGradient, bounded
from symgraph.graph.ops.compare import equal, greater_equal
from symgraph.graph.ops.create import ones_like, zeros_like
from symgraph.graph.ops.elementwise import (
    Add,
    Cast,
    Divide,
    Maximum,
    Minimum,
    Multiply,
    Power,
    Subtract,
    Where,
    maximum,
    minimum,
    where,
)
from symgraph.graph.ops.index import Gather, TakeAlongAxis
from symgraph.graph.ops.math import (
    Absolute,
    Cosh,
    Exp,
    Expm1,
    Negative,
    Reciprocal,
    Relu,
    Rsqrt,
    Sigmoid,
    Sinh,
    Softplus,
    Sqrt,
    Square,
    Tanh,
    absolute,
    expm1,
    softplus,
)
from symgraph.graph.ops.nn import LogSoftmax, Softmax
from symgraph.graph.ops.reduce import Max, Mean, Min, Product, Reduction, Sum
from symgraph.graph.ops.shape import BroadcastTo, Concatenate, Reshape, Transpose
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float

FORMS = Table()
"""How the forms of numbers are found."""

# Where forms begin


def _kept_low(x: Tensor) -> bool:
    """Whether a number is held below what exp overflows at."""
    return isinstance(x.op, Minimum) and any(within(y, high=80) for y in x.inputs)


FORMS.begin(Exp, lambda x: Form(x, wild=not _kept_low(x)))
FORMS.begin(Expm1, lambda x: _difference(Form(x, wild=not _kept_low(x)), Form(zeros_like(x))))
FORMS.begin(Sigmoid, lambda x: Form(-softplus(negated(x))))
FORMS.begin(Softmax, lambda x: Form(LogSoftmax()(x), calm=True))
FORMS.begin(Softplus, lambda x: Form(log_softplus(x), calm=True))
FORMS.begin(Cosh, lambda x: _halved(added([Form(x, wild=True), Form(-x, wild=True)])))
FORMS.begin(Sinh, lambda x: _halved(_difference(Form(x, wild=True), Form(-x, wild=True))))


def _halved(form: Form) -> Form:
    return replace(form, log=form.log - number(np.log(2), form.log))


# Products


@FORMS.of(Multiply)
def _multiply(node: Tensor, opaque: Collection[int]) -> Search:
    a, b = node.inputs
    left = yield a
    right = yield b
    if left is None and right is None:
        return None
    return times(left or plain(a), right or plain(b))


@FORMS.of(Divide)
def _divide(node: Tensor, opaque: Collection[int]) -> Search:
    a, b = node.inputs
    above = yield a
    below = yield b
    if above is None and below is None:
        return None
    return divided(above or plain(a), below or plain(b))


@FORMS.of(Negative)
def _negative(node: Tensor, opaque: Collection[int]) -> Search:
    (x,) = node.inputs
    if isinstance(x.op, Subtract) and id(x) not in opaque:
        a, b = x.inputs
        return (yield from _minus(b, a, opaque))
    form = yield x
    return None if form is None else with_sign(form)


@FORMS.of(Relu, Absolute)
def _magnitude(node: Tensor, opaque: Collection[int]) -> Search:
    form = yield node.inputs[0]
    if form is None or not form.signed:
        return form
    if isinstance(node.op, Relu) or form.rest is None:
        return None
    return replace(form, rest=absolute(form.rest), log_rest=None, calm=False)


@FORMS.of(Square, Sqrt, Rsqrt, Reciprocal)
def _root(node: Tensor, opaque: Collection[int]) -> Search:
    form = yield node.inputs[0]
    return None if form is None else to_the(form, EXPONENTS[type(node.op)])


@FORMS.of(Power)
def _power(node: Tensor, opaque: Collection[int]) -> Search:
    base, exponent = node.inputs
    known, fixed = positive_constant(base), scalar(exponent)
    if known is not None:
        return Form(exponent * known.log, wild=True) if fixed is None else None
    form = yield base
    if form is None or fixed == 0:
        return None
    if fixed is not None:
        return to_the(form, fixed)
    if form.signed:
        return None
    # 0 ** 0 is 1.
    none = equal(exponent, number(0, exponent))
    return Form(where(none, number(0, exponent), exponent * form.total()), wild=form.wild)


@FORMS.of(Product)
def _product(node: Tensor, opaque: Collection[int]) -> Search:
    assert isinstance(node.op, Product)
    form = yield node.inputs[0]
    if form is None or form.signed:
        return None
    return Form(Sum(node.op.axes, node.op.keepdims)(form.total()), wild=form.wild)


# Sums


@FORMS.of(Add)
def _add(node: Tensor, opaque: Collection[int]) -> Search:
    terms = [term for term in summands(node, opaque) if not is_number(term[0], 0)]
    if len(terms) == 2:
        (a, minus_a), (b, minus_b) = terms
        if minus_a != minus_b:
            return (yield from _minus(b, a, opaque) if minus_a else _minus(a, b, opaque))
        tanh = _one_plus_tanh(a, b, 1, opaque) or _one_plus_tanh(b, a, 1, opaque)
        if tanh is not None:
            return with_sign(tanh) if minus_a else tanh
    found: list[Form] = []
    gain = False
    for term, minus in terms:
        form = yield term
        gain = gain or (form is not None and not form.calm)
        form = form or plain(term)
        found.append(with_sign(form) if minus else form)
    if gain or all(f.calm for f in found):
        return added(found)
    return None


@FORMS.of(Subtract)
def _subtract(node: Tensor, opaque: Collection[int]) -> Search:
    a, b = node.inputs
    return (yield from _minus(a, b, opaque))


def _minus(a: Tensor, b: Tensor, opaque: Collection[int]) -> Search:
    """The form of a - b."""
    if is_number(a, 1):
        complement = yield Not(b)
        if complement is not None:
            return complement
    if is_number(b, 1):
        complement = yield Not(a)
        if complement is not None:
            return with_sign(complement)
        excess = None if id(a) in opaque else (yield from _inverse_less_one(a))
        if excess is not None:
            return excess
    tanh = _one_plus_tanh(a, b, -1, opaque)
    if tanh is not None:
        return tanh
    left = yield a
    right = yield b
    if left is None and right is None:
        return None
    left, right = left or plain(a), right or plain(b)
    if left.rest is None and right.rest is None:
        return _difference(left, right)
    return added([left, with_sign(right)])


def _inverse_less_one(node: Tensor) -> Search:
    """1 / p - 1 = (1 - p) / p."""
    if isinstance(node.op, Reciprocal) or (isinstance(node.op, Power) and scalar(node.inputs[1]) == -1):
        p = node.inputs[0]
    elif isinstance(node.op, Divide) and is_number(node.inputs[0], 1):
        p = node.inputs[1]
    else:
        return None
    complement = yield Not(p)
    form = yield p
    return None if complement is None or form is None else divided(complement, form)


def _difference(a: Form, b: Form) -> Form:
    """exp(a) - exp(b) = exp(a) (1 - exp(b - a)), or the same the other way round where b is larger."""
    gap = b.log - a.log
    # Two infinities of one sign differ by NaN, as the numbers do.
    above = greater_equal(number(0, gap), gap)
    close = bounded(where(above, gap, -gap))
    # 1 - exp(0) is 0, not -0.
    rest = where(above, number(0, gap) - expm1(close), expm1(close))
    top = where(above, a.log, b.log)
    return Form(top, rest, lambda: log_one_minus_exp(gap), True, a.wild or b.wild)


def _one_plus_tanh(one: Tensor, other: Tensor, sign: int, opaque: Collection[int]) -> Form | None:
    """c ± c·tanh(x) = 2c·sigmoid(±2x), and 1 - tanh(x)² = 4·sigmoid(2x)·sigmoid(-2x)."""
    scale = positive_constant(one)
    if scale is None:
        return None
    factor, curve = number(1, other), other
    if isinstance(other.op, Multiply):
        for a, b in (other.inputs, other.inputs[::-1]):
            if constant_value(a) is not None:
                factor, curve = a, b
    value, known = scalar(factor), scalar(one)
    squared = _squared(curve)
    if known is None or value != known or any(id(x) in opaque for x in (other, curve, squared)):
        return None
    if isinstance(curve.op, Tanh):
        twice = 2 * sign * curve.inputs[0]
        return Form(scale.log + number(np.log(2), one) - softplus(-twice))
    if sign < 0 and squared is not None and isinstance(squared.op, Tanh):
        twice = 2 * squared.inputs[0]
        return Form(scale.log + number(2 * np.log(2), one) - softplus(twice) - softplus(-twice))
    return None


def _squared(node: Tensor) -> Tensor | None:
    """x of x²."""
    if isinstance(node.op, Square):
        return node.inputs[0]
    if isinstance(node.op, Multiply) and same(node.inputs[0], node.inputs[1]):
        return node.inputs[0]
    return node.inputs[0] if isinstance(node.op, Power) and scalar(node.inputs[1]) == 2 else None


@FORMS.of(Sum, Mean)
def _total(node: Tensor, opaque: Collection[int]) -> Search:
    op = node.op
    assert isinstance(op, Reduction)
    (x,) = node.inputs
    form = yield x
    if form is None or any(x.shape[a] == 0 for a in op.axes):
        return None
    return (summed if isinstance(op, Sum) else averaged)(node, op.axes, form)


# Choices


@FORMS.of(Max, Min)
def _extremum(node: Tensor, opaque: Collection[int]) -> Search:
    form = yield node.inputs[0]
    if form is None or form.signed:
        return None
    return Form(node.op(form.total()), wild=form.wild)


@FORMS.of(Maximum, Minimum)
def _larger_or_smaller(node: Tensor, opaque: Collection[int]) -> Search:
    a, b = node.inputs
    left = yield a
    right = yield b
    if left is None and right is None:
        return None
    wild = any(f is not None and f.wild for f in (left, right))
    for form, other in ((left, b), (right, a)):
        if isinstance(node.op, Maximum) and form is not None and not form.signed and within(other, high=0):
            return form
    if isinstance(node.op, Maximum) and not wild and (left is None or right is None):
        return None  # nothing is lost above a constant
    left, right = left or positive_constant(a), right or positive_constant(b)
    if left is None or right is None or left.signed or right.signed:
        return None
    choose = maximum if isinstance(node.op, Maximum) else minimum
    return Form(choose(left.total(), right.total()), wild=wild)


@FORMS.of(Where)
def _where(node: Tensor, opaque: Collection[int]) -> Search:
    condition, a, b = node.inputs
    left = yield a
    right = yield b
    if left is None and right is None:
        return None
    left, right = left or plain(a), right or plain(b)
    logs = where(condition, _positive_log(left), _positive_log(right))
    wild = left.wild or right.wild
    if not (left.signed or right.signed):
        return Form(logs, wild=wild)
    first, second = _sign_part(left), _sign_part(right)
    return Form(logs, where(condition, first, second), None, True, wild, free=max(left.free, right.free))


def _positive_log(form: Form) -> Tensor:
    """The logarithm of a number, or of its first factor only where the second has a sign."""
    return form.log if form.signed else form.total()


def _sign_part(form: Form) -> Tensor:
    """What `_positive_log` leaves out."""
    return form.rest if form.signed and form.rest is not None else number(1, form.log)


# What moves elements only


@FORMS.of(Slice, Reshape, Transpose, BroadcastTo, Identity, StopGradient, Gather, TakeAlongAxis, Cast)
def _moved(node: Tensor, opaque: Collection[int]) -> Search:
    x, *others = node.inputs
    if not is_float(x.dtype):
        return None
    form = yield x
    if form is None:
        return None

    def move(value: Tensor) -> Tensor:
        return node.op(value, *others)

    rest = None if form.rest is None else move(form.rest)
    better = None if form.log_rest is None else lambda: move(form.logarithm_of_rest())
    return replace(form, log=move(form.log), rest=rest, log_rest=better)


@FORMS.of(Place)
def _placed(node: Tensor, opaque: Collection[int]) -> Search:
    assert isinstance(node.op, Place)
    (x,) = node.inputs
    form = yield x
    if form is None:
        return None
    rest = ones_like(x) if form.rest is None else form.rest
    logs = replace(node.op, value=0.0)(form.log)
    return replace(form, log=logs, rest=node.op(rest), log_rest=None, signed=True, calm=False)


@FORMS.of(Concatenate)
def _concatenated(node: Tensor, opaque: Collection[int]) -> Search:
    found: list[Form | None] = []
    for part in node.inputs:
        found.append((yield part))
    if all(form is None for form in found):
        return None
    forms = [form or plain(part) for form, part in zip(found, node.inputs, strict=True)]
    wild = any(f.wild for f in forms)
    logs = node.op(*(fitted(_positive_log(f), p) for f, p in zip(forms, node.inputs, strict=True)))
    if not any(f.signed for f in forms):
        return Form(logs, wild=wild)
    rests = [fitted(_sign_part(f), p) for f, p in zip(forms, node.inputs, strict=True)]
    return Form(logs, node.op(*rests), None, True, wild, free=max(f.free for f in forms))
