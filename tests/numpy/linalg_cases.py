"""Calls of `symgraph.numpy.linalg`, with what numpy and scipy give for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from symgraph.numpy import linalg

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Case:
    """`ours` on tensors, `truth` on arrays: normal numbers of `shapes`, the first ones `made` anew."""

    name: str
    ours: Callable[..., Any]
    truth: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    made: Callable[[np.ndarray], np.ndarray] = lambda x: x

    def arrays(self, dtype: str) -> Arrays:
        rng = np.random.default_rng(len(self.name))
        drawn = [rng.standard_normal(shape) for shape in self.shapes]
        return tuple(x.astype(dtype) for x in (self.made(drawn[0]), *drawn[1:]))


def definite(x: np.ndarray) -> np.ndarray:
    return x @ np.swapaxes(x, -1, -2) + np.diag(1.0 + np.arange(x.shape[-1]))


def regular(x: np.ndarray) -> np.ndarray:
    return x + 3 * np.eye(x.shape[-2], x.shape[-1])


def _triangular(a: np.ndarray, b: np.ndarray, **options: Any) -> np.ndarray:
    """scipy's, matrix by matrix."""
    if b.ndim == 1:
        return scipy.linalg.solve_triangular(a, b, **options)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(m, (*lead, *m.shape[-2:])) for m in (a, b))
    found = np.empty((*lead, *b.shape[-2:]))
    for index in np.ndindex(lead):
        found[index] = scipy.linalg.solve_triangular(a[index], b[index], **options)
    return found


def _lstsq(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    x, _, rank, values = scipy.linalg.lstsq(a, b)
    columns = b[:, None] if b.ndim == 1 else b
    left = columns - a @ (x[:, None] if b.ndim == 1 else x)
    return x, np.sum(left**2, axis=0), np.asarray(rank), values


def _vector_norm(x: np.ndarray, ord: float) -> np.ndarray:
    flat = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    return np.linalg.norm(flat, ord, 1)[None, :, None]


def _swap(x: Any) -> Any:
    return np.swapaxes(x, -1, -2) if isinstance(x, np.ndarray) else linalg.matrix_transpose(x)


def _of_eigh(w: Any, v: Any) -> tuple[Any, Any]:
    """Eigenvalues, and what vectors, which have a sign to choose, multiply to."""
    return w, (v * w[..., None, :]) @ _swap(v)


def _of_svd(x: Any) -> tuple[Any, Any]:
    u, s, vt = linalg.svd(x, full_matrices=False)
    return s, (u * s[..., None, :]) @ vt


def _unit_matrices(x: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.broadcast_to(np.eye(n), (*x.shape[:-2], n, n)) for n in x.shape[-2:])


def _ours_of_full_svd(x: Any) -> tuple[Any, ...]:
    u, _, vt = linalg.svd(x)
    return u @ _swap(u), vt @ _swap(vt)


class _With:
    """A function with options, which tests call by its name and them."""

    def __init__(self, function: Callable[..., Any], *more: Any, **options: Any) -> None:
        self.function, self.more, self.options = function, more, options

    def __call__(self, *arrays: Any) -> Any:
        found = self.function(*arrays, *self.more, **self.options)
        return tuple(found) if isinstance(found, tuple) else found


def _of_square(shape: tuple[int, ...]) -> Iterator[Case]:
    def case(name: str, ours: Any, truth: Any, made: Any) -> Case:
        return Case(name, ours, truth, (shape,), made)

    yield case("cholesky", linalg.cholesky, np.linalg.cholesky, definite)
    yield case(
        "upper cholesky", _With(linalg.cholesky, upper=True), lambda x: _swap(np.linalg.cholesky(x)), definite
    )
    yield case("inv", linalg.inv, np.linalg.inv, regular)
    yield case("det", linalg.det, np.linalg.det, regular)
    yield case("slogdet", _With(linalg.slogdet), _With(np.linalg.slogdet), regular)
    yield case("eigvalsh", linalg.eigvalsh, np.linalg.eigvalsh, definite)
    yield case("eigh", lambda x: _of_eigh(*linalg.eigh(x)), lambda x: _of_eigh(*np.linalg.eigh(x)), definite)
    yield case("eigvalsh of U", _With(linalg.eigvalsh, "U"), _With(np.linalg.eigvalsh, "U"), regular)
    for n in (-3, -1, 0, 1, 2, 5):
        power = _With(linalg.matrix_power, n)
        yield case(f"matrix_power {n}", power, _With(np.linalg.matrix_power, n), regular)
    if shape[-1]:
        yield case("cond", linalg.cond, np.linalg.cond, regular)
        yield case("cond in 1", _With(linalg.cond, 1), _With(np.linalg.cond, 1), regular)


def _of_matrices(shape: tuple[int, ...]) -> Iterator[Case]:
    def case(name: str, ours: Any, truth: Any) -> Case:
        return Case(name, ours, truth, (shape,), regular)

    yield case("svd", _of_svd, lambda x: (np.linalg.svd(x, compute_uv=False), x))
    yield case("full svd", _ours_of_full_svd, _unit_matrices)
    yield case("svdvals", linalg.svdvals, np.linalg.svdvals)
    yield case("qr", _With(linalg.qr), _With(np.linalg.qr))
    yield case("complete qr", _With(linalg.qr, mode="complete"), _With(np.linalg.qr, mode="complete"))
    yield case("pinv", linalg.pinv, np.linalg.pinv)
    yield case("matrix_rank", linalg.matrix_rank, np.linalg.matrix_rank)
    for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        truth = _With(np.linalg.matrix_norm, ord=ord)
        yield case(f"matrix_norm {ord}", _With(linalg.matrix_norm, ord=ord), truth)
    yield case("diagonal", _With(linalg.diagonal, offset=1), _With(np.linalg.diagonal, offset=1))
    yield case("trace", _With(linalg.trace, offset=-1), _With(np.linalg.trace, offset=-1))


def _of_systems(shapes: tuple[tuple[int, ...], ...]) -> Iterator[Case]:
    yield Case("solve", linalg.solve, np.linalg.solve, shapes, regular)
    lower: dict[str, bool]
    for lower in ({}, {"lower": True}):
        for more in ({}, {"trans": True}, {"unit_diagonal": True}):
            options = lower | more
            ours = _With(linalg.solve_triangular, **options)
            truth = _With(_triangular, **options)
            name = f"solve_triangular {options}"
            yield Case(name, ours, truth, shapes, lambda x: regular(x) / x.shape[-1])


def _of_vectors(shapes: tuple[tuple[int, ...], ...]) -> Iterator[Case]:
    yield Case("cross", linalg.cross, np.cross, shapes)
    yield Case("vecdot", linalg.vecdot, np.vecdot, shapes)


def _others() -> Iterator[Case]:
    for shapes in (((5, 3), (5, 2)), ((3, 5), (3, 2)), ((4, 4), (4,))):
        yield Case("lstsq", linalg.lstsq, _lstsq, shapes)
    yield Case("outer", linalg.outer, np.outer, ((3,), (4,)))
    columns = _With(linalg.cross, axis=-2), _With(np.cross, axis=-2)
    yield Case("cross of columns", *columns, ((3, 2), (5, 3, 2)))
    yield Case("tensordot", linalg.tensordot, np.tensordot, ((2, 3, 4), (3, 4, 5)))
    lists = ((-1, 0), (0, 2))
    both = _With(linalg.tensordot, axes=lists), _With(np.tensordot, axes=lists)
    yield Case("tensordot of lists", *both, ((2, 3, 4), (4, 5, 2)))
    both = _With(linalg.tensordot, axes=0), _With(np.tensordot, axes=0)
    yield Case("tensordot of none", *both, ((2, 3), (4,)))
    chain = lambda *m: linalg.multi_dot(m), lambda *m: np.linalg.multi_dot(m)
    yield Case("multi_dot", *chain, ((3,), (3, 4), (4, 2)))
    yield Case("norm", linalg.norm, np.linalg.norm, ((2, 3, 4),))
    for arguments in ((3, 0, True), (1, (2, 0), True), (None, (0, 1))):
        both = _With(linalg.norm, *arguments), _With(np.linalg.norm, *arguments)
        yield Case(f"norm {arguments}", *both, ((2, 3, 4),))
    for ord in (0, 1, 2, 3, 0.5, -1, -2.5, np.inf, -np.inf):
        ours = _With(linalg.vector_norm, axis=(0, 2), ord=ord, keepdims=True)
        yield Case(f"vector_norm {ord}", ours, _With(_vector_norm, ord), ((2, 3, 4),))


SQUARE = (3, 3), (1, 1), (2, 5, 5), (0, 0), (0, 3, 3), (2, 3, 2, 2)
ANY = (4, 3), (3, 5), (2, 4, 2), (2, 2, 5), (0, 2, 3), (70, 70)
SYSTEMS = ((3, 3), (3, 2)), ((3, 3), (3,)), ((2, 4, 4), (4, 1)), ((3, 3), (2, 3, 2)), ((150, 150), (150, 3))
VECTORS = ((3,), (3,)), ((2, 3), (3,)), ((4, 1, 3), (2, 3)), ((0, 3), (0, 3))
CASES = [
    *(case for shape in SQUARE for case in _of_square(shape)),
    *(case for shape in ANY for case in _of_matrices(shape)),
    *(case for shapes in SYSTEMS for case in _of_systems(shapes)),
    *(case for shapes in VECTORS for case in _of_vectors(shapes)),
    *_others(),
]
