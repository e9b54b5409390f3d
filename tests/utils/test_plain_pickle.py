"""The reader of pickles: plain data as Python's own reader gives them; from others nothing is executed."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.utils.plain_pickle import read_plain

MOST = 10_000

plain = [st.none(), st.booleans(), st.integers(-(1 << 80), 1 << 80), st.floats(allow_nan=False)]
values = st.recursive(
    st.one_of(*plain, st.text(max_size=300), st.binary(min_size=1, max_size=300)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        *(st.tuples(*[inner] * length) for length in range(5)),
        st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=5),
    ),
    max_leaves=20,
)


@given(values, st.integers(2, 5))
def test_plain_data(value, protocol):
    # Protocol 2 writes bytes as a call, with a text of latin-1.
    assert read_plain(pickle.dumps(value, protocol), "x", MOST) == value


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(5, dtype=">i4"),
        np.array([True, False]),
        np.array(7, np.int16),
        np.array([[1, 2], [3]], object),
        np.array([[[1], "a"], [None, 2]], object),
    ],
)
def test_arrays(array, protocol):
    read = read_plain(pickle.dumps(array, protocol), "x", MOST)
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_is_shared_stays_shared(protocol):
    array, numbers = np.arange(3), [1, 2]
    pickled = pickle.dumps({"a": array, "b": (array, numbers), "c": numbers, "d": np.float32(2.5)}, protocol)
    if protocol == 5:
        with pytest.raises(ValueError, match="_frombuffer, and only plain data"):
            read_plain(pickled, "x", MOST)
        return
    read = read_plain(pickled, "x", MOST)
    assert read["a"] is read["b"][0]
    assert read["c"] is read["b"][1]
    assert read["d"] == 2.5


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def named(module, name, argument, protocol=2):
    """A pickle that calls module.name(argument), written by hand."""
    if protocol >= 4:
        name = b"\x80\x04" + b"".join(
            pickle.SHORT_BINUNICODE + bytes([len(x)]) + x.encode() for x in (module, name)
        )
        name += pickle.STACK_GLOBAL
    else:
        name = b"\x80\x02c" + f"{module}\n{name}\n".encode()
    text = argument.encode()
    return name + b"X" + len(text).to_bytes(4, "little") + text + b"\x85R."


def payloads(canary):
    """Pickles that write the file `canary`, or do other harm, where a reader calls what they name."""
    code = f"open({str(canary)!r}, 'w').close()"
    shell = f"touch {canary}"
    write = Calls(open, str(canary), "w")
    state = (1, (1,), np.dtype("O"), False, [write])
    harmful = [
        pickle.dumps(write, 0),
        pickle.dumps(write, 2),
        pickle.dumps(write, 4),
        pickle.dumps([1, 2, {"a": (3, write)}]),
        pickle.dumps(Calls(os.system, shell)),
        pickle.dumps(Calls(eval, code)),
        pickle.dumps(Calls(exec, code), 2),
        pickle.dumps(Calls(subprocess.call, ["touch", str(canary)])),
        pickle.dumps(np.array([write], object)),
        pickle.dumps(Calls(np.ndarray, (1 << 40,))),
        pickle.dumps(Calls(np.fromfile, str(canary))),
        named("os", "system", shell),
        named("posix", "system", shell, 4),
        named("builtins", "exec", code, 4),
        named("numpy.testing._private.utils", "runstring", code),
        named("numpy", "ndarray.tofile", str(canary), 4),
        named("numpy core.multiarray", "_reconstruct", code),
        # The older operations: an instance, an object, an extension, a persistent name.
        b"(cos\nsystem\n" + b"X" + len(shell).to_bytes(4, "little") + shell.encode() + b"o.",
        b"(X" + len(shell).to_bytes(4, "little") + shell.encode() + b"ios\nsystem\n.",
        b"\x80\x02\x82\x01.",
        b"P" + shell.encode() + b"\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93)\x81.",
        # A state for something that is no array.
        b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",
        pickle.dumps((np.array([0]), state), 2),
    ]
    assert len(harmful) >= 20
    return harmful


_AUDITED = """
import json, sys
from pathlib import Path
from symgraph.utils.plain_pickle import read_plain
payloads = [bytes.fromhex(text) for text in json.loads(Path(sys.argv[1]).read_text())]
seen, errors = [], 0
watching = False
harm = {"import", "exec", "open", "compile", "os", "subprocess", "pickle"}
def hook(event, arguments):
    if watching and event.split(".")[0] in harm:
        seen.append(f"{event} {arguments}")
sys.addaudithook(hook)
watching = True
for payload in payloads:
    try:
        read_plain(payload, "x", 1000)
    except ValueError:
        errors += 1
watching = False
print(json.dumps([errors, seen]))
"""


def test_nothing_is_executed(tmp_path):
    canary = tmp_path / "canary"
    harmful = payloads(canary)
    (tmp_path / "payloads.json").write_text(json.dumps([payload.hex() for payload in harmful]))
    ran = subprocess.run(
        [sys.executable, "-c", _AUDITED, str(tmp_path / "payloads.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout) == [len(harmful), []]
    assert not canary.exists()


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"", "damaged pickle"),
        (b".", "damaged pickle"),
        (b"\x80\x09N.", "protocol is unknown"),
        (b"NN.", "does not end where it should"),
        (b"N.N", "does not end where it should"),
        (b"(N.", "does not end where it should"),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "breaks off"),
        (b"T\xff\xff\xff\xff.", "breaks off"),
        (b"K", "breaks off"),
        (b"h\x00.", "KeyError"),
        (b"\x86.", "the stack is empty"),
        (b"]" * 1001 + b".", "more lists, tuples and dicts"),
        (b"Na.", "damaged"),
        (b"NNa.", "no list"),
        (b"NNNs.", "no dict"),
        (b"}(Nu.", "damaged"),
        (b"}]Ns.", "keys are no texts and no numbers"),
        (b"\x80\x02cnumpy\ndtype\nU\x02V9\x85R.", "arrays of type 'V9'"),
    ],
)
def test_damaged_pickles(pickled, message):
    with pytest.raises(ValueError, match=message):
        read_plain(pickled, "the file", 1000)


@pytest.mark.parametrize("shape", [(3,), (1 << 40,), (-1, -12), (0, 1 << 70), (12, "a"), 12])
def test_shapes_that_the_bytes_do_not_fill(shape):
    state = (1, shape, np.dtype("u1"), False, b"123456789012")
    pickled = pickle.dumps(Reconstructed(state), 2)
    with pytest.raises(ValueError, match=r"does not fit|damaged"):
        read_plain(pickled, "x", MOST)


class Reconstructed:
    """Pickles as an array of this state."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), self.state


def test_a_deep_key_does_not_overflow_the_stack():
    # Python's hash of tuples in tuples has no limit of depth: the process would end.
    with pytest.raises(ValueError, match="keys are no texts and no numbers"):
        read_plain(b"\x80\x02})" + b"\x85" * 900_000 + b"Ns.", "x", 1_000_000)
    with pytest.raises(ValueError, match="RecursionError"):
        read_plain(b"\x80\x02)" + b"\x85" * 100_000 + b"N\x93.", "x", 1_000_000)


@pytest.mark.parametrize("shape", [(10**9, (1,)), ((1 << 2000),) * 300])
def test_shapes_that_are_none_take_no_memory(shape):
    state = (1, shape, np.dtype("u1"), False, b"x")
    with pytest.raises(ValueError, match="has no shape"):
        read_plain(pickle.dumps(Reconstructed(state), 2), "x", MOST)


def test_one_list_is_not_copied_into_many_arrays():
    entries = [0] * 1000
    state = (1, (1000,), np.dtype("O"), False, entries)
    pickled = pickle.dumps([Reconstructed(state) for _ in range(500)], 2)
    assert len(pickled) < 50_000
    with pytest.raises(ValueError, match="more elements than bytes"):
        read_plain(pickled, "x", MOST)


def test_one_text_is_not_copied_into_many_bytes():
    text = b"X\x00\x10\x00\x00" + b"a" * 4096 + b"q\x00"
    copy = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    with pytest.raises(ValueError, match="more elements than bytes"):
        read_plain(b"\x80\x02(" + text + copy * 100 + b"l.", "x", MOST)


def test_a_far_place_of_the_memo_takes_no_memory():
    assert read_plain(b"Nr\xff\xff\xff\xff.", "x", 1) is None


def test_changed_pickles_are_refused_or_plain():
    random = np.random.default_rng(8)
    whole = pickle.dumps({"data": np.arange(40, dtype=np.uint8), "labels": list(range(300))}, 2)
    for trial in range(2000):
        damaged = bytearray(whole)
        if trial % 2:
            del damaged[random.integers(len(whole)) :]
        else:
            damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        try:
            read = read_plain(bytes(damaged), "x", 100)
        except ValueError:
            continue
        assert isinstance(read, dict | list | tuple | int | str | bytes | np.ndarray | None)
