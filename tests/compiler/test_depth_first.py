"""Depth first: runs of nodes done slice by slice give what they give at once, in less memory."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.compiler.plan import depth_first
from symgraph.compiler.plan.depth_first import SlicedRun, arrange
from symgraph.graph.evaluate import bind_shapes
from symgraph.graph.ops.conv import Conv2D
from symgraph.graph.tensor import consumers
from symgraph.layers import Conv2D as ConvLayer
from symgraph.layers import Dense, Flatten, MaxPooling2D
from symgraph.models import Sequential
from tests.compiler.test_random_networks import check_network

pytestmark = pytest.mark.threads


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of one or two samples, for values of any size."""
    monkeypatch.setattr(depth_first, "LARGE_BYTES", 1)
    monkeypatch.setattr(depth_first, "SLICE_BYTES", 1)
    monkeypatch.setattr(depth_first, "SAMPLES", 1)


@pytest.mark.usefixtures("thin")
@pytest.mark.parametrize("seed", range(20, 36))
def test_random_networks_in_thin_slices(seed: int) -> None:
    check_network(seed)


def _model() -> Sequential:
    model = Sequential(
        [
            ConvLayer(8, (3, 3), activation="relu", input_shape=(21, 19, 3), name="first"),
            ConvLayer(16, (3, 3), activation="relu", padding="same", name="second"),
            MaxPooling2D((2, 2)),
            Flatten(),
            Dense(5),
        ]
    )
    model.compile("sgd", "mse")
    return model


def test_a_training_step_is_the_same_in_less_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((24, 21, 19, 3), np.float32)
    y = rng.standard_normal((24, 5), np.float32)
    whole = _model()
    sliced = _model()
    sliced.set_weights(whole.get_weights())
    for _ in range(2):
        whole.train_on_batch(x, y)
    at_once = whole.train_function.program()
    assert all(row.slice == 0 for row in at_once.rows)
    monkeypatch.setattr(depth_first, "LARGE_BYTES", 1 << 16)
    monkeypatch.setattr(depth_first, "SLICE_BYTES", 1 << 18)
    monkeypatch.setattr(depth_first, "SAMPLES", 2)
    for _ in range(2):
        sliced.train_on_batch(x, y)
    program = sliced.train_function.program()
    assert max(row.slice for row in program.rows) > 2
    assert program.arena_bytes < 0.8 * at_once.arena_bytes
    for a, b in zip(sliced.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    np.testing.assert_array_equal(sliced.predict(x), sliced.predict(x))
    text = str(sliced.train_function)
    assert "slices" in text.splitlines()[1] and len(text.splitlines()) < len(program.rows)


@pytest.mark.usefixtures("thin")
def test_what_is_read_outside_is_kept_whole() -> None:
    x = K.placeholder((None, 6, 6, 2))
    w = K.variable(np.random.default_rng(1).standard_normal((3, 3, 2, 4)))
    inside = K.relu(K.conv2d(x, w))
    pooled = K.pool2d(inside, (2, 2), (2, 2))
    outputs = [pooled, inside, K.mean(inside), K.sum(inside, axis=0)]
    feed = np.random.default_rng(2).standard_normal((9, 6, 6, 2)).astype("float32")
    found = K.function([x], outputs)([feed])
    convolved = np.maximum(
        Conv2D((1, 1), "valid").reference(feed.astype("f8"), K.get_value(w).astype("f8")), 0
    )
    wanted = [
        convolved.reshape(9, 2, 2, 2, 2, 4).max(axis=(2, 4)),
        convolved,
        convolved.mean(),
        convolved.sum(axis=0),
    ]
    for value, truth in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-5, atol=1e-5)


def runs(side: int, kernel: int, samples: int) -> list[SlicedRun]:
    """What a convolution, a ReLU and pooling of so many pictures are cut into for two threads."""
    x = K.placeholder((None, side, side, 8))
    w = K.variable(np.zeros((kernel, kernel, 8, 16)))
    y = K.pool2d(K.relu(K.conv2d(x, w)), (2, 2), (2, 2))
    lowered = Function([x], [K.mean(y, axis=(1, 2, 3))]).lowered()
    sizes: dict[object, int] = {}
    bind_shapes([(lowered.inputs[0], (samples, side, side, 8))], sizes)  # type: ignore[arg-type]
    items = arrange(
        lowered.body,
        {id(t) for t in lowered.outputs},
        sizes,  # type: ignore[arg-type]
        lambda: consumers(lowered.nodes),
        2,
    )
    return [item for item in items if isinstance(item, SlicedRun)]


def test_runs_are_found_where_large_values_are_handed_on() -> None:
    # 62 x 62 x 16 floats are 0.23 MiB a sample: 15 MiB handed on in 4 slices.
    assert not runs(64, 3, 1) and not runs(64, 3, 2)
    (run,) = runs(64, 3, 64)
    assert run.bounds == (0, 16, 32, 48, 64) and run.most == 16
    assert "conv2d" in str(run.nodes[0].op) and "pool" in str(run.nodes[1].op)
    assert run.is_inner(run.nodes[0], 0)


def test_large_samples_go_one_by_one() -> None:
    # 254 x 254 x 16 floats are 3.9 MiB a sample: enough to do for two threads.
    assert not runs(256, 3, 1)
    (run,) = runs(256, 3, 4)
    assert run.bounds == (0, 1, 2, 3, 4)
    # A kernel of 0.47 MiB is packed again for each slice: it takes 4 pictures of 2 MiB to hide that.
    assert not runs(256, 31, 4)
    (run,) = runs(256, 31, 64)
    assert min(np.diff(run.bounds)) == 4
