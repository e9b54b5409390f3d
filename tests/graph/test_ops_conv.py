"""Convolution and pooling: shape rules, cost, layouts, and equalities between the ops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from symgraph.graph import operators
from symgraph.graph.dims import evaluate as size_of
from symgraph.graph.dims import unknown
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import constant, placeholder
from symgraph.graph.ops import conv, pool
from symgraph.graph.ops.window import borders, output_size

N, H = unknown("N"), unknown("H")
RNG = np.random.default_rng(0)


def value(tensor):
    return evaluate([tensor])[0]


class TestGeometry:
    def test_unknown_sizes(self):
        w = placeholder((3, 3, 3, 8))
        assert conv.conv2d(placeholder((N, H, 10, 3)), w).shape == (N, H - 2, 8, 8)
        assert conv.conv2d(placeholder((N, H, H, 3)), w, padding="same").shape == (N, H, H, 8)
        strided = conv.conv2d(placeholder((N, H, 10, 3)), w, strides=2, padding="same").shape[1]
        assert [size_of(strided, {next(iter(H.terms))[0][0]: n}) for n in (1, 7, 8)] == [1, 4, 4]

    @pytest.mark.parametrize("padding", ["same", "valid"])
    def test_transposing_restores_unknown_sizes(self, padding):
        x, w = placeholder((N, H, H, 3)), placeholder((3, 3, 3, 8))
        y = conv.conv2d(x, w, strides=2, padding=padding)
        assert conv.conv2d_transpose(y, w, x.shape, 2, padding).shape == x.shape

    def test_same_is_tensorflows_rule(self):
        # Sizes and paddings that TensorFlow's guide to convolution gives: the odd pixel comes after.
        assert borders((5, 6), (3, 3), (2, 2), "same") == ((1, 1), (0, 1))
        assert borders((28, 28), (2, 2), (2, 2), "same") == ((0, 0), (0, 0))
        assert output_size(13, 6, 5, "same", 0) == 3
        assert borders((13, 13), (6, 6), (5, 5), "same") == ((1, 2), (1, 2))

    @pytest.mark.parametrize(
        ("x", "w", "options", "message"),
        [
            ((1, 5, 5, 3), (3, 3, 4, 8), {}, "expected pictures of 4 channels"),
            ((1, 2, 5, 3), (3, 3, 3, 8), {}, "does not fit into a picture of 2x5"),
            ((1, 5, 5), (3, 3, 3, 8), {}, "expected a tensor of 4 dimensions"),
            ((1, 5, 5, 4), (3, 3, 2, 3), {"groups": 2}, "divisible by 2 groups"),
            ((1, 5, 5, 3), (3, 3, 3, 8), {"strides": 0}, "at least 1"),
            ((1, 5, 5, 3), (3, 3, 3, 8), {"padding": "full"}, "expected padding"),
            ((1, 5, 5, 3), (3, 3, 3, 8), {"data_format": "NHWC"}, "channels_first"),
        ],
    )
    def test_errors(self, x, w, options, message):
        with pytest.raises(ValueError, match=message):
            conv.conv2d(placeholder(x), placeholder(w), **options)

    def test_pictures_that_are_too_small_are_found_when_data_come(self):
        x = placeholder((1, None, 5, 1))
        y = conv.conv2d(x, constant(np.ones((3, 3, 1, 1), np.float32)))
        with pytest.raises(ValueError, match="have to be equal"):
            evaluate([y], {x: np.ones((1, 2, 5, 1))})

    def test_pool_errors(self):
        with pytest.raises(ValueError, match="do not fit"):
            pool.max_pool2d(placeholder((1, 1, 4, 1)), 2)
        with pytest.raises(ValueError, match="smaller than the windows"):
            pool.average_pool2d(placeholder((1, 4, 4, 1)), 2, padding=((2, 0), (0, 0)))
        with pytest.raises(TypeError, match="expected floats"):
            pool.max_pool2d(placeholder((1, 4, 4, 1), dtype="int32"), 2)


class TestValues:
    def test_correlation_is_scipys(self):
        x, w = RNG.standard_normal((7, 8)), RNG.standard_normal((3, 2))
        ours = value(conv.conv2d(constant(x[None, :, :, None]), constant(w[:, :, None, None])))
        np.testing.assert_allclose(ours[0, :, :, 0], signal.correlate2d(x, w, "valid"), rtol=1e-12)

    def test_channels_first(self):
        x, w = RNG.standard_normal((2, 6, 5, 3)), RNG.standard_normal((3, 3, 3, 4))
        last = value(conv.conv2d(constant(x), constant(w), 2, "same"))
        first = value(
            conv.conv2d(constant(x.transpose(0, 3, 1, 2)), constant(w), 2, "same", "channels_first")
        )
        np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)
        pooled = value(pool.max_pool2d(constant(x), 2))
        other = value(pool.max_pool2d(constant(x.transpose(0, 3, 1, 2)), 2, data_format="channels_first"))
        np.testing.assert_array_equal(other.transpose(0, 2, 3, 1), pooled)

    def test_depthwise_is_one_convolution_a_channel(self):
        x, w = RNG.standard_normal((1, 5, 5, 3)), RNG.standard_normal((3, 3, 3, 2))
        ours = value(conv.depthwise_conv2d(constant(x), constant(w)))
        for c in range(3):
            one = value(conv.conv2d(constant(x[..., c : c + 1]), constant(w[:, :, c : c + 1, :])))
            np.testing.assert_allclose(ours[..., 2 * c : 2 * c + 2], one, rtol=1e-12)

    def test_conv1d_causal_sees_no_future(self):
        x, w = RNG.standard_normal((1, 9, 1)), RNG.standard_normal((3, 1, 1))
        ours = value(conv.conv1d(constant(x), constant(w), padding="causal", dilation=2))[0, :, 0]
        padded = np.concatenate([np.zeros(4), x[0, :, 0]])
        wanted = [sum(w[k, 0, 0] * padded[t + 2 * k] for k in range(3)) for t in range(9)]
        np.testing.assert_allclose(ours, wanted, rtol=1e-12)

    def test_fused_bias_and_relu_are_differentiable(self):
        x, w, b = (placeholder(s, dtype="float64") for s in ((1, 4, 4, 2), (2, 2, 2, 3), (3,)))
        feeds = {t: RNG.standard_normal(t.shape) for t in (x, w, b)}
        fused = conv.Conv2D(activation="relu")(x, w, b)
        plain = operators.math.relu(conv.conv2d(x, w) + b)
        for ours, wanted in zip(gradients(fused, [x, w, b]), gradients(plain, [x, w, b]), strict=True):
            np.testing.assert_allclose(*evaluate([ours, wanted], feeds), rtol=1e-12)

    def test_average_does_not_count_padding(self):
        ones = constant(np.ones((1, 5, 5, 1)))
        np.testing.assert_array_equal(value(pool.average_pool2d(ones, 3, 2, "same")), np.ones((1, 3, 3, 1)))

    def test_max_pool_of_minus_infinity_points_inside(self):
        x = np.full((1, 3, 3, 1), -np.inf)
        values, index = pool.MaxPool2DWithIndex((3, 3), (2, 2), "same").reference(x)
        assert np.all(np.isneginf(values))
        assert index[0, 0, 0, 0] == 4  # the first pixel that is no padding

    def test_second_gradient_of_max_pool(self):
        x = placeholder((None, None, 5, 2), dtype="float64")
        y = pool.max_pool2d(x, 3, 2, "same")
        (first,) = gradients(y * y, [x])
        (second,) = gradients(first * first, [x])
        array = RNG.permutation(60).reshape(1, 6, 5, 2).astype(float)
        h = 1e-4
        direction = RNG.standard_normal(array.shape)
        loss = operators.reduce.sum(first * first)
        measured = (
            evaluate([loss], {x: array + h * direction})[0] - evaluate([loss], {x: array - h * direction})[0]
        ) / (2 * h)
        np.testing.assert_allclose(np.sum(evaluate([second], {x: array})[0] * direction), measured, rtol=1e-6)


def brute_force(size, window, stride, before, dilation, count):
    return sum(
        0 <= place * stride + tap * dilation - before < size
        for place in range(count)
        for tap in range(window)
    )


class TestFlops:
    @pytest.mark.parametrize("padding", ["same", "valid", ((1, 2), (0, 1))])
    @pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
    def test_convolution_counts_taps_on_pixels(self, padding, strides):
        op = conv.Conv2D(strides, padding, (2, 1), 2)
        x, w = (2, 9, 8, 4), (3, 2, 2, 6)
        y = op(placeholder(x), placeholder(w)).shape
        edges = borders(x[1:3], w[:2], strides, padding, (2, 1))
        taps = brute_force(9, 3, strides[0], edges[0][0], 2, y[1]) * brute_force(
            8, 2, strides[1], edges[1][0], 1, y[2]
        )
        wanted = 2 * 2 * taps * 2 * 6
        assert op.flops([x, w], [y]) == wanted
        parameters = op.parameters()
        assert conv.Conv2DInputGradient(*parameters, 9, 8).flops([y, w], [x]) == wanted
        assert conv.Conv2DWeightGradient(*parameters, 3, 2).flops([x, y], [w]) == wanted
        assert op.flops([x, w, (6,)], [y]) == wanted + int(np.prod(y))

    @pytest.mark.parametrize("padding", ["same", "valid"])
    def test_pooling(self, padding):
        x = (2, 7, 5, 3)
        largest, mean = pool.MaxPool2D((3, 2), (2, 2), padding), pool.AveragePool2D((3, 2), (2, 2), padding)
        y = largest(placeholder(x)).shape
        edges = borders(x[1:3], (3, 2), (2, 2), padding)
        seen = 6 * brute_force(7, 3, 2, edges[0][0], 1, y[1]) * brute_force(5, 2, 2, edges[1][0], 1, y[2])
        outputs = int(np.prod(y))
        assert largest.flops([x], [y]) == seen - outputs
        assert mean.flops([x], [y]) == seen  # one add fewer than pixels, and a division
