"""Functions of single things as functions of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops.scan import scan
from symgraph.graph.ops.shape import transpose
from symgraph.graph.structure import filled, leaves
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import normalize_axis


def vectorize(function: Callable[..., Any], axes: Any = 0, result_axis: int = 0) -> Callable[..., Any]:
    """Map a function of tensors over an axis of its arguments.

    The function is called once, for one place of the axis, and becomes the step of a loop.

    Parameters
    ----------
    function : callable
        ``function(*tensors)`` returns a tensor, or a list, tuple or dict of them. Arguments may be lists,
        tuples and dicts of tensors too.
    axes : int, None, or sequence with one of these for each argument
        The axis of each argument along which it is mapped, in all tensors that it holds. None: every call
        gets the whole argument. Arguments by keyword are always given whole.
    result_axis : int
        Where the mapped axis is in the results.

    Returns
    -------
    callable
        A function of tensors, arrays and numbers that writes a graph; ``symgraph.jit(symgraph.vectorize(f))``
        is one of arrays.

    Raises
    ------
    ValueError
        When called: nothing is mapped, sizes of the axes differ, or an argument has no such axis.

    Examples
    --------
    >>> distances = symgraph.vectorize(lambda a, b: K.sum(K.square(a - b)), axes=(0, None))
    """
    if not callable(function):
        raise TypeError(f"vectorize: expected a function of tensors, got {brief(function)}")
    name = getattr(function, "__name__", "function")
    what = f"vectorize({name})"

    @wraps(function)
    def mapped(*arguments: Any, **named: Any) -> Any:
        chosen = _axis_each(what, axes, arguments)
        fronts: list[Tensor] = []
        for number, (value, axis) in enumerate(zip(arguments, chosen, strict=True)):
            if axis is not None:
                fronts += [_front(what, number, as_tensor(leaf), axis) for leaf in leaves(value)]
        if not fronts:
            raise ValueError(f"{what}: expected an argument that is mapped, got axes {axes}")
        form: list[Any] = []

        def step(values: list[Tensor], _: list[Tensor]) -> tuple[list[Any], list[Tensor]]:
            left = iter(values)
            given = [
                value if axis is None else filled(value, [next(left) for _ in leaves(value)])
                for value, axis in zip(arguments, chosen, strict=True)
            ]
            form[:] = [function(*given, **named)]
            return leaves(form[0]), []

        found, _ = scan(step, fronts, what=what)
        return filled(form[0], [_back(what, t, result_axis) for t in found])

    return mapped


def _axis_each(what: str, axes: Any, arguments: Sequence[Any]) -> list[int | None]:
    """The axis of each argument."""
    found = list(axes) if isinstance(axes, (list, tuple)) else [axes] * len(arguments)
    if len(found) != len(arguments):
        raise ValueError(f"{what}: axes has {len(found)} entries for {len(arguments)} arguments")
    for axis in found:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int)):
            raise TypeError(f"{what}: expected integers and None as axes, got {brief(axis)}")
    return found


def _front(what: str, number: int, tensor: Tensor, axis: int) -> Tensor:
    """`tensor` with the mapped axis first."""
    try:
        place = normalize_axis(axis, tensor.ndim)
    except ValueError as error:
        raise ValueError(f"{what}: argument {number}: {error}") from None
    rest = [a for a in range(tensor.ndim) if a != place]
    return transpose(tensor, [place, *rest]) if place else tensor


def _back(what: str, tensor: Tensor, axis: int) -> Tensor:
    """`tensor` with its first axis moved to its place."""
    place = normalize_axis(axis, tensor.ndim, f"{what}: result_axis")
    order = list(range(1, tensor.ndim))
    order.insert(place, 0)
    return transpose(tensor, order) if place else tensor
