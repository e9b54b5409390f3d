"""The invariants of a graph, verified for every node between passes in tests."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.graph.dims import Dim
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType, TupleType, Type


def check(roots: Sequence[Tensor]) -> None:
    """Verify every node: it infers to its own type, has origins, and follows its inputs.

    Raises
    ------
    AssertionError
        Names the node and what does not hold.
    """
    seen: set[int] = set()
    for node in topological(roots):
        missing = [i for i in node.inputs if id(i) not in seen]
        assert not missing, f"{node!r} comes before its inputs {missing}"
        seen.add(id(node))
        assert node.origins, f"{node!r} does not know where it comes from"
        inferred = node.op.infer(*(i.type for i in node.inputs))
        assert _agree(inferred, node.type), f"{node!r}: its op infers {inferred}"


def _agree(a: Type, b: Type) -> bool:
    """Whether two types are the same as far as sizes are known."""
    if isinstance(a, TupleType) or isinstance(b, TupleType):
        both = isinstance(a, TupleType) and isinstance(b, TupleType) and len(a.items) == len(b.items)
        return both and all(_agree(x, y) for x, y in zip(a.items, b.items, strict=True))  # type: ignore[union-attr]
    assert isinstance(a, TensorType) and isinstance(b, TensorType)
    same = a.dtype == b.dtype and a.ndim == b.ndim
    return same and all(_may_equal(x, y) for x, y in zip(a.shape, b.shape, strict=True))


def _may_equal(a: Dim, b: Dim) -> bool:
    return not (isinstance(a, int) and isinstance(b, int)) or a == b
