"""Rare dtypes are fed, fetched, updated, saved as they are; float16 is computed in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers
from symgraph.compiler.function import Function
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.types import DTYPES, WORKING
from symgraph.models import Model, load_model
from tests.graph.test_dtypes import CASES, TABLE

STORED = ("int8", "int16", "uint16", "uint32", "uint64", *WORKING)


def _limits(dtype: str) -> np.ndarray:
    info: Any = np.finfo(dtype) if dtype == "float16" else np.iinfo(dtype)
    return np.array([info.min, info.max, 0, 1, 3], dtype)


@pytest.mark.parametrize("dtype", STORED)
def test_values_are_kept_as_they_are(dtype: str) -> None:
    x, array = placeholder((None,), dtype=dtype), _limits(dtype)
    fetched = Function([x], [x, K.cast(x, dtype)])(array)
    held, fixed = Variable(array), constant(array)
    held.set_value(array[::-1])
    for value in (*fetched, held.get_value()[::-1], K.eval(held)[::-1], K.eval(fixed)):
        assert value.dtype == dtype
        np.testing.assert_array_equal(value, array)
    for made in (K.zeros((2,), dtype), K.ones((2,), dtype), K.eye(2, dtype), K.arange(2, dtype=dtype)):
        assert made.dtype == K.eval(made).dtype == dtype


@pytest.mark.parametrize("dtype", STORED)
def test_what_does_not_fit_is_not_fed(dtype: str) -> None:
    x = placeholder((None,), dtype=dtype, name="x")
    beyond = 1e6 if dtype == "float16" else float(np.iinfo(dtype).max) * 2
    with pytest.raises(ValueError, match=r"input 'x': .*(too large for float16|do not fit into)"):
        Function([x], K.cast(x, "float64"))(np.array([beyond]))


@pytest.mark.parametrize("dtype", WORKING)
def test_every_function_computes_in_the_working_dtype(dtype: str) -> None:
    for name, (ours, _, axes) in CASES.items():
        given = [placeholder((3, 10)[-n:], dtype=dtype) for n in axes]
        wide = [placeholder((3, 10)[-n:], dtype=WORKING[dtype]) for n in axes]
        if TABLE[name][2] == "refused" and dtype == "float16":
            with pytest.raises(TypeError, match="expected integers or bools, got float32"):
                ours(*given)
        else:
            assert ours(*given).dtype == ours(*wide).dtype, name


@pytest.mark.parametrize("dtype", WORKING)
def test_values_are_computed_in_the_working_dtype(dtype: str) -> None:
    array = _limits(dtype)
    wide = array.astype(WORKING[dtype])
    x = placeholder((None,), dtype=dtype)
    results = [x + x, x - 1, K.maximum(x, 2), x > 300, K.sum(x), x[1:], np.ones(5, dtype) * x]
    expected = [wide + wide, wide - 1, np.maximum(wide, 2), wide > 300, wide.sum(), wide[1:], wide]
    for value, truth in zip(Function([x], results)(array), expected, strict=True):
        np.testing.assert_array_equal(value, truth)


def test_float16_is_rounded_to_nearest_even() -> None:
    halves = np.arange(2**16, dtype="uint16").view("float16")
    finite = np.sort(halves[np.isfinite(halves)].astype("float64"))
    middles = (finite[1:] + finite[:-1]) / 2
    x = np.concatenate([finite, middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf)])
    x = np.concatenate([x, [np.inf, -np.inf, 65519.9, 65520, -65520, 1e300, 1e-300, -0.0, 2.0**-25]])
    whole = np.array([65519, 65520, 2**31 - 1, 2049, 2051, 2**24 + 1, -4097])
    with np.errstate(all="ignore"):
        for array in (x, x.astype("float32"), whole, whole.astype("int32")):
            node = placeholder((None,), dtype=array.dtype.name)
            value = Function([node], K.cast(node, "float16"))(array)
            np.testing.assert_array_equal(value.view("uint16"), array.astype("float16").view("uint16"))
    node = placeholder((None,), dtype="float16")
    for target in ("float32", "float64"):
        np.testing.assert_array_equal(Function([node], K.cast(node, target))(halves), halves.astype(target))
    assert np.isnan(K.eval(K.cast(K.variable([np.nan], dtype="float64"), "float16"))).all()


def test_gradients_and_updates_of_float16_round_once() -> None:
    start = np.array([1.0, 0.5, 3.0], "float16")
    x, w = placeholder((3,), dtype="float16", name="x"), Variable(start, name="w")
    # w is used twice: the gradients of both uses are added before they are rounded.
    loss = K.sum(x * w) + K.sum(w * 0.00071)
    of_w, of_x = gradients(loss, [w, x])
    (slope,) = gradients(K.cast(x * x, "float16"), [x])
    assert of_w is not None and of_x is not None and slope is not None
    assert {g.dtype for g in (of_w, of_x, slope)} == {"float16"}
    fed = np.array([1.0, 2.0, 1000.0], "float16")
    found = Function([x], [of_w, of_x, slope], updates=[(w, w - 0.3 * of_w)])(fed)
    exact = (fed.astype("float32") + np.float32(0.00071)).astype("float16")
    np.testing.assert_array_equal(found[0], exact)
    np.testing.assert_array_equal(found[1], (start.astype("float32")).astype("float16"))
    np.testing.assert_array_equal(found[2], 2 * fed)
    new = (start.astype("float32") - np.float32(0.3) * exact.astype("float32")).astype("float16")
    np.testing.assert_array_equal(w.get_value(), new)


@pytest.mark.parametrize("dtype", STORED)
def test_updates_are_stored_as_casts(dtype: str) -> None:
    counter = Variable(np.array([5, 100], dtype), name="counter")
    Function([], counter * 2, updates=[(counter, counter + 1)])()
    np.testing.assert_array_equal(counter.get_value(), np.array([6, 101], dtype))
    K.function([], [], updates=[K.update_add(counter, 2)])([])
    np.testing.assert_array_equal(counter.get_value(), np.array([8, 103], dtype))


@pytest.mark.parametrize("dtype", ["float16", "uint16"])
def test_loops_and_choices(dtype: str) -> None:
    x = placeholder((None, 2), dtype=dtype)
    total = K.foldl(lambda a, b: a + b, x)
    chosen = K.switch(K.sum(x) > 3, lambda: x[0] * 2, lambda: x[1])
    found = Function([x], [total, chosen])(np.array([[1, 2], [3, 4]], dtype))
    np.testing.assert_array_equal(found[0], [4, 6])
    np.testing.assert_array_equal(found[1], [2, 4])


@pytest.mark.parametrize("dtype", ["float16", "uint16", "int8"])
def test_models_take_and_save_them(dtype: str, tmp_path: Path) -> None:
    given = layers.Input((3,), dtype=dtype)
    dense = layers.Dense(2, use_bias=False)
    model = Model(given, dense(given))
    x = np.array([[1, 2, 100], [4, 5, 6]], dtype)
    expected = x.astype("float32") @ dense.get_weights()[0]
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5)
    model.compile("sgd", "mse")
    model.fit(x, np.ones((2, 2)), verbose=0)
    model.save(str(tmp_path / "model.h5"))
    again: Any = load_model(str(tmp_path / "model.h5"))
    assert again.inputs[0].dtype == dtype
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_every_stored_dtype_has_room_in_its_working_dtype() -> None:
    for dtype, wide in WORKING.items():
        assert wide in DTYPES
        assert np.can_cast(dtype, wide, "safe")
