"""Looking through all rows of data that need not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.graph.sparse import is_sparse_matrix

_BYTES_AT_ONCE = 32 << 20


def in_parts(array: Any) -> Iterator[np.ndarray]:
    """All rows: a numpy array at once, data of other kinds (HDF5, scipy's sparse matrices) in small parts."""
    if isinstance(array, np.ndarray):
        yield array
        return
    rows = array.tocsr() if is_sparse_matrix(array) else array
    samples = rows.shape[0]
    in_part = max(1, _BYTES_AT_ONCE // (math.prod(rows.shape[1:]) * rows.dtype.itemsize or 1))
    for start in range(0, samples, in_part):
        part = rows[start : min(start + in_part, samples)]
        yield part.toarray() if is_sparse_matrix(part) else np.asarray(part)
