"""Every function of the backend: values and gradients against numpy in float64, known and unknown sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.graph.tensor import Tensor
from tests.backend.truths import TRUTHS, Truth

#: Of the largest number of a result.
TOLERANCE = {"float32": 3e-6, "float64": 1e-12}
#: Cross-entropies of probabilities hold them away from 0 and 1 by 1e-7.
ROUGH = {"sparse_categorical_crossentropy": 1e-6}

EXAMPLES = [
    pytest.param(name, truth, id=f"{name}-{number}")
    for name, truths in TRUTHS.items()
    for number, truth in enumerate(truths)
]


def _tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _arrays(truth: Truth, dtype: str) -> list[np.ndarray]:
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in truth.inputs]


def _call(name: str, truth: Truth, arrays: list[np.ndarray], free: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Placeholders and results."""
    inputs = [
        K.placeholder(
            tuple(None if free and (number, axis) in truth.free else n for axis, n in enumerate(array.shape)),
            dtype=array.dtype.name,
        )
        for number, array in enumerate(arrays)
    ]
    arguments = [inputs] if truth.packed else inputs
    return inputs, list(_tuple(getattr(K, name)(*arguments, **truth.kwargs)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "truth"), EXAMPLES)
def test_values(name: str, truth: Truth, dtype: str) -> None:
    arrays = _arrays(truth, dtype)
    expected = _tuple(truth.expected(*(a.astype("float64") if a.dtype.kind == "f" else a for a in arrays)))
    for free in (False, True):
        inputs, results = _call(name, truth, arrays, free)
        found = K.function(inputs, results)(arrays)
        assert len(found) == len(expected)
        for value, wanted, tensor in zip(found, map(np.asarray, expected), results, strict=True):
            assert value.shape == wanted.shape
            assert all(a in (None, b) for a, b in zip(K.int_shape(tensor), wanted.shape, strict=True))
            assert value.dtype.name == K.dtype(tensor)
            if wanted.dtype.kind != "f":
                assert value.dtype == wanted.dtype
                np.testing.assert_array_equal(value, wanted)
                continue
            assert value.dtype == (dtype if truth.inputs and arrays[0].dtype.kind == "f" else value.dtype)
            tolerance = max(TOLERANCE[value.dtype.name], ROUGH.get(name, 0.0))
            scale = max(1.0, float(np.abs(wanted).max()))
            np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize(("name", "truth"), [e for e in EXAMPLES if e.values[1].smooth])
def test_gradients(name: str, truth: Truth) -> None:
    """Along random directions, against differences of what numpy computes."""
    rng = np.random.default_rng(3)
    arrays = _arrays(truth, "float64")
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    inputs, results = _call(name, truth, arrays, free=True)
    weights = [rng.standard_normal(np.shape(v)) for v in _tuple(truth.expected(*arrays))]
    loss = sum(K.sum(r * K.constant(w, "float64")) for r, w in zip(results, weights, strict=True))
    found = K.function(inputs, K.gradients(loss, [inputs[i] for i in floats]))(arrays)

    def at(place: int, moved: np.ndarray) -> float:
        values = _tuple(truth.expected(*arrays[:place], moved, *arrays[place + 1 :]))
        return float(sum(np.sum(v * w) for v, w in zip(values, weights, strict=True)))

    for place, gradient in zip(floats, found, strict=True):
        way = rng.standard_normal(arrays[place].shape)
        high, low = (at(place, arrays[place] + step * way) for step in (1e-5, -1e-5))
        measured = (high - low) / 2e-5
        assert np.isclose(np.sum(gradient * way), measured, rtol=3e-6, atol=1e-7), f"{name}, input {place}"
