"""Functions of the backend for shapes and arguments that nobody chose, against numpy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special

from symgraph import backend as K
from symgraph.graph.tensor import Tensor
from tests.backend import window_truth as win
from tests.layers import recurrent_truth

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.sampled_from([1, 2, 3, 5, 17])
SHAPES = st.lists(SIDES, min_size=1, max_size=4).map(tuple)
FORMATS = st.sampled_from(["channels_last", "channels_first"])
PADDINGS = st.sampled_from(["valid", "same"])
FEW = settings(max_examples=20, deadline=None)
MANY = settings(max_examples=40, deadline=None)


def _close(value: np.ndarray, expected: Any) -> None:
    expected = np.asarray(expected)
    assert value.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(value, expected)
        return
    tolerance = 1e-5 if value.dtype == np.float32 else 1e-12
    scale = float(np.abs(expected).max(initial=1.0))
    np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance * scale)


def _fed(arrays: list[np.ndarray], unknown: bool = False) -> list[Tensor]:
    """Placeholders; samples of unknown number, if that is asked for."""
    return [
        K.placeholder((None, *a.shape[1:]) if unknown and a.ndim else a.shape, dtype=a.dtype.name)
        for a in arrays
    ]


def _fed_pictures(x: np.ndarray, w: dict[str, Any]) -> Tensor:
    """A placeholder where samples, and sometimes places, are of unknown number; the channels are known."""
    shape: list[int | None] = [None] * x.ndim if w["unknown"] else [None, *x.shape[1:]]
    channels = 1 if w["data_format"] == "channels_first" else x.ndim - 1
    shape[channels] = x.shape[channels]
    return K.placeholder(shape, dtype=x.dtype.name)


def _with_gradients(inputs: list[Tensor], result: Tensor, weight: np.ndarray) -> list[Tensor]:
    """The result, and the gradients of <weight, result>."""
    loss = K.sum(result * K.constant(weight, result.dtype))
    return [result, *K.gradients(loss, inputs)]


@st.composite
def windows(draw: Any, ranks: tuple[int, ...], dilated: bool = True) -> dict[str, Any]:
    """Windows that fit: sizes, taps, strides or dilations, borders, layout."""
    rank = draw(st.sampled_from(ranks))
    taps = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    one = [1] * rank
    numbers = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    spread = dilated and draw(st.booleans())
    strides, dilation = (one, draw(numbers)) if spread else (draw(numbers), one)
    least = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
    sizes = [n + draw(st.integers(0, 4)) for n in least]
    return {
        "rank": rank, "taps": taps, "strides": strides, "dilation": dilation, "sizes": sizes,
        "padding": draw(PADDINGS), "unknown": draw(st.booleans()),
        "data_format": draw(FORMATS), "samples": draw(st.integers(1, 3)),
        "channels": draw(st.sampled_from([1, 3, 8])), "filters": draw(st.sampled_from([1, 4, 17])),
    }  # fmt: skip


def _laid(x: np.ndarray, layout: str) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if layout == "channels_first" else x


def _single(values: list[int]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)


@given(w=windows((1, 2, 3)), seed=SEEDS, dtype=st.sampled_from(["float32", "float64"]))
@FEW
def test_convolutions_and_their_gradients(w: dict[str, Any], seed: int, dtype: str) -> None:
    """The map is linear in both, so its gradients follow from values: <gradient, e> = <v, f(e)>."""
    rng, steps = np.random.default_rng(seed), (w["strides"], w["padding"], w["dilation"])
    x, e = (rng.standard_normal((w["samples"], *w["sizes"], w["channels"])) for _ in range(2))
    kernel, g = (rng.standard_normal((*w["taps"], w["channels"], w["filters"])) for _ in range(2))
    expected = win.convolved(x, kernel, *steps)
    v = rng.standard_normal(expected.shape)
    arrays = [_laid(x, w["data_format"]).astype(dtype), kernel.astype(dtype)]
    inputs = [_fed_pictures(arrays[0], w), *_fed(arrays[1:])]
    function = {1: K.conv1d, 2: K.conv2d, 3: K.conv3d}[w["rank"]]
    y = function(
        *inputs, _single(w["strides"]), w["padding"], w["data_format"], dilation_rate=_single(w["dilation"])
    )
    found = K.function(inputs, _with_gradients(inputs, y, _laid(v, w["data_format"])))(arrays)
    _close(found[0], _laid(expected, w["data_format"]))
    for gradient, way, moved in (
        (found[1], _laid(e, w["data_format"]), win.convolved(e, kernel, *steps)),
        (found[2], g, win.convolved(x, g, *steps)),
    ):
        terms = gradient * way
        tolerance = 3e-5 if dtype == "float32" else 1e-11
        assert abs(terms.sum() - np.sum(v * moved)) <= tolerance * max(1.0, np.abs(terms).sum())


@given(w=windows((2, 3), dilated=False), seed=SEEDS)
@FEW
def test_transposed_convolutions(w: dict[str, Any], seed: int) -> None:
    rng, steps = np.random.default_rng(seed), (w["strides"], w["padding"], w["dilation"])
    shape = (w["samples"], *w["sizes"], 3)
    kernel = rng.standard_normal((*w["taps"], 3, w["filters"]))
    y = rng.standard_normal(win.convolved(np.zeros(shape), kernel, *steps).shape)
    arrays = [_laid(y, w["data_format"]), kernel]
    inputs = _fed(arrays)
    wanted = _laid(np.empty(shape), w["data_format"]).shape
    function = K.conv2d_transpose if w["rank"] == 2 else K.conv3d_transpose
    result = function(*inputs, (None, *wanted[1:]), tuple(w["strides"]), w["padding"], w["data_format"])
    (value,) = K.function(inputs, [result])(arrays)
    _close(value, _laid(win.transposed(y, kernel, shape, *steps), w["data_format"]))


@given(w=windows((2,)), multiplier=st.integers(1, 3), seed=SEEDS)
@FEW
def test_depthwise_and_separable_convolutions(w: dict[str, Any], multiplier: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((w["samples"], *w["sizes"], w["channels"]))
    kernel = rng.standard_normal((*w["taps"], w["channels"], multiplier))
    mixing = rng.standard_normal((1, 1, w["channels"] * multiplier, w["filters"]))
    arrays = [_laid(x, w["data_format"]), kernel, mixing]
    inputs = [_fed_pictures(arrays[0], w), *_fed(arrays[1:])]
    steps = (tuple(w["strides"]), w["padding"], w["data_format"], tuple(w["dilation"]))
    each, mixed = K.depthwise_conv2d(*inputs[:2], *steps), K.separable_conv2d(*inputs, *steps)
    expected = win.convolved(x, win.spread(kernel), w["strides"], w["padding"], w["dilation"])
    found = K.function(inputs, [each, mixed])(arrays)
    _close(found[0], _laid(expected, w["data_format"]))
    _close(found[1], _laid(expected @ mixing[0, 0], w["data_format"]))


@given(w=windows((2, 3), dilated=False), mode=st.sampled_from(["max", "avg"]), seed=SEEDS)
@FEW
def test_pools_and_their_gradients(w: dict[str, Any], mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((w["samples"], *w["sizes"], w["channels"]))
    arguments = w["taps"], w["strides"], w["padding"], mode
    expected = win.pooled(x, *arguments)
    v, e = rng.standard_normal(expected.shape), rng.standard_normal(x.shape)
    arrays = [_laid(x, w["data_format"])]
    inputs = [_fed_pictures(arrays[0], w)]
    function = K.pool2d if w["rank"] == 2 else K.pool3d
    y = function(inputs[0], *map(tuple, arguments[:2]), w["padding"], w["data_format"], mode)
    value, gradient = K.function(inputs, _with_gradients(inputs, y, _laid(v, w["data_format"])))(arrays)
    _close(value, _laid(expected, w["data_format"]))
    high, low = (win.pooled(x + step * e, *arguments) for step in (1e-7, -1e-7))
    slope = np.sum(v * (high - low)) / 2e-7
    assert np.isclose(np.sum(gradient * _laid(e, w["data_format"])), slope, rtol=1e-5, atol=1e-5)


REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "mean": np.mean, "var": np.var,
    "std": np.std, "logsumexp": special.logsumexp,
}  # fmt: skip


@given(
    name=st.sampled_from(sorted(REDUCTIONS)),
    shape=SHAPES,
    data=st.data(),
    keep=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=SEEDS,
)
@MANY
def test_reductions(name: str, shape: Any, data: Any, keep: bool, dtype: str, seed: int) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True), label="axes")
    signed = [a - len(shape) if data.draw(st.booleans()) else a for a in axes]
    axis = data.draw(st.sampled_from([None, signed[0], signed]), label="axis")
    x = np.random.default_rng(seed).uniform(0.8, 1.2, shape).astype(dtype)
    inputs = _fed([x], unknown=data.draw(st.booleans()))
    (value,) = K.function(inputs, [getattr(K, name)(inputs[0], axis, keep)])([x])
    assert value.dtype == dtype
    over = tuple(axis) if isinstance(axis, list) else axis
    # Small sums of squares of differences: as exact as the numbers that they come from.
    _close(value, REDUCTIONS[name](x.astype("float64"), axis=over, keepdims=keep))


@given(shape=SHAPES, data=st.data(), seed=SEEDS)
@MANY
def test_running_sums_and_places(shape: Any, data: Any, seed: int) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1), label="axis")
    x = np.random.default_rng(seed).integers(0, 4, shape).astype("float64")
    inputs = _fed([x], unknown=True)
    names = ("cumsum", "cumprod", "argmax", "argmin")
    found = K.function(inputs, [getattr(K, name)(inputs[0], axis) for name in names])([x])
    for name, value in zip(names, found, strict=True):
        _close(value, getattr(np, name)(x, axis=axis))


@given(shape=SHAPES, data=st.data(), seed=SEEDS)
@MANY
def test_stretched_operands_and_their_gradients(shape: Any, data: Any, seed: int) -> None:
    """Any axes of either side may be 1 or missing; the gradient is summed over what was stretched."""
    rng = np.random.default_rng(seed)

    def part(label: str) -> np.ndarray:
        cut = data.draw(st.integers(0, len(shape)), label=label)
        return rng.uniform(0.5, 2, [1 if data.draw(st.booleans()) else n for n in shape[cut:]])

    a, b = part("a"), part("b")
    inputs = _fed([a, b])
    y = inputs[0] * inputs[1] + inputs[0] / inputs[1]
    expected = a * b + a / b
    v = rng.standard_normal(expected.shape)
    found = K.function(inputs, _with_gradients(inputs, y, v))([a, b])
    _close(found[0], expected)
    for value, array, slope in ((found[1], a, b + 1 / b), (found[2], b, a - a / b**2)):
        wide = v * np.broadcast_to(slope, expected.shape)
        wide = wide.sum(tuple(range(wide.ndim - array.ndim)))
        thin = tuple(i for i, n in enumerate(array.shape) if n == 1)
        _close(value, wide.sum(thin, keepdims=True))


@given(left=SHAPES, right=SHAPES, inner=SIDES, seed=SEEDS)
@MANY
def test_dot(left: Any, right: Any, inner: int, seed: int) -> None:
    assume(np.prod(left) * np.prod(right) < 50_000)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*left[:2], inner))
    y = rng.standard_normal((*right[:-1][:2], inner, right[-1]))
    inputs = _fed([x, y])
    (value,) = K.function(inputs, [K.dot(*inputs)])([x, y])
    _close(value, np.dot(x, y))


@given(lead=SHAPES, sides=st.tuples(SIDES, SIDES, SIDES), turned=st.tuples(*[st.booleans()] * 2), seed=SEEDS)
@MANY
def test_batch_dot(lead: Any, sides: Any, turned: Any, seed: int) -> None:
    """Matrices over any leading axes; the axis that is summed over is the last or the second-last of each."""
    rng, rank, (rows, inner, columns) = np.random.default_rng(seed), len(lead) + 2, sides
    x, y = rng.standard_normal((*lead, rows, inner)), rng.standard_normal((*lead, inner, columns))
    arrays = [x.swapaxes(-1, -2) if turned[0] else x, y.swapaxes(-1, -2) if turned[1] else y]
    inputs = _fed(arrays, unknown=True)
    axes = rank - 2 if turned[0] else rank - 1, rank - 1 if turned[1] else rank - 2
    (value,) = K.function(inputs, [K.batch_dot(*inputs, axes=axes)])(arrays)
    _close(value, x @ y)


@given(shape=SHAPES, data=st.data(), seed=SEEDS)
@MANY
def test_movements(shape: Any, data: Any, seed: int) -> None:
    """Several in one program, where they may be fused into one copy."""
    x = np.random.default_rng(seed).standard_normal(shape)
    rank = len(shape)
    axis = data.draw(st.integers(0, rank - 1), label="axis")
    order = data.draw(st.permutations(range(rank)), label="order")
    starts = [data.draw(st.integers(0, n - 1), label="start") for n in shape]
    counts = [data.draw(st.integers(0, n - s), label="count") for n, s in zip(shape, starts, strict=True)]
    (t,) = inputs = _fed([x])
    moved = K.permute_dimensions(K.reverse(t, axis), order)
    pairs = [
        (moved, np.flip(x, axis).transpose(order)),
        (K.flatten(moved), np.flip(x, axis).transpose(order).ravel()),
        (K.slice(t, starts, counts), x[tuple(slice(s, s + c) for s, c in zip(starts, counts, strict=True))]),
        (K.concatenate([t, t * 2, t], axis), np.concatenate([x, x * 2, x], axis)),
        (K.stack([t, -t], axis), np.stack([x, -x], axis)),
        (K.repeat_elements(t, 3, axis), np.repeat(x, 3, axis)),
        (K.squeeze(K.expand_dims(t, axis), axis), x),
        (K.batch_flatten(t), x.reshape(len(x), -1)),
        (K.reshape(K.transpose(t), (-1, shape[axis])), x.T.reshape(-1, shape[axis])),
        (K.gather(t, K.constant([[0, len(x) - 1]], "int32")), x[[[0, len(x) - 1]]]),
    ]
    for value, (_, expected) in zip(K.function(inputs, [p[0] for p in pairs])([x]), pairs, strict=True):
        _close(value, expected)


@given(
    samples=st.integers(1, 4),
    steps=st.integers(1, 6),
    features=SIDES,
    units=SIDES,
    masked=st.booleans(),
    backwards=st.booleans(),
    unknown=st.booleans(),
    seed=SEEDS,
)
@FEW
def test_rnn(
    samples: int,
    steps: int,
    features: int,
    units: int,
    masked: bool,
    backwards: bool,
    unknown: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    x, start = rng.standard_normal((samples, steps, features)), rng.standard_normal((samples, units))
    w = [rng.normal(0, 0.5, s) for s in ((features, units), (units, units), (units,))]
    mask = rng.random((samples, steps)) < 0.6
    sizes = (None, None) if unknown else (samples, steps)
    inputs = [
        K.placeholder((*sizes, features), dtype="float64"),
        K.placeholder((sizes[0], units), dtype="float64"),
        K.placeholder(sizes, dtype="bool"),
    ]

    def step(now: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        h = K.tanh(
            K.dot(now, K.constant(w[0], "float64")) + K.dot(states[0], K.constant(w[1], "float64")) + w[2]
        )
        return h, [h]

    last, outputs, (state,) = K.rnn(step, inputs[0], [inputs[1]], backwards, inputs[2] if masked else None)
    found = K.function(inputs, [outputs, last, state])([x, start, mask])
    whole, final, (after,) = recurrent_truth.run(
        recurrent_truth.simple_step(w), x, [start], mask if masked else None, backwards
    )
    for value, expected in zip(found, (whole, final, after), strict=True):
        _close(value, expected)
