"""Every function of the standard against another implementation of it, over dtypes, shapes and special cases.

The truth is `array_api_strict` where it is installed (it refuses what the standard leaves open), else numpy,
which has the standard's names too.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import numpy as xp
from tests.numpy.cases import (
    BINARY,
    DTYPES,
    FLOATS,
    INTEGERS,
    NUMBERS,
    OF_FLOATS,
    OF_SOMETHING,
    REDUCTIONS,
    SHAPES,
    UNARY,
    Call,
    falling,
    falling_places,
    numbers,
    special,
)

try:
    import array_api_strict as truth
except ImportError:  # the extra `test` has it
    truth = np  # type: ignore[misc]

TOLERANCE = {"float32": 1e-6, "float64": 1e-14}
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def flat(results: Any) -> list[Any]:
    """A result, or several, as a list."""
    return list(results) if isinstance(results, (list, tuple)) else [results]


def expected_of(call: Call, *arrays: np.ndarray) -> list[np.ndarray]:
    """What the truth gives."""
    with np.errstate(all="ignore"):
        found = call(truth, *(truth.asarray(a) for a in arrays))
    return [np.asarray(f) for f in flat(found)]


def compare_calls(calls: dict[str, Call], *arrays: np.ndarray, tolerance: float = 1.0) -> None:
    """All calls in one Function against the truth: dtypes, shapes, values, signs of zeros."""
    feeds = [symgraph.placeholder(a.shape, dtype=a.dtype.name) for a in arrays]
    written = {name: flat(call(xp, *feeds)) for name, call in calls.items()}
    found = iter(symgraph.function(feeds, [t for part in written.values() for t in part])(*arrays))
    for name, call in calls.items():
        for wanted, _ in zip(expected_of(call, *arrays), written[name], strict=True):
            same(next(found), wanted, f"{name} of {[f'{a.dtype}{a.shape}' for a in arrays]}", tolerance)


def same(value: np.ndarray, wanted: np.ndarray, what: str, tolerance: float) -> None:
    assert value.dtype == wanted.dtype, f"{what}: {value.dtype}, expected {wanted.dtype}"
    assert value.shape == wanted.shape, f"{what}: {value.shape}, expected {wanted.shape}"
    near = TOLERANCE.get(wanted.dtype.name)
    if near is None:
        np.testing.assert_array_equal(value, wanted, err_msg=what)
        return
    np.testing.assert_allclose(value, wanted, rtol=near * tolerance, atol=near * tolerance, err_msg=what)
    zeros = (wanted == 0) & (value == 0)
    np.testing.assert_array_equal(np.signbit(value[zeros]), np.signbit(wanted[zeros]), err_msg=what)


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_one(dtype: str) -> None:
    names = [name for name, dtypes in UNARY.items() if dtype in dtypes]
    compare_calls({n: lambda xp, x, n=n: getattr(xp, n)(x) for n in names}, special(dtype))
    for name in names[:3]:
        assert getattr(xp, name)(np.zeros((0, 3), dtype)).shape == (0, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_two(dtype: str) -> None:
    """Every pair of special numbers, broadcast: a column beside a row."""
    names = [name for name, dtypes in BINARY.items() if dtype in dtypes]
    x = special(dtype)
    calls: dict[str, Call] = {n: lambda xp, a, b, n=n: getattr(xp, n)(a, b) for n in names}
    if dtype in INTEGERS:
        # Left open by the standard: zero divisors, exponents and amounts that are not small.
        for name in ("floor_divide", "remainder", "pow", "bitwise_left_shift", "bitwise_right_shift"):
            del calls[name]
        divisors, small = x[x != 0], np.arange(7).astype(dtype)
        for name, other in (
            ("floor_divide", divisors), ("remainder", divisors), ("pow", small),
            ("bitwise_left_shift", small), ("bitwise_right_shift", small),
        ):  # fmt: skip
            compare_calls({name: lambda xp, a, b, n=name: getattr(xp, n)(a, b)}, x[:, None], other)
    compare_calls(calls, x[:, None], x[None])


MEETING = [
    (a, b)
    for a, b in itertools.combinations(DTYPES, 2)
    if ((a in INTEGERS) == (b in INTEGERS) and "bool" not in (a, b) and np.result_type(a, b).kind in "iu")
    or (a in FLOATS and b in FLOATS)
]  # fmt: skip


def test_dtypes_meet_as_the_standard_says() -> None:
    for a, b in MEETING:
        wanted = truth.result_type(getattr(truth, a), getattr(truth, b))
        x, y = symgraph.placeholder((2, 1), dtype=a), symgraph.placeholder((3,), dtype=b)
        assert xp.result_type(a, b) == xp.result_type(x, y) == np.dtype(str(np.result_type(a, b))).name
        assert xp.add(x, y).dtype == (y * x).dtype == xp.result_type(a, b)
        assert xp.concat([x, xp.expand_dims(y, axis=1)]).dtype == xp.result_type(a, b)
        assert str(wanted).split(".")[-1].endswith(xp.result_type(a, b))
        assert xp.can_cast(a, b) == (xp.result_type(a, b) == b)
    assert len(MEETING) == 25
    for signed in ("int8", "int16", "int32", "int64"):
        with pytest.raises(TypeError, match=r"no integer dtype holds all values of uint64 and|and uint64"):
            xp.result_type("uint64", signed)
        assert not xp.can_cast("uint64", signed)


SHAPED = [(dtype, (3, 2, 4)) for dtype in DTYPES]
SHAPED += [(dtype, shape) for dtype in ("bool", "int8", "float32") for shape in ((2, 1, 3), (2, 3, 0))]


@pytest.mark.parametrize(("dtype", "shape"), SHAPED)
def test_shapes(dtype: str, shape: tuple[int, ...]) -> None:
    calls = dict(SHAPES)
    if shape != (3, 2, 4):
        del calls["reshape"]
    compare_calls(calls, numbers(dtype, shape))


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(3, 2, 4), (2, 3, 0)])
def test_reductions(dtype: str, shape: tuple[int, ...]) -> None:
    calls = dict(REDUCTIONS)
    if 0 not in shape:
        calls |= OF_SOMETHING
    if dtype in FLOATS and 0 not in shape:
        calls |= OF_FLOATS
    compare_calls(calls, numbers(dtype, shape), tolerance=20)


@pytest.mark.parametrize("dtype", FLOATS)
def test_order_of_special_numbers(dtype: str) -> None:
    # Zeros of both signs are equal: which one comes first is left open.
    x = np.delete(special(dtype), 4)
    calls: dict[str, Call] = {
        "sort": lambda xp, x: [xp.sort(x), falling(xp, x)],
        "argsort": lambda xp, x: [xp.argsort(x, stable=True), falling_places(xp, x, -1)],
        "max": lambda xp, x: [xp.max(x), xp.min(x), xp.argmax(x), xp.argmin(x), xp.max(x[:2]), xp.min(x[:2])],
        "mean": lambda xp, x: [xp.mean(x), xp.sum(x[3:]), xp.prod(x[3:5])],
    }
    compare_calls(calls, x)


MADE: dict[str, Call] = {
    "arange": lambda xp: [xp.arange(5), xp.arange(2, 9, 3), xp.arange(5, 0, -2), xp.arange(0)],
    "arange of a dtype": lambda xp: [
        xp.arange(0.0, 1.0, 0.25, dtype=xp.float64), xp.arange(3, dtype=xp.uint8),
    ],
    "eye": lambda xp: [
        xp.eye(3, dtype=xp.int8), *(xp.eye(3, 4, k=k, dtype=xp.float32) for k in range(-4, 5)),
    ],
    "full": lambda xp: [xp.full((2, 3), 7), xp.full(3, 2.5, dtype=xp.float32), xp.full((), True)],
    "linspace": lambda xp: [
        xp.linspace(0, 1, 5, dtype=xp.float64), xp.linspace(0.0, 1.0, 4, endpoint=False, dtype=xp.float32),
        xp.linspace(3.0, -3.0, 1, dtype=xp.float64), xp.linspace(0.0, 1.0, 0, dtype=xp.float64),
    ],
    "zeros": lambda xp: [xp.zeros((2, 0), dtype=xp.int16), xp.ones(2, dtype=xp.uint64)],
    "asarray": lambda xp: [xp.asarray([[1, 2], [3, 4]]), xp.asarray([True]), xp.asarray(3, dtype=xp.float32)],
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_creation(name: str) -> None:
    compare_calls({name: MADE[name]})


def test_dtype_functions() -> None:
    for dtype in INTEGERS:
        ours, theirs = xp.iinfo(dtype), np.iinfo(dtype)
        assert (ours.bits, ours.min, ours.max, ours.dtype) == (theirs.bits, theirs.min, theirs.max, dtype)
    for dtype in FLOATS:
        of, known = xp.finfo(dtype), np.finfo(dtype)
        assert (of.bits, of.eps, of.max, of.min) == (known.bits, known.eps, known.max, known.min)
        assert (of.smallest_normal, of.dtype) == (known.smallest_normal, dtype)
    kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating", "numeric"]
    for dtype, kind in itertools.product(DTYPES, kinds):
        assert xp.isdtype(dtype, kind) == np.isdtype(np.dtype(dtype), kind)
    assert xp.isdtype("int8", ("bool", "int8"))
    assert not xp.isdtype("int8", xp.uint8)


def test_every_name_of_the_standard_is_there() -> None:
    theirs = {n for n in getattr(truth, "__all__", dir(truth)) if not n.startswith("_")}
    if truth is np:
        pytest.skip("array_api_strict is not installed: its list of names is the truth")
    left_out = {
        "complex128", "complex64", "get_array_api_strict_flags", "set_array_api_strict_flags",
        "reset_array_api_strict_flags", "ArrayAPIStrictFlags", "Device", "array_api_version",
    }  # fmt: skip
    assert {n for n in theirs - left_out if not hasattr(xp, n)} == set()


def test_what_is_as_long_as_data_tell_is_refused() -> None:
    x = symgraph.placeholder((3,))
    for name in ("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"):
        with pytest.raises(NotImplementedError, match=f"{name}: the number of results would depend on data"):
            getattr(xp, name)(x)
