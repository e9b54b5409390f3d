"""A reader of pickles that runs nothing: lists, tuples, dicts, numbers, strings and numpy arrays only.

Some data sets are pickles. Python's own reader calls whatever a file names, so a file can run any code. Here
the operations are interpreted one by one, and the only global names accepted are those with which numpy
stores arrays; none of them is ever called. Python 2 did not distinguish strings from bytes: its strings are
read as bytes.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_HIGHEST_PROTOCOL = 5
# Whole numbers stand in long runs, which are by far the most of a data set of words. A run holds nothing but
# numbers, so Python's own reader may have it.
_NUMBERS = re.compile(rb"(?:K.|M..|J....)++", re.DOTALL)
_NAMES = frozenset(
    [
        *(
            f"{module} {name}"
            for module in ("numpy.core.multiarray", "numpy._core.multiarray")
            for name in ("_reconstruct", "scalar")
        ),
        "numpy ndarray",
        "numpy dtype",
        "_codecs encode",
    ]
)
_TYPES = re.compile(r"[biuf][1248]|O8?")
_MOST_AXES = 64  # numpy's own limit
# Tuples are none: to hash one that holds one that holds one, and so on, would overflow the stack.
_KEYS = (str, bytes, int, float, type(None))


def read_plain(data: bytes, label: str, most_containers: int) -> Any:
    """What a pickle of plain data holds.

    Parameters
    ----------
    data : bytes
        The whole pickle.
    label : str
        The file, for errors.
    most_containers : int
        How many lists, tuples, dicts and arrays it may have. A few bytes of a file can make one of them.

    Returns
    -------
    object
        Its arrays may be views of `data`, which cannot be written.

    Raises
    ------
    ValueError
        If the pickle has anything else, or is damaged.
    """
    try:
        return _Reader(data, most_containers).read()
    except _Refused as error:
        raise ValueError(f"{label} is refused: {error}") from error
    except (
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        raise ValueError(f"{label} is a damaged pickle: {error!r}") from error


class _Refused(Exception):
    """The pickle asks for more than plain data."""


@dataclass(frozen=True, slots=True)
class _Name:
    """Stands for what a pickle imports; it cannot be called."""

    name: str


@dataclass(slots=True)
class _Type:
    """Stands for a dtype."""

    code: str
    order: str = "|"

    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.code)


@dataclass(slots=True)
class _Array:
    """Stands for an array until its state is known."""

    places: list[int] = field(default_factory=list)
    """Where the memo has it."""


class _Reader:
    """Carries out the operations of one pickle; their names are those of the module `pickletools`."""

    def __init__(self, data: bytes, most_containers: int) -> None:
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.containers_left = most_containers
        # Each byte of the file can be an element once: to copy the same ones again and again is a bomb.
        self.elements_left = len(data)

    def read(self) -> Any:
        """The object that the pickle leaves."""
        while True:
            code = self.data[self.position]
            if code == pickle.STOP[0]:
                break
            if code in b"KMJ":
                self.numbers()
                continue
            self.position += 1
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise _Refused(f"it has the operation {bytes([code])!r}, which plain data do not need")
            operation(self)
        if self.position + 1 != len(self.data) or len(self.stack) != 1 or self.marks:
            raise ValueError("it does not end where it should")
        return self.stack[0]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, self.position = self.position, self.position + count
        if count < 0 or self.position > len(self.data):
            raise ValueError("it breaks off")
        return self.data[start : self.position]

    def number(self, form: str) -> int:
        """The next number, in a format of `struct`."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def line(self) -> str:
        """The text up to the next line break."""
        end = self.data.index(b"\n", self.position)
        return self.take(end + 1 - self.position)[:-1].decode("ascii")

    def numbers(self) -> None:
        """Push a run of whole numbers."""
        run = _NUMBERS.match(self.data, self.position)
        if run is None:
            raise ValueError("it breaks off")
        self.stack += pickle.loads(pickle.MARK + run[0] + pickle.LIST + pickle.STOP)
        self.position = run.end()

    def container(self, made: Any) -> None:
        """Push a new container."""
        self.containers_left -= 1
        if self.containers_left < 0:
            raise _Refused("it has more lists, tuples and dicts than expected")
        self.stack.append(made)

    def copied(self, count: int) -> None:
        """Say that `count` elements are about to be copied."""
        self.elements_left -= count
        if self.elements_left < 0:
            raise _Refused("it has more elements than bytes")

    def since_mark(self) -> list[Any]:
        """Pop what was pushed since the last mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def put(self, place: int) -> None:
        """Remember the top of the stack."""
        top = self.stack[-1]
        self.memo[place] = top
        if isinstance(top, _Array):
            top.places.append(place)

    def name(self, module: Any, name: Any) -> None:
        """Push the stand-in of an import; nothing is imported."""
        known = f"{module} {name}"
        if known not in _NAMES:
            raise _Refused(f"it names {module}.{name}, and only plain data are read")
        self.stack.append(_Name(known))

    def reduce(self) -> None:
        """Push what a known name makes of its arguments; no other call is possible."""
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise _Refused("it calls something")
        kind = name.name.split(" ")[1]
        if kind == "_reconstruct":
            self.container(_Array())
        elif kind == "dtype":
            self.stack.append(_type(arguments[0]))
        elif kind == "encode":
            text, encoding = arguments
            if encoding != "latin1":
                raise _Refused(f"it has text in the encoding {encoding!r}")
            self.copied(len(text))
            self.stack.append(text.encode("latin1"))
        elif kind == "scalar":
            of_type, raw = arguments
            self.stack.append(_values((), of_type, False, raw).item())
        else:
            raise _Refused(f"it calls {kind}")

    def build(self) -> None:
        """Give an array or a type its state."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _Type):
            _, order, *structure = state
            if any(part is not None for part in structure[:3]):
                raise _Refused("it has arrays of records")
            target.order = order.decode("ascii") if isinstance(order, bytes) else order
            if target.order not in ("<", ">", "|"):
                raise ValueError("an array has an unknown order of bytes")
        elif isinstance(target, _Array):
            _, shape, of_type, fortran, raw = state
            if isinstance(raw, list):
                self.copied(len(raw))
            made = self.stack[-1] = _values(shape, of_type, fortran, raw)
            for place in target.places:
                self.memo[place] = made
        else:
            raise _Refused("it gives a state to something that is no array")


def _type(code: Any) -> _Type:
    text = code.decode("ascii") if isinstance(code, bytes) else str(code)
    if not _TYPES.fullmatch(text):
        raise _Refused(f"it has arrays of type {text!r}")
    return _Type(text)


def _values(shape: Any, of_type: Any, fortran: Any, raw: Any) -> np.ndarray:
    """An array of the bytes (or, for objects, the list) that a pickle gives; they have to fill its shape."""
    if not isinstance(shape, tuple) or len(shape) > _MOST_AXES or any(type(n) is not int for n in shape):
        raise ValueError("an array has no shape")
    kind = of_type.dtype()
    size = math.prod(shape)
    of_objects = kind.kind == "O"
    if any(length < 0 for length in shape) or len(raw) != size * (1 if of_objects else kind.itemsize):
        raise ValueError(f"an array declares shape {shape!r:.100}, which does not fit its size")
    if of_objects:
        if not isinstance(raw, list):
            raise ValueError("an array of objects has no list of them")
        flat = np.empty(size, object)
        # Assigned at once, lists of one length would become rows.
        for index, value in enumerate(raw):
            flat[index] = value
    else:
        flat = np.frombuffer(raw, kind) if size else np.empty(0, kind)
    return flat.reshape(shape, order="F" if fortran else "C")


_Operation = Callable[[_Reader], None]


def _strings(form: str, is_text: bool) -> _Operation:
    def push(reader: _Reader) -> None:
        raw = reader.take(reader.number(form))
        reader.stack.append(raw.decode("utf-8", "surrogatepass") if is_text else raw)

    return push


def _tuples(count: int) -> _Operation:
    def push(reader: _Reader) -> None:
        if len(reader.stack) < count:
            raise IndexError("the stack is empty")
        items = tuple(reader.stack[-count:])
        del reader.stack[-count:]
        reader.container(items)

    return push


def _constant(value: Any) -> _Operation:
    return lambda reader: reader.stack.append(value)


def _put(form: str) -> _Operation:
    return lambda reader: reader.put(reader.number(form))


def _get(form: str) -> _Operation:
    return lambda reader: reader.stack.append(reader.memo[reader.number(form)])


def _skip_frame(reader: _Reader) -> None:
    reader.take(8)


def _protocol(reader: _Reader) -> None:
    if reader.number("<B") > _HIGHEST_PROTOCOL:
        raise ValueError("its protocol is unknown")


def _mark(reader: _Reader) -> None:
    reader.marks.append(reader.stack)
    reader.stack = []


def _long(reader: _Reader) -> None:
    raw = reader.take(reader.number("<B"))
    reader.stack.append(int.from_bytes(raw, "little", signed=True))


def _float(reader: _Reader) -> None:
    reader.stack.append(struct.unpack(">d", reader.take(8))[0])


def _extend(reader: _Reader, items: list[Any]) -> None:
    target = reader.stack[-1]
    if not isinstance(target, list):
        raise TypeError("it appends to something that is no list")
    target += items


def _append(reader: _Reader) -> None:
    item = reader.stack.pop()
    _extend(reader, [item])


def _update(reader: _Reader, items: list[Any]) -> None:
    target = reader.stack[-1]
    if not isinstance(target, dict):
        raise TypeError("it sets entries of something that is no dict")
    if not all(isinstance(key, _KEYS) for key in items[::2]):
        raise _Refused("it has a dict whose keys are no texts and no numbers")
    target.update(zip(items[::2], items[1::2], strict=True))


def _set_item(reader: _Reader) -> None:
    value, key = reader.stack.pop(), reader.stack.pop()
    _update(reader, [key, value])


def _dict(reader: _Reader) -> None:
    items = reader.since_mark()
    reader.container({})
    _update(reader, items)


def _stack_global(reader: _Reader) -> None:
    name, module = reader.stack.pop(), reader.stack.pop()
    reader.name(module, name)


_OPERATIONS: dict[int, _Operation] = {
    code[0]: operation
    for code, operation in (
        (pickle.PROTO, _protocol),
        (pickle.FRAME, _skip_frame),
        (pickle.MARK, _mark),
        (pickle.NONE, _constant(None)),
        (pickle.NEWTRUE, _constant(True)),
        (pickle.NEWFALSE, _constant(False)),
        (pickle.LONG1, _long),
        (pickle.BINFLOAT, _float),
        (pickle.SHORT_BINSTRING, _strings("<B", is_text=False)),
        (pickle.BINSTRING, _strings("<i", is_text=False)),
        (pickle.SHORT_BINBYTES, _strings("<B", is_text=False)),
        (pickle.BINBYTES, _strings("<I", is_text=False)),
        (pickle.BINBYTES8, _strings("<Q", is_text=False)),
        (pickle.SHORT_BINUNICODE, _strings("<B", is_text=True)),
        (pickle.BINUNICODE, _strings("<I", is_text=True)),
        (pickle.BINUNICODE8, _strings("<Q", is_text=True)),
        (pickle.EMPTY_TUPLE, _constant(())),
        (pickle.TUPLE, lambda reader: reader.container(tuple(reader.since_mark()))),
        (pickle.TUPLE1, _tuples(1)),
        (pickle.TUPLE2, _tuples(2)),
        (pickle.TUPLE3, _tuples(3)),
        (pickle.EMPTY_LIST, lambda reader: reader.container([])),
        (pickle.LIST, lambda reader: reader.container(reader.since_mark())),
        (pickle.APPEND, _append),
        (pickle.APPENDS, lambda reader: _extend(reader, reader.since_mark())),
        (pickle.EMPTY_DICT, lambda reader: reader.container({})),
        (pickle.DICT, _dict),
        (pickle.SETITEM, _set_item),
        (pickle.SETITEMS, lambda reader: _update(reader, reader.since_mark())),
        (pickle.MEMOIZE, lambda reader: reader.put(len(reader.memo))),
        (pickle.BINPUT, _put("<B")),
        (pickle.LONG_BINPUT, _put("<I")),
        (pickle.BINGET, _get("<B")),
        (pickle.LONG_BINGET, _get("<I")),
        (pickle.GLOBAL, lambda reader: reader.name(reader.line(), reader.line())),
        (pickle.STACK_GLOBAL, _stack_global),
        (pickle.REDUCE, lambda reader: reader.reduce()),
        (pickle.BUILD, lambda reader: reader.build()),
    )
}
