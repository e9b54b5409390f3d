"""Functions of the backend on axes of size 0, against what numpy says of nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from symgraph import backend as K
from tests.backend.test_every_function import EXAMPLES
from tests.backend.truths import Truth


def _cut(arrays: list[np.ndarray], axis: int, every: bool) -> list[np.ndarray]:
    """No elements along an axis of the first array; with `every`, of all that have its size there."""
    size = arrays[0].shape[axis]
    return [
        np.take(a, [], axis) if n == 0 or (every and a.ndim > axis and a.shape[axis] == size) else a
        for n, a in enumerate(arrays)
    ]


def _meaning(truth: Truth, arrays: list[np.ndarray]) -> list[np.ndarray] | None:
    """What numpy gives; None where it has no answer."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means of nothing
            found = truth.expected(*arrays)
    except (ValueError, IndexError, ZeroDivisionError):
        return None
    return [np.asarray(v) for v in (found if isinstance(found, tuple | list) else [found])]


def _cases(truth: Truth) -> Iterator[tuple[int, list[np.ndarray], list[np.ndarray]]]:
    """An axis, arrays without elements along it, and what comes of them."""
    for place, axis in truth.free:
        if place == 0 and truth.inputs and truth.inputs[0].ndim > axis:
            for every in (False, True):
                arrays = _cut(list(truth.inputs), axis, every)
                expected = _meaning(truth, arrays)
                if expected is not None:
                    yield axis, arrays, expected
                    break


@pytest.mark.parametrize(("name", "truth"), EXAMPLES)
def test_nothing(name: str, truth: Truth) -> None:
    for axis, arrays, expected in _cases(truth):
        for free in (False, True):
            inputs = [
                K.placeholder(
                    tuple(None if free and a == axis and n == 0 else n for a, n in enumerate(array.shape)),
                    dtype=array.dtype.name,
                )
                for array in arrays
            ]
            result = getattr(K, name)(*([inputs] if truth.packed else inputs), **truth.kwargs)
            results = list(result) if isinstance(result, tuple | list) else [result]
            for value, wanted in zip(K.function(inputs, results)(arrays), expected, strict=True):
                assert value.shape == wanted.shape
                np.testing.assert_allclose(value, wanted, rtol=1e-6)
