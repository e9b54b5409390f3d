"""``x[key]`` and gathers against numpy, with known and unknown sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from symgraph.graph import operators  # noqa: F401 - gives tensors their operators
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import constant, placeholder
from symgraph.graph.ops import index, slicing


def counted(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)


def twice(array: np.ndarray, key, wanted: np.ndarray) -> None:
    """`wanted` is what the key picks, from known sizes and from unknown ones."""
    for sizes in (array.shape, (None,) * array.ndim):
        x = placeholder(sizes, dtype=array.dtype.name)
        np.testing.assert_array_equal(evaluate([x[key]], {x: array})[0], wanted)


class TestBasic:
    @given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6), st.data())
    @settings(max_examples=150, deadline=None)
    def test_slices_are_numpys(self, shape, data):
        array = counted(shape)
        bound = st.none() | st.integers(-8, 8)
        step = st.none() | st.sampled_from([1, 2, 3, -1, -2, -3])
        key = tuple(slice(data.draw(bound), data.draw(bound), data.draw(step)) for _ in shape)
        twice(array, key, array[key])

    @given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), st.data())
    @settings(max_examples=60, deadline=None)
    def test_integers_new_axes_and_ellipsis(self, shape, data):
        array = counted(shape)
        key = data.draw(hnp.basic_indices(shape, allow_ellipsis=True, allow_newaxis=True, max_dims=5))
        twice(array, key, array[key])

    def test_sizes_that_belong_together_are_proven_equal(self):
        x = placeholder((None, None, 4))
        shifted, cut = x[:, 1:], x[:, :-1]
        assert shifted.shape == cut.shape
        assert x[:, ::-1].shape == x.shape
        assert x[..., 0].shape == x.shape[:2]

    def test_bounds_that_are_sizes(self):
        x = placeholder((None,))
        half = x[x.shape[0] // 2 :]
        np.testing.assert_array_equal(evaluate([half], {x: np.arange(5.0)})[0], [2, 3, 4])

    def test_errors(self):
        x = placeholder((3, None))
        with pytest.raises(IndexError, match="index 3 is out of range for axis 0 of size 3"):
            x[3]
        with pytest.raises(IndexError, match="3 indices for a tensor of 2"):
            x[0, 0, 0]
        with pytest.raises(IndexError, match="at most once"):
            x[..., ...]
        with pytest.raises(ValueError, match="step other than 0"):
            x[::0]
        with pytest.raises(TypeError, match="expected integers, slices"):
            x["a"]

    def test_an_index_beyond_an_unknown_size_is_found_when_data_come(self):
        x = placeholder((None,))
        for place in (4, -5):
            with pytest.raises(ValueError, match="have to be equal"):
                evaluate([x[place]], {x: np.arange(4.0)})

    def test_gradient_goes_back_to_its_place(self):
        x = placeholder((4, 3), dtype="float64")
        y = x[1:4:2, ::-1]
        (flow,) = gradients(y, [x], grad=constant(np.arange(6.0).reshape(2, 3)))
        wanted = np.zeros((4, 3))
        wanted[1:4:2, ::-1] = np.arange(6.0).reshape(2, 3)
        np.testing.assert_array_equal(evaluate([flow], {x: np.zeros((4, 3))})[0], wanted)

    @pytest.mark.parametrize(
        "key", [slice(1, 3), (slice(None), 0), 2, (slice(None, None, -2), slice(1, None))]
    )
    def test_set_and_add(self, key):
        array, value = counted((4, 3)), -1.5
        for build, expected in ((slicing.set_slice, array.copy()), (slicing.add_slice, array.copy())):
            if build is slicing.set_slice:
                expected[key] = value
            else:
                expected[key] += value
            x = placeholder((4, 3), dtype="float64")
            np.testing.assert_array_equal(evaluate([build(x, key, value)], {x: array})[0], expected)

    def test_set_everything(self):
        x = placeholder((4, 3), dtype="float64")
        np.testing.assert_array_equal(
            evaluate([slicing.set_slice(x, slice(None), 2.0)], {x: counted((4, 3))})[0], np.full((4, 3), 2.0)
        )


class TestAdvanced:
    @pytest.mark.parametrize(
        "key",
        [
            np.array([0, 2, -1]),
            [[0, 1], [2, 2]],
            (slice(None), np.array([1, 0])),
            (np.array([0, 1, 2]), np.array([1, 0, 3])),
            (np.array([[0], [1]]), np.array([1, 0, 3])),
            (np.array([0, 1]), slice(None), np.array([4, 0])),
            (slice(None), np.array([0, 1]), np.array([4, 0])),
            (Ellipsis, np.array([1, 1, 0])),
            (1, slice(None), np.array([0, 2])),
            (slice(None), 1, np.array([0, 2])),
            (None, np.array([0, 2]), slice(1, 3)),
            (slice(None, None, -1), np.array([[3, 1], [0, 0]])),
            np.array([True, False, True]),
            (slice(None), np.array([False, True, False, True])),
            (np.array([], dtype=np.int64),),
        ],
        ids=str,
    )
    def test_is_numpys(self, key):
        array = counted((3, 4, 5))
        twice(array, key, array[tuple(key) if isinstance(key, tuple) else key])

    def test_index_tensors(self):
        x, i, j = (
            placeholder((None, 4)),
            placeholder((None,), dtype="int32"),
            placeholder((None,), dtype="int64"),
        )
        value, rows, columns = counted((3, 4)), np.array([2, -3]), np.array([-1, 0])
        np.testing.assert_array_equal(
            evaluate([x[i, j]], {x: value, i: rows, j: columns})[0], value[rows, columns]
        )

    def test_every_index_is_checked(self):
        x = placeholder((3, 4))
        i, j = placeholder((1,), dtype="int32"), placeholder((1,), dtype="int32")
        for a, b in ((0, 4), (3, 0), (-4, 3), (0, -5)):
            with pytest.raises(ValueError, match="out of range"):
                evaluate([x[i, j]], {x: counted((3, 4)), i: [a], j: [b]})

    def test_fixed_indices_are_checked_at_once(self):
        with pytest.raises(IndexError, match="index 7 is out of range for an axis of size 3"):
            placeholder((3, 4))[np.array([0, 7])]

    def test_gradient_of_repeated_indices_adds_up(self):
        x = placeholder((3, 2), dtype="float64")
        (flow,) = gradients(x[np.array([1, 1, -1])], [x])
        np.testing.assert_array_equal(evaluate([flow], {x: counted((3, 2))})[0], [[0, 0], [2, 2], [1, 1]])


class TestAlongAxis:
    def test_other_axes_broadcast(self):
        x, i = counted((3, 4)), np.array([[1, 0, 3]])
        y = index.take_along_axis(constant(x), constant(i), 1)
        np.testing.assert_array_equal(evaluate([y])[0], np.take_along_axis(x, np.repeat(i, 3, 0), 1))

    def test_errors(self):
        with pytest.raises(ValueError, match="indices of 2 dimensions"):
            index.take_along_axis(placeholder((3, 4)), constant(np.array([0])), 1)
        with pytest.raises(TypeError, match="integer indices"):
            index.gather(placeholder((3,)), constant(np.array([0.5])))
