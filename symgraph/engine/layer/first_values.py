"""The first values of weights: drawn when the weight is made, or when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.backend.core import own_variable
from symgraph.engine.layer.old_names import value_of
from symgraph.graph.leaves import Unmade, Variable
from symgraph.graph.types import dtype_name, is_float
from symgraph.initializers import are_deferred, makes_new_arrays


def made_weight(
    make: Callable[..., Any],
    shape: tuple[int, ...],
    dtype: str | None,
    name: str,
    constraint: Callable[[Any], Any] | None,
) -> Variable:
    """A variable of this shape whose first value `make`, an initializer, gives.

    Initializers of a script may give another shape than they are asked for, which then counts, or an array
    that they keep: it is copied.
    """
    if not makes_new_arrays(make):
        call = partial(_called, make, shape)
        weight: Variable = K.variable(call(), dtype or K.floatx(), name, constraint)
        weight.first_value = call
        return weight
    # In the float type of now, whenever they are drawn.
    draw, kind = partial(make, shape, K.floatx()), dtype_name(dtype or K.floatx())
    later = are_deferred() and is_float(kind)
    value = Unmade(partial(_drawn, draw, kind), shape, kind) if later else draw()
    weight = own_variable(value, kind, name, constraint)
    weight.first_value = draw
    return weight


def _called(make: Callable[[tuple[int, ...]], Any], shape: tuple[int, ...]) -> Any:
    return value_of(make(shape))


def _drawn(draw: Callable[[], np.ndarray], dtype: str) -> np.ndarray:
    return draw().astype(dtype, copy=False)
