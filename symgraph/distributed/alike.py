"""Whether all ranks were given the same data: each takes its rows of them, so others would be lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from symgraph.distributed.rows import own_share
from symgraph.distributed.world import world
from symgraph.graph.sparse import is_sparse_matrix

_LOOKED_AT = 64
_TOLERANCE = 1e-6  # of an array's largest element: machines of different kinds may round differently


def check_alike(samples: int, arrays: Iterable[Any] = ()) -> None:
    """Let all ranks find out whether one of them has other data; all of them have to call this.

    Of each array in memory a few elements are compared. Rows of files are not read for that.

    Raises
    ------
    ValueError
        On all ranks, if the number of samples or the elements differ.
    """
    ranks = world()
    if not ranks.exchanges:
        return
    own = np.concatenate([[samples, float(samples) ** 2], *(_some(array) for array in arrays)])
    mean = own.copy()
    ranks.allreduce(mean)
    mean /= ranks.size
    # The mean of squares is the square of the mean only where all are equal.
    if mean[1] != mean[0] ** 2:
        raise ValueError(
            f"rank {ranks.rank} of {ranks.size} has a batch of {samples} samples, others have another: all "
            "ranks have to be given the same batches"
        )
    off, sizes = (np.abs(values[2:]).reshape(-1, _LOOKED_AT).max(axis=1) for values in (own - mean, mean))
    if np.any(off > _TOLERANCE * sizes):
        raise ValueError(
            f"the {ranks.size} ranks were given different data, of which each takes its rows: let all have "
            "the same, for instance by `numpy.random.seed` before data are drawn or shuffled"
        )


def check_shares(rows: int, check: Callable[[slice], None]) -> None:
    """Let each rank check its share of so many rows; all of them have to call this.

    Raises
    ------
    ValueError
        On all ranks, if one of them raised it.
    """
    ranks = world()
    mine, failed = None, np.zeros(ranks.size, np.int64)
    try:
        check(own_share(rows))
    except ValueError as error:
        mine, failed[ranks.rank] = error, 1
    ranks.allreduce(failed)
    if mine is not None:
        raise mine
    if failed.any():
        raise ValueError(
            f"the data were refused by rank {failed.argmax()} of {ranks.size}, whose error says why"
        )


def _some(array: Any) -> np.ndarray:
    """So many elements of an array in memory, far from each other; zeros for anything else."""
    found = np.zeros(_LOOKED_AT)
    values = array.data if is_sparse_matrix(array) and hasattr(array, "data") else array
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        # An odd step does not meet the same feature of each row.
        taken = values.flat[:: max(1, values.size // _LOOKED_AT) | 1][:_LOOKED_AT].astype(np.float64)
        found[: len(taken)] = np.nan_to_num(taken)
    return found
