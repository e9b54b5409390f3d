"""Expressions in forms that are finite, and whose gradients are, wherever the true ones are.

Logarithms, quotients, roots and products of exponentials (softmax, sigmoid and their kin,
too) are replaced by equal expressions that neither overflow nor underflow on the way: log(1 - sigmoid(x)) by
-softplus(x), exp(x) / Σ exp(x) by softmax(x). That is done before a graph is compiled, and before it is
differentiated: the gradient of an expression that loses all digits has none either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from symgraph.graph.complements import COMPLEMENTS
from symgraph.graph.dims import Dim
from symgraph.graph.forms import (
    Form,
    Forms,
    divided,
    fitted,
    is_number,
    log_one_plus,
    negated,
    plain,
    positive_constant,
    product_value,
    quotient_value,
    same,
    times,
    to_the,
    within_range,
)
from symgraph.graph.leaves import constant, constant_value
from symgraph.graph.op import Op
from symgraph.graph.ops.barrier import Identity
from symgraph.graph.ops.elementwise import Add, Divide, Multiply, Power, Subtract, minimum
from symgraph.graph.ops.math import (
    Cosh,
    Exp,
    Expm1,
    Log,
    Log1p,
    Reciprocal,
    Rsqrt,
    Sigmoid,
    Sinh,
    Softplus,
    Sqrt,
    Tanh,
    exp,
    sigmoid,
    tanh,
)
from symgraph.graph.ops.nn import Softmax, softmax
from symgraph.graph.ops.reduce import Max, Reduction, Sum
from symgraph.graph.ops.shape import BroadcastTo, Reshape
from symgraph.graph.origin import inherit
from symgraph.graph.scaled import FORMS
from symgraph.graph.substitute import rebuild
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType, is_float

_WILD = (Exp, Expm1, Cosh, Sinh, Power)
_SOURCES = (*_WILD, Sigmoid, Softmax, Softplus, Tanh)
_EXPONENTS: dict[type[Op], float] = {Sqrt: 0.5, Rsqrt: -0.5}


class Stable:
    """Replacements for the nodes of one graph.

    `opaque` are the ids of nodes that are not looked into. After `rewrite`, `hits` counts what was replaced.
    """

    def __init__(self, opaque: Iterable[int] = ()) -> None:
        self.opaque = set(opaque)
        self.hits: Counter[str] = Counter()
        self._forms = Forms((FORMS, COMPLEMENTS), self.opaque)
        self._wild = False

    def rewrite(self, roots: Sequence[Tensor]) -> dict[int, Tensor]:
        """What takes the place of every node of the graph of `roots`, by its id."""
        order = topological(roots)
        sources = {type(node.op) for node in order}.intersection(_SOURCES)
        if not sources or not any(type(node.op) in RULES for node in order):
            return {id(node): node for node in order}
        self._wild = bool(sources.intersection(_WILD))
        done: dict[int, Tensor] = {}
        for node in order:
            # What is not pure (a draw, a print) is not done a second time.
            new = rebuild(node, [done[id(value)] for value in node.inputs]) if node.op.pure else node
            rule = RULES.get(type(node.op))
            better = None
            if rule is not None and isinstance(new.type, TensorType) and is_float(new.dtype):
                with inherit(node.origins):
                    better = rule(self, new)
            if better is not None and rule is not None:
                self.hits[rule.__name__] += 1
                new = self._named(fitted(better, new), new)
            done[id(node)] = new
            if id(node) in self.opaque:
                self.opaque.add(id(new))
        return done

    def log_of_exponentials(self, node: Tensor) -> Tensor | None:
        """log(products, quotients and sums of exponentials) -> sums of x, softplus(x), log_softmax(x) ..."""
        (x,) = node.inputs
        form = self._forms.of(x)
        if form is not None and form.rest is not None and form.log_rest is None and isinstance(x.op, Add):
            for one, other in (x.inputs, x.inputs[::-1]):
                part = self._forms.of(other) if is_number(one, 1) else None
                if part is not None:
                    return log_one_plus(part) if part.free < 2 else within_range(part, log_one_plus, node)
        if form is None or form.free < 2:
            return None if form is None else form.total()
        return within_range(form, Form.total, node)

    def log_one_plus_exponential(self, node: Tensor) -> Tensor | None:
        """log1p(exp(x)) -> softplus(x), and its kin"""
        (x,) = node.inputs
        part = self._forms.of(x)
        if part is None:
            return None
        form = self._forms.of(Add()(constant(1, x.dtype), x))
        if form is None:
            return None
        if form.rest is None or form.log_rest is not None:
            return form.total()
        return log_one_plus(part) if part.free < 2 else within_range(part, log_one_plus, node)

    def product_of_exponentials(self, node: Tensor) -> Tensor | None:
        """exp(x) * exp(y) -> exp(x + y), and its kin"""
        form = self._forms.of(node.inputs[0]) if self._wild else None
        other = None if form is None else self._forms.of(node.inputs[1])
        if form is None or other is None or not (form.wild or other.wild) or max(form.free, other.free) > 1:
            return None
        joined = times(form, other)
        return self._made_of(joined, product_value(form, other, joined))

    def root_of_exponential(self, node: Tensor) -> Tensor | None:
        """sqrt(exp(x)) -> exp(x / 2), and its kin"""
        if isinstance(node.op, Power):
            known = constant_value(node.inputs[1])
            exponent = float(known.reshape(-1)[0]) if known is not None and known.size == 1 else 1.0
        else:
            exponent = _EXPONENTS[type(node.op)]
        form = self._forms.of(node.inputs[0]) if exponent < 1 and exponent != 0 else None
        if form is None or form.signed or not (form.wild or exponent > 0):
            return None
        return to_the(form, exponent).value()

    def quotient_of_exponentials(self, node: Tensor) -> Tensor | None:
        """1 / (1 + exp(-x)) -> sigmoid(x), exp(x) / sum(exp(x)) -> softmax(x), and their kin"""
        above, below = node.inputs if isinstance(node.op, Divide) else (constant(1, node.dtype), *node.inputs)
        under = self._forms.of(below)
        if under is None:
            return None
        over = self._forms.of(above)
        known = over or positive_constant(above)
        named = (self._softmax(above, below), self._ratio(above, below)) if over is not None else ()
        found = next((x for x in (*named, self._share(above, known, below)) if x is not None), None)
        tame = not under.wild and (over is None or over.signed or _normalised(above, below))
        over = over or plain(above)
        if found is not None or tame or max(over.free, under.free) > 1:
            return found
        joined = divided(over, under)
        return self._made_of(joined, quotient_value(over, under, joined))

    def _made_of(self, form: Form, value: Tensor) -> Tensor:
        self._forms.remember(value, form)
        return value

    def _named(self, new: Tensor, old: Tensor) -> Tensor:
        """`new` under the name of what it takes the place of."""
        if new.name is not None or old.name is None or not new.inputs:
            return new
        named = Tensor(new.op, new.inputs, new.type, new.origins, old.name)
        self._forms.remember(named, self._forms.of(new))
        return named

    def _softmax(self, above: Tensor, below: Tensor) -> Tensor | None:
        """exp(x) / Σ exp(x), with or without the largest x taken off before."""
        found = _reduction(below, above.shape)
        if found is None or not isinstance(above.op, Exp) or not isinstance(found[0].op, Sum):
            return None
        total, axis = found
        if not same(total.inputs[0], above):
            return None
        x = self._unshifted(above.inputs[0], axis)
        # Beside an infinite x, whose quotient is none, the others' are 0.
        return softmax(minimum(x, constant(np.finfo(x.dtype).max, x.dtype)), axis)

    def _unshifted(self, x: Tensor, axis: int) -> Tensor:
        """y of y - max(y)."""
        if not isinstance(x.op, Subtract) or id(x) in self.opaque:
            return x
        whole, part = x.inputs
        found = _reduction(part, x.shape, self.opaque)
        if found is None or not isinstance(found[0].op, Max) or found[1] != axis:
            return x
        return whole if same(found[0].inputs[0], whole) else x

    def _share(self, above: Tensor, over: Form | None, below: Tensor) -> Tensor | None:
        """a / (a + b) = sigmoid(log a - log b); of another numerator, that over a constant a."""
        pair = self._logs(below) if isinstance(below.op, Add) else None
        if pair is None:
            return None
        if over is not None and over.rest is None:
            for part, other in (pair, pair[::-1]):
                if same(part, over.log):
                    return sigmoid(negated(other) if is_number(part, 0) else part - other)
        if self._forms.of(above) is not None:
            return None
        for part, other, scale in zip(pair, pair[::-1], below.inputs, strict=True):
            if positive_constant(scale) is not None:
                share = sigmoid(negated(other) if is_number(part, 0) else part - other)
                return above * (share if is_number(part, 0) else share / scale)
        return None

    def _ratio(self, above: Tensor, below: Tensor) -> Tensor | None:
        """(a - b) / (a + b) = tanh((log a - log b) / 2), and p / (1 - p) = exp(x) of p = sigmoid(x)."""
        if (
            isinstance(above.op, Sinh)
            and isinstance(below.op, Cosh)
            and same(above.inputs[0], below.inputs[0])
        ):
            return tanh(above.inputs[0])
        for sign, p, q in ((1, above, below), (-1, below, above)):
            beside = isinstance(p.op, Sigmoid) and isinstance(q.op, Subtract) and is_number(q.inputs[0], 1)
            if beside and same(q.inputs[1], p):
                return exp(p.inputs[0] if sign > 0 else negated(p.inputs[0]))
        one = self._logs(above) if isinstance(above.op, (Subtract, Expm1)) else None
        two = self._logs(below) if isinstance(below.op, Add) else None
        if one is None or two is None:
            return None
        for other in (two, two[::-1]):
            if same(one[0], other[0]) and same(one[1], other[1]):
                return tanh((one[0] if is_number(one[1], 0) else one[0] - one[1]) * 0.5)
        return None

    def _logs(self, node: Tensor) -> tuple[Tensor, Tensor] | None:
        """The logarithms of the two parts of a sum or difference of positive numbers."""
        if isinstance(node.op, Expm1):
            return node.inputs[0], constant(0, node.dtype)
        forms = [self._forms.of(x) or positive_constant(x) for x in node.inputs]
        logs = [f.log for f in forms if f is not None and f.rest is None]
        return (logs[0], logs[1]) if len(logs) == 2 else None


def _reduction(
    node: Tensor, shape: tuple[Dim, ...], opaque: Collection[int] = ()
) -> tuple[Tensor, int] | None:
    """The reduction over one axis of a tensor of `shape` that `node` is, and the axis.

    None where its results lie along another axis than those elements that they were made of, beside a tensor
    of that shape.
    """
    while isinstance(node.op, BroadcastTo) and id(node) not in opaque:
        (node,) = node.inputs
    # As it is stretched: axes are added in front.
    place = (1,) * (len(shape) - node.ndim) + node.shape
    # Order stays, whatever axes of size 1 are added or taken away.
    while isinstance(node.op, (Reshape, Identity)) and id(node) not in opaque:
        (node,) = node.inputs
    if not isinstance(node.op, Reduction) or len(node.op.axes) != 1 or id(node) in opaque:
        return None
    (axis,) = node.op.axes
    thin = tuple(1 if a == axis else d for a, d in enumerate(shape))
    return (node, axis) if place == thin and node.inputs[0].shape == shape else None


def _normalised(above: Tensor, below: Tensor) -> bool:
    """Whether numbers are divided by their sum, which is no smaller than any of them."""
    return isinstance(below.op, Sum) and same(below.inputs[0], above)


RULES: dict[type[Op], Callable[[Stable, Tensor], Tensor | None]] = {
    Log: Stable.log_of_exponentials,
    Log1p: Stable.log_one_plus_exponential,
    Multiply: Stable.product_of_exponentials,
    Divide: Stable.quotient_of_exponentials,
    Reciprocal: Stable.quotient_of_exponentials,
    Sqrt: Stable.root_of_exponential,
    Rsqrt: Stable.root_of_exponential,
    Power: Stable.root_of_exponential,
}
"""What is replaced: the rule for each op. A rule returns None where nothing is gained."""
