"""Matrix products against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.kernels.matmul import matmul, matmul_rows
from symgraph.kernels.run.buffer import launch
from symgraph.kernels.run.machine import Lease, Row, Table
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.nest import load, store, vector_kernel
from symgraph.kernels.tile.vector import transposed

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
LAYOUTS = ("plain", "transposed", "strided")


def operand(rng, shape, dtype, layout):
    """Random values in one of three layouts of the last two axes."""
    if layout == "transposed":
        return rng.standard_normal((*shape[:-2], shape[-1], shape[-2])).astype(dtype).swapaxes(-1, -2)
    if layout == "strided":
        return rng.standard_normal((*shape[:-1], 2 * shape[-1] + 1)).astype(dtype)[..., : 2 * shape[-1] : 2]
    return rng.standard_normal(shape).astype(dtype)


def close(got, expected, dtype):
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype])


def check(m, k, n, dtype, threads, layouts=("plain", "plain"), batch=()):
    rng = np.random.default_rng(0)
    a, b = operand(rng, (*batch, m, k), dtype, layouts[0]), operand(rng, (*batch, k, n), dtype, layouts[1])
    bias = rng.standard_normal(n).astype(dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    close(matmul(a, b, threads=threads), expected, dtype)
    got = matmul(a, b, bias, "relu", threads=threads)
    close(got, np.maximum(expected + bias, 0), dtype)
    assert np.array_equal(matmul(a, b, bias, "relu6", threads=threads), np.minimum(got, 6))


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(0, 40),
    k=st.integers(0, 40),
    n=st.integers(0, 70),
    batch=st.lists(st.integers(0, 3), max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    layouts=st.tuples(st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS)),
    threads=st.integers(1, 2),
)
def test_any_shape(m, k, n, batch, dtype, layouts, threads):
    check(m, k, n, dtype, threads, layouts, tuple(batch))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("layouts", [(a, b) for a in LAYOUTS[:2] for b in LAYOUTS[:2]])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(128, 2311, 65), (37, 700, 515), (900, 129, 33), (1, 3000, 700), (700, 3000, 1), (260, 1100, 300)],
)
def test_sizes_beyond_one_chunk(m, k, n, layouts, threads):
    check(m, k, n, "float32", threads, layouts)


@pytest.mark.parametrize("threads", [1, 2])
def test_batches(threads):
    rng = np.random.default_rng(1)
    heads = rng.standard_normal((3, 50, 4, 24)).astype(np.float32).transpose(0, 2, 1, 3)
    keys = rng.standard_normal((3, 50, 4, 24)).astype(np.float32).transpose(0, 2, 3, 1)
    close(matmul(heads, keys, threads=threads), heads.astype(np.float64) @ keys, "float32")
    one = rng.standard_normal((24, 30)).astype(np.float32)
    close(matmul(heads, one, threads=threads), heads.astype(np.float64) @ one, "float32")
    close(matmul(one.T, keys[0], threads=threads), one.T.astype(np.float64) @ keys[0], "float32")


@pytest.mark.parametrize("batch", [(5,), (2, 3)])
@pytest.mark.parametrize("columns", [1, 7, 40])
def test_batch_of_single_rows_with_gaps_between_numbers(batch, columns):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((*batch, 1, 24))[..., ::2], rng.standard_normal((12, columns))
    out = np.empty((*batch, 1, columns))
    launch(matmul_rows, a, np.broadcast_to(b, (*batch, *b.shape)), out)
    close(out, a @ b, "float64")


@pytest.mark.parametrize("depth", [0, 5, 5000])
@pytest.mark.parametrize("threads", [1, 2])
def test_accumulate(depth, threads):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((30, depth)), rng.standard_normal((depth, 21))
    out = rng.standard_normal((30, 21))
    expected = out + a @ b
    launch(matmul_rows, a, b, out, threads=threads, accumulate=True)
    close(out, expected, "float64")


def test_output_with_gaps_between_lines():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((40, 6)), rng.standard_normal((6, 11))
    held = np.full((40, 20), 7.0)
    launch(matmul_rows, a, b, held[:, 4:15], threads=2)
    close(held[:, 4:15], a @ b, "float64")
    assert (held[:, :4] == 7).all()
    assert (held[:, 15:] == 7).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_nan_and_infinity_come_through(bad, activation):
    a, b = np.ones((20, 9), np.float32), np.ones((9, 33), np.float32)
    a[13, 4] = bad
    b[2, 30] = bad
    with np.errstate(invalid="ignore"):
        expected = a @ b
    if activation == "relu":
        expected = np.maximum(expected, 0)
    assert np.array_equal(matmul(a, b, activation=activation), expected, equal_nan=True)


def test_unfit_operands_are_refused():
    a = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        matmul(a, a)
    with pytest.raises(TypeError, match="one dtype"):
        matmul(a, np.zeros((4, 2)))
    with pytest.raises(TypeError, match="float32 or float64"):
        matmul(a.astype(np.float16), a.T.astype(np.float16))
    with pytest.raises(ValueError, match=r"bias of shape \(3,\).* got shape \(2,\)"):
        matmul(a, a.T, np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="at least 2 axes"):
        matmul(a, a[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transposition_in_registers(dtype):
    size = np.dtype(dtype).itemsize
    lanes = TARGET.lanes(size)

    def turn(writer):
        source, target = writer.word(0), writer.word(1)
        rows = [load(source + i * lanes * size, dtype, lanes) for i in range(lanes)]
        for i, column in enumerate(transposed(rows)):
            store(column, target + i * lanes * size)

    square = np.arange(lanes**2, dtype=dtype).reshape(lanes, lanes)
    out = np.empty_like(square)
    row = Row(vector_kernel("turn", turn, dtype), (square.ctypes.data, out.ctypes.data))
    Lease(Table([row], 1), 0).run()
    assert np.array_equal(out, square.T)


@pytest.mark.parametrize(("m", "k", "n"), [(49, 700, 300), (3, 3000, 40), (1, 40, 9)])
@pytest.mark.parametrize("threads", [1, 2])
def test_an_addend_may_be_overwritten(m, k, n, threads):
    rng = np.random.default_rng(2)
    a, b, addend = (rng.standard_normal(s).astype("float32") for s in ((m, k), (k, n), (m, n)))
    out = addend.copy()
    launch(lambda a, b, out, **given: matmul_rows(a, b, out, addend=out, **given), a, b, out, threads=threads)
    np.testing.assert_array_equal(out, matmul(a, b, addend=addend, threads=threads))
    np.testing.assert_allclose(out, a.astype("float64") @ b + addend, atol=1e-3)
