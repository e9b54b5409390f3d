"""Loops within one row: the same numbers as step by step, in both directions, for any cell and any sizes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.compiler.plan import blocks, turns
from symgraph.compiler.program.program import Program, Slab
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Placeholder, VariableRead, placeholder
from symgraph.graph.ops.math import sigmoid, tanh
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.reduce import sum as sum_
from symgraph.graph.ops.scan import scan
from symgraph.graph.tensor import Tensor, topological
from symgraph.kernels.run.threads import get_num_threads, set_num_threads
from symgraph.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    CuDNNGRU,
    CuDNNLSTM,
    Dense,
    Input,
    Layer,
    LSTMCell,
    Masking,
    SimpleRNN,
    SimpleRNNCell,
)
from symgraph.models import Sequential
from tests.fence import Fence
from tests.layers import recurrent_truth as truth

pytestmark = pytest.mark.threads

RNG = np.random.default_rng(11)


@pytest.fixture
def float64() -> Iterator[None]:
    K.set_floatx("float64")
    yield
    K.set_floatx("float32")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


def _sequences(fn: Any) -> set[str]:
    """The names of a Function's kernels that are whole loops."""
    return set(re.findall(r"(?:lstm|gru|simple_rnn|sequence)(?:_gradient)?(?=\[float)", str(fn)))


def _training(layer: Any, samples: int, steps: int, mask: bool, initial: bool) -> tuple[Any, list[Tensor]]:
    """Inputs, then the outputs of a layer with random weights and gradients of all that it is made of."""
    x = Input(batch_shape=(None, None, 3), dtype=K.floatx())
    start = [Input((5,), dtype=K.floatx()) for _ in range(1 + isinstance(layer, LSTM))] if initial else []
    inside = Masking()(x) if mask else x
    made = layer(inside, initial_state=start) if start else layer(inside)
    outputs = made if isinstance(made, list) else [made]
    layer.set_weights([RNG.standard_normal(w.shape) * 0.5 for w in layer.get_weights()])
    loss = sum(K.sum(K.square(y) * (i + 1.5)) for i, y in enumerate(outputs))
    wrt = [x, *start, *layer.weights]
    data = RNG.standard_normal((samples, steps, 3)).astype(K.floatx())
    if mask:
        data[RNG.random((samples, steps)) < 0.3] = 0
    fed = [data, *(RNG.standard_normal((samples, 5)).astype(K.floatx()) for _ in start)]
    return dict(zip([x, *start], fed, strict=True)), [*outputs, *K.gradients(loss, wrt)]


def _by_reference(fed: dict[Tensor, np.ndarray], wanted: Sequence[Tensor]) -> list[np.ndarray]:
    """The same by numpy, from the references of the graph's ops."""
    phases = {
        n: np.asarray(0, n.dtype)
        for n in topological(wanted)
        if isinstance(n.op, Placeholder) and n not in fed
    }
    read = {n: n.op.storage.array for n in topological(wanted) if isinstance(n.op, VariableRead)}
    return evaluate(wanted, {**fed, **phases, **read})


def _gated(cls: Any, **fixed: Any) -> Callable[..., Any]:
    def make(act: str, gate: str, implementation: int, **options: Any) -> Any:
        chosen = {"activation": act, "recurrent_activation": gate, "implementation": implementation}
        return cls(5, **chosen, **fixed, **options)

    return make


LAYERS: dict[str, Callable[..., Any]] = {
    "lstm": _gated(LSTM),
    "gru": _gated(GRU),
    "gru_after": _gated(GRU, reset_after=True),
    "simple_rnn": lambda act, gate, implementation, **options: SimpleRNN(5, activation=act, **options),
}
CASES = [
    # Cell, activation, gate, implementation, samples, steps; whole, state, backwards, bias, mask, initial.
    ("lstm", "tanh", "hard_sigmoid", 1, 1, 1, "w---m-"),
    ("lstm", "tanh", "sigmoid", 2, 17, 5, "---b--"),
    ("lstm", "relu", "sigmoid", 2, 9, 2, "wsrb-i"),
    ("lstm", "tanh", "sigmoid", 2, 70, 3, "-s-bmi"),
    ("gru", "tanh", "hard_sigmoid", 1, 7, 2, "wsr-m-"),
    ("gru", "tanh", "sigmoid", 2, 70, 3, "-s-bmi"),
    ("gru", "relu", "sigmoid", 1, 9, 5, "w-rb-i"),
    ("gru_after", "tanh", "sigmoid", 1, 8, 5, "w--b--"),
    ("gru_after", "tanh", "hard_sigmoid", 2, 37, 2, "wsrbmi"),
    ("gru_after", "linear", "sigmoid", 2, 2, 3, "-----i"),
    ("simple_rnn", "tanh", "", 1, 17, 5, "---bm-"),
    ("simple_rnn", "relu", "", 1, 70, 2, "wsr--i"),
    ("simple_rnn", "linear", "", 1, 1, 3, "--rbmi"),
]


@pytest.mark.parametrize(("kind", "act", "gate", "implementation", "samples", "steps", "flags"), CASES)
def test_any_layer(
    kind: str,
    act: str,
    gate: str,
    implementation: int,
    samples: int,
    steps: int,
    flags: str,
    float64: None,
    two_threads: None,
) -> None:
    whole, state, backwards, bias, mask, initial = (flag != "-" for flag in flags)
    options = {"return_sequences": whole, "return_state": state, "go_backwards": backwards}
    layer = LAYERS[kind](act, gate, implementation, use_bias=bias, **options)
    fed, wanted = _training(layer, samples, steps, mask, initial)
    fn = Function(list(fed), wanted)
    found = fn(*fed.values())
    name = kind.removesuffix("_after")
    assert _sequences(fn) == {name, f"{name}_gradient"}
    for value, reference in zip(found, _by_reference(fed, wanted), strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_agrees_with_the_loop_and_with_one_thread(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = get_num_threads()
    layer = LAYERS[kind]("tanh", "hard_sigmoid", 2, return_sequences=True)
    fed, wanted = _training(layer, 37, 6, True, True)
    found = {}
    for threads in (1, 2):
        set_num_threads(threads)
        fn = Function(list(fed), wanted)
        found[threads] = fn(*fed.values())
        assert len(_sequences(fn)) == 2
    set_num_threads(before)
    monkeypatch.setattr(blocks, "plan_turns", lambda *given: None)
    fn = Function(list(fed), wanted)
    stepwise = fn(*fed.values())
    assert not _sequences(fn)
    for one, two, other in zip(*found.values(), stepwise, strict=True):
        # Sums over samples are outside the loop: threads share out their terms.
        tolerance = 0 if one.shape[0] == 37 else 2e-5
        np.testing.assert_allclose(two, one, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_chunks_of_turns(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = LAYERS[kind]("tanh", "sigmoid", 2, return_sequences=False)
    fed, wanted = _training(layer, 9, 11, False, False)
    whole = Function(list(fed), wanted)(*fed.values())
    monkeypatch.setattr(turns, "CHUNK_FLOPS", 2000.0)
    fn = Function(list(fed), wanted)
    found = fn(*fed.values())
    assert str(fn).count(f"{kind}[float32]") > 2
    for value, reference in zip(found, whole, strict=True):
        np.testing.assert_array_equal(value, reference)


@pytest.mark.parametrize(
    "layer",
    [
        LSTM(5), GRU(5), GRU(5, reset_after=True), SimpleRNN(5), CuDNNLSTM(5), CuDNNGRU(5),
        LSTM(5, dropout=0.3, recurrent_dropout=0.2), GRU(5, recurrent_dropout=0.2, implementation=2),
        Bidirectional(LSTM(5)), Bidirectional(GRU(5)), RNN(LSTMCell(5)), RNN(SimpleRNNCell(5)),
    ],
    ids=lambda layer: layer.name,
)  # fmt: skip
def test_standard_cells_are_found(layer: Layer) -> None:
    model = Sequential([Masking(input_shape=(4, 3)), layer] if "cu_dnn" not in layer.name else [layer])
    model.add(Dense(1))
    model.compile("sgd", "mse")
    x = RNG.standard_normal((16, 4, 3))
    model.train_on_batch(x, np.zeros((16, 1)))
    model.predict(x)
    (name,) = _sequences(model.predict_function)
    assert name in ("lstm", "gru", "simple_rnn")
    assert _sequences(model.train_function) == {name, f"{name}_gradient"}


def test_own_steps_are_named_by_what_they_compute(float64: None) -> None:
    units, x = 4, K.placeholder((9, 6, 3), dtype="float64")
    weights = [K.variable(RNG.standard_normal(s) * 0.4) for s in ((3, 16), (4, 16), (16,), (4,))]
    w, u, b, peep = weights
    values = [K.get_value(v) for v in weights]

    def lstm(now: Tensor, states: list[Tensor], peephole: bool = False) -> tuple[Tensor, list[Tensor]]:
        h, c = states
        z = K.dot(h, u) + (b + K.dot(now, w))
        i, f, g, o = (z[:, k * units : (k + 1) * units] for k in range(4))
        c = K.tanh(g) * K.sigmoid(i) + c * K.sigmoid(f + c * peep if peephole else f)
        h = K.tanh(c) * K.sigmoid(o)
        return h, [h, c]

    start = [K.zeros((9, 4)), K.zeros((9, 4))]
    data = RNG.standard_normal((9, 6, 3))
    for peephole, name in ((False, "lstm"), (True, "sequence")):
        last, outputs, states = K.rnn(lambda x, s, p=peephole: lstm(x, s, p), x, start)
        fn = Function([x], [last, outputs, *states])
        found = fn(data)
        assert _sequences(fn) == {name}
        if not peephole:
            step = truth.lstm_step(values[:3], gate="sigmoid")
            whole, end, after = truth.run(step, data, truth.zeros(data, 4, 4))
            for value, wanted in zip(found, [end, whole, *after], strict=True):
                np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-13)


def test_each_tile_sees_its_own_rows_of_constants(float64: None, two_threads: None) -> None:
    samples = 150
    x, scale = K.placeholder((samples, 4, 3)), K.placeholder((samples, 3))
    u = K.variable(RNG.standard_normal((3, 3)) * 0.4)

    def step(now: Tensor, given: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        h = K.tanh(K.dot(given[0] * given[1], u) + now)
        return h, [h]

    last, outputs, _ = K.rnn(step, x, [K.zeros((samples, 3))], constants=[scale])
    fn = Function([x, scale], [last, outputs])
    data, factors = RNG.standard_normal((samples, 4, 3)), RNG.standard_normal((samples, 3))
    h, wanted = np.zeros((samples, 3)), []
    for t in range(4):
        h = np.tanh((h * factors) @ K.get_value(u) + data[:, t])
        wanted.append(h)
    found = fn(data, factors)
    np.testing.assert_allclose(found[0], h, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found[1], np.stack(wanted, 1), rtol=1e-12, atol=1e-13)
    assert _sequences(fn) == {"simple_rnn"}


def test_states_that_change_places(float64: None, two_threads: None) -> None:
    # Each state may be overwritten only after everybody has read it.
    x = placeholder((None, 9, 3), dtype="float64")
    u = K.variable(RNG.standard_normal((3, 3)))

    def step(values: list[Tensor], old: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        a, b, c = old
        return [a + b], [b, tanh(matmul(c, u) + values[0]) * a, a]

    start = [x[0] * k for k in (1.0, 2.0, 3.0)]
    outputs, histories = scan(step, [x], start)
    wanted = [outputs[0], *(h[h.shape[0] - 1] for h in histories)]
    data = RNG.standard_normal((5, 9, 3))
    fn = Function([x], wanted)
    for value, reference in zip(fn(data), _by_reference({x: data}, wanted), strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-12)
    assert _sequences(fn) == {"sequence"}


def test_samples_that_need_each_other_stay_together(float64: None, two_threads: None) -> None:
    x = placeholder((None, 40, 3), dtype="float64")

    def step(values: list[Tensor], old: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        new = sigmoid(matmul(old[0], matmul(K.transpose(old[0]), values[0])))
        return [new], [new]

    outputs, _ = scan(step, [x], [x[0]])
    data = RNG.standard_normal((4, 40, 3))
    fn = Function([x], outputs)
    np.testing.assert_allclose(fn(data)[0], _by_reference({x: data}, outputs)[0], rtol=1e-11)
    assert " 1\n" in str(fn) and "sequence" in str(fn)


def test_steps_that_draw_are_no_sequences_but_their_gradients_are(float64: None, two_threads: None) -> None:
    """The truth: the same loop, as one kernel call, over what was drawn."""
    x = placeholder((32, 6, 3), dtype="float64")
    noise = placeholder((32, 6, 3), dtype="float64")
    u = K.variable(RNG.standard_normal((3, 3)))

    def made(drawn: Any, inputs: Tensor) -> list[Tensor]:
        def step(now: Tensor, old: Any) -> Any:
            factor = drawn(now)
            new = tanh(matmul(old[0] * factor, u) + now[:, :3])
            return K.concatenate([new, factor]), [new]

        _, outputs, _ = K.rnn(step, inputs, [x[:, 0]])
        loss = sum_(K.square(outputs[:, :, :3]))
        return [*K.gradients(loss, [x, u]), loss, outputs]

    drawing = Function([x], made(lambda _: K.dropout(K.ones((32, 3)), 0.5), x))
    given = Function([x, noise], made(lambda now: now[:, 3:], K.concatenate([x, noise])))
    data = RNG.standard_normal((32, 6, 3))
    found = drawing(data)
    for value, wanted in zip(found, given(data, found[-1][:, :, 3:]), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-10, atol=1e-12)
    assert len({step.tobytes() for step in np.moveaxis(found[-1][:, :, 3:], 1, 0)}) == 6
    assert _sequences(drawing) == {"simple_rnn_gradient"}
    assert _sequences(given) == {"simple_rnn", "simple_rnn_gradient"}


def test_loops_around_sequences(float64: None, two_threads: None) -> None:
    x = placeholder((None, 9, 3), dtype="float64")
    u = K.variable(RNG.standard_normal((3, 3)) * 0.5)

    def outer(values: list[Tensor], old: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        start, now = old[0], values[0]

        def inner(steps: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            new = tanh(matmul(states[0], u) + now * steps[0])
            return [new], [new]

        _, histories = scan(inner, [x], [start])
        last = histories[0][histories[0].shape[0] - 1]
        return [last], [last]

    (outputs,), _ = scan(outer, [x], [x[0]])
    loss = sum_(outputs * outputs)
    wanted = [outputs, *gradients(loss, [x, u])]
    data = RNG.standard_normal((4, 9, 3))
    fn = Function([x], wanted)
    for _ in range(2):
        for value, reference in zip(fn(data), _by_reference({x: data}, wanted), strict=True):
            np.testing.assert_allclose(value, reference, rtol=1e-10, atol=1e-12)
    assert "simple_rnn" in _sequences(fn)


def test_weights_stay_packed_until_they_change(two_threads: None) -> None:
    model = Sequential([SimpleRNN(20, input_shape=(4, 3), weights=None)])
    x = RNG.standard_normal((40, 4, 3)).astype("f4")
    model.predict_on_batch(x)
    assert str(model.predict_function).count("pack[") >= 1
    new = [RNG.standard_normal(w.shape) * 0.3 for w in model.get_weights()]
    model.set_weights(new)
    _, last, _ = truth.run(truth.simple_step(new), x, truth.zeros(x, 20))
    np.testing.assert_allclose(model.predict_on_batch(x), last, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_nothing_outside_is_touched(
    kind: str, at_end: bool, monkeypatch: pytest.MonkeyPatch, two_threads: None
) -> None:
    def run(
        self: Program, feeds: Sequence[np.ndarray], slabs: list[Slab], clocks: None = None
    ) -> list[np.ndarray]:
        fence = Fence(at_end)
        feeds = [fence(array) for array in feeds]
        results = [fence(np.zeros(shape, dtype)) for shape, dtype in self.outputs]
        lease = self._new_lease()
        for places, arrays in ((self._feeds, feeds), (self._results, results)):
            for position, index in places:
                lease.bases[position] = arrays[index].ctypes.data
        arena = fence(np.zeros(self.arena_bytes, np.uint8))
        lease.bases[self._arena] = arena.ctypes.data
        lease.run()
        return [array.copy() for array in results]

    layer = LAYERS[kind]("tanh", "sigmoid", 2, return_sequences=True)
    fed, wanted = _training(layer, 23, 3, True, True)
    plain = Function(list(fed), wanted)(*fed.values())
    monkeypatch.setattr(Program, "run", run)
    for value, reference in zip(Function(list(fed), wanted)(*fed.values()), plain, strict=True):
        np.testing.assert_array_equal(value, reference)
