"""Linear algebra against numpy and scipy: values, unknown sizes, gradients, what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.gradient import gradients
from symgraph.graph.tensor import Tensor
from symgraph.numpy import linalg
from tests.numpy.linalg_cases import CASES, Case, definite, regular


def _compiled(case: Case, arrays: Any, unknown: bool) -> list[np.ndarray]:
    feeds = [
        symgraph.placeholder((None,) * a.ndim if unknown else a.shape, dtype=a.dtype.name) for a in arrays
    ]
    found = case.ours(*feeds)
    return symgraph.function(feeds, list(found) if isinstance(found, tuple) else [found])(*arrays)


def _names(case: Case) -> str:
    return f"{case.name} {case.shapes}"


@pytest.mark.parametrize("case", CASES, ids=_names)
def test_values_are_numpys(case: Case) -> None:
    for dtype, tolerance in (("float32", 3e-4), ("float64", 1e-10)):
        arrays = case.arrays(dtype)
        truth = case.truth(*(a.astype("float64") for a in arrays))
        truths = truth if isinstance(truth, tuple) else (truth,)
        # Sizes of 1 that are not known do not broadcast.
        stretched = any(1 in a.shape for a in arrays) or len({a.shape[:-2] for a in arrays if a.ndim > 1}) > 1
        unknown = dtype == "float32" and not stretched
        for value, wanted in zip(_compiled(case, arrays, unknown), truths, strict=True):
            assert value.dtype == (dtype if value.dtype.kind == "f" else "int64")
            assert value.shape == wanted.shape
            tolerated = tolerance * max(1.0, np.abs(wanted).max(initial=0.0))
            np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerated)


# Of these the gradient is not one, or is tested by itself.
STAIRS = ("matrix_rank", "full svd", "vector_norm 0", "lstsq", "slogdet", "complete qr")
SMOOTH = [
    case
    for case in CASES
    if not case.name.startswith(STAIRS)
    and all(0 < np.prod(s) < 70 for s in case.shapes)
    and "1, 1" not in _names(case)
]


@pytest.mark.parametrize("case", SMOOTH, ids=_names)
def test_gradients_are_finite_differences_twice(case: Case) -> None:
    arrays = case.arrays("float64")
    feeds = [symgraph.placeholder(a.shape, dtype="float64") for a in arrays]
    rng = np.random.default_rng(7)
    found = case.ours(*feeds)
    scalar = _weighted(found if isinstance(found, tuple) else (found,), rng)
    for _ in range(2):
        slopes = gradients(scalar, feeds, disconnected="zero")
        both = symgraph.function(feeds, [scalar, *slopes])
        directions = [rng.standard_normal(a.shape) for a in arrays]
        slope = sum(np.sum(g * d) for g, d in zip(both(*arrays)[1:], directions, strict=True))
        h = 1e-4
        at = {
            k: both(*(a + k * h * d for a, d in zip(arrays, directions, strict=True)))[0]
            for k in (-2, -1, 1, 2)
        }
        measured = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
        assert slope == pytest.approx(measured, rel=2e-5, abs=2e-5)
        scalar = _weighted([s for s in slopes if s is not None], rng)


def _weighted(tensors: Any, rng: np.random.Generator) -> Tensor:
    """A scalar: random weights times the elements of all tensors."""
    terms = [K.sum(t * K.constant(rng.standard_normal(K.int_shape(t)), "float64")) for t in tensors]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def test_the_gradient_of_a_gaussian_likelihood() -> None:
    """Rasmussen and Williams 2006, equation 5.9: 1/2 tr((alpha alpha' - K^-1) dK)."""
    rng = np.random.default_rng(0)
    points, y = rng.standard_normal((12, 2)), rng.standard_normal(12)
    distances = np.sum((points[:, None] - points) ** 2, -1)
    width = K.variable(0.7, "float64")
    covariance = K.exp(-0.5 * K.constant(distances, "float64") / width**2) + 0.1 * K.eye(12, "float64")
    factor = linalg.cholesky(covariance)
    whitened = linalg.solve_triangular(factor, K.constant(y, "float64"), lower=True)
    loss = -0.5 * K.sum(whitened**2) - K.sum(K.log(linalg.diagonal(factor)))
    (slope,) = gradients(loss, [width])
    value, slope = symgraph.function([], [loss, slope])()
    plain = np.exp(-0.5 * distances / 0.49)
    matrix = plain + 0.1 * np.eye(12)
    alpha = np.linalg.solve(matrix, y)
    change = plain * distances / 0.7**3
    assert value == pytest.approx(-0.5 * y @ alpha - 0.5 * np.linalg.slogdet(matrix)[1])
    assert slope == pytest.approx(0.5 * np.trace((np.outer(alpha, alpha) - np.linalg.inv(matrix)) @ change))


def test_gradients_of_triangles_added_to_their_transposes_are_symmetric_ones() -> None:
    """d log det x = tr(x^-1 dx); d sum(w g(w)) of eigenvalues likewise."""
    a = definite(np.random.default_rng(1).standard_normal((4, 4)))
    x = symgraph.placeholder((4, 4), dtype="float64")
    for loss, truth in (
        (2 * K.sum(K.log(linalg.diagonal(linalg.cholesky(x)))), np.linalg.inv(a)),
        (2 * K.sum(K.log(linalg.diagonal(linalg.cholesky(x, upper=True)))), np.linalg.inv(a)),
        (K.sum(linalg.eigvalsh(x) ** 2), 2 * a),
    ):
        (slope,) = gradients(loss, [x])
        found = symgraph.function([x], slope)(a)
        assert not np.triu(found, 1).any() or not np.tril(found, -1).any()
        np.testing.assert_allclose((found + found.T) / 2, truth, rtol=1e-10, atol=1e-12)


def test_determinants_of_singular_matrices_have_derivatives() -> None:
    """det(a + t b) is a polynomial in t: its coefficients are the derivatives."""
    rng = np.random.default_rng(2)
    x, t = np.outer(rng.standard_normal(3), rng.standard_normal(3)), symgraph.placeholder((), dtype="float64")
    x[0] += rng.standard_normal(3)  # of rank 2
    b = rng.standard_normal((3, 3))
    d = linalg.det(K.constant(x, "float64") + t * K.constant(b, "float64"))
    (first,) = gradients(d, [t])
    (second,) = gradients(first, [t])
    times = np.array([-1.0, -0.5, 0.5, 1.0])
    coefficients = np.polyfit(times, [np.linalg.det(x + s * b) for s in times], 3)
    found = symgraph.function([t], [d, first, second])(0.0)
    np.testing.assert_allclose(found, [0, coefficients[2], 2 * coefficients[1]], rtol=1e-9, atol=1e-12)


def test_norms_of_zeros_have_gradients_of_zero() -> None:
    x = symgraph.placeholder((3, 2), dtype="float64")
    losses = [linalg.vector_norm(x), linalg.matrix_norm(x), linalg.vector_norm(x, ord=3), linalg.norm(x)]
    found = symgraph.function([x], [gradients(loss, [x])[0] for loss in losses])(np.zeros((3, 2)))
    assert not np.any(found)


def test_integers_count_as_float64_and_mixed_dtypes_meet() -> None:
    whole = symgraph.placeholder((2, 2), dtype="int32")
    value = symgraph.function([whole], linalg.inv(whole))([[2, 1], [1, 1]])
    assert value.dtype == "float64"
    np.testing.assert_allclose(value, [[1, -1], [-1, 2]], rtol=1e-15)
    single, double = (
        symgraph.placeholder((2, 2), dtype="float32"),
        symgraph.placeholder((2,), dtype="float64"),
    )
    assert linalg.solve(single, double).dtype == "float64"
    assert linalg.solve(single, np.ones(2)).dtype == "float32"  # as arrays beside tensors of floats do


def test_integers_keep_their_dtype_where_only_products_are_taken() -> None:
    for dtype in ("uint8", "int8", "int32", "int64"):
        a, b = (symgraph.placeholder((2, 3), dtype=dtype) for _ in range(2))
        data = np.random.default_rng(0).integers(0, 100, (2, 2, 3)).astype(dtype)
        for ours, truth in ((linalg.vecdot, np.vecdot), (linalg.cross, np.cross)):
            value = symgraph.function([a, b], ours(a, b))(*data)
            assert value.dtype == dtype
            np.testing.assert_array_equal(value, truth(*data))
    assert linalg.trace(a).dtype == "int64"
    assert linalg.trace(symgraph.placeholder((2, 2), dtype="uint8")).dtype == "uint64"
    assert linalg.trace(a, dtype="float32").dtype == "float32"


def test_ranks_and_pseudo_inverses_take_limits_of_their_own() -> None:
    x = np.random.default_rng(3).standard_normal((2, 4, 3))
    limits = np.array([0.3, 0.9])
    feed, rtol = (
        symgraph.placeholder((None, 4, 3), dtype="float64"),
        symgraph.placeholder((None,), dtype="float64"),
    )
    f = symgraph.function([feed, rtol], [linalg.pinv(feed, rtol=rtol), linalg.matrix_rank(feed, rtol=rtol)])
    inverse, rank = f(x, limits)
    np.testing.assert_allclose(inverse, np.linalg.pinv(x, rtol=limits), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(rank, np.linalg.matrix_rank(x, rtol=limits))
    assert symgraph.function([], linalg.matrix_rank(np.zeros((3, 2))))() == 0


# What is refused


SINGULAR = {
    "inv": lambda a: linalg.inv(a),
    "solve": lambda a: linalg.solve(a, np.ones((3, 1))),
    "cholesky": lambda a: linalg.cholesky(0.5 - a),
    "slogdet": lambda a: gradients(linalg.slogdet(a)[1], [a])[0],
    "solve_triangular": lambda a: linalg.solve_triangular(a - 1.0, np.ones((3, 1))),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_a_singular_matrix_is_named_with_op_place_and_line(name: str) -> None:
    x, w = symgraph.placeholder((None, 3, 3)), symgraph.Variable(np.zeros(3, "float32"))
    f = symgraph.function([x], SINGULAR[name](x), updates=[(w, w + 1.0)])
    data = np.stack([np.eye(3), np.eye(3), np.ones((3, 3)), np.eye(3)]).astype("float32")
    line = SINGULAR[name].__code__.co_firstlineno
    op = "inv" if name == "slogdet" else name
    with pytest.raises(np.linalg.LinAlgError) as caught:
        f(data)
    what = "not positive definite" if name == "cholesky" else "singular"
    matrix = 0 if name in ("cholesky", "solve_triangular") else 2
    text = rf"test_linalg.py:{line}: {op}.*: matrix {matrix} of the stack is {what}.*shapes \(4, 3, 3\)"
    assert re.search(text, str(caught.value))
    assert not w.get_value().any()


def test_numbers_that_are_not_finite_are_named() -> None:
    x = symgraph.placeholder((2, 2), dtype="float64")
    for build in (linalg.svdvals, linalg.pinv, lambda a: linalg.lstsq(a, np.ones(2))[0]):
        with pytest.raises(np.linalg.LinAlgError, match=r"the matrix .*has numbers that are not finite"):
            symgraph.function([x], build(x))([[1.0, np.nan], [np.nan, 1.0]])


def test_matrices_of_unknown_sizes_are_checked_when_they_come() -> None:
    x, b = symgraph.placeholder((None, None), dtype="float64"), symgraph.placeholder((None,), dtype="float64")
    f = symgraph.function([x, b], linalg.solve(x, b))
    np.testing.assert_allclose(f(2 * np.eye(3), np.ones(3)), 0.5)
    with pytest.raises(
        ValueError, match=r"test_linalg.py:\d+: solve got inputs of shapes \(2, 3\) and \(3, 1\)"
    ):
        f(np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match=r"sizes N1 = 3 and N = 2 have to be equal"):
        f(np.eye(3), np.ones(2))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda x: linalg.inv(x), ValueError, r"inv: expected square matrices, .* got float32\(2, 3\)"),
        (lambda x: linalg.inv(x[0]), ValueError, r"inv: expected a matrix or a stack"),
        (lambda x: linalg.solve(x[:, :2], x[:1]), ValueError, "right-hand sides of 2 rows, got 1"),
        (lambda x: linalg.qr(x, mode="r"), ValueError, "expected a mode of 'reduced' or 'complete', got 'r'"),
        (lambda x: linalg.matrix_norm(x, ord=3), ValueError, "matrix_norm: expected an ord of .*got 3"),
        (lambda x: linalg.vector_norm(x, ord="fro"), TypeError, "expected a number as ord, got 'fro'"),
        (lambda x: linalg.norm(x[None], 2), ValueError, "norm: expected a vector or a matrix"),
        (lambda x: linalg.norm(x, 2, (0, 0)), ValueError, "one axis, or two that differ"),
        (lambda x: linalg.matrix_power(x, 2), ValueError, "matrix_power: expected square"),
        (lambda x: linalg.matrix_power(x[:, :2], 0.5), TypeError, "expected an integer as n, got 0.5"),
        (lambda x: linalg.eigh(x[:, :2], "X"), ValueError, "eigh: expected a UPLO of 'L' or 'U', got 'X'"),
        (lambda x: linalg.eig(x[:, :2]), NotImplementedError, "eig: complex dtypes are not supported; eigh"),
        (lambda x: linalg.outer(x, x), ValueError, "outer: expected two vectors"),
        (lambda x: linalg.cross(x, x[:, :2]), ValueError, "cross: expected 3 elements on axis -1"),
        (lambda x: linalg.vecdot(x, x[:, :1]), ValueError, "vecdot: expected as many elements on axis -1"),
        (lambda x: linalg.tensordot(x, linalg.matrix_transpose(x)), ValueError, "equal sizes, got 2 and 3"),
        (lambda x: linalg.tensordot(x, x, axes=3), ValueError, "tensordot: expected up to 2 axes, got 3"),
        (lambda x: linalg.pinv(x, rtol=x), ValueError, "do not broadcast|rtol"),
        (
            lambda x: gradients(linalg.svd(linalg.matrix_transpose(x))[0], [x]),
            NotImplementedError, "full_matrices=False",
        ),
        (
            lambda x: gradients(linalg.qr(linalg.matrix_transpose(x), mode="complete")[0], [x]),
            NotImplementedError, "mode='reduced'",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_when_it_is_written(build: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        build(symgraph.placeholder((2, 3)))


def test_sizes_that_are_summed_together_are_checked_pair_by_pair() -> None:
    """As many elements in another order would fit a product of matrices."""
    x, y = symgraph.placeholder((None, 3)), symgraph.placeholder((3, None))
    f = symgraph.function([x, y], linalg.tensordot(x, y))
    assert f(np.ones((3, 3)), np.ones((3, 3))) == 9
    with pytest.raises(ValueError, match=r"have to be equal|expected size"):
        f(np.ones((2, 3)), np.ones((3, 2)))
    one = symgraph.placeholder((1, 3))
    g = symgraph.function([x, one], linalg.tensordot(x, one))
    assert g(np.ones((1, 3)), np.ones((1, 3))) == 3
    with pytest.raises(ValueError, match=r"have to be equal|expected size"):
        g(np.ones((2, 3)), np.ones((1, 3)))


def test_vectors_of_one_element_do_not_broadcast_along_the_axis_that_is_summed() -> None:
    x, one = symgraph.placeholder((2, None)), symgraph.placeholder((2, 1))
    f = symgraph.function([x, one], linalg.vecdot(x, one))
    np.testing.assert_array_equal(f([[2.0], [3.0]], [[5.0], [7.0]]), [10, 21])
    with pytest.raises(ValueError, match="have to be equal"):
        f(np.ones((2, 3)), np.ones((2, 1)))


def test_loops_and_choices_hold_rows_of_numpy() -> None:
    x = symgraph.placeholder((None, 3, 3), dtype="float64")
    data = regular(np.random.default_rng(4).standard_normal((4, 3, 3)))
    inverses = K.map_fn(linalg.inv, x)
    loss = K.sum(inverses[:, 0, 0])
    f = symgraph.function([x], [inverses, gradients(loss, [x])[0]])
    found, slopes = f(data)
    truth = np.linalg.inv(data)
    np.testing.assert_allclose(found, truth, rtol=1e-12)
    # y = x^-1: dy[0, 0] = -y[0, :] dx y[:, 0]
    np.testing.assert_allclose(slopes, -np.einsum("ni,nj->nij", truth[:, 0], truth[:, :, 0]), rtol=1e-10)
    chosen = symgraph.placeholder((), dtype="bool")
    y = K.switch(chosen, lambda: linalg.inv(x[0]), lambda: x[0])
    g = symgraph.function([x, chosen], y)
    singular = np.ones((1, 3, 3))
    np.testing.assert_array_equal(g(singular, False), singular[0])
    with pytest.raises(np.linalg.LinAlgError, match="inv: the matrix is singular"):
        g(singular, True)
