"""The facts of a compiled Function: against the graph, by hand counts, and for every kind of program."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers
from symgraph.compiler.function import Function
from symgraph.inspection.facts.function import Facts
from symgraph.models import Sequential
from symgraph.optimizers import SGD


def dense() -> tuple[Function, list[np.ndarray]]:
    """relu(x @ w + b) @ v and an update of w."""
    x = K.placeholder((None, 7), name="x")
    w, b, v = (
        K.variable(np.ones((7, 5)), name="w"),
        K.variable(np.ones(5), name="b"),
        K.variable(np.ones((5, 3))),
    )
    y = K.dot(K.relu(K.bias_add(K.dot(x, w), b)), v)
    (grad,) = K.gradients(K.sum(y), [w])
    return K.function([x], [y], updates=[(w, w - 0.1 * grad)], name="step"), [np.ones((4, 7), "float32")]


def loop() -> tuple[Function, list[np.ndarray]]:
    """h <- tanh(h @ u + x_t) over 6 steps."""
    x, u = K.placeholder((2, 6, 5), dtype="float64"), K.variable(np.eye(5), "float64")
    last = K.rnn(
        lambda v, s: (K.tanh(K.dot(s[0], u) + v * K.sum(s[0])), [K.tanh(K.dot(s[0], u) + v * K.sum(s[0]))]),
        x,
        [x[:, 0]],
    )
    return K.function([x], last[0]), [np.ones((2, 6, 5))]


def choice() -> tuple[Function, list[np.ndarray]]:
    """One of two products."""
    x, c = K.placeholder((3, 3), dtype="float64"), K.placeholder((), dtype="bool")
    return K.function([x, c], K.switch(c, lambda: K.dot(x, x), lambda: K.exp(x))), [
        np.ones((3, 3)),
        np.array(True),
    ]


CASES: list[Callable[[], tuple[Function, list[Any]]]] = [dense, loop, choice]


@pytest.mark.parametrize("case", CASES)
def test_facts_agree_with_the_program(case: Callable[[], tuple[Function, list[Any]]]) -> None:
    function, feeds = case()
    function(*feeds)
    facts, program = function.facts(), function.program()
    ids = [node.id for node in facts.nodes]
    assert len(set(ids)) == len(ids)
    for node in facts.nodes:
        assert all(name in ids for name in node.inputs), node
        assert node.origins and node.phase in ("forward", "backward", "update")
        for row in node.rows:
            assert facts.rows[row].node == node.id
    assert [row.kernel for row in facts.rows] == [row.kernel.name for row in program.rows]
    assert sorted(row for node in facts.nodes for row in node.rows) == list(range(len(facts.rows)))
    assert max((b.offset + b.nbytes for b in facts.arena), default=0) <= facts.arena_bytes
    assert json.loads(json.dumps(facts.to_json())) == json.loads(json.dumps(facts.to_json()))
    assert str(function).count("\n") >= len({(r.node, r.kernel) for r in facts.rows})


def test_phases_and_costs_of_a_step() -> None:
    function, feeds = dense()
    function(*feeds)
    facts = function.facts()
    kinds = {(n.kind, n.phase): n for n in facts.nodes if n.rows}
    forward = [n for n in facts.nodes if n.kind == "matmul" and n.phase == "forward"]
    # Rows x columns x terms, two each; 20 additions of a bias and 20 values of relu.
    assert sorted(n.flops or 0 for n in forward) == [2 * 4 * 5 * 3, 2 * 4 * 7 * 5 + 20 + 20]
    assert {n.phase for n in facts.nodes if n.layer is None and n.kind == "matmul"} == {"forward", "backward"}
    assert any(phase == "update" for _, phase in kinds)
    first = next(n for n in forward if n.flops == 2 * 4 * 7 * 5 + 40)
    assert first.bytes == 4 * (4 * 7 + 7 * 5 + 5 + 4 * 5) and first.shapes == ((4, 5),)
    assert "multiply" in first.formula
    assert facts.shapes == ((4, 7),) and [i.name for i in facts.inputs] == ["x"]
    assert function.cost.flops == sum(n.flops or 0 for n in facts.nodes)


def test_inner_nodes_are_counted_once_a_turn() -> None:
    function, feeds = loop()
    function(*feeds)
    facts = function.facts()
    inner = [n for n in facts.nodes if n.inside is not None and n.rows]
    products = [n for n in inner if n.kind == "matmul"]
    assert sum(n.flops or 0 for n in products) == 6 * 2 * 2 * 5 * 5
    assert all(n.turns == 6 and n.id.startswith(f"{n.inside}.") for n in inner)
    assert {facts.rows[r].turns for n in inner for r in n.rows} == {6}


def test_pass_differences_lead_from_what_was_written_to_what_runs() -> None:
    function, feeds = dense()
    function(*feeds)
    passes = function.passes
    assert [p.name for p in passes] == [r.name for r in function.lowered().records]
    assert passes[-1].after == len(function.lowered().nodes)
    for one in passes:
        changed = sum(one.added.values()) - sum(one.removed.values())
        # Leaves and parts are not described: constants may come and go beside what is.
        assert changed <= one.after - one.before + 8
    fused = next(p for p in passes if p.name == "fuse_epilogues")
    assert any(text.startswith("matmul[relu]") for text in fused.added)
    assert "matmul[relu]" in str(passes) and "nodes" in str(passes)


def test_memory_peak_is_that_of_a_sweep() -> None:
    function, feeds = dense()
    function(*feeds)
    memory = function.memory
    taken = [sum(b.nbytes for b in memory.held(row)) for row in range(len(function.program().rows))]
    assert memory.peak_bytes == max(taken) == taken[memory.peak_row]
    assert memory.peak_bytes <= memory.arena_bytes == function.program().arena_bytes
    assert all(b.node in str(memory) for b in memory.held(memory.peak_row))


def test_explain_finds_nodes_layers_rows_and_kernels() -> None:
    model = Sequential()
    model.add(layers.Dense(4, activation="relu", input_shape=(3,), name="first"))
    model.add(layers.Dense(2, name="second"))
    model.compile(SGD(0.1), "mse")
    model.train_on_batch(np.ones((5, 3)), np.ones((5, 2)))
    function = model.train_function
    text = function.explain("first")
    assert "matmul[relu]" in text and "forward" in text and "backward" in text and __file__ in text
    facts: Facts = function.facts()
    node = next(n for n in facts.nodes if n.op == "matmul[relu]")
    detail = function.explain(node.id)
    assert function.explain(str(node.rows[0])) == detail
    for piece in ("(5, 4)", "phase     forward", f"row {node.rows[0]}", "arena", __file__):
        assert piece in detail, piece
    assert node.id in function.explain("matmul")
    with pytest.raises(ValueError, match=r"no node, layer or kernel 'frist'.*did you mean.*first"):
        function.explain("frist")


def test_sources_are_of_the_kernels_that_run() -> None:
    function, feeds = dense()
    function(*feeds)
    node = next(n for n in function.facts().nodes if n.kind == "matmul" and n.phase == "forward")
    sources = function.source(node.id)
    names = {function.program().rows[row].kernel.name for row in node.rows}
    assert {source.name for source in sources} == names
    for source in sources:
        assert "def " in source.python and "define" in source.llvm and source.kernel.symbol in source.assembly
    assert max(source.vector_bits for source in sources) >= 128
    assert sum(source.fma_count for source in sources) > 0


def test_the_source_of_a_convolution_tells_its_loops_block_and_words() -> None:
    x = K.placeholder((None, 9, 7, 3), name="x")
    w = K.variable(np.ones((5, 5, 3, 6)), name="stem")
    function = K.function([x], [K.conv2d(x, w, padding="same")], name="convolve")
    function([np.ones((4, 9, 7, 3), "float32")])
    (source,) = function.source(next(n.id for n in function.facts().nodes if n.kind == "conv2d"))
    text = source.python.replace("\n#    ", "")
    assert "def contraction(operands, tile):" in text and "def multiply_unit(" in text
    assert re.search(r"# slot Tile: Multiply\(block=Block\(dtype='float32', rows=\d+, vectors=\d+", text)
    # 4 pictures of 9 x 7 pixels and 3 channels; 25 taps to 6 columns.
    sizes = "samples = 4", "length = 7", "taps = 25", "columns = 6"
    for pair in ("a = feed 0", f"b = {w.name}", "c = output 0", *sizes):
        assert f" {pair}," in text, pair


def test_compilations_say_why() -> None:
    x = K.placeholder((None, 3), name="x")
    function = K.function([x], x * 2.0 + 1.0, name="twice")
    assert [c.what for c in function.compilations] == ["lower"]
    function(np.ones((2, 3)))
    function(np.ones((2, 3)))
    function(np.ones((4, 3)))
    function.run({"x": np.ones((2, 3))}, fetch=[function.outputs[0]])
    reasons = [(c.what, c.reason) for c in function.compilations]
    assert reasons[0] == ("lower", "the Function was made")
    assert reasons[1] == ("plan", "first call, with shapes (2, 3)")
    assert reasons[2] == ("plan", "new shapes (4, 3)")
    assert reasons[3][0] == "lower" and "feeds x" in reasons[3][1] and len(reasons) == 5
    assert all(c.seconds > 0 and "ms" in str(c) for c in function.compilations)
    phase = K.function([x, K.learning_phase()], K.in_train_phase(x, x * 2.0))
    phase([np.ones((1, 3)), 1])
    assert any("keras_learning_phase = 1" in c.reason for c in phase.compilations)


def test_costs_and_memory_wait_for_a_program() -> None:
    x = K.placeholder((None, 3), name="x")
    function = K.function([x], x * 2.0 + 1.0)
    for look in (lambda: function.cost, lambda: function.memory):
        with pytest.raises(ValueError, match="no Program was planned yet"):
            look()
    function(np.ones((2, 3)))
    assert "in all 12 FLOPs" in str(function.cost)


def test_tensors_and_layers_stand_for_their_names() -> None:
    model = Sequential([layers.Dense(2, input_shape=(3,), name="only")])
    model.predict(np.ones((1, 3)))
    function = model.predict_function
    assert function.explain(model.layers[0]) == function.explain("only")
    assert function.explain(model.layers[0].kernel) == function.explain("only/kernel:0")
    fetched = function.fetch(model.layers[0])
    expected = model.predict(np.ones((1, 3)))
    np.testing.assert_array_equal(fetched["only"], expected)
    assert function.source(model.layers[0])[0].name == function.source("only")[0].name
