"""A check of gradients for users: what the graph says beside finite differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.compiler.function import Function
from symgraph.compiler.lower import variables_of
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, as_tensor, constant, placeholder
from symgraph.graph.ops.reduce import sum as total
from symgraph.graph.ops.shape import BroadcastTo
from symgraph.graph.structure import leaves
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float

#: For each dtype the step of the differences, and how far they may be from the gradient.
_STEPS = {"float64": (1e-3, 1e-6), "float32": (3e-2, 1e-2)}
_MOST_ELEMENTS = 200


class GradientError(AssertionError):
    """A gradient that is not the derivative."""


def check_gradient(
    function: Callable[..., Any] | Tensor | Sequence[Tensor],
    arguments: Any,
    feed: Mapping[Tensor, Any] | None = None,
    order: int = 1,
    step: float | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> float:
    """Compare gradients with finite differences.

    All results are multiplied with random numbers and added up; the sum is differentiated by every argument
    of a float dtype, and each element of the gradient (200 of them, picked at random, where there are more)
    is compared with a central difference of the fourth order.

    Parameters
    ----------
    function : callable, Tensor or sequence of Tensor
        ``function(*tensors)`` returns a tensor or a structure of them and is checked in float64. Tensors are
        checked as they are, in their own dtype, at the values of `feed`.
    arguments : sequence
        For a callable the arrays (one: the array itself) at which it is checked, else the tensors by which
        `function` is differentiated: variables, placeholders or nodes between.
    feed : mapping of Tensor to array, optional
        For tensors: values of the placeholders.
    order : int
        2 compares the gradient's gradient too, and so on.
    step : float, optional
        The step, times ``max(1, |x|)``; default 1e-3, for float32 0.03.
    tolerance : float, optional
        The largest difference allowed, divided by the largest element of the gradient or 1; default 1e-6,
        for float32 0.01.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    float
        The largest such difference.

    Raises
    ------
    GradientError
        The gradient is wrong: which argument, which element, both numbers.
    ValueError
        The results draw random numbers, or there is nothing to differentiate by.
    """
    if callable(function) and not isinstance(function, Tensor):
        results, wrt, fed = _traced(function, arguments)
    else:
        results, wrt, fed = _graph(function, arguments, feed or {})
    if any(v.default_update is not None for v in variables_of(results)):
        raise ValueError("check_gradient: the results draw random numbers, so there is nothing to compare")
    checked = [t for t in wrt if is_float(t.dtype)]
    if not checked:
        raise ValueError("check_gradient: expected an argument of a float dtype to differentiate by")
    rng = np.random.default_rng(seed)
    coarse = "float32" if any(t.dtype != "float64" for t in checked) else "float64"
    steps, limits = _STEPS[coarse]
    worst = 0.0
    for number in range(order):
        scalar = _probe(results, fed, rng)
        if scalar is None:
            break
        slopes = [s for s in gradients(scalar, checked, disconnected="zero") if s is not None]
        measure = _Measure(fed, scalar, checked, slopes, step or steps)
        worst = max(worst, measure.worst(f"order {number + 1}", tolerance or limits, rng))
        results = slopes
    return worst


def _traced(
    function: Callable[..., Any], arguments: Any
) -> tuple[list[Tensor], list[Tensor], dict[Tensor, Any]]:
    """The graph of a function of tensors: results, arguments, and values of these."""
    given = arguments if isinstance(arguments, (list, tuple)) else [arguments]
    arrays = [np.asarray(a) for a in given]
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    wrt = [placeholder(a.shape, dtype=a.dtype.name, name=f"argument_{n}") for n, a in enumerate(arrays)]
    results = [as_tensor(t) for t in leaves(function(*wrt)) if t is not None]
    return results, wrt, dict(zip(wrt, arrays, strict=True))


def _graph(
    results: Any, wrt: Any, feed: Mapping[Tensor, Any]
) -> tuple[list[Tensor], list[Tensor], dict[Tensor, Any]]:
    """A graph as it is given: results, tensors to differentiate by, values of placeholders."""
    made, by = leaves(results), leaves(wrt)
    for role, tensors in (("a function or a tensor", made), ("a tensor to differentiate by", by)):
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"check_gradient: expected {role}, got {brief(tensor)}")
    return made, by, dict(feed)


def _probe(results: Sequence[Tensor], fed: Mapping[Tensor, Any], rng: np.random.Generator) -> Tensor | None:
    """The sum of all results of a float dtype, times random numbers: a scalar to differentiate."""
    floats = [r for r in results if is_float(r.dtype)]
    values = Function(list(fed), floats, name="check_gradient")(*fed.values())
    found: Tensor | None = None
    for result, value in zip(floats, values, strict=True):
        weight = constant(rng.standard_normal(np.shape(value)), result.dtype)
        # Sizes that are unknown in the graph are those of this value.
        term = total(BroadcastTo(np.shape(value))(result) * weight)
        found = term if found is None else found + term
    return found


class _Measure:
    """Finite differences of a scalar beside its gradients."""

    def __init__(
        self,
        fed: Mapping[Tensor, Any],
        scalar: Tensor,
        wrt: Sequence[Tensor],
        slopes: Sequence[Tensor],
        step: float,
    ) -> None:
        self.fed = {t: np.array(value, t.dtype) for t, value in fed.items()}
        self.scalar, self.wrt, self.step = scalar, wrt, step
        self.slopes = self._values(slopes)

    def _values(self, tensors: Sequence[Tensor]) -> list[np.ndarray]:
        found: list[np.ndarray] = Function(list(self.fed), tensors, name="check_gradient")(*self.fed.values())
        return found

    def worst(self, what: str, tolerance: float, rng: np.random.Generator) -> float:
        """The largest difference. GradientError where it is above `tolerance`, or is none."""
        worst = 0.0
        for number, (tensor, slope) in enumerate(zip(self.wrt, self.slopes, strict=True)):
            scale = max(1.0, float(np.max(np.abs(slope), initial=0.0)))
            picked = rng.permutation(slope.size)[:_MOST_ELEMENTS] if slope.size > _MOST_ELEMENTS else None
            value = self._function_of(tensor)
            for flat in range(slope.size) if picked is None else picked:
                place = tuple(map(int, np.unravel_index(int(flat), slope.shape)))
                expected = self._difference(value, place)
                apart = abs(float(slope[place]) - expected) / scale
                if not apart <= tolerance:
                    label = f" ({tensor.name})" if tensor.name else ""
                    raise GradientError(
                        f"check_gradient: {what}: the gradient by argument {number}{label} at {place} is "
                        f"{float(slope[place]):.8g}, finite differences give {expected:.8g}"
                    )
                worst = max(worst, apart)
        return worst

    def _function_of(self, tensor: Tensor) -> tuple[Callable[[], float], np.ndarray]:
        """The scalar as a function of one tensor's value, and the array that holds it."""
        if tensor in self.fed:
            array, feeds = self.fed[tensor], self.fed
        else:
            array = tensor.get_value() if isinstance(tensor, Variable) else self._values([tensor])[0]
            feeds = {**self.fed, tensor: array}
        compiled = Function(list(feeds), self.scalar, name="check_gradient")
        return lambda: float(compiled(*feeds.values())), array

    def _difference(self, value: tuple[Callable[[], float], np.ndarray], place: tuple[int, ...]) -> float:
        """The central difference of the fourth order by one element."""
        compute, array = value
        before = array[place].copy()
        step = self.step * max(1.0, abs(float(before)))
        total = 0.0
        try:
            for turns, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
                array[place] = before + turns * step
                total += weight * compute()
        finally:
            array[place] = before
        return total / (12.0 * step)
