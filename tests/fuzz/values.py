"""Values of the twin: numpy's answer, an answer of more digits, and how far either can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Kind = Callable[[str], np.dtype]
WIDE = {"float32": "float64", "float64": "longdouble"}
ROUNDING = {"float32": 2e-5, "float64": 1e-12}
NOISE = {"float32": 2e-7, "float64": 4e-16}
# Sums and products of whole numbers up to the first are exact in float32 where they stay within the second.
_SMALL, _EXACT = 1 << 10, 1 << 20


def own(dtype: str) -> np.dtype:
    """The dtype itself."""
    return np.dtype(dtype)


def wide(dtype: str) -> np.dtype:
    """The dtype with more digits that stands for `dtype`."""
    return np.dtype(WIDE.get(dtype, dtype))


@dataclass(frozen=True)
class Value:
    """What a node is worth.

    `own` was computed in the node's dtype, `wide` with more digits and range, `shaken` as `wide`, but with
    some noise after every rounded operation. Where they differ, the exact answer depends on rounding. `known`
    values follow from the inputs bit by bit, in any order of sums; a `doubtful` one may jump, since it went
    through a comparison, say, of what is not known. `scale` is the size of the terms of a sum; one that is
    `cancelled` has lost all its digits somewhere, even its sign.
    """

    own: np.ndarray
    wide: np.ndarray
    shaken: np.ndarray
    known: bool
    doubtful: bool = False
    scale: float = 0.0
    cancelled: bool = False

    @classmethod
    def given(cls, array: np.ndarray) -> Value:
        """An input."""
        more = array.astype(wide(array.dtype.name))
        return cls(array, more, more, True)

    def entry(self, place: int) -> Value:
        """One along the first axis."""
        return replace(self, own=self.own[place], wide=self.wide[place], shaken=self.shaken[place])

    @classmethod
    def stacked(cls, steps: Sequence[Value]) -> Value:
        """Values of one shape along a new first axis."""
        return cls(
            np.stack([s.own for s in steps]),
            np.stack([s.wide for s in steps]),
            np.stack([s.shaken for s in steps]),
            all(s.known for s in steps),
            any(s.doubtful for s in steps),
            max(s.scale for s in steps),
            any(s.cancelled for s in steps),
        )


def shake(array: np.ndarray, terms: np.ndarray, dtype: str) -> np.ndarray:
    """`array` with noise of the size that rounding of `terms`, which were added up, to `dtype` has."""
    noise = np.cos(np.arange(array.size) * 7.3 + 1.0).reshape(array.shape)
    return np.where(np.isfinite(array), array + terms * (noise * NOISE[dtype]), array)


def lost(array: np.ndarray, terms: np.ndarray, dtype: str) -> bool:
    """Whether a sum of `terms` may be all rounding somewhere."""
    return bool((np.isfinite(array) & (terms > 0) & (np.abs(array) <= 16 * NOISE[dtype] * terms)).any())


def largest(*arrays: np.ndarray) -> float:
    """The largest finite magnitude."""
    sizes = [np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in arrays]
    return float(max(sizes, default=0.0))


def small(array: np.ndarray, limit: int = _SMALL) -> bool:
    """Whether all elements are whole numbers that sums and products of floats keep exact."""
    if array.dtype.kind != "f":
        return True
    return bool((np.isfinite(array) & (array == np.rint(array)) & (np.abs(array) <= limit)).all())


def still_exact(array: np.ndarray) -> bool:
    """Whether a result of exact operations was not rounded."""
    return small(array, _EXACT)


def difference(found: np.ndarray, value: Value) -> str | None:
    """In what `found` differs from what it has to be; None where it does not."""
    truth = value.own
    if found.dtype != truth.dtype or found.shape != truth.shape:
        return f"{found.dtype}{found.shape}, expected {truth.dtype}{truth.shape}"
    if value.doubtful:
        return None
    if value.known or truth.dtype.kind != "f":
        wrong = (found != truth) & ~(_nan(found) & _nan(truth))
    else:
        with np.errstate(all="ignore"):
            wrong = _rounded(found, value)
    if not wrong.any():
        return None
    place = tuple(int(i[0]) for i in np.nonzero(wrong)) if truth.ndim else ()
    return (
        f"{int(wrong.sum())} of {truth.size} elements; at {place} {found[place]!r}, expected {truth[place]!r}"
    )


def _nan(array: np.ndarray) -> np.ndarray:
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)


def _rounded(found: np.ndarray, value: Value) -> np.ndarray:
    """Where `found` is further away than rounding explains, or infinite or NaN where the answer is not."""
    truth = value.own
    other = value.wide.astype(truth.dtype)
    agreed = (np.isnan(truth) == np.isnan(other)) & (np.isinf(truth) == np.isinf(other))
    agreed &= ~np.isinf(truth) | (truth == other)
    agreed &= np.isfinite(value.shaken) == np.isfinite(value.wide)
    finite = np.isfinite(truth) & np.isfinite(other)
    scale = max(largest(truth), value.scale)
    error = 16 * largest(truth.astype(value.wide.dtype)[finite] - value.wide[finite])
    error += 100 * largest(value.shaken - value.wide)
    bound = ROUNDING[truth.dtype.name] * scale + error + float(np.finfo(truth.dtype).tiny)
    near = np.abs(found.astype(value.wide.dtype) - truth) <= bound
    same = np.where(finite, near, (found == truth) | (np.isnan(found) & np.isnan(truth)))
    return np.asarray(agreed & ~same)
