"""No rule and no pass changes what a graph computes.

Not for zeros of either sign, subnormal and huge numbers, infinities and NaN, not for nothing at all, in
either float dtype, with sizes known and unknown. Same shape, same dtype, NaN where NaN, infinite where
infinite, the same sign of zero; finite results within rounding. A rule or pass without a case here fails
`test_every_rule_and_pass_has_a_case`.
"""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pytest

from symgraph import passes
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import barrier, conv, elementwise, index, math, nn, pool, reduce, shape, slicing
from symgraph.graph.ops.compare import greater
from symgraph.graph.ops.cond import cond
from symgraph.graph.ops.custom_gradient import custom_gradient
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.scan import scan
from symgraph.graph.tensor import Tensor
from symgraph.passes.pipeline import PIPELINE, run_passes
from symgraph.passes.rewrite import Rule, apply_rules

ROWS = (4, 1, 0)
SHAPES = {"x": (None, 3), "v": (3,), "pictures": (None, 4, 5, 2), "steps": (None, 2, 3)}
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


class Inputs:
    """The placeholders that a case asks for, and variables: all hold special numbers."""

    def __init__(self, dtype: str, rows: int, known: bool, seed: int) -> None:
        self.dtype, self.rows, self.known = dtype, rows, known
        self.rng = np.random.default_rng(seed)
        self.feeds: dict[Tensor, np.ndarray] = {}

    def __getattr__(self, name: str) -> Tensor:
        concrete = tuple(self.rows if d is None else d for d in SHAPES[name])
        tensor = placeholder(concrete if self.known else SHAPES[name], dtype=self.dtype, name=name)
        self.feeds[tensor] = self.numbers(concrete)
        setattr(self, name, tensor)
        return tensor

    def numbers(self, shape: tuple[int, ...]) -> np.ndarray:
        """Special numbers, ordinary ones, or some of both."""
        single = self.dtype == "float32"
        f = np.finfo(self.dtype)
        big, small = (1e38, 1e-38) if single else (1e308, 1e-308)
        special = [0.0, -0.0, f.tiny / 4, small, -small, 1.0, -1.0, big, -big, np.inf, -np.inf, np.nan]
        special += [1e20, -1e-20, 30.0, -30.0]
        chosen = self.rng.choice(np.array(special), shape)
        ordinary = self.rng.normal(size=shape)
        share = self.rng.choice([0.0, 0.2, 1.0])
        if self.rng.random() < 0.3:
            chosen = np.full(shape, self.rng.choice(special))
        return np.where(self.rng.random(shape) < share, chosen, ordinary).astype(self.dtype)

    def variable(self, *size: int) -> Variable:
        return Variable(self.numbers(size))

    def columns(self, start: int, stop: int) -> Tensor:
        return self.x[:, start:stop]

    def placed(self, start: int, stop: int) -> Tensor:
        """Columns of x in their place among zeros."""
        return slicing.Place((self.x.shape[0], 3), (0, start), (1, 1))(self.columns(start, stop))


Build = Callable[[Inputs], Tensor | Sequence[Tensor]]


@dataclass(frozen=True)
class Law:
    """A graph on which a rule or a pass fires.

    `better`: it is meant to give more exact or finite values where the graph as written loses them.
    `unsigned`: signs of zeros may differ; `dead`: what is not finite may become 0. Both are documented.
    """

    name: str
    build: Build
    better: bool = False
    unsigned: bool = False
    dead: bool = False
    rows: tuple[int, ...] = ROWS
    known: bool = False


def _transposed(x: Tensor) -> Tensor:
    return shape.transpose(x, (1, 0))


def _folded(i: Inputs) -> Tensor:
    return i.x * math.exp(constant(i.numbers((3,))) * 2.0)


def _pool_gradient(i: Inputs) -> Tensor:
    y = math.relu(i.pictures)
    (grad,) = gradients(reduce.sum(math.square(pool.max_pool2d(y, (2, 2)))), [i.pictures])
    assert grad is not None
    return grad


def _bias_gradients(i: Inputs) -> list[Tensor]:
    w, b = i.variable(2, 2, 2, 3), i.variable(3)
    flows = gradients(reduce.sum(math.tanh(conv.conv2d(i.pictures, w) + b)), [w, b])
    return [flow for flow in flows if flow is not None]


def _framed(i: Inputs) -> Tensor:
    """Pictures with zeros around, not as many on all sides."""
    samples, height, width, channels = i.pictures.shape
    return slicing.Place((samples, height + 3, width + 1, channels), (0, 1, 0, 0), (1, 1, 1, 1))(i.pictures)


def _framed_product(i: Inputs) -> tuple[Tensor, Variable]:
    w = i.variable(3, 2, 2, 3)
    return conv.conv2d(_framed(i), w, (2, 1), ((1, 0), (0, 0))), w


def _framed_flow(i: Inputs, to_weights: bool) -> Tensor:
    product, w = _framed_product(i)
    (flow,) = gradients(reduce.sum(product * product), [w if to_weights else i.pictures])
    assert flow is not None
    return flow


def _framed_maximum(i: Inputs) -> Tensor:
    samples, height, width, channels = i.pictures.shape
    place = slicing.Place((samples, height + 2, width + 1, channels), (0, 1, 1, 0), (1, 1, 1, 1))
    return pool.MaxPool2D((3, 2), (2, 2))(place(math.relu(i.pictures)))


def _held(i: Inputs) -> Tensor:
    product = matmul(i.x, i.variable(3, 4)) + i.variable(4)
    return elementwise.minimum(elementwise.maximum(product, 0.0), 6.0)


def _residual(i: Inputs) -> Tensor:
    return math.relu(i.pictures + conv.conv2d(i.pictures, i.variable(1, 1, 2, 2)))


def _normalised(i: Inputs) -> Tensor:
    w, mean, scale, beta = i.variable(2, 2, 2, 3), *(i.variable(3) for _ in range(3))
    return (conv.conv2d(i.pictures, w) - mean) * scale + beta


def _scaled_twice(i: Inputs) -> Tensor:
    return (matmul(i.x, i.variable(3, 4)) * i.variable(4) - i.variable(4)) * i.variable(4)


def _loop(i: Inputs) -> list[Tensor]:
    w, u = i.variable(3, 3), i.variable(3, 3)

    def step(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        state = matmul(values[0], w) + states[0] * 0.5 + matmul(values[0] * 2.0, w)
        return [matmul(state, u)], [state]

    (outputs,), (last,) = scan(step, [i.steps], [constant(i.numbers((2, 3)))])
    return [outputs, last]


def _branch(i: Inputs) -> list[Tensor]:
    chosen = cond(constant(True), lambda: i.x * 2.0, lambda: i.x - 1.0)
    open_ = cond(greater(reduce.sum(i.v), 0), lambda: math.exp(i.x), lambda: i.x * i.v)
    return [chosen, open_]


def _dead(i: Inputs) -> list[Tensor]:
    flow = elementwise.where(np.array(False), i.x, constant(0.0, i.dtype))
    return [i.v + flow * i.x]


LAWS = [
    Law("pass_through", lambda i: barrier.identity(i.x)),
    Law("own_gradient", lambda i: custom_gradient(lambda x: (x + 1, lambda g: g))(i.x)),
    Law("add_zero", lambda i: i.x + -0.0),
    Law("subtract_zero", lambda i: i.x - 0.0),
    Law("multiply_one", lambda i: [1.0 * i.x, i.x * -1.0]),
    Law("divide_one", lambda i: i.x / 1.0),
    Law("small_powers", lambda i: [i.x**1, i.x**2, i.x**0.5, i.x**-1]),
    Law("double_negative", lambda i: math.negative(-i.x)),
    Law("known_condition", lambda i: elementwise.where(np.array([True]), i.v, i.x)),
    Law("cast_to_same", lambda i: elementwise.Cast(i.dtype)(i.x)),
    Law("reshape_once", lambda i: shape.reshape(shape.reshape(i.x, (i.x.shape[0] * 3,)), i.x.shape)),
    Law("transpose_once", lambda i: _transposed(_transposed(i.x))),
    Law("transpose_indices", lambda i: shape.transpose(
        index.Gather(0)(i.v, constant([[1, 0, 1], [0, 0, 2]])), (1, 0))),
    Law("broadcast_once", lambda i: shape.BroadcastTo((2, 4, 3))(shape.BroadcastTo((4, 3))(i.v))),
    Law("broadcast_is_implied", lambda i: [
        shape.BroadcastTo(i.x.shape)(i.v) * i.x, math.exp(shape.BroadcastTo((4, 3))(i.v))]),
    Law("reduce_nothing", lambda i: [
        kind(shape.reshape(i.x, (i.x.shape[0], 1, 3)), 1)
        for kind in (reduce.sum, reduce.mean, reduce.max, reduce.min, reduce.prod)]),
    Law("join_places", lambda i: i.placed(2, 3) + (i.placed(0, 1) + i.placed(1, 2)), unsigned=True),
    Law("stabilise", lambda i: [math.log(nn.softmax(i.x)), math.log(math.sigmoid(i.x))], better=True),
    Law("stabilise", lambda i: [math.log(1 - math.sigmoid(i.x)), math.log(1 - nn.softmax(i.x))], better=True),
    Law("stabilise", lambda i: math.log(reduce.sum(math.exp(i.x), 1)), better=True),
    Law("stabilise", lambda i: math.log(reduce.sum(i.v * math.exp(i.x), 0)), better=True),
    Law("stabilise", lambda i: [math.log(i.x * math.exp(i.v)), math.exp(i.x) * math.exp(i.v)], better=True),
    Law("stabilise", lambda i: [math.log(2 + math.exp(i.x)), math.log(i.v + math.exp(i.x))], better=True),
    Law("stabilise", lambda i: [
        math.log(1 - math.exp(i.x)), math.log(math.exp(i.v) - math.exp(i.x))], better=True),
    Law("stabilise", lambda i: [1 / (1 + math.exp(-i.x)), i.v / (3 + math.exp(i.x))], better=True),
    Law("stabilise", lambda i: math.exp(i.x) / reduce.sum(math.exp(i.x), 1, True), better=True),
    Law("stabilise", lambda i: [i.v / (1 - math.exp(i.x)), math.sqrt(math.exp(i.x))], better=True),
    Law("log_one_plus", lambda i: math.log(1 + i.x), better=True),
    Law("exp_minus_one", lambda i: math.exp(i.x) - 1, better=True),
    Law("sink_through_elementwise", lambda i: [
        math.relu(_transposed(i.x)), _transposed(i.x) + constant(i.numbers((3, 1)))]),
    Law("sink_through_reduction", lambda i: [
        kind(_transposed(i.x), 0) for kind in (reduce.sum, reduce.mean, reduce.max, reduce.prod)]),
    Law("mask_before_unpooling", _pool_gradient, rows=(2, 0)),
    Law("fold", _folded),
    Law("branches", _branch),
    Law("drop_dead_flows", _dead, dead=True),
    Law("merge", lambda i: math.exp(i.x) + math.exp(i.x)),
    Law("scans", _loop),
    Law("drop_unused_results", lambda i: pool.max_pool2d(i.pictures, (2, 2))),
    Law("fold_scales", _normalised),
    Law("fold_scales", lambda i: matmul(i.x, i.variable(3, 4)) * i.variable(4)),
    Law("fold_scales", lambda i: _scaled_twice(i)),
    Law("bias_gradients", _bias_gradients, rows=(2,)),
    Law("fuse_epilogues", lambda i: math.relu(matmul(i.x, i.variable(3, 4)) + i.variable(4))),
    Law("fuse_epilogues", _held, unsigned=True),
    Law("fuse_epilogues", lambda i: elementwise.minimum(math.relu(matmul(i.x, i.variable(3, 4))), 6.0)),
    Law("fuse_epilogues", _residual),
    Law("pad_in_convolution", lambda i: _framed_product(i)[0]),
    Law("pad_in_weight_gradient", lambda i: _framed_flow(i, to_weights=True)),
    Law("pad_in_input_gradient", lambda i: _framed_flow(i, to_weights=False)),
    Law("pad_in_maximum", _framed_maximum, unsigned=True),
    Law("fuse", lambda i: [math.tanh(i.x * 2.0 + 1.0) - i.x, reduce.mean(math.square(i.x - i.v), 1)]),
    Law("join_siblings", lambda i: [reduce.sum(i.x, 1), reduce.max(i.x, 1), reduce.sum(i.x * i.v, 1)]),
    # Zeros that change the sign of another, and stay.
    Law("fuse", lambda i: [i.x + 0.0, 0.0 + i.x, i.x - -0.0, 0.0 - i.x]),
    # Sums whose factors stay inside: outside of it they overflow, and make NaN of nothing.
    Law("fuse", lambda i: [reduce.sum(i.x * i.v, 0), reduce.sum(-i.x, 0), reduce.sum(i.x / i.v, 0)]),
]  # fmt: skip
COMPOSED = {"simplify", "layout", "masks", "pads", "pads_of_maxima"}
"""Passes that are lists of rules."""


def _rules() -> dict[str, Rule]:
    modules = [import_module(f"{passes.__name__}.{m.name}") for m in pkgutil.iter_modules(passes.__path__)]
    return {v.name: v for module in modules for v in vars(module).values() if isinstance(v, Rule)}


RULES = _rules()
PASSES = {step.__name__: step for step in PIPELINE}


def _rewritten(law: Law, roots: list[Tensor]) -> list[Tensor]:
    """The graph after the law's rule or pass, which has to fire."""
    if law.name not in RULES:
        return run_passes(roots, [PASSES[law.name]], checked=True)[0]
    hits: Counter[str] = Counter()
    after = apply_rules(roots, [RULES[law.name]], hits)
    assert hits[law.name]
    return after


def assert_lawful(law: Law, after: list[np.ndarray], before: list[np.ndarray]) -> None:
    for a, b in zip(after, before, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        scale = TOLERANCE[b.dtype.name]
        tiny = 100 * float(np.finfo(b.dtype).smallest_subnormal)
        if law.dead:
            a, b = a[np.isfinite(b)], b[np.isfinite(b)]
        if law.better:
            # Digits that cancel in the graph as written come back; what was finite stays so.
            a, b, tiny = a[np.isfinite(b)], b[np.isfinite(b)], 1.0
        np.testing.assert_allclose(a, b, rtol=scale, atol=tiny)
        if not (law.unsigned or law.better):
            zero = b == 0
            np.testing.assert_array_equal(np.signbit(a[zero]), np.signbit(b[zero]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_rewritten_graphs_compute_the_same(law: Law, dtype: str, known: bool) -> None:
    for rows in law.rows:
        for seed in range(12):
            inputs = Inputs(dtype, rows, known, seed)
            built = law.build(inputs)
            roots = [built] if isinstance(built, Tensor) else list(built)
            before = [np.asarray(v) for v in evaluate(roots, inputs.feeds)]
            for after in (_rewritten(law, roots), run_passes(roots, checked=True)[0]):
                assert_lawful(law, [np.asarray(v) for v in evaluate(after, inputs.feeds)], before)


def test_every_rule_and_pass_has_a_case() -> None:
    names = {law.name for law in LAWS}
    assert names == set(RULES) | (set(PASSES) - COMPOSED)
