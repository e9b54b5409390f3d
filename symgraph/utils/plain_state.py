"""Plain values in files: numbers, texts, arrays, random generators, and containers of them. No objects.

A state is an .npz file, which `numpy.load` opens too: the arrays, and a JSON text that says where each one
belongs. A digest behind all of it tells a damaged file. Reading makes nothing but the kinds of value named
here, so that a file of somebody else does no harm.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symgraph.utils.npz import read_npz

_TREE = "state"
_DIGEST = hashlib.sha256().digest_size
_DEPTH = 40  # containers in containers; more of them are no plain value, or hold themselves

_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list, "tuple": tuple, "set": set, "frozenset": frozenset,
}  # fmt: skip
_PLAIN = (type(None), bool, int, float, str)


def is_plain(value: Any, depth: int = _DEPTH) -> bool:
    """Whether `pack` takes a value: of a class named here itself, not of one that is derived from it."""
    kind = type(value)
    if kind in _PLAIN or kind in (complex, bytes, random.Random, np.random.RandomState, np.random.Generator):
        return True
    if kind is np.ndarray or isinstance(value, np.generic):
        return not value.dtype.hasobject
    if depth == 0:
        return False
    if kind is dict:
        return all(is_plain(part, depth - 1) for pair in value.items() for part in pair)
    return (kind.__name__ in _CONTAINERS or kind is deque) and all(is_plain(v, depth - 1) for v in value)


def keeps_state(thing: Any) -> bool:
    """Whether an object has methods of its own that tell its state, and put it back there."""
    return all(callable(getattr(thing, name, None)) for name in ("state_dict", "load_state_dict"))


def knows_all_its_state(thing: Any) -> bool:
    """Whether those methods were written for its class, rather than for one that it is derived from."""
    kind = type(thing)
    return keeps_state(thing) and ("state_dict" in vars(kind) or kind.__module__.startswith("symgraph."))


def pack(state: Mapping[str, Any]) -> bytes:
    """A state as the bytes of a file. TypeError where a value is not plain."""
    arrays: list[np.ndarray] = []
    tree = json.dumps(_tree(dict(state), arrays))
    named = {f"a{number}": array for number, array in enumerate(arrays)}
    file = io.BytesIO()
    named[_TREE] = np.frombuffer(tree.encode(), np.uint8)
    np.savez(file, allow_pickle=False, **named)
    content = file.getvalue()
    return content + hashlib.sha256(content).digest()


def unpack(source: str | os.PathLike[str] | bytes, label: str = "") -> dict[str, Any]:
    """The state in a file, or in the bytes of one.

    Raises
    ------
    ValueError
        If it holds no state, or is damaged.
    OSError
        If the file cannot be read.
    """
    if not isinstance(source, bytes):
        label = os.fspath(source)
        with open(source, "rb") as file:
            source = file.read()
    content, digest = source[:-_DIGEST], source[-_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{label} is damaged, or holds no state of a training")
    most = len(source)
    text = bytes(read_npz(io.BytesIO(content), [_TREE], most)[_TREE])
    try:
        tree = json.loads(text)
        count = _count(tree)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"{label} holds no state of a training: {error}") from error
    found = read_npz(io.BytesIO(content), [f"a{number}" for number in range(count)], most)
    try:
        state = _value(tree, [found[f"a{number}"] for number in range(count)])
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise ValueError(f"{label} holds no state of a training: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{label} holds no state of a training")
    return state


def _tree(value: Any, arrays: list[np.ndarray]) -> Any:
    """What JSON can hold of a value: itself, or a list of its kind and its parts."""
    kind = type(value)
    if kind in _PLAIN:
        # JSON has no infinite numbers; the text of a float is exact.
        return ["float", repr(value)] if kind is float else value
    if kind is bytes or isinstance(value, np.generic | np.ndarray):
        if kind is not bytes and value.dtype.hasobject:
            raise TypeError(f"a state holds plain values, got an array of objects: {value!r:.80}")
        arrays.append(np.frombuffer(value, np.uint8) if kind is bytes else np.asarray(value))
        name = "bytes" if kind is bytes else "array" if kind is np.ndarray else "number"
        return [name, len(arrays) - 1]
    if kind is dict:
        return ["dict", *([_tree(k, arrays), _tree(v, arrays)] for k, v in value.items())]
    if kind is complex:
        return ["complex", _tree(value.real, arrays), _tree(value.imag, arrays)]
    if kind in (random.Random, np.random.RandomState, np.random.Generator):
        return [kind.__name__, _tree(_state_of(value), arrays)]
    limit = [value.maxlen] if isinstance(value, deque) else []
    if limit or _CONTAINERS.get(kind.__name__) is kind:
        return [kind.__name__, *limit, *(_tree(part, arrays) for part in value)]
    raise TypeError(f"a state holds plain values, got a {kind.__name__}: {value!r:.80}")


def _state_of(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state()
    return generator.bit_generator.state


def _count(tree: Any) -> int:
    """How many arrays a tree refers to."""
    if not isinstance(tree, list):
        return 0
    if tree[0] in ("array", "number", "bytes"):
        return int(tree[1]) + 1
    return max((_count(part) for part in tree[1:]), default=0)


def _value(tree: Any, arrays: list[np.ndarray]) -> Any:
    """The value that `_tree` described."""
    if not isinstance(tree, list):
        return tree
    kind, *parts = tree
    if kind in ("array", "number", "bytes"):
        array = arrays[parts[0]]
        return array if kind == "array" else array[()] if kind == "number" else array.tobytes()
    if kind == "float":
        return float(parts[0])
    if kind == "dict":
        return {_value(key, arrays): _value(value, arrays) for key, value in parts}
    if kind == "deque":
        return deque((_value(part, arrays) for part in parts[1:]), parts[0])
    values = [_value(part, arrays) for part in parts]
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](values)
    if kind == "complex":
        return complex(*values)
    return _generator(kind, values[0])


def _generator(kind: str, state: Any) -> Any:
    """A random generator that goes on from a state."""
    if kind == "Random":
        made = random.Random()
        made.setstate(state)
        return made
    if kind == "RandomState":
        legacy = np.random.RandomState(0)
        legacy.set_state(state)
        return legacy
    names = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
    if kind != "Generator" or state["bit_generator"] not in names:
        raise ValueError(f"unknown kind of value {kind!r}")
    bits = getattr(np.random, state["bit_generator"])(0)
    bits.state = state
    return np.random.Generator(bits)
