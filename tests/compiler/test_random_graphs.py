"""Compiled random graphs against the ops' references: placement, in-place, fusion, layout, updates.

Values are small whole numbers, so sums and products are exact in every order and results have to be equal bit
by bit; whatever divides or rounds makes "soft" tensors, which only smooth ops read and a tolerance compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.compiler.function import Function
from symgraph.graph.dims import unknown
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import (
    compare,
    cumulative,
    elementwise,
    index,
    math,
    matmul,
    nn,
    reduce,
    shape,
    slicing,
    sort,
)
from symgraph.graph.tensor import Tensor, topological

pytestmark = pytest.mark.threads

SIZES = (3, 1, 0, 17)
Draw = Callable[[int], int]


def _numbers(rng: np.random.Generator, sizes: tuple[int, ...], dtype: str) -> np.ndarray:
    low, high = {"bool": (0, 2), "uint8": (0, 5)}.get(dtype, (-4, 5))
    return np.asarray(rng.integers(low, high, sizes)).astype(dtype)


class Recipe:
    """Grows a graph from a list of small integers, so that failing examples can be made smaller."""

    def __init__(self, choices: list[int]) -> None:
        self.choices = iter(choices)
        size = unknown("N")
        self.inputs = [
            placeholder(sizes, dtype=dtype, name=f"x{i}")
            for i, (sizes, dtype) in enumerate(
                [
                    ((size, 4), "float32"), ((size, 4), "float64"), ((4,), "float32"), ((size, 1), "int32"),
                    ((4, 3), "float32"), ((size, 4), "bool"), ((), "float32"), ((4,), "uint8"),
                ]
            )
        ]  # fmt: skip
        rng = np.random.default_rng(5)
        self.variables = [
            Variable(_numbers(rng, sizes, dtype), name=f"v{i}")
            for i, (sizes, dtype) in enumerate(
                [
                    ((4,), "float32"), ((4,), "float32"), ((4, 4), "float32"), ((4, 4), "float32"),
                    ((), "int64"), ((0, 3), "float32"), ((4, 1), "int32"), ((4,), "float64"),
                ]
            )
        ]  # fmt: skip
        self.nodes: list[Tensor] = [*self.inputs, *self.variables, constant(_numbers(rng, (4,), "float32"))]
        self.soft: set[int] = set()

    def draw(self, count: int) -> int:
        """A number below `count`; 0 when the list is used up."""
        return next(self.choices, 0) % count

    def pick(self, wanted: Callable[[Tensor], bool] = lambda t: True) -> Tensor | None:
        """One of the nodes that `wanted` holds for; recent ones are likelier."""
        found = [n for n in self.nodes if wanted(n)]
        if not found:
            return None
        place = self.draw(2 * len(found))
        return found[place] if place < len(found) else found[-1 - (place - len(found)) % 4 % len(found)]

    def exact(self, node: Tensor) -> bool:
        return id(node) not in self.soft

    def add(self, node: Tensor | None, *sources: Tensor, soft: bool = False) -> None:
        """Keep `node` where nothing is left to check at run time, and no size but N's is unknown."""
        if node is None or any(True for n in topological([node]) for _ in n.op.requires(*_types(n))):
            return
        if soft or not all(map(self.exact, sources)):
            self.soft.add(id(node))
        self.nodes.append(node)

    def step(self) -> None:
        """One more node, or none where the choice has no candidates."""
        kinds = (self._binary, self._binary, self._unary, self._view, self._view, self._reduce, self._reduce,
                 self._select, self._product, self._soft, self._join, self._cast)  # fmt: skip
        kinds[self.draw(len(kinds))]()

    def _binary(self) -> None:
        a, b = self.pick(), self.pick()
        assert a is not None and b is not None
        builders = [elementwise.add, elementwise.subtract, elementwise.multiply, elementwise.maximum,
                    elementwise.minimum, compare.less, compare.equal]  # fmt: skip
        build = builders[self.draw(7 if self.exact(a) and self.exact(b) else 5)]
        if build is elementwise.multiply and not (self.exact(a) and self.exact(b)):
            build = elementwise.add
        try:
            self.add(_bounded(build(a, b)), a, b)
        except ValueError:  # shapes that do not broadcast
            return

    def _unary(self) -> None:
        a = self.pick(self.exact)
        if a is not None:
            self.add(
                _bounded((math.negative, math.absolute, math.square, math.relu, math.sign)[self.draw(5)](a)),
                a,
            )

    def _view(self) -> None:
        a = self.pick(lambda t: t.ndim > 0)
        assert a is not None
        kind = self.draw(7)
        if kind == 0:
            self.add(shape.transpose(a), a)
        elif kind == 1:
            self.add(shape.reshape(a, (-1,)) if 0 not in a.shape else None, a)
        elif kind == 2:
            self.add(slicing.reverse(a, a.ndim - 1), a)
        elif kind == 3:
            self.add(shape.expand_dims(a, self.draw(a.ndim + 1)) if a.ndim < 4 else None, a)
        elif kind == 4:
            self.add(a[..., :: 1 + self.draw(2)] if self.draw(2) or a.shape[-1] == 0 else a[..., -1], a)
        elif kind == 5:
            self.add(a[..., 1:], a) if isinstance(a.shape[-1], int) and a.shape[-1] > 1 else None
        elif a.ndim < 4:
            self.add(shape.broadcast_to(a, (2, *a.shape)), a)

    def _reduce(self) -> None:
        a = self.pick(lambda t: t.ndim > 0)
        assert a is not None
        axis = self.draw(a.ndim)
        keep = bool(self.draw(2))
        kind = self.draw(6)
        if kind == 1 and isinstance(a.shape[axis], int) and a.shape[axis] and a.dtype != "bool":
            self.add(reduce.max(a, axis, keep), a)
        elif kind == 2 and isinstance(a.shape[axis], int) and a.shape[axis] and self.exact(a):
            self.add(reduce.argmax(a, axis) if a.dtype != "bool" else None, a)
        elif kind == 3 and a.dtype == "bool":
            self.add(reduce.any(a, axis, keep), a)
        elif kind == 4:
            self.add(_bounded(cumulative.cumsum(elementwise.cast(a, "float64"), axis)), a)
        elif kind == 5 and isinstance(a.shape[axis], int) and a.shape[axis]:
            self.add(reduce.mean(elementwise.cast(a, "float32"), axis, keep), a, soft=True)
        else:
            self.add(_bounded(reduce.sum(a, axis if self.draw(3) else None, keep)), a)

    def _select(self) -> None:
        c, a, b = self.pick(lambda t: t.dtype == "bool" and self.exact(t)), self.pick(), self.pick()
        assert c is not None and a is not None and b is not None
        try:
            self.add(elementwise.where(c, a, b), a, b)
        except ValueError:
            return

    def _product(self) -> None:
        a = self.pick(lambda t: t.ndim >= 1 and t.dtype.startswith("float") and self.exact(t))
        if a is None:
            return
        b = self.pick(
            lambda t: (
                t.ndim == 2 and t.dtype.startswith("float") and self.exact(t) and t.shape[0] == a.shape[-1]
            )
        )
        if b is not None:
            self.add(_bounded(matmul.matmul(a, b)), a, b)

    def _soft(self) -> None:
        a = self.pick(lambda t: t.dtype.startswith("float"))
        assert a is not None
        known = a.ndim > 0 and isinstance(a.shape[-1], int) and a.shape[-1] > 0
        builders: list[Callable[[Tensor], Tensor]] = [math.tanh, math.sigmoid, math.softplus]
        builders += [nn.softmax, nn.log_softmax] if known else []
        self.add(_bounded(builders[self.draw(len(builders))](a)), a, soft=True)

    def _join(self) -> None:
        a = self.pick(lambda t: t.ndim > 0)
        assert a is not None
        kind = self.draw(4)
        if kind == 0:
            b = self.pick(lambda t: t.shape == a.shape)
            self.add(shape.concatenate([a, b], self.draw(a.ndim)), a, *([b] if b is not None else []))
        elif kind == 1 and a.dtype != "bool":
            self.add(slicing.pad(a, [(1, self.draw(2))] * a.ndim), a)
        elif kind == 2 and isinstance(a.shape[0], int) and a.shape[0]:
            self.add(index.gather(a, constant(np.int32([0, a.shape[0] - 1, -1]))), a)
        elif isinstance(a.shape[-1], int) and a.shape[-1] > 1 and self.exact(a) and a.dtype != "bool":
            values, places = sort.top_k(a, 2)
            self.add(values, a)
            self.add(places, a)

    def _cast(self) -> None:
        a = self.pick(self.exact)
        if a is not None:
            kinds = ("float32", "float64", "int32", "int64", "bool")
            self.add(elementwise.cast(a, kinds[self.draw(len(kinds))]), a)

    def updates(self) -> list[tuple[Variable, Tensor]]:
        """New values for some of the variables: any node of the right type, also variables and inputs."""
        chosen = []
        for variable in self.variables:
            value = self.pick(lambda t, v=variable: t.shape == v.shape) if self.draw(2) else None  # type: ignore[misc]
            if value is not None and (self.exact(value) or variable.dtype.startswith("float")):
                chosen.append((variable, elementwise.cast(value, variable.dtype)))
        return chosen

    def outputs(self) -> list[Tensor]:
        """Some nodes, perhaps one of them twice, and perhaps a gradient."""
        chosen = [n for n in (self.pick() for _ in range(1 + self.draw(4))) if n is not None]
        loss = self.pick(lambda t: t.dtype.startswith("float"))
        if self.draw(3) == 0 and loss is not None:
            wrt = [t for t in (*self.inputs, *self.variables) if t.dtype.startswith("float")]
            found = [g for g in gradients(reduce.sum(loss), wrt) if g is not None]
            self.soft.update(map(id, found))
            chosen += found
        return chosen


def _types(node: Tensor) -> Iterator[object]:
    return (i.type for i in node.inputs)


def _bounded(node: Tensor) -> Tensor:
    """`node` held between -16 and 16 (between 0 and 16 for bytes): later products stay exact."""
    if node.dtype in ("bool", "uint8"):
        return node
    return elementwise.minimum(elementwise.maximum(node, -16), 16)


def _assert_same(value: np.ndarray, wanted: np.ndarray, soft: bool, what: str) -> None:
    assert value.dtype == wanted.dtype and value.shape == wanted.shape, what
    if not soft:
        np.testing.assert_array_equal(value, wanted, err_msg=what)
        return
    scale = float(np.abs(wanted).max(initial=1.0))
    np.testing.assert_allclose(value, wanted, rtol=2e-4, atol=2e-4 * scale, err_msg=what)


def check_recipe(choices: list[int], steps: int) -> None:
    """Build, compile, run with several sizes, and compare outputs and variables with the references."""
    recipe = Recipe(choices)
    for _ in range(steps):
        recipe.step()
    outputs, updates = recipe.outputs(), recipe.updates()
    soft = any(not recipe.exact(v) for _, v in updates) or any(
        not recipe.exact(n.inputs[0]) for _, n in updates if n.inputs
    )
    needed = {id(n) for n in topological([*outputs, *(v for _, v in updates)])}
    # The first input tells N, which gradients and broadcasts may need even where nothing reads it.
    inputs = [x for x in recipe.inputs if id(x) in needed or x is recipe.inputs[0]]
    compiled = Function(inputs, outputs, updates)
    rng = np.random.default_rng(len(choices))
    for call, size in enumerate(SIZES):
        feeds = {
            x: _numbers(rng, tuple(d if isinstance(d, int) else size for d in x.shape), x.dtype)
            for x in inputs
        }
        wanted = evaluate([*outputs, *(v for _, v in updates)], feeds)
        untouched = {v: v.get_value() for v in recipe.variables if v not in [w for w, _ in updates]}
        results = compiled(list(feeds.values()))
        for i, (node, value, truth) in enumerate(zip(outputs, results, wanted[: len(outputs)], strict=True)):
            _assert_same(value, np.asarray(truth), soft or not recipe.exact(node), f"output {i}, call {call}")
        for (variable, _), truth in zip(updates, wanted[len(outputs) :], strict=True):
            _assert_same(variable.get_value(), np.asarray(truth), soft, f"{variable.name}, call {call}")
            variable.set_value(np.clip(np.rint(truth), -4, 4) if soft else truth)
        for variable, old in untouched.items():
            np.testing.assert_array_equal(
                variable.get_value(), old, err_msg=f"{variable.name} was not updated"
            )


@pytest.mark.parametrize("seed", range(16))
def test_seeded_graphs(seed: int) -> None:
    """Large graphs: hypothesis prefers small ones."""
    rng = np.random.default_rng(seed)
    check_recipe([int(n) for n in rng.integers(0, 2**16, 250)], int(rng.integers(10, 30)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2**16), min_size=1, max_size=120), st.integers(1, 25))
def test_random_graphs(choices: list[int], steps: int) -> None:
    check_recipe(choices, steps)
