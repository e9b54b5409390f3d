"""A network of Caffe as a list of layers: one form for all versions, only what the test phase runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from symgraph.convert.caffe.prototxt import Message, Value, Word

# Types of version 1 whose name is not that of today without its underscores and capitals.
_V1_TYPES = {
    "ABSVAL": "AbsVal", "ARGMAX": "ArgMax", "BNLL": "BNLL", "DUMMY_DATA": "DummyData", "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col", "INFOGAIN_LOSS": "InfogainLoss", "LRN": "LRN",
    "MVN": "MVN", "RELU": "ReLU", "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SOFTMAX_LOSS": "SoftmaxWithLoss", "TANH": "TanH",
}  # fmt: skip

#: Losses that contain a result of the network.
LOSSES = ("SoftmaxWithLoss", "SigmoidCrossEntropyLoss")


@dataclass(frozen=True)
class CaffeLayer:
    """A layer: its name, type, blobs that it reads and writes, and its parameter messages by their names."""

    path: str
    line: int
    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    fields: Message

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: layer {self.name!r} ({self.type})"

    def error(self, text: str) -> ValueError:
        """An error that names this layer."""
        return ValueError(f"{self}: {text}")

    def parameters(self, name: str, known: Sequence[str], ignored: Sequence[str] = ()) -> Parameters:
        """The message called `name`, empty if there is none.

        Raises
        ------
        ValueError
            If it has fields other than `known` and `ignored` ones, which might change values.
        """
        messages = self.fields.get(name, [])
        found = Message(self.line)
        for message in messages:
            if not isinstance(message, Message):
                raise self.error(f"expected {name} {{ ... }}, got {message!r}")
            for key, values in message.items():
                found.setdefault(key, []).extend(values)
        unknown = sorted(set(found) - set(known) - set(ignored))
        if unknown:
            raise self.error(f"{name} {{ {unknown[0]} }} cannot be converted")
        return Parameters(self, name, found)

    def single_bottom(self) -> str:
        """The only blob that is read. ValueError if there are more, or none."""
        if len(self.bottoms) != 1:
            raise self.error(f"expected one bottom, got {len(self.bottoms)}: {', '.join(self.bottoms)}")
        return self.bottoms[0]


@dataclass(frozen=True)
class Parameters:
    """The fields of a parameter message, read with their types."""

    layer: CaffeLayer
    name: str
    fields: Message = field(repr=False)

    def has(self, key: str) -> bool:
        """Whether a field is given."""
        return key in self.fields

    def _values(self, key: str, kinds: tuple[type, ...], expected: str) -> list[Any]:
        values = self.fields.get(key, [])
        for value in values:
            if not isinstance(value, kinds):
                raise self.layer.error(f"{self.name}: expected {expected} for {key}, got {value!r}")
        return values

    def _last(self, values: list[Any], default: Any) -> Any:
        return values[-1] if values else default

    def integers(self, key: str) -> list[int]:
        """All values of a repeated field."""
        return self._values(key, (int,), "an integer")

    def integer(self, key: str, default: int | None = None, least: int | None = None) -> int:
        """The value of a field. ValueError if it is missing without a default, or smaller than `least`."""
        value = self._last(self.integers(key), default)
        if value is None:
            raise self.layer.error(f"{self.name}: expected {key}")
        if least is not None and value < least:
            raise self.layer.error(f"{self.name}: expected {key} of at least {least}, got {value}")
        return int(value)

    def numbers(self, key: str) -> list[float]:
        """All values of a repeated field of floats."""
        return [float(value) for value in self._values(key, (int, float), "a number")]

    def number(self, key: str, default: float) -> float:
        """The value of a field of floats."""
        return float(self._last(self.numbers(key), default))

    def flag(self, key: str, default: bool) -> bool:
        """The value of a field that is true or false."""
        value = self._last(self._values(key, (Word, int), "true or false"), Word(str(default).lower()))
        if str(value) not in ("true", "false", "True", "False", "t", "f", "1", "0"):
            raise self.layer.error(f"{self.name}: expected true or false for {key}, got {value}")
        return str(value) in ("true", "True", "t", "1")

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        """The value of a field that is an enumeration: a word, or its number."""
        value = self._last(self._values(key, (Word, int), f"one of {', '.join(options)}"), Word(default))
        if isinstance(value, int) and 0 <= value < len(options):
            return options[value]
        if value not in options:
            raise self.layer.error(
                f"{self.name}: expected one of {', '.join(options)} for {key}, got {value}"
            )
        return str(value)

    def messages(self, key: str) -> list[Message]:
        """All messages in a field."""
        return self._values(key, (Message,), "{ ... }")


@dataclass(frozen=True)
class CaffeNetwork:
    """The layers in their order, and declared inputs: blob and shape, None where none is declared."""

    path: str
    inputs: dict[str, tuple[int, ...] | None]
    layers: list[CaffeLayer]


def read_network(net: Message, path: str) -> CaffeNetwork:
    """What the test phase of a network runs.

    Raises
    ------
    ValueError
        If there are no layers, or the text is another message.
    """
    given = [*_messages(net, "layers", path), *_messages(net, "layer", path)]
    if not given:
        raise ValueError(f"{path}: no layers: expected the prototxt of a network" + _other_kind(net))
    if "layer" in net and "layers" in net:
        raise ValueError(f"{path}: expected layers of one version, got both `layer` and `layers`")
    layers = [_layer(message, "layers" in net, path) for message in given if _in_test_phase(message, path)]
    return CaffeNetwork(path, _declared_inputs(net, path), layers)


def _other_kind(net: Message) -> str:
    return ", got a solver's" if {"base_lr", "train_net", "net", "solver_mode"} & set(net) else ""


def _messages(message: Message, name: str, path: str) -> list[Message]:
    found = message.get(name, [])
    for value in found:
        if not isinstance(value, Message):
            raise ValueError(f"{path}, line {message.line}: expected {name} {{ ... }}, got {value!r}")
    return found  # type: ignore[return-value]


def _layer(message: Message, old: bool, path: str) -> CaffeLayer:
    if old and "layer" in message:
        raise ValueError(
            f"{path}, line {message.line}: of Caffe's version 0: upgrade it by upgrade_net_proto_text"
        )
    name, kind = _text(message, "name", path), _text(message, "type", path)
    if not kind:
        raise ValueError(f"{path}, line {message.line}: layer {name!r} has no type")
    if old:
        kind = _V1_TYPES.get(kind) or "".join(part.capitalize() for part in kind.split("_"))
    bottoms, tops = (
        tuple(_as_text(v, key, message, path) for v in message.get(key, [])) for key in ("bottom", "top")
    )
    if not tops and kind in LOSSES:
        tops = (name,)  # Caffe makes a top, too
    return CaffeLayer(path, message.line, name, kind, bottoms, tops, message)


def _text(message: Message, key: str, path: str) -> str:
    values = message.get(key, [])
    return _as_text(values[-1], key, message, path) if values else ""


def _as_text(value: Value, key: str, message: Message, path: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{path}, line {message.line}: expected a text for {key}, got {value!r}")
    return str(value)


def _in_test_phase(message: Message, path: str) -> bool:
    """Whether the rules of a layer let a network of the test phase, level 0 and no stages have it."""
    include, exclude = (_messages(message, key, path) for key in ("include", "exclude"))
    if include:
        return any(_meets(rule) for rule in include)
    return not any(_meets(rule) for rule in exclude)


def _meets(rule: Message) -> bool:
    phase = rule.get("phase", [Word("TEST")])[-1]
    levels = [rule.get(key, [0])[-1] for key in ("min_level", "max_level")]
    within = all(isinstance(v, int) for v in levels) and levels[0] <= 0 <= levels[1]  # type: ignore[operator]
    return phase in ("TEST", 1) and within and not rule.get("stage")


def _declared_inputs(net: Message, path: str) -> dict[str, tuple[int, ...] | None]:
    names = [_as_text(value, "input", net, path) for value in net.get("input", [])]
    shapes: list[tuple[int, ...]] = [
        tuple(_sizes(m.get("dim", []), path, m.line)) for m in _messages(net, "input_shape", path)
    ]
    flat = list(_sizes(net.get("input_dim", []), path, net.line))
    shapes += [tuple(flat[at : at + 4]) for at in range(0, len(flat), 4)]
    if len(shapes) != len(names) or len(flat) % 4:
        raise ValueError(
            f"{path}: expected a shape (input_shape, or four input_dim) for each input, "
            f"got {len(names)} inputs, {len(shapes)} shapes"
        )
    return dict(zip(names, shapes, strict=True))


def _sizes(values: Sequence[Value], path: str, line: int) -> Iterator[int]:
    for value in values:
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{path}, line {line}: expected sizes of at least 1, got {value!r}")
        yield value


def shape_of(message: Message, layer: CaffeLayer) -> tuple[int, ...]:
    """The sizes in a `shape { dim: ... }`."""
    return tuple(_sizes(message.get("dim", []), layer.path, layer.line))
