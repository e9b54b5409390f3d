"""Tensors under numpy's own functions, and their methods: both against arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import numpy as xp

X = np.round(np.random.default_rng(0).uniform(0.25, 2, (3, 4)), 2)
SAME: dict[str, Callable[[Any], Any]] = {
    "ufuncs": lambda x: [np.exp(x), np.add(X, x), np.add(x, X), X * x, 2.0 - x, X / x, np.power(x, 2), -x],
    "comparisons": lambda x: [np.greater(X, x), x + 0.5 > X, np.isnan(x), np.logical_not(x > 1)],
    "scalars of numpy": lambda x: [np.float64(2) * x, np.int64(3) + x, np.float32(0.5) - x],
    "functions": lambda x: [
        np.sum(x, 0), np.mean(x, axis=1), np.concatenate([x, X], axis=1), np.stack([x, X]),
        np.where(x > 1, x, 0.0), np.transpose(x), np.dot(x, X.T), np.clip(x, 0.5, 1.5), np.argmax(x, axis=1),
        np.einsum("ij,kj->ik", x, X), np.tensordot(x, X, axes=2), np.expand_dims(x, 1), np.sort(x, axis=0),
        np.cumsum(x), np.cumsum(x, axis=1), np.tile(x, (2, 1)), np.repeat(x, 2, axis=0), np.full_like(x, 3),
        np.zeros_like(x), np.std(x, ddof=1), np.vstack([x, x]), np.hstack([x, x]), np.median(x, axis=0),
        np.linalg.norm(x), np.squeeze(x[:1]), np.diff(x), np.outer(x[0], x[1]), np.split(x, [1], axis=1)[1],
        np.pad(x, 1, mode="reflect"), np.pad(x, ((1, 0), (0, 2))), np.interp(x, [0.5, 1, 1.2, 1.7], X[1]),
        np.nan_to_num(x), np.trace(x), np.diag(x), np.average(x, axis=0), np.ptp(x), np.roll(x, 1),
        np.flip(x),
        np.isclose(x, X), np.swapaxes(x, 0, 1), np.ravel(x), np.column_stack([x[0], x[1]]), np.sinc(x),
        np.logaddexp(x, X), np.heaviside(x - 1, 0.5), np.radians(x), np.exp2(x), np.isin(x, X[:2]),
    ],
    "methods": lambda x: [
        x.sum(), x.sum(0), x.mean(axis=1), x.std(), x.var(0, ddof=1), x.min(), x.max(axis=0), x.prod(),
        x.argmax(), x.argmin(0), x.T, x.reshape(2, -1), x.reshape((4, 3)), x.transpose(), x.transpose(1, 0),
        x.astype("int32"), x.flatten(), x.ravel(), x.clip(0.5, 1), x.cumsum(), x.cumprod(axis=1), x.squeeze(),
        x.repeat(2), x.take([0, 2], axis=1), x.swapaxes(0, 1), x.dot(X.T), x.round(), x.round(1), x.argsort(),
        x.diagonal(), x.trace(), (x > 1).any(), (x > 0).all(axis=0), x.copy(), x.sum(keepdims=True),
        x @ X.T, X.T @ x, x // 0.5, x % 0.5, abs(x), x.mT, x[1:, None], x[..., [0, -1]],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_tensors_do_what_arrays_do(name: str) -> None:
    x = symgraph.placeholder((3, 4), dtype="float64", name="x")
    expected = [np.asarray(e) for e in SAME[name](X)]
    for value, wanted in zip(symgraph.function([x], SAME[name](x))(X), expected, strict=True):
        assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-14)


def test_arrays_take_the_dtype_of_the_tensors_that_they_meet() -> None:
    """As under operators: float64 arrays beside float32 tensors."""
    x = symgraph.placeholder((3, 4))
    for made in (X * x, np.add(X, x), xp.add(x, X), np.stack([X, x]), xp.where(x > 0, X, x), xp.dot(x, X.T)):
        assert made.dtype == "float32"


def test_attributes_of_the_standard() -> None:
    x = symgraph.placeholder((3, None, 2), name="x")
    assert (x.ndim, x.device, x.to_device("cpu")) == (3, "cpu", x)
    assert symgraph.placeholder((3, 4)).size == 12
    assert str(x.size) == str(x.shape[1] * 6)
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2023.12") is xp
    with pytest.raises(ValueError, match=r"expected a version up to 2024.12 .*, got '2099.12'"):
        x.__array_namespace__(api_version="2099.12")
    with pytest.raises(ValueError, match="expected the device 'cpu' and no stream"):
        x.to_device("gpu")
    known = xp.__array_namespace_info__()
    assert known.default_dtypes() == {"real floating": K.floatx(), "integral": "int64", "indexing": "int64"}
    assert set(known.dtypes(kind="integral")) == set(known.dtypes()) - {"bool", "float32", "float64"}


def test_keras_habits_stay() -> None:
    """Tensors are single objects: found by identity, without a length or a truth."""
    x, y = symgraph.placeholder((2,)), symgraph.placeholder((2,))
    assert x in [y, x]
    assert (x == y, x != y) == (False, True)
    assert {x: 1}[x] == 1
    assert not hasattr(x, "__len__")
    variable = K.variable(np.ones((2, 3)))
    np.testing.assert_array_equal(K.eval(variable.T.sum(0)), [3, 3])
