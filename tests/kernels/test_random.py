"""Random numbers: published vectors of the generator, distributions, and independence of how work is cut."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from llvmlite import ir

from symgraph.kernels.random import philox, random, random_rows
from symgraph.kernels.run.buffer import launch
from symgraph.kernels.run.jit import INT, ir_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.nest import Writer, load, store
from tests.philox import block

# Random123 1.14, tests/kat_vectors: philox4x32 10: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(w, 16) for w in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_published_vectors(counter, key, expected):
    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        writer = Writer(builder, function)
        data = writer.word(0)
        numbers = [load(data + 4 * i, "uint32", 1).cast("uint64") for i in range(6)]
        for i, word in enumerate(philox(numbers[:4], (numbers[4], numbers[5]))):
            store(word, data + 4 * i)
        builder.ret(INT(0))

    data = np.array(words(counter) + words(key), "uint32")
    kernel = ir_kernel("philox_test", emit, "philox_test")
    launch(lambda data, **_: [Row(kernel, (data.address,))], data)
    assert list(data[:4]) == words(expected)


def test_bits_are_the_generators_words():
    key, stream = 0x0123456789ABCDEF, 0xFEDCBA9876543210
    drawn = random("bits", 300, "int64", key=key, stream=stream)
    for i in (0, 1, 15, 16, 40, 63, 64, 130, 299):
        group, word, lane = i // 64, i % 64 // 16, i % 16
        assert drawn[i] == block(16 * group + lane, key, stream)[word]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["bernoulli", "normal", "truncated_normal", "uniform"])
def test_a_stream_may_be_drawn_from_its_midst(kind, dtype):
    parameters = (0.3,) if kind == "bernoulli" else (0.0, 1.0)
    whole = random(kind, 1000, dtype, parameters, key=5, stream=3, turn=2)
    for first in (64, 640, 960):
        drawn = random(kind, 1000 - first, dtype, parameters, key=5, stream=3, turn=2, first=first)
        assert np.array_equal(drawn, whole[first:])


def test_no_turn_meets_another_turn_a_call_or_a_block():
    """Neither at the ends of what each of them may be, nor where their bits are joined."""
    calls, turns = (0, 1, 2**43 - 1), (0, 1, 2**19 - 1, 2**19, 2**32, 2**40 - 1)
    seen = set()
    for call in calls:
        for turn in turns:
            drawn = random("bits", 1024, "int64", key=7, stream=call, turn=turn)
            assert drawn[0] == block(0, 7, call, turn)[0]
            assert drawn[1023] == block(255, 7, call, turn)[3]
            seen |= {tuple(four) for four in drawn.reshape(16, 4, 16).swapaxes(1, 2).reshape(256, 4)}
    assert len(seen) == len(calls) * len(turns) * 256


@pytest.mark.parametrize(
    ("kind", "dtype", "parameters"),
    [
        ("uniform", "float32", (-1.0, 3.0)),
        ("uniform", "float64", (0.0, 1.0)),
        ("normal", "float32", (0.0, 1.0)),
        ("normal", "float64", (2.0, 0.5)),
        ("truncated_normal", "float32", (0.0, 1.0)),
        ("bernoulli", "float32", (0.3,)),
        ("bernoulli", "bool", (0.3,)),
        ("uniform", "int32", (-5, 100)),
        ("bits", "int64", ()),
    ],
)
def test_same_numbers_however_cut(kind, dtype, parameters):
    whole = random(kind, 200_003, dtype, parameters, key=5, threads=1)
    np.testing.assert_array_equal(random(kind, 200_003, dtype, parameters, key=5, threads=2), whole)
    np.testing.assert_array_equal(random(kind, (77, 3), dtype, parameters, key=5).ravel(), whole[: 77 * 3])
    assert (random(kind, 1000, dtype, parameters, key=6) != whole[:1000]).any()
    assert (random(kind, 1000, dtype, parameters, key=5, stream=1) != whole[:1000]).any()
    assert (random(kind, 1000, dtype, parameters, key=5, turn=1) != whole[:1000]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kind", "parameters", "law"),
    [
        ("uniform", (-2.0, 5.0), scipy.stats.uniform(-2, 7)),
        ("normal", (1.0, 3.0), scipy.stats.norm(1, 3)),
        ("truncated_normal", (1.0, 3.0), scipy.stats.truncnorm(-2, 2, 1, 3)),
    ],
)
def test_distribution(kind, parameters, law, dtype):
    x = random(kind, 100_000, dtype, parameters, key=1234).astype("float64")
    assert scipy.stats.kstest(x, law.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(x[:-16], x[16:])[0, 1]) < 0.02
    if kind == "uniform":
        assert x.min() >= -2
        assert x.max() < 5
    if kind == "truncated_normal":
        assert np.abs((x - 1) / 3).max() <= 2 + 1e-6


def test_normal_tails_and_independence():
    x = random("normal", 2_000_000, "float32", (0.0, 1.0), key=9).astype("float64")
    assert np.isfinite(x).all()
    assert 4.5 < np.abs(x).max() < 7
    assert abs(x.mean()) < 0.003
    assert abs(x.var() - 1) < 0.005
    assert abs(scipy.stats.kurtosis(x)) < 0.02


def test_bernoulli_and_integers():
    for chance in (0.0, 0.25, 1.0):
        drawn = random("bernoulli", 100_000, "uint8", (chance,), key=3)
        assert set(np.unique(drawn)) <= {0, 1}
        assert abs(drawn.mean() - chance) < 0.01 * (0 < chance < 1) + 1e-12
    drawn = random("uniform", 100_000, "int64", (-3, 4), key=3)
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(-3, 4))
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    assert set(np.unique(random("uniform", 5000, "uint8", (0, 256), key=1))) == set(range(256))
    with pytest.raises(ValueError, match="low < high"):
        random("uniform", 3, "uint8", (0, 257), key=1)


def test_unit_interval_is_half_open():
    x = random("uniform", 1_000_000, "float32", (0.0, 1.0), key=11)
    assert x.min() >= 0
    assert x.max() < 1
    narrow = random("uniform", 100_000, "float32", (1.0, 1.0 + 2**-22), key=11)
    assert narrow.max() < np.float32(1.0 + 2**-22)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_nothing_behind_the_end_is_touched(dtype):
    for n in (0, 1, 15, 16, 17, 63, 64, 65, 100):
        room = np.zeros(200, dtype)
        seed = np.array([1, 2, 3], "uint64")
        launch(lambda out, seed, **o: random_rows("bernoulli", out, seed, (1.0,), **o), room[:n], seed)
        assert room[:n].all()
        assert not room[n:].any()
