"""The forms (`forms.py`) of 1 - x, for an op's result x that is between 0 and 1."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from symgraph.graph.forms import (
    EXPONENTS,
    Form,
    Not,
    Search,
    Table,
    added,
    averaged,
    fitted,
    fixed_value,
    is_number,
    plain,
    scalar,
    summands,
    summed,
    times,
    within,
)
from symgraph.graph.leaves import constant
from symgraph.graph.logs import (
    log_not_softmax,
    log_one_minus_exp,
    log_one_minus_exp_near_zero,
    number,
    power_of_gap,
)
from symgraph.graph.ops.barrier import Identity, StopGradient
from symgraph.graph.ops.compare import greater
from symgraph.graph.ops.elementwise import (
    Add,
    Cast,
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
    Exp,
    Relu,
    Sigmoid,
    Sqrt,
    Square,
    softplus,
)
from symgraph.graph.ops.nn import Softmax
from symgraph.graph.ops.reduce import Max, Mean, Min, Product, Reduction, Sum
from symgraph.graph.ops.shape import BroadcastTo, Concatenate, Reshape, Transpose
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float

COMPLEMENTS = Table()
"""How the forms of 1 - x are found."""


@COMPLEMENTS.of(Sigmoid)
def _not_sigmoid(node: Tensor, opaque: Collection[int]) -> Search:
    return Form(-softplus(node.inputs[0]))
    yield


@COMPLEMENTS.of(Softmax)
def _not_softmax(node: Tensor, opaque: Collection[int]) -> Search:
    return Form(log_not_softmax(node.inputs[0]))
    yield


@COMPLEMENTS.of(Subtract)
def _not_not(node: Tensor, opaque: Collection[int]) -> Search:
    one, x = node.inputs
    if not is_number(one, 1) or (yield Not(x)) is None:
        return None
    form = yield x
    return None if form is None or form.signed else Form(form.total())


@COMPLEMENTS.of(Multiply)
def _not_both(node: Tensor, opaque: Collection[int]) -> Search:
    """1 - a b = (1 - a) + a (1 - b)."""
    a, b = node.inputs
    for x, other in ((a, b), (b, a)):
        if is_number(other, 1):
            return (yield Not(x))
    first, second = (yield Not(a)), (yield Not(b))
    factor = None if first is None or second is None else (yield a)
    if first is None or second is None or factor is None:
        return None
    return added([first, times(factor, second)])


@COMPLEMENTS.of(Square)
def _not_square(node: Tensor, opaque: Collection[int]) -> Search:
    """1 - x² = (1 - x) + x (1 - x)."""
    rest = yield Not(node.inputs[0])
    form = None if rest is None else (yield node.inputs[0])
    return None if rest is None or form is None else added([rest, times(form, rest)])


@COMPLEMENTS.of(Exp)
def _not_exp(node: Tensor, opaque: Collection[int]) -> Search:
    """1 - exp(-y), of a y that has a logarithm."""
    form = yield node.inputs[0]
    rest = None if form is None or form.rest is None else fixed_value(form.rest)
    if form is None or rest is None or not (rest < 0).all():
        return None
    small = form.log + fitted(constant(np.log(-rest.astype(np.float64)), node.dtype), node)
    return Form(log_one_minus_exp_near_zero(-power_of_gap(small), small))


@COMPLEMENTS.of(Product)
def _not_all(node: Tensor, opaque: Collection[int]) -> Search:
    """1 - Π q, which is Σ (1 - q) where all are almost 1."""
    assert isinstance(node.op, Product)
    rest = yield Not(node.inputs[0])
    form = None if rest is None or rest.signed else (yield node)
    if rest is None or form is None or form.signed:
        return None
    small = summed(node, node.op.axes, Form(rest.total())).total()
    return Form(log_one_minus_exp_near_zero(form.total(), small))


@COMPLEMENTS.of(Add)
def _not_mixed(node: Tensor, opaque: Collection[int]) -> Search:
    """1 - Σ c p = (1 - Σ c) + Σ c (1 - p), for constants c above 0."""
    parts: list[Form] = []
    weights = 0.0
    for term, minus in summands(node, opaque):
        if is_number(term, 0):
            continue
        weight, x = _weighted(term) if id(term) not in opaque else (1.0, term)
        rest = None if minus or weight <= 0 else (yield Not(x))
        if rest is None:
            return None
        weights += weight
        parts.append(times(Form(number(np.log(weight), node)), rest) if weight != 1 else rest)
    lack = 1 - weights
    # Weights below 1 that were meant to add up to 1 are off by a quarter of an epsilon each, as rounded.
    rounding = len(parts) * float(np.finfo(node.dtype).eps) / 4
    if lack < -rounding or not parts:
        return None
    if lack > rounding:
        parts.append(Form(number(np.log(lack), node)))
    form = yield node
    rest = added(parts) if len(parts) > 1 else parts[0]
    return rest if form is None or form.signed or rest.signed else _complement(form, rest)


def _weighted(term: Tensor) -> tuple[float, Tensor]:
    """c and p of c · p, for a constant c."""
    if isinstance(term.op, Multiply):
        for weight, x in (term.inputs, term.inputs[::-1]):
            known = scalar(weight)
            if known is not None:
                return known, x
    return 1.0, term


@COMPLEMENTS.of(Sum)
def _not_picked(node: Tensor, opaque: Collection[int]) -> Search:
    """1 - Σ w p = (1 - Σ w) + Σ w (1 - p): weights that pick one of several sum to 1 exactly."""
    assert isinstance(node.op, Sum)
    (whole,) = node.inputs
    if all(whole.shape[a] == 1 for a in node.op.axes):
        form = yield Not(whole)
        return None if form is None or form.signed else Form(node.op(form.total()))
    if not isinstance(whole.op, Multiply) or id(whole) in opaque:
        return None
    for x, weight in (whole.inputs, whole.inputs[::-1]):
        form = yield Not(x)
        if form is not None and not form.signed and (yield weight) is None:
            weight = fitted(weight, whole)
            logs = fitted(form.total(), whole)
            picked = summed(node, node.op.axes, Form(logs, weight, signed=True))
            return added([picked, plain(number(1, node) - node.op(weight))])
    return None


@COMPLEMENTS.of(Mean)
def _not_mean(node: Tensor, opaque: Collection[int]) -> Search:
    assert isinstance(node.op, Mean)
    (x,) = node.inputs
    rest = yield Not(x)
    form = None if rest is None or rest.signed else (yield node)
    if rest is None or form is None or form.signed:
        return None
    return _complement(form, averaged(node, node.op.axes, rest))


def _complement(form: Form, rest: Form) -> Form:
    """`rest` is 1 - x and `form` x, which keeps the digits where it is below 1/2."""
    total = form.total()
    large = greater(total, number(-np.log(2), total))
    small = log_one_minus_exp(where(large, number(-1, total), total))
    return Form(where(large, rest.total(), small))


@COMPLEMENTS.of(Sqrt, Power)
def _not_power(node: Tensor, opaque: Collection[int]) -> Search:
    x = node.inputs[0]
    exponent = scalar(node.inputs[1]) if isinstance(node.op, Power) else EXPONENTS[type(node.op)]
    rest = None if exponent is None or exponent <= 0 else (yield Not(x))
    form = None if rest is None or rest.signed else (yield x)
    if exponent is None or rest is None or form is None or form.signed:
        return None
    small = rest.total() + number(np.log(exponent), x)
    return Form(log_one_minus_exp_near_zero(form.total() * exponent, small))


@COMPLEMENTS.of(Where)
def _not_chosen(node: Tensor, opaque: Collection[int]) -> Search:
    condition, *sides = node.inputs
    logs = []
    for side in sides:
        known = _constant_complement(side)
        form = Form(known) if known is not None else (yield Not(side))
        if form is None or form.signed:
            return None
        logs.append(form.total())
    return Form(where(condition, *logs))


def _constant_complement(node: Tensor) -> Tensor | None:
    value = fixed_value(node)
    if value is None or not is_float(node.dtype) or not within(node, 0, 1):
        return None
    with np.errstate(divide="ignore"):
        return fitted(constant(np.log1p(-value.astype(np.float64)), node.dtype), node)


@COMPLEMENTS.of(Slice, Reshape, Transpose, BroadcastTo, Identity, StopGradient, Gather, TakeAlongAxis, Cast)
def _not_moved(node: Tensor, opaque: Collection[int]) -> Search:
    x, *others = node.inputs
    form = (yield Not(x)) if is_float(x.dtype) else None
    return None if form is None or form.signed else Form(node.op(form.total(), *others))


@COMPLEMENTS.of(Place)
def _not_placed(node: Tensor, opaque: Collection[int]) -> Search:
    assert isinstance(node.op, Place)
    form = (yield Not(node.inputs[0])) if node.op.value == 0 else None
    return None if form is None or form.signed else Form(node.op(form.total()))


@COMPLEMENTS.of(Relu, Absolute)
def _not_magnitude(node: Tensor, opaque: Collection[int]) -> Search:
    return (yield Not(node.inputs[0]))


@COMPLEMENTS.of(Max, Min)
def _not_extreme(node: Tensor, opaque: Collection[int]) -> Search:
    assert isinstance(node.op, Reduction)
    form = yield Not(node.inputs[0])
    if form is None or form.signed:
        return None
    return Form((Min if isinstance(node.op, Max) else Max)(node.op.axes, node.op.keepdims)(form.total()))


@COMPLEMENTS.of(Maximum, Minimum)
def _not_larger(node: Tensor, opaque: Collection[int]) -> Search:
    larger = isinstance(node.op, Maximum)
    for x, other in (node.inputs, node.inputs[::-1]):
        if within(other, high=0) if larger else within(other, low=1):
            return (yield Not(x))
    logs = []
    for x in node.inputs:
        form = yield Not(x)
        if form is None or form.signed:
            return None
        logs.append(form.total())
    return Form((minimum if larger else maximum)(*logs))


@COMPLEMENTS.of(Concatenate)
def _not_concatenated(node: Tensor, opaque: Collection[int]) -> Search:
    logs = []
    for part in node.inputs:
        known = _constant_complement(part)
        form = Form(known) if known is not None else (yield Not(part))
        if form is None or form.signed:
            return None
        logs.append(form.total())
    return Form(node.op(*logs))
