"""Recurrent layers for shapes and arguments that nobody chose, against cells in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph import backend as K
from symgraph import layers as L
from tests.layers import recurrent_truth as truth

SIDES = st.sampled_from([1, 2, 3, 8, 17])
GATES = st.sampled_from(["hard_sigmoid", "sigmoid"])
ACTIVATIONS = st.sampled_from(["tanh", "relu", "linear"])


@st.composite
def cells(draw: Any) -> tuple[Any, Any, int, bool]:
    """A class with its arguments, the rule of its step, the number of its states."""
    kind = draw(st.sampled_from(["simple", "gru", "lstm"]))
    act = draw(ACTIVATIONS)
    kwargs: dict[str, Any] = {"activation": act, "use_bias": draw(st.booleans())}
    if kind == "simple":
        return L.SimpleRNN, kwargs, lambda w: truth.simple_step(w, act), 1
    gate = draw(GATES)
    kwargs |= {"recurrent_activation": gate, "implementation": draw(st.sampled_from([1, 2]))}
    if kind == "lstm":
        return L.LSTM, kwargs, lambda w: truth.lstm_step(w, act, gate), 2
    after = draw(st.booleans())
    kwargs["reset_after"] = after
    return L.GRU, kwargs, lambda w: truth.gru_step(w, act, gate, after), 1


@given(
    cell=cells(),
    sizes=st.tuples(st.integers(1, 5), st.integers(2, 5), SIDES, SIDES),
    flags=st.tuples(*[st.booleans()] * 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_recurrent_layers(cell: Any, sizes: tuple[int, ...], flags: tuple[bool, ...], seed: int) -> None:
    (cls, kwargs, step, count), (samples, steps, features, units) = cell, sizes
    masked, backwards, unroll, unknown, started = flags
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((samples, steps, features)).astype("float32")
    first = [rng.uniform(-1, 1, (samples, units)).astype("float32") for _ in range(count)]
    mask = rng.random((samples, steps)) < 0.6
    # Unrolled, and masked in the first step, outputs begin with zeros in Keras: not tried here.
    mask[:, -1 if backwards else 0] |= unroll
    layer = cls(
        units, return_sequences=True, return_state=True, go_backwards=backwards, unroll=unroll, **kwargs
    )
    x = K.placeholder((None, None if unknown and not unroll else steps, features))
    flow = K.placeholder((None, None if unknown and not unroll else steps), dtype="bool")
    states = [K.placeholder((None, units)) for _ in first]
    results = layer(x, mask=flow if masked else None, initial_state=states if started else None)
    layer.set_weights([rng.normal(0, 0.4, w.shape) for w in layer.get_weights()])
    found = K.function([x, flow, *states], results)([data, mask, *first])

    weights = [w.astype("float64") for w in layer.get_weights()]
    if not kwargs["use_bias"]:
        wide = weights[0].shape[1]
        weights.append(np.zeros((2, wide) if kwargs.get("reset_after") else wide))
    start = [f.astype("float64") if started else np.zeros(f.shape) for f in first]
    whole, _, last = truth.run(
        step(weights), data.astype("float64"), start, mask if masked else None, backwards
    )
    for value, expected in zip(found, [whole, *last], strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-5 * scale)
