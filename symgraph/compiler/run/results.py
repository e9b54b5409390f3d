"""What users get for the arrays that a Program leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.graph.ops.barrier import Padded
from symgraph.graph.tensor import Tensor


def has_padding(outputs: Sequence[Tensor]) -> bool:
    """Whether `shown` makes a difference to any of these outputs."""
    return any(isinstance(output.op, Padded) for output in outputs)


def shown(outputs: Sequence[Tensor], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays, one for each output, without columns that are padding in every row."""
    return [
        output.op.shown(array) if isinstance(output.op, Padded) else array
        for output, array in zip(outputs, arrays, strict=True)
    ]
