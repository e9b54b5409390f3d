"""Fused element-wise kernels against numpy: integers, casts, layouts, tiles. Floats: test_ranges.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.kernels.elementwise import Instruction, Number, elementwise, elementwise_rows
from symgraph.kernels.run.buffer import Buffer, launch
from tests.kernels.test_ranges import EXACT, EXACT_PAIRS

FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64", "uint8")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_functions_equal_numpy(dtype):
    rng = np.random.default_rng(4)
    limits = np.iinfo(dtype)
    edge = np.array([limits.min, limits.min + 1, 0, 1, 2, 3, 7, limits.max], dtype)
    edge = np.concatenate([edge, -edge]) if limits.min else edge
    x = np.concatenate([np.repeat(edge, edge.size), rng.integers(limits.min, limits.max, 500).astype(dtype)])
    y = np.concatenate([np.tile(edge, edge.size), rng.integers(0, 20, 500).astype(dtype)])
    for name, reference in EXACT_PAIRS.items():
        if name not in ("copysign", "nextafter"):
            np.testing.assert_array_equal(elementwise(name, x, y), reference(x, y), err_msg=name)
    for name, reference in EXACT.items():
        if name not in ("isnan", "isinf", "neg"):
            np.testing.assert_array_equal(elementwise(name, x), reference(x), err_msg=name)
    for name, reference in {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}.items():
        np.testing.assert_array_equal(elementwise(f"bitwise_{name}", x, y), reference(x, y))
    np.testing.assert_array_equal(elementwise("bitwise_not", x), ~x)
    for amount in (y, (x % 80).astype(dtype)):
        np.testing.assert_array_equal(elementwise("left_shift", x, amount), x << amount)
        np.testing.assert_array_equal(elementwise("right_shift", x, amount), x >> amount)
    np.testing.assert_array_equal(elementwise("neg", x), -x)
    positive = y >= 0
    np.testing.assert_array_equal(elementwise("pow", x, y)[positive], np.power(x[positive], y[positive]))
    np.testing.assert_array_equal(elementwise("square", x), x * x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_powers_that_the_dtype_holds_are_exact(dtype):
    most = 24 if dtype == "float32" else 53
    cases = [(b, n) for b in range(-300, 301) for n in range(54) if abs(b) ** n < 2**most]
    found = elementwise("pow", *(np.array(column, dtype) for column in zip(*cases, strict=True)))
    assert [int(value) for value in found] == [b**n for b, n in cases]


def test_negative_integer_powers():
    base = np.array([-2, -1, -1, 0, 1, 2], "int32")
    exponent = np.array([-1, -1, -2, -1, -5, -1], "int32")
    np.testing.assert_array_equal(elementwise("pow", base, exponent), [0, -1, 1, 0, 1, 0])


@pytest.mark.parametrize("source", [*FLOATS, *INTEGERS, "bool"])
@pytest.mark.parametrize("target", [*FLOATS, *INTEGERS, "bool"])
def test_cast_is_astype(source, target):
    values = np.array([0, 1, 0.6, 1.9, 2.5, 100, 127, 3, 0, 1] * 5)
    if source.startswith(("float", "int")) and target != "uint8":
        values = np.concatenate([values, -values])
    x = values.astype(source)
    actual = elementwise("cast", x, dtype=target)
    assert actual.dtype == target
    np.testing.assert_array_equal(actual, x.astype(target))


def test_cast_of_what_no_integer_holds_saturates():
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 300.0, -5.0], "float32")
    low, high = np.iinfo("int32").min, np.iinfo("int32").max
    np.testing.assert_array_equal(elementwise("cast", x, dtype="int32"), [0, high, low, high, low, 300, -5])
    np.testing.assert_array_equal(elementwise("cast", x, dtype="uint8"), [0, 255, 0, 255, 0, 255, 0])
    assert elementwise("cast", x, dtype="bool")[0]


def test_where_and_clip():
    rng = np.random.default_rng(5)
    c, x, y = rng.random((3, 100)) < 0.5, rng.normal(size=(3, 100)), rng.normal(size=100)
    np.testing.assert_array_equal(elementwise("where", c, x, y), np.where(c, x, y))
    x[0, 0] = np.nan
    low, high = np.array(-0.5), np.array(0.7)
    np.testing.assert_array_equal(elementwise("clip", x, low, high), np.clip(x, -0.5, 0.7))


def layouts(rng, shape, dtype, how):
    """An array of `shape` with some layout: C order, transposed, sliced, reversed or broadcast."""
    if how == "transposed":
        return np.asarray(rng.normal(size=shape[::-1]) * 9).astype(dtype).T
    if how == "sliced":
        whole = np.asarray(rng.normal(size=[2 * n + 1 for n in shape]) * 9).astype(dtype)
        return whole[(..., *[slice(1, None, 2)] * len(shape))]
    if how == "reversed":
        whole = np.asarray(rng.normal(size=shape) * 9).astype(dtype)
        return whole[(..., *[slice(None, None, -1)] * len(shape))]
    if how == "broadcast":
        small = [n if i % 2 else 1 for i, n in enumerate(shape)]
        return np.broadcast_to(np.asarray(rng.normal(size=small) * 9).astype(dtype), shape)
    return np.asarray(rng.normal(size=shape) * 9).astype(dtype)


HOW = st.sampled_from(["plain", "transposed", "sliced", "reversed", "broadcast"])


@settings(deadline=None, max_examples=60)
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 3, 5, 17, 33]), max_size=4),
    dtype=st.sampled_from(["float32", "float64", "int32", "uint8"]),
    how=st.tuples(HOW, HOW, st.sampled_from(["plain", "transposed", "sliced", "reversed"])),
    threads=st.sampled_from([1, 2]),
)
def test_any_layout(shape, dtype, how, threads):
    rng = np.random.default_rng(len(shape))
    a, b, out = (layouts(rng, shape, dtype, h) for h in how)
    expected = (a * b + a, a < b)
    flags = np.zeros(shape, bool)
    program = (
        Instruction("mul", (0, 1), dtype),
        Instruction("add", (2, 0), dtype),
        Instruction("less", (0, 1), "bool"),
    )

    def plan(a, b, out, flags, **options):
        return elementwise_rows(program, (3, 4), [a, b], [out, flags], **options)

    launch(plan, a, b, out, flags, threads=threads)
    if np.issubdtype(out.dtype, np.floating):
        np.testing.assert_allclose(out, expected[0], rtol=1e-5, atol=1e-4)
    else:
        np.testing.assert_array_equal(out, expected[0])
    np.testing.assert_array_equal(flags, expected[1])


def test_nothing_around_the_output_is_touched():
    for n in range(70):
        room = np.full(100, 7.0, "float32")
        x = np.arange(n, dtype="float32")
        launch(
            lambda x, out, **o: elementwise_rows(
                (Instruction("neg", (0,), "float32"),), (1,), [x], [out], **o
            ),
            x,
            room[10 : 10 + n],
        )
        np.testing.assert_array_equal(room[10 : 10 + n], -x)
        assert (room[:10] == 7).all() and (room[10 + n :] == 7).all()


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_large_transposed_operands(order):
    rng = np.random.default_rng(7)
    x = rng.normal(size=np.array([40, 50, 60])[np.argsort(order)]).astype("float32").transpose(order)
    y = rng.normal(size=(40, 1, 60)).astype("float32")
    np.testing.assert_array_equal(elementwise("mul", x, y, threads=2), x * y)
    square = rng.normal(size=(150, 150))
    expected = square + square.T
    launch(
        lambda x, y, **o: elementwise_rows((Instruction("add", (0, 1), "float64"),), (2,), [x, y], [x], **o),
        square,
        square.T,
    )
    np.testing.assert_array_equal(square, expected)


def test_in_place_and_numbers():
    x = np.arange(100_003, dtype="float64")
    expected = x * 0.5 + 3

    def plan(x, **options):
        program = (
            Instruction("mul", (0, 1), "float64"),
            Instruction("constant", (), "float64", (3,)),
            Instruction("add", (2, 3), "float64"),
        )
        return elementwise_rows(program, (4,), [x, Number(0.5, "float64")], [x], **options)

    launch(plan, x, threads=2)
    np.testing.assert_array_equal(x, expected)


def test_many_axes():
    shape = (2,) * 12
    x = np.arange(2**12, dtype="int64").reshape(shape)
    order = tuple(range(0, 12, 2)) + tuple(range(1, 12, 2))
    mixed = np.ascontiguousarray(x.transpose(order[::-1])).transpose(np.argsort(order[::-1]))
    np.testing.assert_array_equal(elementwise("add", x, mixed), x + mixed)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1_000_003,), (1000, 1003), (3, 400_001), (50, 100, 200)])
def test_tiles_cover_everything_once(shape, threads):
    x = np.random.default_rng(6).normal(size=shape).astype("float32")
    bias = np.arange(shape[-1], dtype="float32")
    np.testing.assert_array_equal(elementwise("add", x, bias, threads=threads), x + bias)


def test_plan_of_a_small_problem_has_one_tile():
    small = Buffer(0, 0, (100,), (4,), np.dtype("float32"))
    large = Buffer(0, 0, (10_000_000,), (4,), np.dtype("float32"))
    program = (Instruction("exp", (0,), "float32"),)

    def tiles(buffer):
        return [r.tiles for r in elementwise_rows(program, (1,), [buffer], [buffer], threads=2, scratch=None)]

    assert tiles(small) == [1]
    assert tiles(large)[0] >= 2
