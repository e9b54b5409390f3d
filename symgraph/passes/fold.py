"""Constant folding: what depends on constants only is computed once, by the ops' references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from symgraph.graph.evaluate import has_unknown_sizes
from symgraph.graph.leaves import constant, constant_value
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType
from symgraph.passes.rewrite import replace_nodes

# Larger results are cheaper to compute at run time than to keep in memory.
_MOST_ELEMENTS = 100_000


def fold(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Replace nodes of constant inputs by constants."""

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if not new.inputs or not new.op.pure or not isinstance(new.type, TensorType):
            return new
        if has_unknown_sizes(new.op):
            return new  # a constant cut at a size that data will tell
        values = [constant_value(i) for i in new.inputs]
        sizes = [d for d in new.type.shape if isinstance(d, int)]
        if any(v is None for v in values) or len(sizes) != new.type.ndim or np.prod(sizes) > _MOST_ELEMENTS:
            return new
        try:
            with np.errstate(all="ignore"):
                result = new.op.reference(*values)
        except (ValueError, IndexError):
            return new  # an index out of range, say: the kernel reports it with layer and line
        hits["folded"] += 1
        return constant(result, new.type.dtype, new.name, new.origins)

    return replace_nodes(roots, visit)
