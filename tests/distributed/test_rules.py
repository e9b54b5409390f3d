"""Every op on divided values: what the ranks make of it together is what one process makes.

The ops' own samples are taken, with one axis of some inputs, or of all, as that of samples; values are those
of the numpy references, which are the ops' meaning on one process and on several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest

from symgraph.graph.dims import unknown
from symgraph.graph.evaluate import evaluate
from symgraph.graph.leaves import placeholder
from symgraph.graph.op import Op, Part, Sample, parts, registered_ops
from symgraph.graph.ops.collective import OwnNormal, OwnSum, RowsOfRanks, SumOfRanks
from symgraph.graph.ops.random import RANDOM
from symgraph.graph.ops.shape import transpose
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TupleType
from tests.distributed.thread_ranks import on_ranks

SKIPPED = {
    "Constant", "DimValue", "OwnSize", "Part", "Placeholder", "Sparse", "VariableRead",  # leaves
    *(op.__name__ for op in RANDOM),  # have no samples in their inputs
    SumOfRanks.__name__, RowsOfRanks.__name__, OwnSum.__name__, OwnNormal.__name__,  # of ranks themselves
}  # fmt: skip
OPS = [op for op in registered_ops() if op.__name__ not in SKIPPED and op is not Part]
MOST = 16
"""Divisions of an op's samples that are tried."""

Place = tuple[int, int]


def divisions(arrays: Sequence[np.ndarray]) -> Iterator[tuple[Place, ...]]:
    """Axes (input, axis) of one size: of each input alone, of pairs, and the first ones of all."""
    axes = [(i, a) for i, x in enumerate(arrays) for a in range(x.ndim) if x.shape[a] > 1]
    yield from ((place,) for place in axes)
    for (i, a), (j, b) in combinations(axes, 2):
        if i != j and arrays[i].shape[a] == arrays[j].shape[b]:
            yield (i, a), (j, b)
    firsts = [(i, 0) for i, x in enumerate(arrays) if x.ndim]
    if len(firsts) > 2 and len({arrays[i].shape[0] for i, _ in firsts}) == 1:
        yield tuple(firsts)


def written(
    op: Op, arrays: Sequence[np.ndarray], places: Sequence[Place]
) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs whose first axis is that of samples, and the results of the op, which finds it at `places`."""
    samples = unknown("N")
    inputs, values = [], []
    for number, array in enumerate(arrays):
        axis = dict(places).get(number)
        shape = list(array.shape)
        if axis is None:
            inputs.append(placeholder(shape, dtype=array.dtype.name))
            values.append(inputs[-1])
            continue
        rest = [a for a in range(array.ndim) if a != axis]
        inputs.append(placeholder([samples, *(shape[a] for a in rest)], dtype=array.dtype.name))
        values.append(transpose(inputs[-1], [int(a) for a in np.argsort([axis, *rest])]))
    made = op(*values)
    return inputs, list(parts(made)) if isinstance(made.type, TupleType) else [made]


def fronted(array: np.ndarray, axis: int | None) -> np.ndarray:
    return array if axis is None else np.ascontiguousarray(np.moveaxis(array, axis, 0))


def run(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], arrays: Sequence[np.ndarray]
) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        return evaluate(outputs, dict(zip(inputs, arrays, strict=True)))


def check(sample: Sample, places: tuple[Place, ...], size: int) -> bool:
    """Compare one process and `size` ranks. False where the op takes no unknown size there."""
    try:
        inputs, outputs = written(sample.op, sample.inputs, places)
        arrays = [fronted(x, dict(places).get(i)) for i, x in enumerate(sample.inputs)]
        whole = run(inputs, outputs, arrays)
    except (ValueError, TypeError):
        return False
    ranks, _ = on_ranks(inputs, outputs, arrays, size, run)
    for found in ranks:
        for expected, value in zip(whole, found, strict=True):
            assert np.shape(value) == np.shape(expected)
            tolerance = 1e-5 if np.asarray(expected).dtype == np.float32 else 1e-12
            np.testing.assert_allclose(value, expected, tolerance, tolerance, err_msg=str(places))
    return True


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_ranks_make_what_one_process_makes(op: type[Op]) -> None:
    tried, checked = 0, 0
    for sample in op.samples(np.random.default_rng(7)):
        arrays = [np.asarray(x) for x in sample.inputs]
        if any(x.size > 3000 for x in arrays):
            continue
        for places in divisions(arrays):
            if tried == MOST:
                break
            tried += 1
            checked += check(Sample(sample.op, tuple(arrays)), places, 2 + tried % 2)
    assert checked or not tried, f"{op.__name__}: no division was possible"
