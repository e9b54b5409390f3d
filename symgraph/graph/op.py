"""The contract of an op: everything that is known about it, in one class.

An op is a frozen dataclass; its fields are its parameters, so equality and hashing come free and equal ops
applied to equal inputs are one node. A subclass states, and nowhere else: the shape and dtype rule (`infer`),
what has to be equal at run time (`requires`), the gradient, a numpy reference, the cost, and the kernel calls
(`rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.dims import Dim, product
from symgraph.graph.origin import Origin, current
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType, Type
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True, slots=True)
class Sample:
    """An example of use that the generic checks run: the op and concrete inputs for it.

    `smooth` is False where finite differences do not apply at these inputs (ties, steps, integers).
    `free` lists (input, axis) pairs whose size may be declared unknown.
    """

    op: Op
    inputs: tuple[np.ndarray, ...]
    smooth: bool = True
    free: tuple[tuple[int, int], ...] = ()
    options: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Cut:
    """How an op falls apart into slices along the first axis, which is that of samples.

    `inputs` tells for each input whether a slice needs its own samples of it only, or all of it. Results of
    the slices lie side by side or, where `added`, their sum is the result.
    """

    inputs: tuple[bool, ...]
    added: bool = False


class Op:
    """Base of all ops. Subclasses are frozen dataclasses."""

    #: Whether the reference and kernels may be skipped in favour of a view of the first input.
    aliases: ClassVar[bool] = False
    #: Whether equal applications may be merged and constants folded.
    pure: ClassVar[bool] = True
    #: Whether a gradient is defined. Ops made by passes, after differentiation, have none.
    differentiable: ClassVar[bool] = True
    #: Whether its result may lie where its first input lies, if nobody else reads that.
    overwrites: ClassVar[bool] = False
    #: Whether the op runs one of several graphs.
    choice: ClassVar[bool] = False
    #: Whether this very class is only a base of others (not inherited).
    abstract: ClassVar[bool] = False
    #: Whether the op is a leaf that has no kernel (placeholder, variable, constant ...).
    leaf: ClassVar[bool] = False

    def __call__(
        self, *inputs: Tensor, name: str | None = None, origins: tuple[Origin, ...] | None = None
    ) -> Tensor:
        """Apply to `inputs`. Shape and dtype errors are raised here."""
        where = origins or current()
        try:
            for tensor in inputs:
                if tensor.sparse:
                    raise TypeError(f"{self}: expected dense tensors, got {tensor!r}; use K.to_dense")
            type = self.infer(*(i.type for i in inputs))
        except (ValueError, TypeError) as error:
            layer = where[0].layer
            if layer is not None and not hasattr(error, "located"):
                error.args = (f"in layer {layer}: {error}",)
                error.located = True  # type: ignore[union-attr]
            raise
        return Tensor(self, inputs, type, where, name)

    def __str__(self) -> str:
        """What listings show: the class in snake case, with its parameters."""
        return _snake(type(self).__name__)

    def infer(self, *types: Any) -> Type:
        """Type of the result. ValueError or TypeError on wrong inputs, naming expected and got."""
        raise NotImplementedError

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Pairs of sizes that could not be proven equal and have to be when data come."""
        return ()

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """Gradients for each input, given that of the output (for tuple results a sequence)."""
        raise NotImplementedError(f"{self} has no gradient")

    def reference(self, *arrays: Any) -> Any:
        """The same on numpy arrays: the meaning of this op. Tuple results are a tuple of arrays."""
        raise NotImplementedError

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Floating-point operations for these shapes.

        One per add, multiply, divide, compare or function value.
        """
        return 0

    def bytes(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        """Compulsory memory traffic for these types, whose sizes are known: each operand and result once.

        Nothing for leaves, and for ops whose result may be a view.
        """
        return 0 if self.leaf or self.aliases else sum(map(byte_count, (*inputs, *outputs)))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """The kernel calls that compute `outputs` from `inputs`."""
        raise NotImplementedError(f"{self} has no kernel")

    def overwritable(self, inputs: Sequence[Buffer]) -> Sequence[Buffer]:
        """Those of `inputs` whose place a result may take where nobody else reads them."""
        return ()

    def bodies(self) -> Sequence[Any]:
        """The graphs (`Body`) inside of this op: a step of a loop, the sides of a choice."""
        return ()

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """How the op falls apart into slices at these shapes; None where it does not."""
        return None

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer | None:
        """The result as a view of the first input, or None where it has to be computed."""
        return None

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Example applications for the generic checks: 0-size, odd sizes, every dtype that is claimed."""
        return iter(())


def byte_count(kind: TensorType) -> int:
    """Bytes of a tensor whose sizes are known."""
    return int(product(kind.shape)) * np.dtype(kind.dtype).itemsize


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name)).replace(
        "2_d", "2d"
    )


def registered_ops() -> list[type[Op]]:
    """Every op of the project, sorted by name: what the generic checks walk through."""
    found: list[type[Op]] = []
    open_classes: list[type[Op]] = [Op]
    while open_classes:
        for child in open_classes.pop().__subclasses__():
            open_classes.append(child)
            if "__dataclass_fields__" in vars(child) and not vars(child).get("abstract") and _ours(child):
                found.append(child)
    return sorted(set(found), key=lambda c: c.__name__)


def _ours(op: type[Op]) -> bool:
    return op.__module__.startswith("symgraph.") and not op.__name__.startswith("_")


@dataclass(frozen=True)
class Part(Op):
    """One result of a node that has several. Costs nothing: the planner hands out the part's buffer."""

    index: int
    aliases: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"part[{self.index}]"

    def infer(self, *types: Any) -> TensorType:
        """The type of that part."""
        (whole,) = types
        assert isinstance(whole, TupleType)
        return whole.items[self.index]

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """As its whole does."""
        return Cut((True,))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Handled by `gradients`, which hands tuple nodes all their parts' gradients at once."""
        raise AssertionError("gradients() collects parts itself")

    def reference(self, *arrays: Any) -> Any:
        """That part."""
        return arrays[0][self.index]


def parts(node: Tensor) -> tuple[Tensor, ...]:
    """The results of a node with several, one tensor each."""
    assert isinstance(node.type, TupleType)
    return tuple(Part(i)(node, origins=node.origins) for i in range(len(node.type.items)))
