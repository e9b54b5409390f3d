"""Rules that keep numbers finite and exact: logarithms of softmax, sigmoid and sums of exponentials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.leaves import constant
from symgraph.graph.ops.compare import logical_or
from symgraph.graph.ops.elementwise import Add, Subtract, where
from symgraph.graph.ops.math import Exp, Log, Sigmoid, exp, expm1, isinf, isnan, log, log1p, softplus
from symgraph.graph.ops.nn import LogSoftmax, Softmax
from symgraph.graph.ops.reduce import MaxOrLowest, Sum
from symgraph.graph.ops.shape import Reshape
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import Rule, apply_rules, rule
from symgraph.passes.simplify import scalar


@rule(Log)
def log_softmax(node: Tensor) -> Tensor | None:
    """log(softmax(x)) -> log_softmax(x)"""
    (value,) = node.inputs
    return LogSoftmax()(value.inputs[0]) if isinstance(value.op, Softmax) else None


@rule(Log)
def log_sigmoid(node: Tensor) -> Tensor | None:
    """log(sigmoid(x)) -> -softplus(-x)"""
    (value,) = node.inputs
    return -softplus(-value.inputs[0]) if isinstance(value.op, Sigmoid) else None


@rule(Log)
def log_one_minus_sigmoid(node: Tensor) -> Tensor | None:
    """log(1 - sigmoid(x)) -> -softplus(x)"""
    (value,) = node.inputs
    if (
        isinstance(value.op, Subtract)
        and scalar(value.inputs[0]) == 1
        and isinstance(value.inputs[1].op, Sigmoid)
    ):
        return -softplus(value.inputs[1].inputs[0])
    return None


@rule(Log)
def log_one_plus(node: Tensor) -> Tensor | None:
    """log(1 + x) -> log1p(x)"""
    (value,) = node.inputs
    if isinstance(value.op, Add):
        for one, other in (value.inputs, value.inputs[::-1]):
            if scalar(one) == 1 and other.type == node.type:
                return log1p(other)
    return None


@rule(Subtract)
def exp_minus_one(node: Tensor) -> Tensor | None:
    """exp(x) - 1 -> expm1(x)"""
    value, one = node.inputs
    plain = isinstance(value.op, Exp) and scalar(one) == 1 and value.type == node.type
    return expm1(value.inputs[0]) if plain else None


@rule(Log)
def log_sum_exp(node: Tensor) -> Tensor | None:
    """log(sum(exp(x))) -> max(x) + log(sum(exp(x - max(x))))"""
    (total,) = node.inputs
    if not isinstance(total.op, Sum) or not isinstance(total.inputs[0].op, Exp):
        return None
    x = total.inputs[0].inputs[0]
    if any(x.shape[a] == 0 for a in total.op.axes):
        return None
    top = MaxOrLowest(total.op.axes, True)(x)
    # An infinite or NaN maximum must not be subtracted from itself.
    top = where(logical_or(isinf(top), isnan(top)), constant(0, x.dtype), top)
    rest = log(Sum(total.op.axes, total.op.keepdims)(exp(x - top)))
    return rest + (top if total.op.keepdims else Reshape(node.shape)(top))


RULES: tuple[Rule, ...] = (
    log_softmax,
    log_sigmoid,
    log_one_minus_sigmoid,
    log_sum_exp,
    log_one_plus,
    exp_minus_one,
)


def stabilise(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Apply every rule of this file."""
    return apply_rules(roots, RULES, hits)
