"""Shape rules of movements: errors, symbolic sizes, and values against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from symgraph.graph import operators  # noqa: F401 - gives tensors their operators
from symgraph.graph.dims import unknown
from symgraph.graph.evaluate import evaluate
from symgraph.graph.leaves import constant, placeholder
from symgraph.graph.ops import create, shape, sizes, slicing
from symgraph.graph.ops.movement import reshaped
from symgraph.kernels.run.buffer import Buffer, contiguous_strides

N = unknown("N")


def arrays(max_dims: int = 4):
    return hnp.array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=5).map(
        lambda s: np.arange(int(np.prod(s)), dtype=np.float64).reshape(s)
    )


def buffer_of(array: np.ndarray) -> Buffer:
    return Buffer(0, 0, array.shape, array.strides, array.dtype)


class TestReshape:
    def test_minus_one_is_solved_for_unknown_sizes(self):
        x = placeholder((N, 28, 28))
        assert shape.reshape(x, (-1, 784)).shape == (N, 784)
        assert shape.reshape(x, (N, -1)).shape == (N, 784)
        assert shape.flatten(x, 1).shape == (N, 784)

    def test_error_names_both_shapes(self):
        with pytest.raises(ValueError, match=r"\(2, 3\) has 6 elements.*\(4, 2\) has 8"):
            shape.reshape(placeholder((2, 3)), (4, 2))

    def test_sizes_that_cannot_fit_are_refused_before_the_batch_is_known(self):
        with pytest.raises(ValueError, match=r"784\*N elements.*100\*N"):
            shape.reshape(placeholder((N, 784)), (N, 100))

    def test_two_minus_ones(self):
        with pytest.raises(ValueError, match="at most one size of -1"):
            shape.reshape(placeholder((2, 3)), (-1, -1))

    def test_fit_is_checked_when_data_come(self):
        x = placeholder((None, 6))
        y = shape.reshape(x, (-1, 4))
        assert evaluate([y], {x: np.ones((2, 6))})[0].shape == (3, 4)
        with pytest.raises(ValueError, match="have to be equal"):
            evaluate([y], {x: np.ones((3, 6))})

    def test_floats_are_no_sizes(self):
        with pytest.raises(TypeError, match="expected an integer as a size"):
            shape.reshape(placeholder((6,)), (placeholder(()), 2))

    @given(arrays(3), st.data())
    @settings(max_examples=60, deadline=None)
    def test_views_show_the_elements_of_numpys_reshape(self, array, data):
        order = data.draw(st.permutations(range(array.ndim)))
        source = array.transpose(order)[
            (slice(None, None, data.draw(st.sampled_from([1, 2, -1]))),) * array.ndim
        ]
        target = data.draw(
            st.sampled_from([(source.size,), (1, *source.shape), (*source.shape, 1), (-1, 2), (2, -1)])
        )
        try:
            wanted = source.reshape(target)
        except ValueError:
            return
        view = reshaped(Buffer(0, 0, source.shape, source.strides, source.dtype), wanted.shape)
        if view is None:
            assert not np.shares_memory(wanted, array)
        elif source.size:
            shown = np.lib.stride_tricks.as_strided(source, view.shape, view.strides)
            np.testing.assert_array_equal(shown, wanted)

    def test_strides_of_broadcast_axes_survive(self):
        wide = buffer_of(np.broadcast_to(np.zeros((3, 1)), (3, 4)))
        assert reshaped(wide, (3, 2, 2)).strides == (8, 0, 0)
        assert reshaped(wide, (12,)) is None


class TestSizes:
    def test_shape_is_taken_apart_and_used_again(self):
        x = placeholder((None, 5))
        batch = shape.shape(x)[0]
        y = create.zeros((batch, x.shape[1] * 2))
        assert y.shape == (x.shape[0], 10)
        assert shape.reshape(x, shape.shape(x)).shape == x.shape

    def test_arithmetic_on_sizes(self):
        x = placeholder((None, None, 3))
        s = shape.shape(x)
        joined = shape.reshape(x, shape.stack([s[0] * s[1], s[2]]))
        assert joined.shape == (x.shape[0] * x.shape[1], 3)
        halved = create.ones((s[0] // 2, 4))
        assert evaluate([halved], {x: np.ones((7, 1, 3))})[0].shape == (3, 4)

    def test_value(self):
        x = placeholder((None, 5))
        np.testing.assert_array_equal(evaluate([shape.shape(x)], {x: np.ones((4, 5))})[0], [4, 5])

    @pytest.mark.parametrize(
        ("low", "high", "proven"),
        [(0, N, True), (N, N, True), (N, N + 3, True), (N + 1, N, False), (3, N, False), (N, 2 * N, True)],
    )
    def test_at_most(self, low, high, proven):
        assert sizes.at_most(low, high) is proven

    def test_a_minimum_is_at_most_its_arguments(self):
        assert sizes.at_most(sizes.clipped(3, N), N)
        assert sizes.at_most(sizes.clipped(3, N), 3)


class TestTransposeAndBroadcast:
    def test_transpose_errors(self):
        with pytest.raises(ValueError, match="each axis"):
            shape.transpose(placeholder((2, 3)), (0, 0))

    def test_default_reverses(self):
        assert shape.transpose(placeholder((2, 3, 4))).shape == (4, 3, 2)

    def test_broadcast_errors(self):
        with pytest.raises(ValueError, match=r"\(2, 3\) cannot be stretched to \(2, 4\)"):
            shape.broadcast_to(placeholder((2, 3)), (2, 4))
        with pytest.raises(ValueError, match="cannot be stretched"):
            shape.broadcast_to(placeholder((2, 3)), (3,))

    def test_broadcast_to_an_unknown_size(self):
        x = placeholder((None, 3))
        y = shape.broadcast_to(constant(np.arange(3.0)), x.shape)
        assert evaluate([y], {x: np.zeros((2, 3))})[0].tolist() == [[0, 1, 2], [0, 1, 2]]


class TestJoining:
    def test_sizes_add_up(self):
        a, b = placeholder((N, 3)), placeholder((N, 4))
        assert shape.concatenate([a, b]).shape == (N, 7)
        assert shape.concatenate([a, a], 0).shape == (2 * N, 3)

    def test_errors(self):
        with pytest.raises(ValueError, match="at least one"):
            shape.concatenate([])
        with pytest.raises(ValueError, match=r"but on axis 1, got shapes \(2, 3\) and \(4, 3\)"):
            shape.concatenate([placeholder((2, 3)), placeholder((4, 3))], 1)
        with pytest.raises(ValueError, match="as many dimensions"):
            shape.concatenate([placeholder((2, 3)), placeholder((2, 3, 1))], 0)

    def test_unequal_batches_are_found_when_data_come(self):
        a, b = placeholder((None, 3)), placeholder((None, 4))
        y = shape.concatenate([a, b])
        with pytest.raises(ValueError, match="have to be equal"):
            evaluate([y], {a: np.ones((2, 3)), b: np.ones((3, 4))})

    def test_split_undoes_concatenate(self):
        x = placeholder((None, 6))
        parts = shape.split(x, 3, axis=1)
        assert [p.shape for p in parts] == [(x.shape[0], 2)] * 3
        value = np.arange(12.0).reshape(2, 6)
        np.testing.assert_array_equal(evaluate([shape.concatenate(parts, 1)], {x: value})[0], value)
        with pytest.raises(ValueError, match="5 equal parts"):
            shape.split(x, 5, axis=1)

    @given(arrays(3), st.lists(st.integers(0, 3), min_size=1, max_size=4))
    @settings(max_examples=40, deadline=None)
    def test_tile_is_numpys(self, array, counts):
        np.testing.assert_array_equal(
            evaluate([shape.tile(constant(array), counts)])[0], np.tile(array, counts)
        )

    @given(arrays(3), st.integers(0, 3), st.data())
    @settings(max_examples=40, deadline=None)
    def test_repeat_is_numpys(self, array, count, data):
        if array.ndim:
            axis = data.draw(st.integers(-array.ndim, array.ndim - 1))
            ours = evaluate([shape.repeat(constant(array), count, axis)])[0]
            np.testing.assert_array_equal(ours, np.repeat(array, count, axis))

    def test_stack_and_unstack(self):
        x = placeholder((3, None))
        y = shape.stack(shape.unstack(x), axis=1)
        value = np.arange(6.0).reshape(3, 2)
        np.testing.assert_array_equal(evaluate([y], {x: value})[0], value.T)

    def test_squeeze_error(self):
        with pytest.raises(ValueError, match="expected size 1 on axis 1"):
            shape.squeeze(placeholder((2, 3)), 1)


class TestPadding:
    @given(arrays(3), st.data())
    @settings(max_examples=40, deadline=None)
    def test_pad_is_numpys(self, array, data):
        width = st.tuples(st.integers(0, 3), st.integers(0, 3))
        widths = [data.draw(width) for _ in range(array.ndim)]
        ours = evaluate([slicing.pad(constant(array), widths, 2.5)])[0]
        np.testing.assert_array_equal(
            ours, np.pad(array, widths, constant_values=2.5) if array.ndim else array
        )

    def test_unknown_size(self):
        assert slicing.pad(placeholder((N, 3)), ((0, 0), (1, 2))).shape == (N, 6)

    def test_errors(self):
        with pytest.raises(ValueError, match="2 pairs of widths"):
            slicing.pad(placeholder((2, 3)), ((1, 1),))
        with pytest.raises(ValueError, match="at least 0"):
            slicing.pad(placeholder((2, 3)), ((1, 1), (-1, 0)))


class TestCreation:
    def test_arange(self):
        for arguments in ((5,), (2, 9), (2, 9, 3), (9, 2, -2), (0,)):
            np.testing.assert_array_equal(evaluate([create.arange(*arguments)])[0], np.arange(*arguments))

    def test_one_hot_ignores_what_is_no_class(self):
        value = evaluate([create.one_hot(constant(np.array([2, -1, 0, 3])), 3)])[0]
        np.testing.assert_array_equal(value, [[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 0]])

    def test_full_refuses_negative_sizes(self):
        with pytest.raises(ValueError, match="at least 0, got -2"):
            create.zeros((3, -2))

    def test_dtypes(self):
        assert create.zeros((2,)).dtype == "float32"
        assert create.ones_like(placeholder((2,), dtype="int64")).dtype == "int64"
        assert create.eye(3, dtype="bool").dtype == "bool"


def test_contiguous_strides_of_nothing():
    assert contiguous_strides((), 8) == ()
