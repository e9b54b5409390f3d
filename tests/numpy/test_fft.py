"""The real part of the `fft` extension, against numpy."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph.graph.gradient import gradients
from symgraph.numpy import fft


@pytest.mark.parametrize("n", [1, 2, 7, 8])
@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies(name: str, n: int) -> None:
    for dtype in ("float32", "float64"):
        value = symgraph.function([], getattr(fft, name)(n, d=0.3, dtype=dtype))()
        assert value.dtype == dtype
        rtol = 1e-6 if dtype == "float32" else 1e-15
        np.testing.assert_allclose(value, getattr(np.fft, name)(n, 0.3), rtol=rtol)
    assert getattr(fft, name)(n).dtype == "float32"  # K.floatx()


@pytest.mark.parametrize("axes", [None, 0, -1, (0, 2), (1,), ()])
def test_shifts(axes: Any) -> None:
    data = np.random.default_rng(0).integers(0, 99, (3, 4, 5)).astype("int64")
    x = symgraph.placeholder((None, 4, None), dtype="int64")
    f = symgraph.function([x], [fft.fftshift(x, axes=axes), fft.ifftshift(x, axes=axes)])
    there, back = f(data)
    np.testing.assert_array_equal(there, np.fft.fftshift(data, axes))
    np.testing.assert_array_equal(back, np.fft.ifftshift(data, axes))


def test_the_gradient_of_a_shift_is_the_other_shift() -> None:
    x = symgraph.placeholder((5,), dtype="float64")
    weights = np.arange(5.0)
    (slope,) = gradients(symgraph.constant(weights) * fft.fftshift(x), [x])
    np.testing.assert_array_equal(symgraph.function([x], slope)(np.zeros(5)), np.fft.ifftshift(weights))


def test_what_is_refused() -> None:
    x = symgraph.placeholder((4,))
    for name in ("fft", "ifft", "fftn", "ifftn", "rfft", "irfft", "rfftn", "irfftn", "hfft", "ihfft"):
        with pytest.raises(NotImplementedError, match=f"^{name}: complex dtypes"):
            getattr(fft, name)(x)
    for n in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match=f"fftfreq: expected a positive integer as n, got {n}"):
            fft.fftfreq(n)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="rfftfreq: expected a float dtype, got int32"):
        fft.rfftfreq(4, dtype="int32")
    with pytest.raises(ValueError, match="fftfreq: expected a device of None or 'cpu', got 'gpu'"):
        fft.fftfreq(4, device="gpu")


def test_signatures_are_the_standards() -> None:
    strict = pytest.importorskip("array_api_strict", reason="the standard's signatures are not at hand")
    from symgraph.numpy import linalg

    for ours, theirs in ((fft, strict.fft), (linalg, strict.linalg)):
        for name in theirs.__all__:
            wanted = inspect.signature(getattr(theirs, name)).parameters
            found = inspect.signature(getattr(ours, name)).parameters
            for key, parameter in wanted.items():
                assert found[key].kind == parameter.kind, (name, key)
                if name not in ("fftfreq", "rfftfreq"):
                    assert found[key].default == parameter.default, (name, key)
            assert all(p.default is not p.empty for key, p in found.items() if key not in wanted), name
