"""Inputs that are fed with tensors: joined to the graph of the same run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from symgraph.compiler.run.feeds import label
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import is_float

Connections = Mapping[Tensor, Tensor]


def connected(connections: Connections, fed: Iterable[Tensor]) -> dict[Tensor, Tensor]:
    """What stands for each connected input: its tensor, computed from what is fed and from the others.

    Parameters
    ----------
    connections : mapping of input to tensor
    fed : iterable of Tensor
        What the run gets arrays for: nothing above these is computed.

    Raises
    ------
    ValueError
        A tensor does not fit its input, or inputs depend on each other in a circle.
    TypeError
        A float tensor for an integer input, or a sparse one.
    """
    open_ = {target: _fitting(target, value) for target, value in connections.items()}
    cut = [*fed, *connections]
    joined: dict[Tensor, Tensor] = {}
    while open_:
        ready = [t for t, value in open_.items() if not _needs(value, cut, open_)]
        if not ready:
            names = ", ".join(map(label, open_))
            raise ValueError(f"{names}: the tensors that are fed depend on the inputs that they are fed to")
        values = substitute([open_.pop(target) for target in ready], joined)
        joined.update(zip(ready, values, strict=True))
    return joined


def with_connections(givens: Mapping[Tensor, object], joined: Connections) -> dict[Tensor, object]:
    """`givens`, whose values see the connected inputs, and these themselves, which go before them."""
    olds = [old for old in givens if old not in joined]
    values = substitute([as_tensor(givens[old], old.dtype) for old in olds], dict(joined))
    return {**joined, **dict(zip(olds, values, strict=True))}


def _needs(value: Tensor, cut: list[Tensor], targets: Connections) -> bool:
    return any(node in targets for node in topological([value], stop=cut))


def _fitting(target: Tensor, value: Tensor) -> Tensor:
    """`value` in the dtype of `target`."""
    if value.sparse:
        raise TypeError(f"{label(target)}: expected a dense tensor, got {value!r}; use K.to_dense")
    sizes = zip(target.shape, value.shape, strict=False)
    clash = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in sizes)
    if clash or value.ndim != target.ndim:
        raise ValueError(f"{label(target)}: expected {target.type}, got the tensor {value!r}")
    if is_float(value.dtype) and not is_float(target.dtype):
        raise TypeError(f"{label(target)}: expected {target.dtype}, got the tensor {value!r}; use K.cast")
    return cast(value, target.dtype)
