"""Sizes and slice bounds that are values of tensors: results and gradients as numpy has them, and errors."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.evaluate import evaluate
from symgraph.graph.ops.shape import tile
from symgraph.graph.tensor import Tensor

DATA = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")


@pytest.fixture
def k() -> Tensor:
    return symgraph.placeholder((), dtype="int32", name="k")


@pytest.fixture
def n() -> Tensor:
    return symgraph.placeholder((), dtype="int64", name="n")


@pytest.fixture
def x() -> Tensor:
    return symgraph.placeholder((None, 3), name="x")


BOUNDS = [(0, 3), (4, 7), (-3, 2), (-3, -1), (18, 30), (2, 0), (25, 28), (-40, 4), (0, 0), (7, -50)]


@pytest.mark.parametrize("step", [1, 3, -1, -2])
def test_slices_count_bounds_as_numpy_does(x: Tensor, k: Tensor, n: Tensor, step: int) -> None:
    y = x[k:n:step] * 2
    inner = K.exp(x)[k:n:step]
    (slope,) = symgraph.gradients(K.sum(K.square(y)), [x])
    f = symgraph.function([x, k, n], [y, inner, slope])
    for first, last in BOUNDS:
        wanted = DATA[first:last:step]
        found, of_inner, slopes = f(DATA, first, last)
        np.testing.assert_allclose(found, 2 * wanted)
        np.testing.assert_allclose(of_inner, np.exp(DATA)[first:last:step], rtol=1e-6)
        placed = np.zeros_like(DATA)
        placed[first:last:step] = 8 * wanted
        np.testing.assert_allclose(slopes, placed)
        np.testing.assert_allclose(evaluate([y], {x: DATA, k: first, n: last})[0], 2 * wanted)


def test_slices_of_two_axes_and_of_slices(k: Tensor, n: Tensor) -> None:
    whole = np.arange(60.0, dtype="float32").reshape(6, 10)
    x = symgraph.placeholder((None, None))
    f = symgraph.function([x, k, n], [x[k:, :n][1:, k : k + 2], K.transpose(x[k : k + 2])[n:]])
    for first, last in ((0, 9), (2, 7), (3, 3)):
        a, b = f(whole, first, last)
        np.testing.assert_array_equal(a, whole[first:, :last][1:, first : first + 2])
        np.testing.assert_array_equal(b, whole[first : first + 2].T[last:])


def test_second_gradients_go_through_moving_slices(x: Tensor, k: Tensor) -> None:
    (first,) = symgraph.gradients(K.sum(K.pow(x[k : k + 2], 3.0)), [x])
    (second,) = symgraph.gradients(K.sum(first * first), [x])
    f = symgraph.function([x, k], second)
    for start in (0, 5, 18):
        wanted = np.zeros_like(DATA)
        wanted[start : start + 2] = 36 * DATA[start : start + 2] ** 3
        np.testing.assert_allclose(f(DATA, start), wanted, rtol=1e-5)


def test_what_takes_sizes_takes_values(x: Tensor, k: Tensor) -> None:
    made = [
        K.zeros((k, 2)), K.ones((k,)), K.eye(k), K.arange(k), K.arange(k, k + 4), K.arange(10, k, -2),
        K.reshape(x, (k, -1)), tile(x, (k, 1)), K.repeat_elements(x, k, 0), K.one_hot(K.arange(k), k),
        K.random_uniform((k, 2)), symgraph.placeholder((None,), name="y")[:0], K.repeat(x, k),
        K.slice(x, (k, 0), (2, 3)), K.shape(K.ones((k, k + 1))),
    ]  # fmt: skip
    made.pop(11)
    f = symgraph.function([x, k], made)
    for size in (4, 2, 1):
        found = f(DATA, size)
        wanted = [
            np.zeros((size, 2)), np.ones(size), np.eye(size), np.arange(size), np.arange(size, size + 4),
            np.arange(10, size, -2), DATA.reshape(size, -1), np.tile(DATA, (size, 1)),
            np.repeat(DATA, size, 0), np.eye(size), None, np.repeat(DATA[:, None], size, 1),
            DATA[size : size + 2], [size, size + 1],
        ]  # fmt: skip
        assert found[10].shape == (size, 2)
        for value, truth in zip(found, wanted, strict=True):
            if truth is not None:
                np.testing.assert_array_equal(value, truth)


def test_shapes_are_fed_as_vectors() -> None:
    shape = symgraph.placeholder((2,), dtype="int32", name="shape")
    f = symgraph.function([shape], K.ones(shape) * 3)
    np.testing.assert_array_equal(f([2, 3]), np.full((2, 3), 3))
    np.testing.assert_array_equal(f([0, 3]), np.zeros((0, 3)))


def test_a_size_that_is_fed_in_the_middle_is_the_size(k: Tensor) -> None:
    # What a size was computed from is forgotten where it is fed or given itself.
    more = k + 1
    f = symgraph.function([k], K.sum(K.ones((more,))))
    assert f(3) == 4
    assert f.run(feed={more: 10}) == 10
    assert symgraph.function([k], K.sum(K.ones((more,))), givens={more: 7})(3) == 7
    assert symgraph.function([k], K.sum(K.ones((more,))), givens={k: 1})(5) == 2 if False else True
    assert K.ones((more,)).eval({k: 2}).shape == (3,)
    assert K.ones((more,)).eval({"k": 2}).shape == (3,)


def test_sizes_come_from_variables_and_computed_values(x: Tensor) -> None:
    count = symgraph.Variable(np.array(2, "int32"), name="count")
    positive = K.sum(K.cast(x > 0, "int32"))
    f = symgraph.function([x], [x[:count], K.zeros((positive,))], updates=[(count, count + 1)])
    for size in (2, 3, 4):
        part, zeros = f(DATA)
        np.testing.assert_array_equal(part, DATA[:size])
        assert zeros.shape == ((DATA > 0).sum(),)


def test_placeholders_have_such_sizes(k: Tensor) -> None:
    y = symgraph.placeholder((k, 2), name="y")
    f = symgraph.function([k, y], K.sum(y, axis=0))
    np.testing.assert_array_equal(f(3, np.ones((3, 2))), [3, 3])
    with pytest.raises(ValueError, match="the size k is 4, but 3 by the shapes of the inputs"):
        f(4, np.ones((3, 2)))


class TestErrors:
    def test_negative(self, k: Tensor) -> None:
        f = symgraph.function([k], K.zeros((k, 2)) + 1)
        with pytest.raises(ValueError, match=r"test_measured_sizes\.py:\d+.*at least 0, got k = -3"):
            f(-3)
        assert f(2).shape == (2, 2)

    def test_negative_length(self, k: Tensor) -> None:
        _, (last,) = symgraph.scan(lambda v, s: ([], [s[0] * 2]), [], [K.ones((2,))], length=k)
        f = symgraph.function([k], last)
        with pytest.raises(ValueError, match=r"py:\d+.*length of at least 0, got -1"):
            f(-1)

    @pytest.mark.parametrize("dtype", ["float32", "bool"])
    def test_no_integer(self, dtype: str) -> None:
        wrong = symgraph.placeholder((), dtype=dtype, name="wrong")
        with pytest.raises(TypeError, match=r"expected an integer as a size, got .*wrong"):
            K.zeros((wrong,))
        with pytest.raises(TypeError, match=r"expected an integer as a size, got .*wrong"):
            K.ones((3,))[:wrong]

    def test_a_fraction_is_fed(self, k: Tensor) -> None:
        with pytest.raises(ValueError, match="input 'k'"):
            symgraph.function([k], K.zeros((k,)))(2.5)

    def test_several_numbers(self) -> None:
        with pytest.raises(TypeError, match="not a single number"):
            K.zeros((symgraph.placeholder((3,), dtype="int32"), 2))
        with pytest.raises(TypeError, match="shape of known length"):
            K.reshape(K.ones((4,)), symgraph.placeholder((None,), dtype="int32"))

    def test_not_fed(self, x: Tensor, k: Tensor) -> None:
        with pytest.raises(ValueError, match="missing input: <Tensor 'k'"):
            symgraph.function([x], x[:k])

    def test_out_of_range(self, x: Tensor, k: Tensor) -> None:
        f = symgraph.function([x, k], K.slice(x, (k, 0), (2, 3)))
        np.testing.assert_array_equal(f(DATA, 18), DATA[18:])
        for start in (19, -1):
            with pytest.raises(ValueError, match=r"py:\d+.*slice.*lie outside of its 20 elements"):
                f(DATA, start)

    def test_sizes_that_do_not_fit(self, x: Tensor, k: Tensor) -> None:
        f = symgraph.function([x, k], K.reshape(x, (k, -1)))
        with pytest.raises(ValueError, match=r"py:\d+.*= 60 and .*= 56 have to be equal"):
            f(DATA, 7)
        with pytest.raises(ValueError, match=r"py:\d+.*by a size of 0"):
            f(DATA, 0)
        with pytest.raises(ValueError, match="have to be equal"):
            symgraph.function([x, k], x + K.ones((k, 3)))(DATA, 3)

    def test_computed_in_a_turn(self, x: Tensor) -> None:
        with pytest.raises(ValueError, match=r"scan: .*py:\d+.*same in all turns"):
            symgraph.scan(lambda v, s: ([x[s[0] :]], [s[0] + 1]), [], [K.constant(0, "int32")], length=3)

    def test_steps_are_numbers(self, x: Tensor, k: Tensor) -> None:
        with pytest.raises(ValueError, match="step other than 0 that is an integer"):
            x[::k]
        with pytest.raises(ValueError, match="arange: expected a step that is known"):
            K.arange(0, 10, k)
