"""Problems by the name of their kernel, as a command line names them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import partial

from symgraph.kernels.bench.arrays import ELEMENTWISE, REDUCTIONS, elementwise, matmul, reduction, softmax
from symgraph.kernels.bench.pictures import (
    average_pool2d,
    average_pool2d_gradient,
    conv2d,
    conv2d_input_gradient,
    conv2d_weight_gradient,
    depthwise_conv2d,
    max_pool2d,
    max_pool2d_gradient,
)
from symgraph.kernels.bench.problem import Problem

_PICTURES = (
    conv2d,
    conv2d_input_gradient,
    conv2d_weight_gradient,
    depthwise_conv2d,
    max_pool2d,
    max_pool2d_gradient,
    average_pool2d,
    average_pool2d_gradient,
)
KERNELS: dict[str, Callable[..., Problem]] = {
    **{make.__name__: make for make in (*_PICTURES, matmul, softmax)},
    **{f"reduce_{kind}": partial(reduction, kind=kind) for kind in REDUCTIONS},
    **{name: partial(elementwise, name) for name in ELEMENTWISE},
}
"""Constructors of problems, by kernel name: families, reductions, element-wise functions."""


def problem(kernel: str, **arguments: object) -> Problem:
    """The problem of a kernel by name.

    Parameters
    ----------
    kernel : str
        A key of `KERNELS`.
    arguments
        Those of the function there: shapes by name, such as ``x=(32, 56, 56, 64)``, and settings.

    Raises
    ------
    ValueError
        There is no such kernel or argument, or an argument is not what was expected. The message names the
        argument, what was expected and what was got.
    """
    make = KERNELS.get(kernel)
    if make is None:
        close = difflib.get_close_matches(kernel, KERNELS, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"kernel: expected one of {', '.join(KERNELS)}, got {kernel!r}{hint}")
    fixed = make.keywords if isinstance(make, partial) else {}
    parameters = {n: p for n, p in inspect.signature(make).parameters.items() if n not in fixed}
    for name, value in arguments.items():
        if name not in parameters:
            raise ValueError(f"{name}: expected {' or '.join(parameters)} for {kernel}, got {value!r}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise ValueError(f"{name}: expected sizes, got none; {kernel} takes {', '.join(parameters)}")
    return make(**arguments)
