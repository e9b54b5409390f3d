"""Parts of tensors changed, against numpy's assignment and ``ufunc.at``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.tensor import Tensor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 5))
UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}
HOWS = ("set", *UFUNCS)
KEYS = (
    np.s_[1], np.s_[1:3], np.s_[:, 2], np.s_[::-1, 1:4:2], np.s_[..., -1], np.s_[[0, 2, 0]], np.s_[None],
    np.s_[:, [1, 1, 3]],
    np.s_[[0, 1, 0], [1, 2, 1]], np.s_[[0, 2], 1:3], np.s_[:], np.s_[None, 2], np.s_[2, 3], np.s_[1:, [0, 0]],
    np.s_[[[0], [2]], [1, 3, 1]], np.s_[:0], np.s_[[-1, -4]],
)  # fmt: skip


def changed(x: np.ndarray, key: Any, how: str, values: Any) -> np.ndarray:
    result = x.copy()
    if how == "set":
        result[key] = values
    else:
        UFUNCS[how].at(result, key, values)
    return result


def placeholder(dtype: str = "float64") -> Tensor:
    return symgraph.placeholder((None, 5), dtype=dtype, name="x")


class TestAt:
    def test_every_key_every_way(self) -> None:
        x = placeholder()
        cases = [(key, how, RNG.standard_normal(X[key].shape)) for key in KEYS for how in HOWS]
        f = symgraph.function([x], [getattr(x.at[key], how)(values) for key, how, values in cases])
        for found, (key, how, values) in zip(f(X), cases, strict=True):
            assert np.array_equal(found, changed(X, key, how, values)), (key, how)

    @pytest.mark.parametrize("how", HOWS)
    def test_gradients_twice(self, how: str) -> None:
        for key in (np.s_[1:3, 0], np.s_[[0, 2, 0]], np.s_[[0, 1, 0], [1, 2, 1]]):
            given = [X, RNG.standard_normal(X[key].shape)]
            error = symgraph.check_gradient(lambda x, v, key=key: getattr(x.at[key], how)(v), given, order=2)
            assert error < 1e-8

    def test_gradient_of_factors_that_are_zero(self) -> None:
        """d/dv of x v0 v1 at one place: x v1 and x v0; nothing is divided by a zero."""
        v = symgraph.placeholder((3,), dtype="float64")
        y = symgraph.constant(np.array([2.0, 3.0]), "float64").at[[0, 0, 1]].multiply(v)
        slope = symgraph.function([v], symgraph.grad(K.sum(y), v))
        assert np.array_equal(slope([0.0, 5.0, 0.0]), [10.0, 0.0, 3.0])
        assert np.array_equal(slope([0.0, 0.0, 2.0]), [0.0, 0.0, 3.0])

    def test_equal_extremes_share(self) -> None:
        x, v = symgraph.placeholder((2,), dtype="float64"), symgraph.placeholder((2,), dtype="float64")
        slopes = symgraph.grad(K.sum(x.at[[0, 0]].max(v)), [x, v])
        by_x, by_v = symgraph.function([x, v], slopes)([1.0, 7.0], [1.0, 0.0])
        assert np.array_equal(by_x, [0.5, 1.0]) and np.array_equal(by_v, [0.5, 0.0])

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32"])
    def test_dtypes(self, dtype: str) -> None:
        x = placeholder(dtype)
        given = RNG.integers(0, 2, (4, 5)).astype(dtype)
        values = RNG.integers(0, 2, (3, 5)).astype(dtype)
        hows = ("set", "min", "max") if dtype == "bool" else HOWS
        f = symgraph.function([x], [getattr(x.at[[0, 2, 0]], how)(values) for how in hows])
        for found, how in zip(f(given), hows, strict=True):
            assert found.dtype == dtype
            assert np.array_equal(found, changed(given, [0, 2, 0], how, values)), how

    def test_subtract_divide_get(self) -> None:
        x = placeholder()
        places = x.at[[1, 1]]
        f = symgraph.function([x], [places.subtract(2.0), places.divide(2.0), places.get()])
        less, parted, part = f(X)
        assert np.allclose(less[1], X[1] - 4) and np.allclose(parted[1], X[1] / 4)
        assert np.array_equal(part, X[[1, 1]])

    def test_nan(self) -> None:
        x = symgraph.placeholder((2,))
        f = symgraph.function([x], [x.at[[0]].max(np.nan), x.at[[0]].min(1.0)])
        assert np.isnan(f([1.0, 2.0])[0][0]) and np.isnan(f([np.nan, 2.0])[1][0])

    def test_indices_that_are_fed(self) -> None:
        x, i = placeholder(), symgraph.placeholder((None,), dtype="int32", name="i")
        f = symgraph.function([x, i], x.at[i].add(1.0))
        assert np.array_equal(f(X, np.array([3, -1])), changed(X, [3, 3], "add", 1.0))
        with pytest.raises(ValueError, match="index 4 is out of range for an axis of size 4"):
            f(X, np.array([0, 4]))

    def test_rows_are_changed_in_place(self) -> None:
        """A sum that nobody else reads is changed where it lies; one that is read is copied."""
        x = placeholder()
        double = x * 2
        alone = symgraph.function([x], K.sum(double.at[[0, 1]].set(0.0) * 3))
        both = symgraph.function([x], [K.sum(double.at[[0, 1]].set(0.0) * 3), K.sum(double * double)])
        expected = changed(2 * X, [0, 1], "set", 0.0).sum() * 3
        assert np.allclose(alone(X), expected)
        assert np.allclose(both(X), [expected, (4 * X * X).sum()])
        copies = [sum("copy" in row.kernel.name for row in f.program().rows) for f in (alone, both)]
        assert copies == [0, 1]

    @pytest.mark.parametrize("how", HOWS)
    def test_what_is_read_out_of_order_is_not_overwritten(self, how: str) -> None:
        x, order = placeholder(), symgraph.placeholder((None,), dtype="int64")
        double = x * 2
        w = symgraph.Variable(X, name="w")
        f = symgraph.function(
            [x, order],
            K.sum(getattr(double.at[order], how)(double) * np.arange(20.0).reshape(4, 5)),
            updates={w: getattr(w.at[order], how)(w)},
        )
        places = np.array([2, 0, 3, 1])
        expected = changed(2 * X, places, how, 2 * X) * np.arange(20.0).reshape(4, 5)
        assert np.allclose(f(X, places), expected.sum())
        assert np.array_equal(w.get_value(), changed(X, places, how, X))

    def test_a_table_is_changed_where_it_lies(self) -> None:
        """As an embedding is trained: no row copies the table, and an index that is wrong stores nothing."""
        table = symgraph.Variable(np.zeros((6, 3)), name="table")
        count = symgraph.Variable(np.float64(0), name="count")
        ids, rate = symgraph.placeholder((None,), dtype="int64"), symgraph.placeholder((), dtype="float64")
        loss = K.sum(table[ids] + 1)
        step = symgraph.function(
            [ids, rate], loss, updates={table: table.at[ids].add(rate), count: count + K.sum(table)}
        )
        assert step([1, 1, -1], 0.5) == 9
        assert count.get_value() == 0
        program = step.program()
        stores = [row for row in program.rows[program.guarded :] if "scatter" in row.kernel.name]
        copies = [row for row in program.rows if row.kernel.name == "elementwise[copy]"]
        assert len(stores) == len(copies) == 1  # what is copied is the rate, three times for each index
        with pytest.raises(ValueError, match="index 6 is out of range for an axis of size 6"):
            step([0, 6], 1.0)
        assert np.array_equal(table.get_value()[:, 2], [0, 1, 0, 0, 0, 0.5])
        step([0], 1.0)
        assert count.get_value() == 4.5

    def test_a_variable(self) -> None:
        w = symgraph.Variable(np.zeros((6, 3)), name="w")
        ids = symgraph.placeholder((None,), dtype="int64")
        f = symgraph.function([ids], w[:, 0], updates={w: w.at[ids].add(1.0)})
        assert np.array_equal(f([1, 1, 5]), np.zeros(6))
        with pytest.raises(ValueError, match="index 6 is out of range"):
            f([0, 6])
        assert np.array_equal(w.get_value()[:, 2], [0, 2, 0, 0, 0, 1])

    def test_bad_input(self) -> None:
        x, i = placeholder("float32"), symgraph.placeholder((3,), dtype="int32")
        for write, error, message in (
            (
                lambda: i.at[0].set(1.5),
                TypeError,
                r"at\[key\].set: int32\(3,\) cannot hold .* float64, got 1.5",
            ),
            (
                lambda: x.at[0].set(K.cast(x[0], "float64")),
                TypeError,
                "float32.* cannot hold values of dtype fl",
            ),
            (
                lambda: x.at[0].add(np.ones(4)),
                ValueError,
                r"values that broadcast to \(5,\), got float32\(4,\)",
            ),
            (lambda: x.at[0, 9].set(1), IndexError, "index 9 is out of range for axis 1"),
            (lambda: (x > 0).at[0].add(True), TypeError, r"at\[key\].add: expected numbers"),
            (lambda: i.at[0].divide(2), TypeError, r"at\[key\].divide: expected floats"),
        ):
            with pytest.raises(error, match=message):
                write()


class TestSubtensors:
    def test_set_and_inc(self) -> None:
        x = placeholder()
        rows = symgraph.placeholder((None,), dtype="int64")
        found = symgraph.function(
            [x, rows],
            [
                symgraph.set_subtensor(x[1:, 2], 7.0),
                symgraph.inc_subtensor(x[rows], 1.0),
                symgraph.inc_subtensor(x[rows], 1.0, ignore_duplicates=True),
                symgraph.set_subtensor(x[:], 3.0),
                symgraph.set_subtensor(x[1][:], 3.0),
            ],
        )(X, [0, 0])
        assert np.array_equal(found[0], changed(X, np.s_[1:, 2], "set", 7.0))
        assert np.array_equal(found[1], changed(X, [0, 0], "add", 1.0))
        assert np.array_equal(found[2], changed(X, [0], "add", 1.0))
        assert np.array_equal(found[3], np.full((4, 5), 3.0))
        assert np.array_equal(found[4], np.full(5, 3.0))

    def test_what_was_not_picked(self) -> None:
        x = placeholder()
        with pytest.raises(TypeError, match=r"set_subtensor: expected x\[key\], got <Tensor add"):
            symgraph.set_subtensor(x + 1, 0.0)


class TestScatter:
    @pytest.mark.parametrize("how", HOWS)
    def test_along_an_axis(self, how: str) -> None:
        x = symgraph.placeholder((None, 5, 2), dtype="float64")
        given, indices = RNG.standard_normal((3, 5, 2)), np.array([[0, 3], [-1, 0]])
        updates = RNG.standard_normal((3, 2, 2, 2))
        found = symgraph.scatter(x, indices, updates, axis=1, how=how).eval({x: given})
        assert np.array_equal(found, changed(given, np.s_[:, indices], how, updates))

    def test_bad_input(self) -> None:
        x = placeholder()
        with pytest.raises(ValueError, match="scatter: expected a how of"):
            symgraph.scatter(x, [0], 1.0, how="put")
        with pytest.raises(IndexError, match="gather: index 5 is out of range for an axis of size 5"):
            symgraph.scatter(x, [5], 1.0, axis=1)


def test_slices_are_no_permutations() -> None:
    """set_slice took a list of all rows for the whole tensor."""
    from symgraph.graph.ops.slicing import set_slice

    with pytest.raises(TypeError, match="expected a key of slices and integers"):
        set_slice(symgraph.placeholder((3, 3)), [[2, 0, 1]], 1.0)
