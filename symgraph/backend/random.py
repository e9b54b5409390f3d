"""Random tensors, drawn anew at every call of a Function.

Without a seed one is drawn from numpy's global generator, so that `np.random.seed(0)` at the top of a script
makes its models reproducible.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.backend import old_calls
from symgraph.backend.core import variable
from symgraph.globals import random_source
from symgraph.graph.leaves import Variable, as_tensor
from symgraph.graph.ops import elementwise
from symgraph.graph.ops import math as math_ops
from symgraph.graph.ops import random as random_ops
from symgraph.graph.ops.sizes import checked_shape
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import dtype_name, is_integer

__all__ = [
    "dropout", "random_binomial", "random_normal", "random_normal_variable", "random_uniform",
    "random_uniform_variable", "truncated_normal",
]  # fmt: skip


@old_calls.random_normal
def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: int | None = None
) -> Tensor:
    """Normally distributed values of mean `mean` and standard deviation `stddev`.

    Parameters
    ----------
    shape : sequence or vector
        Integers, symbolic sizes, or `K.shape(x)`.
    mean, stddev : float
    dtype : str, optional
        By default `floatx()`.
    seed : int, optional
        By default drawn from numpy's global generator.
    """
    return random_ops.random_normal(shape, mean, stddev, dtype, seed)


@old_calls.random_uniform
def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None, seed: int | None = None
) -> Tensor:
    """Uniformly distributed values in [minval, maxval). Other parameters as of `random_normal`.

    With an integer dtype, whole numbers between bounds that are whole numbers.

    Raises
    ------
    ValueError
        If such bounds are none, or there is no whole number between them.
    """
    if dtype is not None and is_integer(dtype_name(dtype)):
        if not all(isinstance(bound, int | np.integer) for bound in (minval, maxval)) or minval >= maxval:
            raise ValueError(
                f"random_uniform: expected whole bounds, the first below the second, got {minval}, {maxval}"
            )
        part = random_ops.random_uniform(shape, 0.0, 1.0, "float64", seed)
        return elementwise.cast(math_ops.floor(part * (int(maxval) - int(minval))) + int(minval), dtype)
    return random_ops.random_uniform(shape, minval, maxval, dtype, seed)


def random_binomial(shape: Any, p: float = 0.0, dtype: str | None = None, seed: int | None = None) -> Tensor:
    """1 with probability `p`, else 0. Other parameters as of `random_normal`."""
    return random_ops.random_bernoulli(shape, p, dtype, seed)


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: int | None = None
) -> Tensor:
    """Normally distributed values within two standard deviations of the mean: see `random_normal`."""
    return random_ops.truncated_normal(shape, mean, stddev, dtype, seed)


def random_uniform_variable(
    shape: Any,
    low: float,
    high: float,
    dtype: str | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Variable:
    """A variable whose first value is uniformly distributed in [low, high)."""
    random = random_source() or np.random if seed is None else np.random.RandomState(seed)
    return variable(random.uniform(low, high, shape), dtype, name)


def random_normal_variable(
    shape: Any,
    mean: float,
    scale: float,
    dtype: str | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Variable:
    """A variable whose first value is normally distributed."""
    random = random_source() or np.random if seed is None else np.random.RandomState(seed)
    return variable(random.normal(mean, scale, shape), dtype, name)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Tensor:
    """Elements set to 0 at random, and the others scaled so that the expected sum stays.

    Parameters
    ----------
    x : float tensor
    level : float
        The share to set to 0, in [0, 1).
    noise_shape : sequence, optional
        Shape of the random choices, broadcast to `x`; None in it stands for the size of `x`.
    seed : int, optional
        By default drawn from numpy's global generator.

    Raises
    ------
    ValueError
        If `level` lies outside [0, 1), or `noise_shape` has more or fewer axes than `x`.
    """
    x = as_tensor(x)
    if not 0 <= level < 1:
        raise ValueError(f"Dropout level must be in interval [0, 1[, got {level}")
    if level == 0:
        return x
    sizes = x.shape
    if noise_shape is not None:
        if not isinstance(noise_shape, Tensor):
            if len(noise_shape) != x.ndim:
                raise ValueError(
                    f"dropout: expected a noise_shape of {x.ndim} sizes for {x.type}, got {noise_shape}"
                )
            noise_shape = [x.shape[a] if size is None else size for a, size in enumerate(noise_shape)]
        sizes = checked_shape(noise_shape, "dropout")
    retained = 1.0 - level
    # A bool mask is a quarter of a float one in memory, and choosing fuses with what stands around it.
    kept = random_ops.random_bernoulli(sizes, retained, "bool", seed)
    return elementwise.where(kept, x * (1.0 / retained), 0)
