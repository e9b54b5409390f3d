"""Convolution and its gradients against float64 sums over explicit windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from symgraph.kernels.conv import conv2d, conv2d_input_gradient, conv2d_rows
from symgraph.kernels.conv_parts.geometry import output_shape
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient, conv2d_weight_gradient_rows
from symgraph.kernels.run.buffer import launch

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def windows(x, kernel, strides, padding, dilation):
    """[N, OH, OW, C, kh, kw] in float64: what each output pixel sees."""
    x = np.pad(x.astype(np.float64), ((0, 0), *padding, (0, 0)))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if any(size < span for size, span in zip(x.shape[1:3], spans, strict=True)):
        return np.zeros((x.shape[0], 0, 0, x.shape[3], *kernel))
    seen = sliding_window_view(x, spans, axis=(1, 2))
    return seen[:, :: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]


def reference(x, w, strides, padding, dilation, groups):
    kh, kw, depth, features = w.shape
    seen = windows(x, (kh, kw), strides, padding, dilation)
    seen = seen.reshape(*seen.shape[:3], groups, depth, kh, kw)
    w = w.astype(np.float64).reshape(kh, kw, depth, groups, features // groups)
    return np.einsum("nyxgdij,ijdgf->nyxgf", seen, w).reshape(*seen.shape[:3], features)


def reference_input_gradient(grad, w, shape, strides, padding, dilation, groups):
    kh, kw, depth, features = w.shape
    (top, bottom), (left, right) = padding
    n, height, width, _ = shape
    oh, ow = grad.shape[1:3]
    wide = np.zeros((n, height + top + bottom, width + left + right, groups, depth))
    grad = grad.astype(np.float64).reshape(n, oh, ow, groups, features // groups)
    w = w.astype(np.float64).reshape(kh, kw, depth, groups, features // groups)
    for i, j in np.ndindex(kh, kw):
        ys, xs = i * dilation[0] + np.arange(oh) * strides[0], j * dilation[1] + np.arange(ow) * strides[1]
        wide[:, ys[:, None], xs[None]] += np.einsum("nyxgf,dgf->nyxgd", grad, w[i, j])
    return wide[:, top : top + height, left : left + width].reshape(shape)


def reference_weight_gradient(x, grad, shape, strides, padding, dilation, groups):
    kh, kw, depth, features = shape
    seen = windows(x, (kh, kw), strides, padding, dilation)
    seen = seen.reshape(*seen.shape[:3], groups, depth, kh, kw)
    grad = grad.astype(np.float64).reshape(*grad.shape[:3], groups, features // groups)
    return np.einsum("nyxgdij,nyxgf->ijdgf", seen, grad).reshape(shape)


def close(got, expected, dtype):
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype])


def check_all(
    shape,
    kernel,
    features,
    dtype,
    threads,
    strides=(1, 1),
    padding=((0, 0), (0, 0)),
    dilation=(1, 1),
    groups=1,
):
    rng = np.random.default_rng(0)
    options = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    x = rng.standard_normal(shape).astype(dtype)
    w = rng.standard_normal((*kernel, shape[3] // groups, features)).astype(dtype)
    bias = rng.standard_normal(features).astype(dtype)
    expected = reference(x, w, **options)
    close(conv2d(x, w, threads=threads, **options), expected, dtype)
    got = conv2d(x, w, bias=bias, activation="relu", threads=threads, **options)
    close(got, np.maximum(expected + bias, 0), dtype)
    held = conv2d(x, w, bias=bias, activation="relu6", threads=threads, **options)
    assert np.array_equal(held, np.minimum(got, 6))
    grad = rng.standard_normal(expected.shape).astype(dtype)
    got = conv2d_input_gradient(grad, w, x.shape, threads=threads, **options)
    close(got, reference_input_gradient(grad, w, x.shape, **options), dtype)
    got = conv2d_weight_gradient(x, grad, w.shape, threads=threads, **options)
    close(got, reference_weight_gradient(x, grad, w.shape, **options), dtype)


pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
border = st.tuples(st.integers(0, 3), st.integers(0, 3))


# An empty picture with two results a channel: the bias reaches all of them.
@example((1, 0, 0), (1, 1), 1, 2, 2, (1, 1), (1, 1), ((0, 1), (0, 1)), "float32", 1)
@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 19)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    depth=st.integers(1, 5),
    columns=st.integers(1, 9),
    groups=st.integers(1, 3),
    strides=pair,
    dilation=pair,
    padding=st.tuples(border, border),
    dtype=st.sampled_from(["float32", "float64"]),
    threads=st.integers(1, 2),
)
def test_any_geometry(sizes, kernel, depth, columns, groups, strides, dilation, padding, dtype, threads):
    shape = (*sizes, depth * groups)
    if 0 in output_shape(sizes[1:], kernel, strides, padding, dilation):
        return
    check_all(shape, kernel, columns * groups, dtype, threads, strides, padding, dilation, groups)


# All kernel rows, or all columns, of some windows lie outside the picture.
@example((1, 2, 3), (3, 5), 17, 1, (1, 1), (2, 3), ((5, 5), (9, 9)), "float32", 1)
@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 24)),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    channels=st.integers(2, 40),
    multiplier=st.integers(1, 2),
    strides=pair,
    dilation=pair,
    padding=st.tuples(border, border),
    dtype=st.sampled_from(["float32", "float64"]),
    threads=st.integers(1, 2),
)
def test_any_geometry_of_channels_apart(
    sizes, kernel, channels, multiplier, strides, dilation, padding, dtype, threads
):
    if 0 in output_shape(sizes[1:], kernel, strides, padding, dilation):
        return
    features = channels * multiplier
    check_all((*sizes, channels), kernel, features, dtype, threads, strides, padding, dilation, channels)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("shape", "kernel", "features", "options"),
    [
        ((9, 26, 26, 32), (3, 3), 64, {}),
        ((5, 28, 28, 1), (3, 3), 32, {}),
        ((3, 14, 15, 96), (3, 3), 130, {"padding": ((1, 1), (1, 1))}),
        ((1, 7, 7, 300), (3, 3), 200, {"padding": ((1, 1), (1, 1))}),
        ((2, 23, 17, 40), (1, 1), 72, {"strides": (2, 2)}),
        ((4, 16, 16, 64), (1, 1), 48, {}),
        # Many units of rows, of which the last one is shorter and one asks for the next.
        ((5, 37, 41, 200), (1, 1), 70, {}),
        # Lines of few pixels, 4 KiB apart.
        ((2, 15, 14, 1024), (1, 1), 40, {"strides": (2, 1)}),
        # Lines whose ends blocks go across, where the processor's blocks have few rows.
        ((3, 34, 34, 24), (3, 3), 64, {}),
        ((3, 13, 13, 40), (3, 3), 48, {"padding": ((1, 1), (1, 1))}),
        ((2, 11, 7, 32), (5, 3), 32, {"padding": ((4, 0), (1, 2))}),
        ((2, 31, 33, 3), (7, 7), 20, {"strides": (2, 2), "padding": ((3, 3), (3, 3))}),
        ((3, 20, 21, 24), (3, 3), 48, {"groups": 4, "padding": ((1, 1), (1, 1))}),
        ((6, 20, 21, 40), (3, 3), 40, {"groups": 40, "padding": ((1, 1), (1, 1))}),
        # Pixels that collide in the cache.
        ((3, 7, 9, 512), (3, 3), 512, {"groups": 512, "padding": ((1, 1), (1, 1))}),
        ((6, 20, 21, 10), (3, 3), 30, {"groups": 10, "strides": (2, 2), "padding": ((0, 1), (0, 1))}),
    ],
)
def test_layers_of_real_networks(shape, kernel, features, options, threads):
    check_all(shape, kernel, features, "float32", threads, **options)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "kernel", "features", "options"),
    [
        ((9, 26, 26, 32), (3, 3), 64, {}),
        ((5, 13, 11, 3), (3, 3), 37, {"padding": ((1, 1), (1, 1)), "strides": (2, 1)}),
        ((1, 7, 7, 300), (3, 3), 400, {"padding": ((1, 1), (1, 1))}),
        ((3, 9, 8, 24), (3, 3), 44, {"groups": 4}),
        ((3, 9, 8, 11), (3, 3), 22, {"groups": 11}),
        ((3, 9, 8, 0), (3, 3), 5, {}),
        ((0, 9, 8, 4), (3, 3), 5, {}),
        # Long pixels: several strips of rows for each of several bands, the last of each shorter; then
        # weights so large that threads share the columns, and pixels and lines that are left out.
        ((2, 19, 21, 330), (1, 1), 150, {}),
        ((2, 9, 9, 330), (1, 1), 810, {}),
        ((3, 23, 22, 330), (1, 1), 70, {"strides": (2, 2)}),
    ],
)
def test_bias_gradient_comes_with_the_weight_gradient(shape, kernel, features, options, dtype, threads):
    rng = np.random.default_rng(4)
    geometry = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1} | options
    sizes = output_shape(shape[1:3], kernel, geometry["strides"], geometry["padding"])
    x = rng.standard_normal(shape).astype(dtype)
    # Not centred: sums are large, and their errors would be.
    grad = (rng.standard_normal((shape[0], *sizes, features)) + 1).astype(dtype)
    weights = np.full((*kernel, shape[3] // geometry["groups"], features), np.nan, dtype)
    sums = np.full(features, np.nan, dtype)
    launch(conv2d_weight_gradient_rows, x, grad, weights, sums, threads=threads, **geometry)
    close(weights, reference_weight_gradient(x, grad, weights.shape, **geometry), dtype)
    close(sums, grad.astype(np.float64).sum((0, 1, 2)), dtype)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 1)])
def test_empty_depth_and_batch(kernel):
    bias = np.array([1.0, -2.0], np.float32)
    got = conv2d(np.zeros((2, 4, 4, 0), np.float32), np.zeros((*kernel, 0, 2), np.float32), bias=bias)
    assert np.array_equal(got, np.broadcast_to(bias, got.shape))
    x, w = np.zeros((0, 4, 4, 2), np.float32), np.ones((*kernel, 2, 2), np.float32)
    out = conv2d(x, w)
    assert out.shape[0] == 0
    assert np.array_equal(conv2d_weight_gradient(x, out, w.shape), np.zeros_like(w))


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_come_through(bad, groups):
    x = np.ones((1, 6, 6, 4), np.float32)
    x[0, 3, 3, 2] = bad
    w = np.ones((3, 3, 4 // groups, 4), np.float32)
    got = conv2d(x, w, padding=((1, 1), (1, 1)), groups=groups, activation="relu")
    with np.errstate(invalid="ignore"):
        expected = np.maximum(reference(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1), groups), 0)
    assert np.array_equal(got, expected.astype(np.float32), equal_nan=True)
    got = conv2d(x, w, padding=((1, 1), (1, 1)), groups=groups, activation="relu6")
    assert np.array_equal(got, np.minimum(expected, 6).astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(("samples", "threads"), [(4, 3), (5, 4), (9, 4), (7, 5), (11, 5)])
def test_weight_gradient_of_fewer_bands_than_threads(samples, threads):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((samples, 12, 12, 16), np.float32)
    grad = rng.standard_normal((samples, 8, 8, 32), np.float32)
    got, sums = np.empty((5, 5, 16, 32), np.float32), np.empty(32, np.float32)
    launch(conv2d_weight_gradient_rows, x, grad, got, sums, strides=(1, 1), padding=((0, 0), (0, 0)),
           threads=threads)  # fmt: skip
    expected = reference_weight_gradient(x, grad, got.shape, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    close(got, expected, "float32")
    close(sums, grad.astype(np.float64).sum((0, 1, 2)), "float32")


def test_results_do_not_depend_on_the_run():
    rng = np.random.default_rng(3)
    x, grad = (
        rng.standard_normal((16, 20, 20, 16), np.float32),
        rng.standard_normal((16, 18, 18, 24), np.float32),
    )
    first = conv2d_weight_gradient(x, grad, (3, 3, 16, 24), threads=2)
    for _ in range(5):
        assert np.array_equal(first, conv2d_weight_gradient(x, grad, (3, 3, 16, 24), threads=2))


def test_unfit_operands_are_refused():
    x, w = np.zeros((1, 5, 5, 3), np.float32), np.zeros((3, 3, 4, 2), np.float32)
    with pytest.raises(ValueError, match="3 input channels"):
        conv2d(x, w)
    with pytest.raises(TypeError, match="one dtype"):
        conv2d(x, np.zeros((3, 3, 3, 2), np.float64))
    with pytest.raises(TypeError, match="float32 or float64"):
        conv2d(x.astype(int), w.astype(int))
    fit = np.zeros((3, 3, 3, 2), np.float32)
    with pytest.raises(ValueError, match=r"bias of shape \(2,\).* got shape \(1,\)"):
        conv2d(x, fit, bias=np.zeros(1, np.float32))
    for unfit in ({"strides": (0, 1)}, {"dilation": (1, -1)}):
        with pytest.raises(ValueError, match="at least 1"):
            conv2d(x, fit, **unfit)
    with pytest.raises(ValueError, match="expected an output of shape"):
        conv2d_input_gradient(np.zeros((1, 9, 9, 2), np.float32), np.zeros((3, 3, 3, 2), np.float32), x.shape)


@pytest.mark.parametrize(
    ("shape", "kernel", "features", "options"),
    [
        ((2, 14, 13, 16), (3, 3), 20, {"padding": ((1, 1), (1, 1))}),  # Winograd
        ((2, 9, 7, 5), (5, 3), 19, {"strides": (2, 1)}),
        ((2, 9, 7, 8), (3, 3), 12, {"groups": 4}),
        ((2, 9, 7, 21), (3, 3), 21, {"groups": 21}),  # depthwise
        ((2, 9, 7, 7), (2, 3), 14, {"groups": 7}),
        ((1, 4, 4, 0), (2, 2), 5, {}),
    ],
)
def test_steps_follow_in_their_order(shape, kernel, features, options):
    rng = np.random.default_rng(8)
    options = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1} | options
    x = rng.standard_normal(shape).astype(np.float32)
    w = rng.standard_normal((*kernel, shape[3] // options["groups"], features)).astype(np.float32)
    a, b, c = vectors = rng.standard_normal((3, features)).astype(np.float32)
    expected = np.maximum((reference(x, w, **options) - a) * b + c, 0)
    got = conv2d(x, w, bias=vectors, activation="-*+ relu", **options)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    got = conv2d(x, w, bias=vectors, activation="-*+ relu6", **options)
    np.testing.assert_allclose(got, np.minimum(expected, 6), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="bias of shape"):
        conv2d(x, w, bias=vectors[:2], activation="-*+ relu", **options)
    with pytest.raises(ValueError, match="expected vectors for the steps"):
        conv2d(x, w, activation="* linear", **options)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(
    ("shape", "weights", "options"),
    [
        ((1, 14, 14, 64), (3, 3, 64, 64), {"padding": ((1, 1), (1, 1))}),  # tiles
        ((1, 9, 7, 40), (1, 1, 40, 50), {}),
        ((2, 7, 7, 700), (1, 1, 700, 300), {"strides": (2, 2)}),  # the depth in chunks
        ((1, 1, 2, 3000), (1, 1, 3000, 17), {}),
        ((2, 6, 6, 3), (3, 3, 1, 6), {"groups": 3}),  # depthwise
    ],
)
def test_an_addend_comes_before_the_activation(shape, weights, options, in_place, threads):
    rng = np.random.default_rng(5)
    options = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "groups": 1, **options}
    x, w = rng.standard_normal(shape).astype("float32"), rng.standard_normal(weights).astype("float32")
    bias = rng.standard_normal(weights[3:]).astype("float32")
    product = reference(x, w, dilation=(1, 1), **options) + bias
    addend = (3 * rng.standard_normal(product.shape)).astype("float32")
    out = addend.copy() if in_place else np.empty_like(addend)

    def plan(x, w, bias, out, addend, **given):
        more = out if in_place else addend
        return conv2d_rows(x, w, out, bias=bias, addend=more, activation="relu", **options, **given)

    launch(plan, x, w, bias, out, addend, threads=threads)
    close(out, np.maximum(product + addend, 0), "float32")
    again = conv2d(x, w, bias=bias, addend=addend, activation="relu", threads=threads, **options)
    np.testing.assert_array_equal(out, again)


def test_an_addend_of_another_shape_is_refused():
    x, w = np.ones((1, 4, 4, 3), "float32"), np.ones((1, 1, 3, 2), "float32")
    with pytest.raises(ValueError, match=r"expected an addend of shape \(1, 4, 4, 2\)"):
        conv2d(x, w, addend=np.ones((1, 4, 4, 3), "float32"))
