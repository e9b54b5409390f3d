"""Operations and bytes of whole Programs, node by node, against loops that count.

The loops are those of tests/graph/test_costs.py. Graphs get random shapes, and run at once, in slices of
samples, in loops, and under conditions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from symgraph import backend as K
from symgraph import layers
from symgraph.compiler.function import Function
from symgraph.compiler.plan import depth_first
from symgraph.compiler.program.program import Program
from symgraph.graph.evaluate import concrete_op, concrete_shape
from symgraph.graph.op import Part
from symgraph.graph.ops.cond import Cond
from symgraph.graph.ops.host import watch
from symgraph.graph.ops.index import Gather
from symgraph.graph.ops.scan import Scan
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TupleType
from symgraph.inspection.facts.function import Facts
from symgraph.models import Sequential
from tests.graph.test_costs import COUNTERS

SLOW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def _types(node: Tensor) -> list[Any]:
    return list(node.type.items) if isinstance(node.type, TupleType) else [node.type]


def _counted(node: Tensor, sizes: Any) -> int:
    """Operations of a node, one by one."""
    op = concrete_op(node.op, sizes)
    if op.leaf or isinstance(op, Part):
        return 0
    if isinstance(op, Scan):
        return int(op.length) * _in_body(op.body, sizes)  # type: ignore[call-overload]
    if isinstance(op, Cond):
        return _in_body(op.then, sizes) + _in_body(op.otherwise, sizes)
    inputs = [concrete_shape(kind, sizes) for value in node.inputs for kind in _types(value)]
    outputs = [concrete_shape(kind, sizes) for kind in _types(node)]
    return sum(1 for _ in COUNTERS[type(op)](op, inputs, outputs))


def _in_body(body: Any, sizes: Any) -> int:
    return sum(_counted(node, sizes) for node in topological(body.results))


def _elements(node: Tensor, sizes: Any) -> Iterator[tuple[int, int]]:
    """(elements, bytes of one) of each result."""
    for kind in _types(node):
        yield math.prod(concrete_shape(kind, sizes)), np.dtype(kind.dtype).itemsize


def _nbytes(node: Tensor, sizes: Any) -> int:
    return sum(count * size for count, size in _elements(node, sizes))


def _check(function: Function, program: Program, facts: Facts) -> dict[str, int]:
    """Every node of a Program; how many of each kind of op it has."""
    lowered, sizes = function.lowered(), program.sizes
    slices = _slices(program)
    kinds: dict[str, int] = {}
    for number, node in enumerate(lowered.nodes):
        found = [f for f in facts.nodes if f.id == f"%{number}" or f.id.startswith(f"%{number}.")]
        name = f"{node.op} of {program.sizes}"
        kinds[type(node.op).__name__] = kinds.get(type(node.op).__name__, 0) + 1
        more = 0
        if node in slices and _added(node, program):
            # Parts of sums are added up: every element of the result, once for each slice but the first.
            more = (slices[node] - 1) * sum(count for count, _ in _elements(node, sizes))
            alone = [_of_slice(node, work, sizes) for work in program.inventory.works if work.node is node]
            assert found[0].flops == sum(alone) + more, name
        else:
            assert sum(f.flops or 0 for f in found) == _counted(node, sizes), name
        simple = not node.op.leaf and not node.op.aliases and not isinstance(node.op, Scan | Cond | Part)
        if simple and found[0].rows and not _copied(node, program):
            operands = [_nbytes(value, sizes) for value in node.inputs]
            if isinstance(node.op, Gather):
                operands[0] = _nbytes(node, sizes)
            assert found[0].bytes == sum(operands) + _nbytes(node, sizes), name
    return kinds


def _slices(program: Program) -> dict[Tensor, int]:
    """How many slices each sliced node has."""
    last: dict[Tensor, int] = {}
    for work in program.inventory.works:
        last[work.node] = max(last.get(work.node, 0), work.slice)
    return {node: number + 1 for node, number in last.items() if number}


def _added(node: Tensor, program: Program) -> bool:
    return sum(work.node is node for work in program.inventory.works) > _slices(program)[node]


def _of_slice(node: Tensor, work: Any, sizes: Any) -> int:
    """Operations of one slice of a node; none for what only adds slices up."""
    op = concrete_op(node.op, sizes)
    if len(work.inputs) == 2 and work.inputs[0].shape == work.inputs[1].shape == work.outputs[0].shape:
        return 0
    inputs, outputs = [b.shape for b in work.inputs], [b.shape for b in work.outputs]
    return sum(1 for _ in COUNTERS[type(op)](op, inputs, outputs))


def _copied(node: Tensor, program: Program) -> bool:
    """Whether a result had to be copied to where it belongs."""
    return sum(work.node is node and work.slice == 0 for work in program.inventory.works) > 1


def _network(shape: tuple[int, int, int], filters: int, same: bool) -> Sequential:
    model = Sequential()
    padding = "same" if same else "valid"
    model.add(layers.Conv2D(filters, 3, activation="relu", padding=padding, input_shape=shape))
    model.add(layers.BatchNormalization())
    model.add(layers.MaxPooling2D())
    model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(4, activation="softmax"))
    model.compile("adam", "categorical_crossentropy")
    return model


NETWORKS = given(
    st.integers(4, 9),
    st.integers(5, 9),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 6),
    st.booleans(),
)


def _train(height: int, width: int, channels: int, filters: int, batch: int, same: bool) -> Function:
    model = _network((height, width, channels), filters, same)
    x = np.random.default_rng(0).random((batch, height, width, channels), "float32")
    model.train_on_batch(x, np.eye(4, dtype="float32")[np.arange(batch) % 4])
    return model.train_function


@SLOW
@NETWORKS
def test_training_steps(height: int, width: int, channels: int, filters: int, batch: int, same: bool) -> None:
    function = _train(height, width, channels, filters, batch, same)
    kinds = _check(function, function.program(), function.facts())
    assert {"Conv2D", "Fused", "MatMul"} <= set(kinds)


@SLOW
@NETWORKS
def test_training_steps_in_slices(
    height: int, width: int, channels: int, filters: int, batch: int, same: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LARGE_BYTES", "SLICE_BYTES", "SAMPLES"):
            patch.setattr(depth_first, name, 1)
        function = _train(height, width, channels, filters, 2 * batch + 4, same)
    assert max(row.slice for row in function.facts().rows) > 0
    _check(function, function.program(), function.facts())


@SLOW
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 6), st.booleans())
def test_loops(samples: int, steps: int, units: int, cut: bool) -> None:
    """A recurrent network that the planner may run as one row, and one that it cannot."""
    x = K.placeholder((samples, steps, 3))
    w, u = K.variable(np.ones((3, units))), K.variable(np.ones((units, units)))
    mixed = (lambda s: s) if cut else (lambda s: s * K.sum(s))

    def step(now: Any, states: Any) -> Any:
        state = K.tanh(K.dot(now, w) + K.dot(mixed(states[0]), u))
        return state, [state]

    last, outputs, _ = K.rnn(step, x, [K.zeros((samples, units))])
    gradient = K.gradients(K.sum(K.square(outputs)) + K.sum(last), [u])
    function = K.function([x], [last, *gradient])
    function([np.ones((samples, steps, 3))])
    kinds = _check(function, function.program(), function.facts())
    assert kinds["Scan"] == 2


@SLOW
@given(st.integers(1, 5), st.integers(2, 6), st.integers(1, 4))
def test_choices_and_what_is_picked(rows: int, columns: int, picked: int) -> None:
    x, c = K.placeholder((rows, columns)), K.placeholder((), dtype="bool")
    table = K.variable(np.ones((50, columns)))
    indices = K.placeholder((picked,), dtype="int32")
    chosen = K.switch(c, lambda: K.exp(K.dot(x, K.transpose(x))), lambda: K.dot(x, K.transpose(x)) * 2.0)
    function = K.function([x, c, indices], [chosen, K.softmax(K.gather(table, indices))])
    function([np.ones((rows, columns)), True, np.zeros(picked, "int32")])
    kinds = _check(function, function.program(), function.facts())
    assert {"Cond", "Gather", "Softmax"} <= set(kinds)


def test_what_python_computes_is_not_known() -> None:
    x = K.placeholder((3, 4))
    function = K.function([x], K.exp(watch(x * 2.0, lambda value: None)))
    function([np.ones((3, 4))])
    (seen,) = [node for node in function.facts().nodes if node.kind == "watch"]
    assert seen.flops is None
    assert function.cost.flops == 12 + 12
