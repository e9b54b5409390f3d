"""Every rewrite rule: a graph on which it fires, with unchanged values, and one on which it must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from symgraph.graph.evaluate import evaluate
from symgraph.graph.leaves import constant, placeholder
from symgraph.graph.ops import barrier, custom_gradient, elementwise, index, math, nn, reduce, shape, slicing
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes import layout, simplify, stabilise
from symgraph.passes.rewrite import Rule, apply_rules

Build = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    rule: Rule
    fires: Build
    spares: Build


def _transposed(x: Tensor) -> Tensor:
    return shape.transpose(x, (1, 0))


def _placed(x: Tensor, column: int) -> Tensor:
    return slicing.Place((2, 3), (0, column), (1, 1))(x)


def _own_gradient(x: Tensor) -> Tensor:
    made: Tensor = custom_gradient.custom_gradient(lambda x: (x + 1, lambda g: g))(x)
    return made


CASES = [
    Case(simplify.pass_through, barrier.identity, lambda x: x + 1),
    Case(simplify.own_gradient, _own_gradient, lambda x: reduce.max(x)),
    Case(simplify.add_zero, lambda x: -0.0 + x, lambda x: reduce.sum(x) + np.full((2, 3), -0.0)),
    Case(simplify.add_zero, lambda x: x + -0.0, lambda x: x + 0.0),
    Case(
        simplify.add_zero,
        lambda x: elementwise.cast(elementwise.cast(x, "int32") + 0, "float64"),
        lambda x: x + 1,
    ),
    Case(simplify.subtract_zero, lambda x: x - 0, lambda x: x - -0.0),
    Case(simplify.multiply_one, lambda x: 1 * x, lambda x: x * 2),
    Case(simplify.multiply_one, lambda x: x * -1, lambda x: reduce.sum(x) * np.ones(3)),
    Case(simplify.divide_one, lambda x: x / 1, lambda x: 1 / x),
    Case(simplify.small_powers, lambda x: x**2, lambda x: x**3),
    Case(simplify.small_powers, lambda x: (x + 3) ** 0.5, lambda x: 2**x),
    Case(simplify.double_negative, lambda x: math.negative(-x), lambda x: -x),
    Case(
        simplify.known_condition,
        lambda x: elementwise.where(True, x, -x),
        lambda x: elementwise.where(x > 0, x, -x),
    ),
    Case(
        simplify.known_condition,
        lambda x: elementwise.where(np.array([False]), 1.0, x),
        lambda x: elementwise.where(np.array([True, False, True]), x, -x),
    ),
    Case(
        simplify.cast_to_same,
        lambda x: elementwise.Cast("float64")(x),
        lambda x: elementwise.Cast("float32")(x),
    ),
    Case(
        simplify.reshape_once,
        lambda x: shape.reshape(shape.reshape(x, (6,)), (3, 2)),
        lambda x: shape.reshape(x, (6,)),
    ),
    Case(simplify.transpose_once, lambda x: _transposed(_transposed(x)), _transposed),
    Case(
        simplify.broadcast_once,
        lambda x: shape.BroadcastTo((2, 3))(x),
        lambda x: shape.BroadcastTo((4, 2, 3))(x),
    ),
    Case(
        simplify.broadcast_is_implied,
        lambda x: shape.BroadcastTo((2, 3))(reduce.sum(x)) * x,
        lambda x: reduce.sum(x) * x,
    ),
    Case(
        simplify.broadcast_is_implied,
        lambda x: math.exp(shape.BroadcastTo((4, 2, 3))(x)),
        lambda x: math.exp(x),
    ),
    Case(
        simplify.reduce_nothing,
        lambda x: reduce.sum(shape.reshape(x, (2, 1, 3)), 1),
        lambda x: reduce.sum(x, 1),
    ),
    Case(
        simplify.join_places,
        lambda x: _placed(x[:, 2:], 2) + (_placed(x[:, :1], 0) + _placed(-x[:, 1:2], 1)),
        lambda x: _placed(x[:, 2:], 2) + _placed(x[:, :1], 0),
    ),
    Case(
        simplify.join_places,
        lambda x: _placed(x[:, :2], 0) + _placed(x[:, 2:], 2),
        lambda x: _placed(x[:, :2], 0) + _placed(x[:, 1:], 1),
    ),
    Case(
        simplify.transpose_indices,
        lambda x: shape.transpose(index.Gather(0)(x, constant([[1, 0, 1], [0, 0, 1]])), (1, 0, 2)),
        lambda x: shape.transpose(index.Gather(0)(x, constant([[1, 0, 1], [0, 0, 1]])), (0, 2, 1)),
    ),
    Case(
        stabilise.log_one_plus, lambda x: math.log(1 + math.square(x)), lambda x: math.log(2 + math.square(x))
    ),
    Case(stabilise.exp_minus_one, lambda x: math.exp(x) - 1, lambda x: 1 - math.exp(x)),
    Case(layout.sink_through_elementwise, lambda x: math.relu(_transposed(x)), math.relu),
    Case(
        layout.sink_through_elementwise,
        lambda x: _transposed(x) + np.ones((3, 1)),
        lambda x: _transposed(x) + np.ones((3, 2)),
    ),
    Case(layout.sink_through_reduction, lambda x: reduce.sum(_transposed(x), 0), lambda x: reduce.sum(x, 0)),
    Case(
        layout.sink_through_reduction,
        lambda x: reduce.max(shape.transpose(shape.reshape(x, (1, 2, 3)), (2, 0, 1)), 1),
        lambda x: reduce.max(x, 1),
    ),
]


def _values(tensor: Tensor, x: Tensor) -> np.ndarray:
    return np.asarray(evaluate([tensor], {x: [[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]]})[0])


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.rule.name)
def test_rule(case: Case) -> None:
    x = placeholder((2, 3), dtype="float64", name="x")
    before = case.fires(x)
    hits: Counter[str] = Counter()
    (after,) = apply_rules([before], [case.rule], hits)
    assert hits[case.rule.name] >= 1
    np.testing.assert_allclose(_values(after, x), _values(before, x), rtol=1e-12, atol=1e-12)
    assert after.type == before.type
    hits.clear()
    apply_rules([case.spares(x)], [case.rule], hits)
    assert not hits


@pytest.mark.parametrize("module", [simplify, stabilise, layout])
def test_every_rule_has_a_case_and_a_text(module: object) -> None:
    covered = {case.rule for case in CASES}
    for rule in module.RULES:  # type: ignore[attr-defined]
        assert rule in covered, rule.name
        assert "->" in rule.text


def test_a_rule_passes_on_where_a_node_came_from() -> None:
    x = placeholder((2, 3), name="x")
    before = math.log(nn.softmax(x))
    (after,) = stabilise.stabilise([before], Counter())
    assert after.origins == before.origins


@pytest.mark.parametrize(
    ("build", "value"),
    [
        (lambda x: math.log(nn.softmax(x)), [[0.0, 1000.0, -1000.0], [1e4, 1e4, 0.0]]),
        (lambda x: math.log(math.sigmoid(x)), [[-1000.0, 0.0, 1000.0], [-50.0, 50.0, 1.0]]),
        (
            lambda x: math.log(reduce.sum(math.exp(x), 1)),
            [[1000.0, 1000.0, 0.0], [-1000.0, -1000.0, -1000.0]],
        ),
    ],
)
def test_stabilised_forms_stay_finite(build: Build, value: list[list[float]]) -> None:
    x = placeholder((2, 3), dtype="float64")
    (after,) = stabilise.stabilise([build(x)], Counter())
    assert np.isfinite(evaluate([after], {x: value})[0]).all()


def test_log_sum_exp_of_infinities() -> None:
    x = placeholder((3, 2), dtype="float64")
    (after,) = stabilise.stabilise([math.log(reduce.sum(math.exp(x), 1))], Counter())
    with np.errstate(all="ignore"):
        result = evaluate([after], {x: [[np.inf, 0], [-np.inf, -np.inf], [np.nan, 0]]})[0]
    assert result[0] == np.inf and result[1] == -np.inf and np.isnan(result[2])


def test_constants_keep_dtype_and_sign() -> None:
    assert constant(1).op != constant(1.0).op
    assert constant(1).op != constant(True).op
    assert constant(0.0).op != constant(-0.0).op
    assert constant(2.5).op == constant(2.5).op
    assert len(topological([constant(1)])) == 1
