import random
from collections import deque

import numpy as np
import pytest

from symgraph.callbacks import History
from symgraph.utils.plain_state import is_plain, pack, unpack

STATE = {
    "numbers": [1, -2.5, float("inf"), True, None, 2 + 3j, np.float32(0.1), np.int64(7)],
    "texts": ("a", b"\0\xff", {"ö": {1, 2}, 3: frozenset({"x"})}),
    "arrays": [
        np.arange(6.0).reshape(2, 3)[:, ::2],
        np.empty((0, 3), "int8"),
        np.array("text"),
        np.array(2.0),
    ],
    "queue": deque([1, [2]], 5),
}


def same(one, other):
    if isinstance(one, np.ndarray):
        return type(one) is type(other) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    return type(one) is type(other) and one == other


def test_values_come_back():
    assert is_plain(STATE)
    found = unpack(pack(STATE))
    assert same(STATE, found)
    assert found["queue"].maxlen == 5


def test_nan_and_signs_of_zero_come_back():
    found = unpack(pack({"values": [float("nan"), -0.0]}))["values"]
    assert np.isnan(found[0]) and np.signbit(found[1])


def test_generators_go_on():
    made = [np.random.RandomState(3), np.random.default_rng(4), random.Random(5)]
    for generator in made:
        generator.random()
    found = unpack(pack({"made": made}))["made"]
    assert [g.random() for g in found] == [g.random() for g in made]
    assert [type(g) for g in found] == [type(g) for g in made]


def test_objects_are_refused():
    held = []
    held.append(held)
    for value in (object(), [History()], {"a": np.array([None])}, type("Sub", (dict,), {})(), held, print):
        assert not is_plain(value)
    for value in (object(), np.array([None]), type("Sub", (dict,), {})()):
        with pytest.raises(TypeError, match="a state holds plain values, got a"):
            pack({"value": value})


def test_every_damage_is_noticed(tmp_path):
    content = pack(STATE)
    for place in range(0, len(content), 37):
        damaged = bytearray(content)
        damaged[place] ^= 4
        with pytest.raises(ValueError, match="here is damaged"):
            unpack(bytes(damaged), "here")
    path = tmp_path / "half.npz"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"half.npz is damaged"):
        unpack(path)


def test_numpy_reads_the_arrays(tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(pack({"x": np.arange(3)}))
    with np.load(path, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["a0"], np.arange(3))
