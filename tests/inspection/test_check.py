"""Kernels against their references on the values of a call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers as L
from symgraph.graph.ops.math import Exp, Tanh
from symgraph.graph.ops.matmul import MatMul
from symgraph.kernels.elementwise import Instruction, elementwise_rows
from symgraph.models import Model

RNG = np.random.default_rng(0)


def _network() -> tuple[Any, np.ndarray, np.ndarray]:
    inputs = L.Input((10,))
    x = L.Embedding(20, 6)(inputs)
    x = L.Conv1D(5, 3, activation="relu", name="conv")(x)
    x = L.BatchNormalization()(x)
    x = L.Dropout(0.4)(L.MaxPooling1D()(x))
    x = L.Bidirectional(L.LSTM(3))(x)
    x = L.GaussianNoise(0.1)(L.Dense(7, activation="tanh", name="hidden")(x))
    model = Model(inputs, L.Dense(3, activation="softmax")(x))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model, RNG.integers(0, 20, (16, 10)), np.eye(3)[RNG.integers(0, 3, 16)]


def test_a_whole_training_step_is_as_its_references_and_stores_nothing() -> None:
    model, x, y = _network()
    before = model.get_weights()
    report = model.check(x, y)
    assert report and report.ok and not report.failures, str(report)
    facts = model.train_function.facts()
    checked = {node.node for node in report.nodes}
    assert {n.id for n in facts.nodes if n.rows} <= checked
    assert sum("lstm" in kernel for node in report.nodes for kernel in node.kernels) >= 2
    assert any("random" in node.op for node in report.nodes)
    floats = [n for n in report.nodes if n.tolerance]
    assert all(0 <= n.max_error <= 1e-5 for n in floats)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert K.get_value(model.optimizer.iterations) == 0
    model.train_on_batch(x, y)


def _broken(rows: Any) -> Any:
    """Rows of an op, and more that double the result."""

    def made(self: Any, inputs: Any, outputs: Any, *, threads: int, scratch: Any) -> list[Any]:
        own = rows(self, inputs, outputs, threads=threads, scratch=scratch)
        double, out = Instruction("add", (0, 0), outputs[0].dtype.name), outputs[:1]
        return [*own, *elementwise_rows((double,), (1,), out, out, threads=threads, scratch=scratch)]

    return made


@pytest.mark.parametrize("op", [MatMul, Tanh], ids=["matmul", "tanh"])
def test_a_broken_kernel_is_found_and_named(op: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = K.placeholder((None, 4))
    w = K.variable(RNG.standard_normal((4, 3)))
    f = K.function([x], [K.softmax(K.dot(K.tanh(x), w))])
    data = RNG.standard_normal((5, 4)).astype("float32")
    assert f.check([data])
    monkeypatch.setattr(op, "rows", _broken(op.rows))
    g = K.function([x], [K.softmax(K.dot(K.tanh(x), w))])
    report = g.check([data])
    (wrong,) = report.failures
    assert not report and wrong.op == str(op()) and __file__ in wrong.origins[0]
    assert wrong.norm_error == pytest.approx(1.0, rel=1e-4)
    count = 15 if op is MatMul else 20
    assert wrong.problem.startswith(f"result 0 is wrong in {count} of {count} numbers, first at [0, 0]: ")
    assert report.nodes[0] is wrong and "WRONG" in str(report).splitlines()[2]
    # The nodes that read the broken value are compared on what they got, and are well.
    assert sum(node.ok for node in report.nodes) == len(report.nodes) - 1


def test_a_loop_that_is_one_kernel_call_is_compared_as_a_whole() -> None:
    x = K.placeholder((None, 9, 2))
    _, outputs, states = K.rnn(lambda now, before: (K.tanh(now), [before[0] * 0.5 + now]), x, [x[:, 0]])
    f = K.function([x], [outputs, *states])
    report = f.check([RNG.standard_normal((40, 9, 2))])
    (loop,) = [node for node in report.nodes if node.op.startswith("scan")]
    assert report.ok and any("sequence[" in kernel for kernel in loop.kernels)


def test_a_kernel_that_is_wrong_in_one_turn_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = Exp.reference
    calls: list[int] = []

    def off(self: Any, *arrays: Any) -> Any:
        calls.append(1)
        value = np.array(reference(self, *arrays))
        if len(calls) == 3:
            value[0, 1] *= 1.01
        return value

    x = K.placeholder((None, 4, 2))
    # A sum over all samples keeps the loop from becoming one kernel call.
    _, outputs, _ = K.rnn(lambda now, before: (K.exp(now) * K.sum(now), []), x, [])
    f = K.function([x], [outputs])
    monkeypatch.setattr(Exp, "reference", off)
    report = f.check([RNG.standard_normal((3, 4, 2))])
    (wrong,) = report.failures
    assert "in turn 3 of 4 of the loop %" in wrong.problem and "first at [0, 1]" in wrong.problem
    assert wrong.times == 4 and wrong.op == "fused[exp+mul]"


def test_slices_and_sums_over_them_are_compared() -> None:
    x = K.placeholder((None, 64, 64, 3))
    w = K.variable(RNG.standard_normal((3, 3, 3, 16)) * 0.1)
    loss = K.mean(K.square(K.relu(K.conv2d(x, w, padding="same"))))
    f = K.function([x], [loss], updates=[(w, w - K.gradients(loss, [w])[0])])
    report = f.check([RNG.standard_normal((32, 64, 64, 3))])
    assert report.ok, str(report)
    slices = max(row.slice for row in f._latest().program(((32, 64, 64, 3),)).rows) + 1
    assert slices > 1 and any(node.times == slices for node in report.nodes)


def test_both_sides_of_a_choice_are_compared_when_they_run() -> None:
    x, chosen = K.placeholder((None, 3)), K.placeholder((), dtype="bool")
    f = K.function(
        [x, chosen], [K.switch(chosen, lambda: K.exp(x) @ K.transpose(x), lambda: K.zeros((1, 1)))]
    )
    data = RNG.standard_normal((2, 3))
    ran = {chosen: {n.op for n in f.check([data, chosen]).nodes} for chosen in (True, False)}
    assert "exp" in ran[True] and "exp" not in ran[False]


def test_cancellation_is_no_error() -> None:
    x = K.placeholder((None, 1000))
    f = K.function([x], [K.sum(x, 1)])
    data = 1e4 * RNG.standard_normal((4, 1000)).astype("float32")
    data[:, 500:] = -data[:, :500]
    assert f.check([data]).ok


def test_nan_and_infinity_are_equal_to_themselves() -> None:
    x = K.placeholder((None,))
    report = K.function([x], [K.log(x)]).check([np.array([-1.0, 0.0, 1.0, np.inf])])
    assert report.ok and report.nodes[0].max_error <= 1e-6


def test_what_calls_python_is_called_once() -> None:
    seen: list[Any] = []
    x = K.placeholder((2,))
    f = K.function([x], [symgraph.watch(x, seen.append) * 2])
    assert f.check([np.ones(2)]).ok
    assert len(seen) == 1
