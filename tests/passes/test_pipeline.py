"""Whole-graph passes: merging, folding, fusion, epilogues, and the pipeline on random graphs."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.compiler.function import Function
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import (
    conv,
    cumulative,
    elementwise,
    math,
    matmul,
    nn,
    pool,
    random,
    reduce,
    shape,
    slicing,
)
from symgraph.graph.ops.fused import Fused, FusedReduction
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, topological
from symgraph.layers import Conv2D, DepthwiseConv2D, MaxPooling2D, ZeroPadding2D
from symgraph.models import Sequential
from symgraph.passes.epilogue import fuse_epilogues
from symgraph.passes.fold import fold
from symgraph.passes.fuse import fuse
from symgraph.passes.masks import masks
from symgraph.passes.merge import merge
from symgraph.passes.pads import pads
from symgraph.passes.pipeline import run_passes
from symgraph.passes.scales import fold_scales
from symgraph.passes.unused import drop_unused_results
from tests.checkers import check_pass

RNG = np.random.default_rng(0)


def _ops(roots: list[Tensor]) -> list[str]:
    return [str(n.op) for n in topological(roots) if not n.op.leaf]


def test_merge_joins_equal_nodes_and_keeps_all_origins() -> None:
    x = placeholder((3,), dtype="float64")
    first = math.exp(x)
    second = math.exp(x)
    (merged,) = check_pass([first + second], {x: RNG.standard_normal(3)}, (merge,))
    assert merged.inputs[0] is merged.inputs[1]
    assert {o.line for o in merged.inputs[0].origins} == {first.origins[0].line, second.origins[0].line}


def test_merge_keeps_random_draws_apart() -> None:
    draws = [random.random_uniform((3,), seed=1), random.random_uniform((3,), seed=1)]
    (merged,) = merge([draws[0] + draws[1]], Counter())
    assert merged.inputs[0] is not merged.inputs[1]


def test_fold_computes_constants_once() -> None:
    x = placeholder((2,), dtype="float64")
    y = x * math.exp(constant(np.float64([0.0, 1.0])) * 2.0)
    (folded,) = check_pass([y], {x: [1.0, 2.0]}, (fold,))
    assert _ops([folded]) == ["multiply"]


def test_sums_of_constants_have_the_sign_that_kernels_give_zero() -> None:
    x = placeholder((3,), dtype="float64")
    for y in (cumulative.cumsum(x, 0), reduce.sum(x, 0, True)):
        (known,) = substitute([y], {x: constant(np.full(3, -0.0))})
        for array in (Function([x], [y])(np.full(3, -0.0))[0], Function([], [known])()[0]):
            assert not np.signbit(array).any()


def test_the_mean_of_no_zeros_is_not_zero() -> None:
    x = placeholder((None, 4), dtype="float64")
    zeros = elementwise.where(np.zeros((1, 4), bool), x, 0.0)
    function = Function([x], [reduce.mean(zeros, 0), reduce.mean(zeros, 1)])
    with np.errstate(all="ignore"):
        nothing, lines = function(np.zeros((0, 4)))
    assert np.isnan(nothing).all() and lines.shape == (0,)
    assert [value.tolist() for value in function(np.ones((2, 4)))] == [[0.0] * 4, [0.0] * 2]


def test_constants_are_made_stable_before_they_are_computed() -> None:
    numbers = constant(np.float32([[-1e4, 0, 50]]))
    losses = [math.log(nn.softmax(numbers)), math.log(1 - math.sigmoid(numbers))]
    found, _ = run_passes(losses)
    truths = [[[-1e4 - 50, -50, -2e-22]], [[0, -np.log(2), -50]]]
    for value, truth in zip(evaluate(found), truths, strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-6, atol=1e-21)


def test_chain_becomes_one_sweep() -> None:
    x = placeholder((None, 7), dtype="float64")
    y = math.tanh(x * 2.0 + 1.0) - x
    (fused,) = check_pass([y], {x: RNG.standard_normal((4, 7))}, (fuse,))
    assert isinstance(fused.op, Fused)
    assert len(_ops([fused])) == 1


def test_reduction_takes_its_prologue() -> None:
    x = placeholder((5, 7), dtype="float64")
    (fused,) = check_pass([reduce.mean(math.square(x - 1.0))], {x: RNG.standard_normal((5, 7))}, (fuse,))
    assert isinstance(fused.op, FusedReduction)


def test_moments_and_weights_are_one_sweep() -> None:
    w, m = Variable(np.ones(5)), Variable(np.zeros(5))
    g = placeholder((5,), dtype="float64")
    moment = m * 0.9 + g * 0.1
    roots = check_pass([moment, w - 0.01 * moment], {g: RNG.standard_normal(5)}, (fuse,))
    assert sum(isinstance(n.op, Fused) for n in topological(roots)) == 1


def test_results_made_from_one_step_are_one_sweep() -> None:
    w, a, d = (Variable(np.full(5, v)) for v in (1.0, 0.5, 0.25))
    g = placeholder((5,), dtype="float64")
    new_a = a * 0.95 + math.square(g) * 0.05
    step = g * math.sqrt(d + 1e-7) / math.sqrt(new_a + 1e-7)
    roots = check_pass(
        [new_a, w - step, d * 0.95 + math.square(step) * 0.05], {g: RNG.standard_normal(5)}, (fuse,)
    )
    assert sum(isinstance(n.op, Fused) for n in topological(roots)) == 1


def test_a_value_that_others_read_is_not_computed_twice() -> None:
    x, w = placeholder((4, 4), dtype="float64"), placeholder((4, 4), dtype="float64")
    hidden = math.tanh(x + 1.0)
    out = matmul.matmul(hidden, w) + hidden * 2.0
    feeds = {x: RNG.standard_normal((4, 4)), w: RNG.standard_normal((4, 4))}
    roots = check_pass([out], feeds, (fuse,))
    assert sum("tanh" in op for op in _ops(roots)) == 1


def test_pooling_without_gradient_keeps_no_positions() -> None:
    x = placeholder((1, 4, 4, 2), dtype="float64")
    y = pool.max_pool2d(x, (2, 2))
    feeds = {x: RNG.standard_normal((1, 4, 4, 2))}
    (alone,) = check_pass([y], feeds, (drop_unused_results,))
    assert str(alone.op) == "max_pool2d"
    (grad,) = gradients(reduce.sum(y), [x])
    roots = check_pass([y, grad], feeds, (merge, drop_unused_results))
    assert "max_pool2d" not in _ops(roots)


def test_batch_normalization_in_prediction_goes_into_the_convolution() -> None:
    x = placeholder((2, 7, 7, 3), dtype="float64")
    w, bias = Variable(RNG.standard_normal((3, 3, 3, 4))), Variable(RNG.standard_normal(4))
    mean, scale, beta = (Variable(RNG.uniform(0.5, 2.0, 4)) for _ in range(3))
    y = math.relu((conv.conv2d(x, w) + bias - mean) * math.rsqrt(scale + 0.001) + beta)
    feeds = {x: RNG.standard_normal((2, 7, 7, 3))}
    roots = check_pass([y], feeds)
    assert sum("conv2d" in str(n.op) for n in topological(roots)) == 1
    assert not [n for n in topological(roots) if n.ndim == 4 and n.shape[0] == 2 and "fused" in str(n.op)]


def test_scales_by_data_stay_where_they_are() -> None:
    x, s = placeholder((2, 5), dtype="float64"), placeholder((4,), dtype="float64")
    w, t = Variable(RNG.standard_normal((5, 4))), Variable(RNG.standard_normal(4))
    feeds = {x: RNG.standard_normal((2, 5)), s: RNG.standard_normal(4)}
    (by_data,) = check_pass([matmul.matmul(x, w) * s], feeds, (fold_scales,))
    assert str(by_data.op) == "multiply"
    (shifted,) = check_pass([matmul.matmul(x, w) + t], feeds, (fold_scales,))
    assert str(shifted.op) == "add"
    product = matmul.matmul(x, w)
    roots = check_pass([product * t, math.tanh(product)], feeds, (fold_scales,))
    assert str(roots[0].op) == "multiply"
    (reversed_,) = check_pass([t - matmul.matmul(x, w) * t], feeds, (fold_scales,))
    assert str(reversed_.op) == "subtract"


def test_masks_go_before_unpooling() -> None:
    x = placeholder((2, 6, 6, 3), dtype="float64")
    y = math.relu(x)
    for size, strides in (((2, 2), (2, 2)), ((3, 3), (1, 1))):
        (grad,) = gradients(reduce.sum(math.square(pool.max_pool2d(y, size, strides))), [x])
        feeds = {x: RNG.standard_normal((2, 6, 6, 3))}
        (after,) = check_pass([grad], feeds, (merge, masks))
        assert str(after.op) == "max_pool2d_gradient"
    (other,) = gradients(reduce.sum(pool.max_pool2d(math.relu(x), (2, 2))), [x])
    (spared,) = check_pass([elementwise.where(x > 0, other, 0.0)], feeds, (merge, masks))
    assert str(spared.op) == "where"


def test_epilogues() -> None:
    x, w, b = placeholder((None, 4)), placeholder((4, 3)), placeholder((3,))
    feeds = {x: RNG.standard_normal((5, 4)), w: RNG.standard_normal((4, 3)), b: RNG.standard_normal(3)}
    (node,) = check_pass([math.relu(matmul.matmul(x, w) + b)], feeds, (fuse_epilogues,))
    assert str(node.op) == "matmul[relu]" and len(node.inputs) == 3


def test_a_residual_sum_goes_into_its_convolution() -> None:
    x, w, other = placeholder((None, 5, 5, 4)), placeholder((1, 1, 4, 4)), placeholder((4,))
    feeds = {
        x: RNG.standard_normal((2, 5, 5, 4)),
        w: RNG.standard_normal((1, 1, 4, 4)),
        other: RNG.standard_normal(4),
    }
    product = conv.conv2d(x, w)
    for total in (product + other + x, x + (product + other)):
        (node,) = check_pass([math.relu(total)], feeds, (fuse_epilogues,))
        assert str(node.op) == "conv2d[add relu]" and len(node.inputs) == 4
    # Of two convolutions one is added to the other; what others read, and other shapes, are left alone.
    second = conv.conv2d(x, w * 2.0)
    assert _ops(check_pass([product + second], feeds, (fuse_epilogues,))).count("conv2d[add]") == 1
    for spared in (product * 2.0 + product, product + product, conv.conv2d(x, w) + x[:, :1]):
        assert not any("add]" in op for op in _ops(check_pass([spared], feeds, (fuse_epilogues,))))
    grouped = conv.depthwise_conv2d(x, shape.reshape(w[0, 0, 0], (1, 1, 4, 1)))
    assert not any("add]" in op for op in _ops(check_pass([grouped + x], feeds, (fuse_epilogues,))))


def test_a_residual_sum_takes_the_place_of_its_shortcut_unless_it_is_convolved_too() -> None:
    rng = np.random.default_rng(3)
    x = placeholder((None, 9, 9, 32))
    w = rng.standard_normal((3, 1, 1, 32, 32)).astype("float32") / 6

    def block(y: Tensor, branch: Tensor) -> Tensor:
        return math.relu(conv.conv2d(branch, constant(w[2])) + y)

    first = math.relu(conv.conv2d(x, constant(w[0])))
    apart = block(first, math.tanh(conv.conv2d(first, constant(w[1]))))
    both = block(math.tanh(apart), math.tanh(apart))
    f = Function([x], [reduce.sum(both, 3)])
    picture = rng.standard_normal((2, 9, 9, 32)).astype("float32")

    def product(y: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return y @ kernel[0, 0].astype("float64")

    y = np.maximum(product(picture, w[0]), 0)
    y = np.maximum(product(np.tanh(product(y, w[1])), w[2]) + y, 0)
    y = np.maximum(product(np.tanh(y), w[2]) + np.tanh(y), 0)
    np.testing.assert_allclose(f(picture)[0], y.sum(3), rtol=1e-4)
    rows = [row for row in str(f).splitlines() if "conv2d" in row or "added" in row]
    assert sum("added" in row for row in rows) == 2


def test_bounds_of_activations_go_into_products() -> None:
    x, w = placeholder((None, 4)), placeholder((4, 3))
    feeds = {x: 9 * RNG.standard_normal((50, 4)), w: RNG.standard_normal((4, 3))}
    product = matmul.matmul(x, w)
    held = elementwise.minimum(elementwise.maximum(math.relu(product), 0.0), 6.0)
    (node,) = check_pass([held], feeds, (fuse_epilogues,))
    assert str(node.op) == "matmul[relu6]"
    for other in (
        elementwise.minimum(math.relu(product), 5.0),
        elementwise.minimum(product, 6.0),
        elementwise.maximum(product, 1.0),
        elementwise.minimum(math.relu(product), x[:, :3]),
    ):
        (node,) = check_pass([other], feeds, (fuse_epilogues,))
        assert not str(node.op).startswith("matmul")


def test_zeros_around_pictures_become_padding() -> None:
    model = Sequential(
        [
            ZeroPadding2D(((1, 2), (3, 0)), input_shape=(9, 8, 3)),
            Conv2D(6, (4, 5), strides=2, activation="relu"),
            ZeroPadding2D(1),
            MaxPooling2D(3, strides=2),
            ZeroPadding2D(((0, 1), (0, 1))),
            DepthwiseConv2D(3),
        ]
    )
    x = RNG.standard_normal((2, 9, 8, 3)).astype("float32")
    got = model.predict(x)
    assert not any("place" in op for op in _ops(run_passes(model.outputs)[0]))
    first, third = (model.layers[number].get_weights() for number in (1, 5))
    expected = _tapped(np.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0))), *first, stride=2)
    expected = np.pad(np.maximum(expected, 0), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(expected, (3, 3), (1, 2))[:, ::2, ::2]
    expected = np.pad(windows.max((-1, -2)), ((0, 0), (0, 1), (0, 1), (0, 0)))
    kernel = third[0][..., 0][:, :, None, :] * np.eye(6)[None, None]
    np.testing.assert_allclose(got, _tapped(expected, kernel, third[1]), rtol=1e-4, atol=1e-5)


def test_zeros_are_the_maximum_of_a_picture_without_pixels() -> None:
    x = placeholder((None, None, None, 2))
    samples, height, width, channels = x.shape
    place = slicing.Place((samples, height + 2, width + 2, channels), (0, 1, 1, 0), (1, 1, 1, 1))
    y = pool.MaxPool2D((2, 2), (1, 1))(place(math.relu(x)))
    (got,) = Function([x], [y])(np.zeros((3, 0, 4, 2), "float32"))
    np.testing.assert_array_equal(got, np.zeros((3, 1, 5, 2), "float32"))


def test_zeros_wider_than_windows_stay() -> None:
    x, w = placeholder((2, 5, 5, 3)), placeholder((3, 3, 3, 4))
    feeds = {x: RNG.standard_normal((2, 5, 5, 3)), w: RNG.standard_normal((3, 3, 3, 4))}
    for wide in (3, 1):
        place = slicing.Place((2, 5 + 2 * wide, 5, 3), (0, wide, 0, 0), (1, 1, 1, 1))
        roots = check_pass([conv.conv2d(place(x), w)], feeds, (pads,))
        assert any("place" in op for op in _ops(roots)) == (wide == 3)
    ones = slicing.Place((2, 7, 5, 3), (0, 1, 0, 0), (1, 1, 1, 1), 1.0)
    assert any("place" in op for op in _ops(check_pass([conv.conv2d(ones(x), w)], feeds, (pads,))))


def _tapped(x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int = 1) -> np.ndarray:
    """A convolution without padding, tap by tap."""
    rows, columns = ((x.shape[a] - w.shape[a - 1]) // stride + 1 for a in (1, 2))
    y = np.zeros((len(x), rows, columns, w.shape[3])) + b
    for i, j in np.ndindex(w.shape[:2]):
        y += (
            x[:, i : i + rows * stride : stride, j : j + columns * stride : stride][:, :rows, :columns]
            @ w[i, j]
        )
    return y


def test_a_bias_without_axes_is_no_vector() -> None:
    x, w, b = placeholder((None, 4)), placeholder((4, 3)), placeholder((1,))
    feeds = {x: RNG.standard_normal((5, 4)), w: RNG.standard_normal((4, 3)), b: RNG.standard_normal(1)}
    (node,) = check_pass([matmul.matmul(x, w) + shape.reshape(b, ())], feeds, (fuse_epilogues,))
    assert str(node.op) == "add"


def test_gradients_of_convolutions_are_gated_where_they_are_stored() -> None:
    x, v = placeholder((2, 9, 9, 3), dtype="float64"), placeholder((3, 3, 3, 5), dtype="float64")
    w = placeholder((3, 3, 5, 4), dtype="float64")
    y = conv.conv2d(math.relu(conv.conv2d(x, v)), w)
    (grad,) = gradients(reduce.sum(math.square(y)), [v])
    feeds = {x: RNG.standard_normal((2, 9, 9, 3)), v: RNG.standard_normal((3, 3, 3, 5))}
    feeds[w] = RNG.standard_normal((3, 3, 5, 4))
    roots = check_pass([grad], feeds)
    assert sum("conv2d_input_gradient" in op for op in _ops(roots)) == 1
    assert not any("where" in op for op in _ops(roots))


def test_epilogue_leaves_what_others_read() -> None:
    x, w = placeholder((None, 4)), placeholder((4, 3))
    product = matmul.matmul(x, w)
    roots = fuse_epilogues([math.relu(product) + product], Counter())
    assert "matmul" in _ops(roots) and "relu" in _ops(roots)


def test_channels_first_network_has_no_inner_transposes() -> None:
    x, w = placeholder((2, 3, 9, 9), dtype="float64"), placeholder((3, 3, 3, 4), dtype="float64")
    b = placeholder((4,), dtype="float64")
    y = conv.conv2d(x, w, (1, 1), "valid", "channels_first")
    y = math.relu(y + shape.reshape(b, (1, 4, 1, 1)))
    y = pool.max_pool2d(y, (2, 2), (2, 2), "valid", "channels_first")
    feeds = {
        x: RNG.standard_normal((2, 3, 9, 9)),
        w: RNG.standard_normal((3, 3, 3, 4)),
        b: RNG.standard_normal(4),
    }
    roots = check_pass([y], feeds)
    assert sum(op.startswith("transpose") for op in _ops(roots)) == 2
    assert sum(op.startswith("fused") or op == "relu" for op in _ops(roots)) == 0


UNARY = [
    math.tanh,
    math.square,
    lambda t: -t,
    lambda t: t * 1.0,
    lambda t: t + 0.0,
    math.relu,
    lambda t: t**2,
]
BINARY = [elementwise.add, elementwise.multiply, elementwise.maximum, elementwise.subtract]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=25)
)
def test_random_graphs_keep_their_values(recipe: list[tuple[int, int, int]]) -> None:
    x, y = placeholder((3, 4), dtype="float64"), placeholder((4,), dtype="float64")
    nodes: list[Tensor] = [x, y]
    for kind, i, j in recipe:
        a, b = nodes[i % len(nodes)], nodes[j % len(nodes)]
        if kind < 40:
            nodes.append(UNARY[kind % len(UNARY)](a))
        elif kind < 80:
            nodes.append(BINARY[kind % len(BINARY)](math.tanh(a), math.tanh(b)))
        elif kind < 90 and a.ndim:
            nodes.append(reduce.mean(a, axis=a.ndim - 1, keepdims=True) if a.shape[-1] != 1 else a)
        elif a.ndim == 2:
            nodes.append(shape.transpose(shape.transpose(a, (1, 0)), (1, 0)))
    feeds = {x: np.linspace(-1, 1, 12).reshape(3, 4), y: np.linspace(-0.5, 0.5, 4)}
    check_pass([nodes[-1], nodes[len(nodes) // 2]], feeds)


def test_records_tell_what_each_pass_did() -> None:
    x = placeholder((3,))
    _, records = run_passes([math.exp(x * 1.0) + math.exp(x)])
    by_name = {r.name: r for r in records}
    assert sum(r.hits["multiply_one"] for r in records) == 1
    assert by_name["merge"].before >= by_name["merge"].after
    assert all(r.seconds >= 0 for r in records)
