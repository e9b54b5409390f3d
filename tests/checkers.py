"""Generic checks: every registered op, pass and layer goes through these without a test of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from symgraph.compiler.function import Function
from symgraph.graph.check import check
from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import bind_shape, concrete_shape, evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import constant, placeholder
from symgraph.graph.op import Sample, parts
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType, TupleType
from symgraph.passes.pipeline import PIPELINE, run_passes

TOLERANCE = {"float32": 1e-5, "float64": 1e-11}


def inputs_of(sample: Sample, unknown: bool = False) -> list[Tensor]:
    """A placeholder for each input of a sample; axes that may be unknown are, under `unknown`."""
    free = set(sample.free) if unknown else set()
    return [
        placeholder(
            tuple(None if (i, a) in free else n for a, n in enumerate(array.shape)),
            dtype=array.dtype.name,
            name=f"x{i}",
        )
        for i, array in enumerate(sample.inputs)
    ]


def results_of(node: Tensor) -> tuple[Tensor, ...]:
    """The node itself, or its parts."""
    return parts(node) if isinstance(node.type, TupleType) else (node,)


def references(sample: Sample) -> tuple[np.ndarray, ...]:
    """What the op's reference gives, as a tuple."""
    with np.errstate(all="ignore"):
        values = sample.op.reference(*sample.inputs)
    return tuple(np.asarray(v) for v in (values if isinstance(values, tuple) else (values,)))


def check_infer(sample: Sample) -> None:
    """Inferred dtype and shape are those of the reference, with all sizes known and with some unknown."""
    expected = references(sample)
    for unknown in (False, True):
        inputs = inputs_of(sample, unknown)
        node = sample.op(*inputs)
        sizes: dict[Unknown, int] = {}
        for tensor, array in zip(inputs, sample.inputs, strict=True):
            bind_shape(tensor, array.shape, sizes)
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        assert len(kinds) == len(expected)
        for kind, value in zip(kinds, expected, strict=True):
            assert isinstance(kind, TensorType)
            assert kind.dtype == value.dtype.name, f"{sample.op}: inferred {kind}, reference {value.dtype}"
            assert concrete_shape(kind, sizes) == value.shape, (
                f"{sample.op}: inferred {kind}, reference {value.shape}"
            )


def check_kernel(sample: Sample, viewed: bool = False) -> None:
    """The compiled op gives what its reference gives; also of views, whose numbers lie apart."""
    expected = references(sample)
    if viewed and all(a.dtype.name in DTYPES for a in sample.inputs):
        arrays = [_doubled(a) for a in sample.inputs]
        feeds = inputs_of(replace(sample, inputs=tuple(arrays)))
        inputs = [feed[(slice(None, None, -2),) * feed.ndim] for feed in feeds]
    else:
        arrays = list(sample.inputs)
        feeds = inputs = inputs_of(sample, unknown=bool(sample.free))
    compiled = Function(feeds, results_of(sample.op(*inputs)), name=str(sample.op))
    before = [a.copy() for a in arrays]
    for value, wanted in zip(compiled(arrays) if arrays else compiled(), expected, strict=True):
        assert_close(value, wanted, f"{sample.op} on {[a.shape for a in sample.inputs]}")
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old, err_msg=f"{sample.op} wrote into its input")


def check_cut(sample: Sample) -> bool:
    """The op on slices of its samples gives the parts of its result, or parts that add up to it."""
    expected = references(sample)
    arrays = sample.inputs
    cut = sample.op.cut([a.shape for a in arrays], [e.shape for e in expected])
    counts = {a.shape[0] for a, own in zip(arrays, cut.inputs, strict=True) if own} if cut else set()
    if not cut or len(counts) != 1 or max(counts) < 2:
        return False
    bounds = [0, 1, *range(3, max(counts), 2), max(counts)]
    found = []
    for start, end in pairwise(dict.fromkeys(bounds)):
        parts_ = tuple(a[start:end] if own else a for a, own in zip(arrays, cut.inputs, strict=True))
        found.append(references(replace(sample, inputs=parts_)))
    for wanted, values in zip(expected, zip(*found, strict=True), strict=True):
        whole = np.sum(values, axis=0).astype(wanted.dtype) if cut.added else np.concatenate(values)
        assert_close(whole, wanted, f"{sample.op} in slices of {[a.shape for a in arrays]}", 10.0)
    return True


def assert_close(value: np.ndarray, wanted: np.ndarray, what: str, factor: float = 1.0) -> None:
    """Same dtype and shape.

    Equal for integers, within the dtype's tolerance of the largest value for floats.
    """
    assert value.dtype == wanted.dtype, f"{what}: dtype {value.dtype}, expected {wanted.dtype}"
    assert value.shape == wanted.shape, f"{what}: shape {value.shape}, expected {wanted.shape}"
    tolerance = TOLERANCE.get(wanted.dtype.name)
    if tolerance is None:
        np.testing.assert_array_equal(value, wanted, err_msg=what)
        return
    finite = wanted[np.isfinite(wanted)]
    scale = float(np.abs(finite).max()) if finite.size else 1.0
    np.testing.assert_allclose(
        value, wanted, rtol=tolerance * factor, atol=tolerance * factor * max(scale, 1e-30), err_msg=what
    )


def _doubled(array: np.ndarray) -> np.ndarray:
    """An array of which every second entry, from the last one backwards, is `array`."""
    wide = np.ones(tuple(2 * n for n in array.shape), array.dtype)
    wide[(slice(None, None, -2),) * array.ndim] = array
    return wide


def check_gradient(sample: Sample, rng: np.random.Generator, orders: int = 2) -> bool:
    """Symbolic gradients equal finite differences in float64, along random directions.

    Twice over where smooth.

    Inner-product form: for random v and w, d/dt <v, f(x + t w)> = <gradient of <v, f>, w>.
    Returns False where the sample has nothing to differentiate.
    """
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in sample.inputs]
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f" and a.size]
    if not sample.smooth or not sample.op.differentiable or not floats:
        return False
    if any(a.dtype != b.dtype for a, b in zip(arrays, sample.inputs, strict=True)):
        return False
    inputs = inputs_of(Sample(sample.op, tuple(arrays)))
    scalar = _probe(results_of(sample.op(*inputs)), rng)
    if scalar is None:
        return False
    wrt = [inputs[i] for i in floats]
    for order in range(orders):
        symbolic = gradients(scalar, wrt, disconnected="zero")
        directions = [rng.standard_normal(arrays[i].shape) for i in floats]
        values = evaluate([g for g in symbolic if g is not None], dict(zip(inputs, arrays, strict=True)))
        slope = sum(float(np.sum(g * d)) for g, d in zip(values, directions, strict=True))
        measured = _difference(scalar, inputs, arrays, floats, directions)
        scale = max(1.0, abs(slope), abs(measured))
        assert abs(slope - measured) <= 2e-5 * scale, (
            f"{sample.op} order {order + 1}: gradient {slope}, finite difference {measured}"
        )
        following = _probe([g for g in symbolic if g is not None], rng)
        if following is None:
            break
        scalar = following
    return True


def _probe(tensors: Sequence[Tensor], rng: np.random.Generator) -> Tensor | None:
    """<v, tensors> for random v: a scalar to differentiate."""
    total: Tensor | None = None
    for tensor in tensors:
        if tensor.dtype.startswith("float") and all(isinstance(d, int) for d in tensor.shape):
            weight = constant(rng.standard_normal(tuple(int(d) for d in tensor.shape)), tensor.dtype)  # type: ignore[call-overload]
            term = _sum(tensor * weight)
            total = term if total is None else total + term
    return total


def _sum(tensor: Tensor) -> Tensor:
    from symgraph.graph.ops.reduce import sum as total

    return total(tensor)


def _difference(
    scalar: Tensor,
    inputs: Sequence[Tensor],
    arrays: Sequence[np.ndarray],
    floats: Sequence[int],
    directions: Sequence[np.ndarray],
) -> float:
    """Central difference of `scalar` along `directions`, fourth order."""

    def at(step: float) -> float:
        moved = list(arrays)
        for i, direction in zip(floats, directions, strict=True):
            moved[i] = arrays[i] + step * direction
        return float(evaluate([scalar], dict(zip(inputs, moved, strict=True)))[0])

    h = 1e-4
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def check_pass(
    outputs: Sequence[Tensor], feeds: dict[Tensor, Any], passes: Sequence[Any] = PIPELINE
) -> list[Tensor]:
    """Rewritten and original graph have the same values, and the graph's law holds after every pass."""
    check(outputs)
    rewritten, _ = run_passes(outputs, passes, checked=True)
    for new, old in zip(evaluate(rewritten, feeds), evaluate(outputs, feeds), strict=True):
        assert_close(np.asarray(new), np.asarray(old), "pass")
    return rewritten
