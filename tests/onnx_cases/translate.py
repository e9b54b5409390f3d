"""From a model in ONNX to tensors: node by node, each by the route that is written for its op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from symgraph import backend as K
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.cases import DTYPES, Case


class NotExpressibleError(Exception):
    """What Keras 2.2.4 has no words for; the message says what it is."""


@dataclass
class Value:
    """An input of a node: a tensor, or numbers that are known, or both, for what is fed.

    Numbers of something computed are asked for where Keras wants plain integers (axes, sizes, pads). ONNX'
    own reference gives them then.
    """

    constant: bool
    _tensor: Callable[[], Tensor] | Tensor
    _array: Callable[[], np.ndarray] | np.ndarray

    @property
    def tensor(self) -> Tensor:
        if callable(self._tensor):
            self._tensor = self._tensor()
        return self._tensor

    @property
    def array(self) -> np.ndarray:
        if callable(self._array):
            self._array = self._array()
        return self._array


@dataclass
class Node:
    """A node as routes see it."""

    op: str
    inputs: list[Value | None]
    attributes: dict[str, Any]
    opset: int
    outputs: int
    #: Whether the model has nothing but this node.
    alone: bool = field(default=True)

    def has(self, number: int) -> bool:
        """Whether input `number` is given."""
        return len(self.inputs) > number and self.inputs[number] is not None

    def value(self, number: int) -> Value:
        found = self.inputs[number]
        assert found is not None, f"{self.op} has no input {number}"
        return found

    def x(self, number: int = 0) -> Tensor:
        """Input `number` as a tensor."""
        return self.value(number).tensor

    @property
    def xs(self) -> list[Tensor]:
        """All inputs as tensors."""
        return [self.x(number) for number in range(len(self.inputs))]

    def array(self, number: int) -> np.ndarray:
        """Input `number` as an array."""
        return self.value(number).array

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def setting(self, name: str, number: int, default: Any = None) -> Any:
        """What is an attribute in old opsets and an input in new ones: lists and numbers of Python."""
        if self.has(number):
            return self.array(number).tolist()
        return self.get(name, default)


#: What a route gives: a tensor, or one for each output (None where it has no say).
Result = Tensor | tuple[Tensor | None, ...]
#: A route gives one or several results, each another way to say the same thing; all of them are checked.
Route = Callable[[Node], Result | list[Result]]


@dataclass
class Translation:
    """Tensors of the outputs, `wanted[i]` being what `tensors[i]` should be, and what to feed."""

    tensors: list[Tensor]
    wanted: list[np.ndarray]
    feeds: dict[Tensor, np.ndarray]
    ops: list[str]


def translate(case: Case, routes: dict[str, Route]) -> Translation:
    """The tensors of a case's outputs.

    Raises
    ------
    NotExpressibleError
        If a part of it is not in Keras' language.
    """
    if case.foreign is not None:
        raise NotExpressibleError(f"type: {case.foreign}")
    graph = case.model.graph
    opset = max((o.version for o in case.model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    feeds: dict[Tensor, np.ndarray] = {}
    values: dict[str, Value] = {t.name: _constant(numpy_helper.to_array(t)) for t in graph.initializer}
    asked = [i for i in graph.input if i.name not in values]
    for declared, array in zip(asked, case.inputs, strict=True):
        assert array is not None
        values[declared.name] = _fed(array, feeds)
    others: dict[str, list[Tensor]] = {}
    ran: list[str] = []
    for proto in graph.node:
        inputs = [values[name] if name else None for name in proto.input]
        node = Node(proto.op_type, inputs, _attributes(proto), opset, len(proto.output), len(graph.node) == 1)
        if proto.domain not in ("", "ai.onnx") or any(a.type == a.GRAPH for a in proto.attribute):
            raise NotExpressibleError(f"op: {proto.op_type}")
        if _is_constant(node):
            _bind_constants(proto, node, values)
            continue
        if proto.op_type not in routes:
            raise NotExpressibleError(f"op: {proto.op_type}")
        found = routes[proto.op_type](node)
        ran.append(proto.op_type)
        _bind(proto, node, found if isinstance(found, list) else [found], values, others)
    tensors, wanted = [], []
    for declared, expected in zip(graph.output, case.outputs, strict=True):
        assert expected is not None
        results = others[declared.name] if declared.name in others else [values[declared.name].tensor]
        tensors += results
        wanted += [expected] * len(results)
    if not ran or not tensors:
        raise NotExpressibleError("nothing is computed")
    return Translation(tensors, wanted, feeds, ran)


def _bind(
    proto: onnx.NodeProto,
    node: Node,
    ways: Sequence[Result],
    values: dict[str, Value],
    others: dict[str, list[Tensor]],
) -> None:
    """Names the results of a node; the first way is what other nodes read."""
    for number, name in enumerate(proto.output):
        results = [way[number] if isinstance(way, tuple) else way for way in ways]
        others[name] = [tensor for tensor in results if tensor is not None]

        def tensor(name: str = name) -> Tensor:
            if not others[name]:
                raise NotExpressibleError(f"output {name} of {proto.op_type}")
            return others[name][0]

        values[name] = Value(False, tensor, lambda n=number: _reference(proto, node)[n])  # type: ignore[misc]


def _bind_constants(proto: onnx.NodeProto, node: Node, values: dict[str, Value]) -> None:
    """What does not depend on what is fed, only on shapes."""
    if node.op in ("Shape", "Size"):
        sizes = np.array([int(d) for d in node.x().shape], "int64")  # type: ignore[call-overload]
        if node.op == "Size":
            sizes = np.array(sizes.prod())
        else:
            sizes = sizes[slice(node.get("start", 0), node.get("end"))]
        values[proto.output[0]] = _constant(sizes)
        return
    for name, array in zip(proto.output, _reference(proto, node), strict=False):
        values[name] = _constant(np.asarray(array))


def _is_constant(node: Node) -> bool:
    if node.alone:
        return False
    return node.op in ("Shape", "Size") or all(v is None or v.constant for v in node.inputs)


def _reference(proto: onnx.NodeProto, node: Node) -> list[np.ndarray]:
    feeds = {n: v.array for n, v in zip(proto.input, node.inputs, strict=True) if v is not None}
    try:
        with np.errstate(all="ignore"):
            return ReferenceEvaluator(proto, opsets={"": node.opset}).run(None, feeds)
    except (NotImplementedError, TypeError, AttributeError) as error:
        raise NotExpressibleError(f"arguments: a constant by {proto.op_type}") from error


def _constant(array: np.ndarray) -> Value:
    if array.dtype.name not in DTYPES:
        raise NotExpressibleError(f"type: {array.dtype.name}")
    return Value(True, lambda: K.constant(array, array.dtype.name), array)


def _fed(array: np.ndarray, feeds: dict[Tensor, np.ndarray]) -> Value:
    def tensor() -> Tensor:
        fed = K.placeholder(array.shape, dtype=array.dtype.name)
        feeds[fed] = array
        return fed

    return Value(False, tensor, array)


def _attributes(proto: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: _plain(onnx.helper.get_attribute_value(a)) for a in proto.attribute}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
