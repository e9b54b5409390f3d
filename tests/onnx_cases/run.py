"""Runs cases: compiles what a case is translated to, and compares all results."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from symgraph import backend as K
from tests.onnx_cases.cases import Case, all_cases
from tests.onnx_cases.routes import ROUTES
from tests.onnx_cases.translate import NotExpressibleError, translate

#: Of the largest number of a result. The cases come from numpy and PyTorch, in the dtype of the result.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
#: Cases whose results are written with few digits.
ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 5e-4}


@dataclass(frozen=True)
class Outcome:
    """The ops that ran, and the number of results that were compared; or why the case did not run."""

    case: Case
    ops: tuple[str, ...] = ()
    compared: int = 0
    refusal: str | None = None


@functools.cache
def outcome_of(name: str) -> Outcome:
    """What `run` gives for the case of that name."""
    return run(all_cases()[name])


def run(case: Case) -> Outcome:
    """Translates, compiles and runs a case.

    Raises
    ------
    AssertionError
        If a result has another dtype, another shape or other values.
    """
    try:
        translation = translate(case, ROUTES)
    except NotExpressibleError as reason:
        return Outcome(case, refusal=str(reason))
    function = K.function(list(translation.feeds), translation.tensors, name=case.name)
    found = function(list(translation.feeds.values()))
    for number, (value, wanted) in enumerate(zip(found, translation.wanted, strict=True)):
        compare(np.asarray(value), wanted, f"{case.name}, result {number}", ROUNDED.get(case.name))
    return Outcome(case, tuple(translation.ops), len(found))


def compare(value: np.ndarray, wanted: np.ndarray, what: str, tolerance: float | None = None) -> None:
    """Same dtype and shape; floats within `TOLERANCE`, others equal."""
    assert value.dtype == wanted.dtype, f"{what}: dtype {value.dtype}, expected {wanted.dtype}"
    assert value.shape == wanted.shape, f"{what}: shape {value.shape}, expected {wanted.shape}"
    tolerance = tolerance or TOLERANCE.get(wanted.dtype.name)
    if tolerance is None:
        np.testing.assert_array_equal(value, wanted, err_msg=what)
        return
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = float(finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=what)
