"""The nodes of the graph.

A tensor is an op applied to tensors; it is immutable and knows where it comes from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from symgraph.graph.dispatch import install_operators, operator
from symgraph.graph.methods import Methods
from symgraph.graph.origin import Origin, current
from symgraph.graph.static_shape import Shape, StaticShape, refined
from symgraph.graph.symbolic import Symbolic
from symgraph.graph.types import TensorType, TupleType, Type

if TYPE_CHECKING:
    from symgraph.graph.op import Op

_serial = itertools.count()


class Tensor(Methods, Symbolic):
    """The symbolic result of an op.

    Attributes
    ----------
    op : Op
    inputs : tuple of Tensor
    type : TensorType or TupleType
    origins : tuple of Origin
        Source lines and layers that this node serves; several where a pass merged nodes.
    name : str or None
    """

    __slots__ = (
        "__weakref__",
        "_keras_history",
        "_keras_mask",
        "_picked",
        "_stated_shape",
        "_uses_learning_phase",
        "inputs",
        "name",
        "op",
        "origins",
        "serial",
        "type",
    )
    #: Whether this stands for a sparse matrix, which few ops take.
    sparse: ClassVar[bool] = False
    # What layers note on the tensors that they make; unset on all others.
    _keras_history: Any
    _keras_mask: Any
    #: (x, key) of what was written as ``x[key]``.
    _picked: Any
    _stated_shape: Any
    _uses_learning_phase: bool

    def __init__(
        self,
        op: Op,
        inputs: tuple[Tensor, ...],
        type: Type,
        origins: tuple[Origin, ...] | None = None,
        name: str | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.type = type
        self.origins = origins or current()
        self.name = name
        self.serial = next(_serial)

    @property
    def tensor_type(self) -> TensorType:
        """The type, known to be that of a single tensor."""
        assert isinstance(self.type, TensorType), f"{self.op} has several results"
        return self.type

    @property
    def dtype(self) -> str:
        """Name of the dtype, e.g. ``float32``."""
        return self.tensor_type.dtype

    @property
    def shape(self) -> Shape:
        """Sizes of the axes: integers, or expressions of sizes that data will tell."""
        return Shape(self.tensor_type.shape)

    @property
    def _keras_shape(self) -> tuple[int | None, ...]:
        """The sizes, None where data will tell them: what a layer stated, else what the graph knows."""
        try:
            stated: tuple[int | None, ...] = self._stated_shape
        except AttributeError:
            return tuple(StaticShape(self.shape).as_list())
        return stated

    @_keras_shape.setter
    def _keras_shape(self, sizes: Iterable[int | None]) -> None:
        self._stated_shape = sizes

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.tensor_type.ndim

    @property
    def layer(self) -> str | None:
        """The layer that wrote this node, None outside layers."""
        return next((o.layer for o in self.origins if o.layer), None)

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        kind = "SparseTensor" if self.sparse else "Tensor"
        return f"<{kind}{label} {self.op} {self.type}>"

    def get_shape(self) -> StaticShape:
        """What is known of the shape, as TensorFlow 1 tells it: ``x.get_shape().as_list()``."""
        return StaticShape(self.shape)

    def set_shape(self, shape: Iterable[Any]) -> None:
        """State unknown sizes, before this tensor is used.

        They are checked at every run.

        Parameters
        ----------
        shape : sequence of int or None
            None for a size that stays as it is.

        Raises
        ------
        ValueError
            If sizes that are known differ, or there is another number of axes.
        """
        sizes = refined(self.shape, shape)
        if sizes != self.shape:
            node = call("of_shape", self, sizes)
            self.op, self.inputs, self.type = node.op, node.inputs, node.type
            if hasattr(self, "_stated_shape"):
                self._stated_shape = tuple(StaticShape(sizes).as_list())

    def eval(
        self,
        feed: dict[Any, Any] | None = None,
        feed_dict: dict[Any, Any] | None = None,
        session: Any = None,
    ) -> Any:
        """The value, with placeholders fed from `feed` ({tensor or name: array}).

        `feed_dict` and `session` are for scripts that name the arguments as TensorFlow 1 does.
        """
        return operator("eval")(self, {**(feed or {}), **(feed_dict or {})})

    def __getitem__(self, key: Any) -> Tensor:
        part = call("getitem", self, key)
        if part is self and hasattr(self, "_picked"):
            part = call("identity", self)  # the whole of a part is not that part of the whole
        if part is not self:
            part._picked = (self, key)
        return part

    @property
    def at(self) -> Any:
        """Parts of this tensor, to be changed: ``x.at[key].set(v)``, see `graph.ops.parts.Places`."""
        return call("at", self)

    def __add__(self, other: Any) -> Tensor:
        return call("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return call("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return call("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return call("subtract", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return call("multiply", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return call("multiply", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return call("divide", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return call("divide", other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return call("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return call("floor_divide", other, self)

    def __mod__(self, other: Any) -> Tensor:
        return call("mod", self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return call("mod", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return call("power", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return call("power", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return call("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return call("matmul", other, self)

    def __pos__(self) -> Tensor:
        return self

    def __neg__(self) -> Tensor:
        return call("negative", self)

    def __abs__(self) -> Tensor:
        return call("absolute", self)

    def __lt__(self, other: Any) -> Tensor:
        return call("less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return call("less_equal", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return call("greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return call("greater_equal", self, other)

    def __and__(self, other: Any) -> Tensor:
        return call("bitwise_and", self, other)

    def __or__(self, other: Any) -> Tensor:
        return call("bitwise_or", self, other)

    def __rand__(self, other: Any) -> Tensor:
        return call("bitwise_and", other, self)

    def __ror__(self, other: Any) -> Tensor:
        return call("bitwise_or", other, self)

    def __xor__(self, other: Any) -> Tensor:
        return call("bitwise_xor", self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return call("bitwise_xor", other, self)

    def __lshift__(self, other: Any) -> Tensor:
        return call("left_shift", self, other)

    def __rlshift__(self, other: Any) -> Tensor:
        return call("left_shift", other, self)

    def __rshift__(self, other: Any) -> Tensor:
        return call("right_shift", self, other)

    def __rrshift__(self, other: Any) -> Tensor:
        return call("right_shift", other, self)

    def __invert__(self) -> Tensor:
        return call("bitwise_not", self)


def next_serial() -> int:
    """A number that tells what was made before (smaller serials) from what is made from now on (larger)."""
    return next(_serial)


def call(name: str, *arguments: Any) -> Tensor:
    """Apply the builder function called `name`.

    How op families use each other without importing each other.
    """
    result: Tensor = operator(name)(*arguments)
    return result


def topological(roots: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> list[Tensor]:
    """All nodes that `roots` need, each after its inputs. Nothing above a node of `stop` is visited."""
    cut = {id(t) for t in stop}
    order: list[Tensor] = []
    state: dict[int, bool] = {}
    stack = list(reversed(list(roots)))
    while stack:
        node = stack[-1]
        done = state.get(id(node))
        if done is None:
            state[id(node)] = False
            if id(node) not in cut:
                stack.extend(i for i in reversed(node.inputs) if id(i) not in state)
        else:
            stack.pop()
            if not done:
                state[id(node)] = True
                order.append(node)
    return order


def consumers(order: Sequence[Tensor]) -> dict[int, list[Tensor]]:
    """For each node (by id) the nodes of `order` that read it, one entry per use."""
    readers: dict[int, list[Tensor]] = {id(node): [] for node in order}
    for node in order:
        for value in node.inputs:
            if id(value) in readers:
                readers[id(value)].append(node)
    return readers


__all__ = ["Tensor", "TupleType", "call", "consumers", "install_operators", "topological"]
