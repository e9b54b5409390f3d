"""Keras 1's initializations: functions of a shape that return variables. Today: `symgraph.initializers`.

Layers take them too. The distributions are those of Keras 1: `glorot_normal` and `he_normal` are not cut at
two standard deviations, and `orthogonal` has a gain of 1.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import initializers
from symgraph.graph.leaves import Variable
from symgraph.utils.generic_utils import get_custom_objects
from symgraph.utils.warn_user import warn_old

Initialization = Callable[..., Variable]


def get_fans(shape: Sequence[int], dim_ordering: str = "th") -> tuple[float, float]:
    """The numbers of inputs and of outputs that a weight of this shape joins.

    Parameters
    ----------
    shape : sequence of int
        Of 4 or 5 sizes: a kernel, (filters, channels, ...) with 'th' and (..., channels, filters) with 'tf'.
    dim_ordering : str

    Raises
    ------
    ValueError
        If a kernel's `dim_ordering` is neither 'th' nor 'tf'.
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) not in (4, 5):
        return math.sqrt(math.prod(shape)), math.sqrt(math.prod(shape))
    if dim_ordering not in ("th", "tf"):
        raise ValueError(f"Invalid dim_ordering: {dim_ordering!r}; expected 'th' or 'tf'")
    if dim_ordering == "th":
        filters, channels, *field = shape
    else:
        *field, channels, filters = shape
    return channels * math.prod(field), filters * math.prod(field)


def uniform(
    shape: Sequence[int], scale: float = 0.05, name: str | None = None, dim_ordering: str = "th"
) -> Variable:
    """Uniformly distributed values between -scale and scale."""
    return K.random_uniform_variable(tuple(shape), -scale, scale, name=name)


def normal(
    shape: Sequence[int], scale: float = 0.05, name: str | None = None, dim_ordering: str = "th"
) -> Variable:
    """Normally distributed values of standard deviation `scale`."""
    return K.random_normal_variable(tuple(shape), 0.0, scale, name=name)


def lecun_uniform(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Variable:
    """`uniform` of scale sqrt(3 / inputs) (LeCun et al. 1998, Efficient BackProp)."""
    inputs, _ = get_fans(shape, dim_ordering)
    return uniform(shape, math.sqrt(3 / inputs), name)


def glorot_normal(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Variable:
    """`normal` of scale sqrt(2 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    return normal(shape, math.sqrt(2 / sum(get_fans(shape, dim_ordering))), name)


def glorot_uniform(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Variable:
    """`uniform` of scale sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    return uniform(shape, math.sqrt(6 / sum(get_fans(shape, dim_ordering))), name)


def he_normal(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Variable:
    """`normal` of scale sqrt(2 / inputs) (He et al. 2015, arXiv:1502.01852)."""
    return normal(shape, math.sqrt(2 / get_fans(shape, dim_ordering)[0]), name)


def he_uniform(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Variable:
    """`uniform` of scale sqrt(6 / inputs) (He et al. 2015, arXiv:1502.01852)."""
    return uniform(shape, math.sqrt(6 / get_fans(shape, dim_ordering)[0]), name)


def orthogonal(
    shape: Sequence[int], scale: float = 1.1, name: str | None = None, dim_ordering: str = "th"
) -> Variable:
    """Orthogonal rows or columns of norm `scale` (Saxe et al. 2013, arXiv:1312.6120)."""
    return K.variable(initializers.Orthogonal(gain=scale)(tuple(shape)), name=name)


def identity(
    shape: Sequence[int], scale: float = 1, name: str | None = None, dim_ordering: str = "th"
) -> Variable:
    """The unit matrix times `scale`. ValueError for any other shape than a square."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            f"Identity matrix initialization can only be used for 2D square matrices, got {tuple(shape)}"
        )
    return K.variable(scale * np.identity(shape[0]), name=name)


def zero(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Variable:
    """All elements 0."""
    return K.variable(np.zeros(tuple(shape)), name=name)


def one(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Variable:
    """All elements 1."""
    return K.variable(np.ones(tuple(shape)), name=name)


_FUNCTIONS: dict[str, Initialization] = {
    function.__name__: function
    for function in (
        uniform, normal, lecun_uniform, glorot_normal, glorot_uniform, he_normal, he_uniform, orthogonal,
        identity, zero, one,
    )
}  # fmt: skip


def get(identifier: Any, **kwargs: Any) -> Any:
    """Find an initialization, with a warning.

    Parameters
    ----------
    identifier : str or callable
        A name such as 'uniform', or the function itself.
    **kwargs
        Keywords of the function, `dim_ordering` among them.

    Raises
    ------
    ValueError
        If there is none of that name, or `identifier` is nothing of the kind.
    """
    warn_old("`initializations.get` is `initializers.get` since Keras 2, and gives functions of arrays.")
    if callable(identifier):
        return identifier
    found = _FUNCTIONS.get(identifier) or get_custom_objects().get(identifier)
    if found is None:
        names = ", ".join(_FUNCTIONS)
        raise ValueError(f"Invalid initialization: {identifier!r}; expected a function or one of {names}")
    return _Partial(found, kwargs) if kwargs else found


class _Partial:
    """A function with some of its keywords, which still has its name: configurations hold that."""

    def __init__(self, function: Initialization, keywords: dict[str, Any]) -> None:
        self._function, self._keywords, self.__name__ = function, keywords, function.__name__

    def __call__(self, shape: Sequence[int], **kwargs: Any) -> Variable:
        return self._function(shape, **{**self._keywords, **kwargs})
