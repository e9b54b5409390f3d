"""The methods that tensors have from the array API standard and from NumPy: functions of `symgraph.numpy`.

No `__len__`, `__eq__` and `size`-like truth: Keras' code takes tensors for single objects, which are found in
lists and dicts by identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from symgraph.graph.dims import Dim, product
from symgraph.graph.dispatch import namespace

if TYPE_CHECKING:
    from symgraph.graph.tensor import Tensor

Axis = int | Sequence[int] | None


class Methods:
    """What a tensor can be asked for by a method."""

    __slots__ = ()

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """`symgraph.numpy`. ValueError for versions of the standard after the one that it has."""
        found = namespace()
        if api_version is not None and str(api_version) > found.__array_api_version__:
            raise ValueError(
                f"expected a version up to {found.__array_api_version__} of the array API standard, "
                f"got {api_version!r}"
            )
        return found

    @property
    def T(self) -> Tensor:
        """The axes in the opposite order."""
        return namespace().transpose(self)  # type: ignore[no-any-return]

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return namespace().matrix_transpose(self)  # type: ignore[no-any-return]

    @property
    def size(self) -> Dim:
        """Number of elements: an integer, or an expression of sizes that data will tell."""
        return product(self.shape)  # type: ignore[attr-defined]

    @property
    def device(self) -> str:
        """``"cpu"``."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Tensor:
        """The tensor itself; ValueError for another device than ``"cpu"``."""
        if device != "cpu" or stream is not None:
            raise ValueError(f"expected the device 'cpu' and no stream, got {device!r} and {stream!r}")
        return self  # type: ignore[return-value]

    def sum(self, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False) -> Tensor:
        """Sum over `axis` (all for None)."""
        return namespace().sum(self, axis, dtype=dtype, keepdims=keepdims)  # type: ignore[no-any-return]

    def prod(self, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False) -> Tensor:
        """Product over `axis` (all for None)."""
        return namespace().prod(self, axis, dtype=dtype, keepdims=keepdims)  # type: ignore[no-any-return]

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Mean over `axis` (all for None)."""
        return namespace().mean(self, axis, keepdims=keepdims)  # type: ignore[no-any-return]

    def var(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """Variance over `axis` (all for None), divided by n - `ddof`."""
        return namespace().var(self, axis, ddof=ddof, keepdims=keepdims)  # type: ignore[no-any-return]

    def std(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """Standard deviation over `axis` (all for None)."""
        return namespace().std(self, axis, ddof=ddof, keepdims=keepdims)  # type: ignore[no-any-return]

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The largest element over `axis` (all for None)."""
        return namespace().max(self, axis, keepdims=keepdims)  # type: ignore[no-any-return]

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The smallest element over `axis` (all for None)."""
        return namespace().min(self, axis, keepdims=keepdims)  # type: ignore[no-any-return]

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Where the largest element lies."""
        return namespace().argmax(self, axis, keepdims=keepdims)  # type: ignore[no-any-return]

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Where the smallest element lies."""
        return namespace().argmin(self, axis, keepdims=keepdims)  # type: ignore[no-any-return]

    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Whether any element is true."""
        return namespace().any(self, axis, keepdims=keepdims)  # type: ignore[no-any-return]

    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Whether all elements are true."""
        return namespace().all(self, axis, keepdims=keepdims)  # type: ignore[no-any-return]

    def cumsum(self, axis: int | None = None, *, dtype: Any = None) -> Tensor:
        """Running sums along `axis`."""
        return namespace().cumsum(self, axis, dtype=dtype)  # type: ignore[no-any-return]

    def cumprod(self, axis: int | None = None, *, dtype: Any = None) -> Tensor:
        """Running products along `axis`."""
        return namespace().cumprod(self, axis, dtype=dtype)  # type: ignore[no-any-return]

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Held between two bounds."""
        return namespace().clip(self, min, max)  # type: ignore[no-any-return]

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """Each element so many times."""
        return namespace().repeat(self, repeats, axis)  # type: ignore[no-any-return]

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """The elements at `indices`."""
        return namespace().take(self, indices, axis)  # type: ignore[no-any-return]

    def squeeze(self, axis: Axis = None) -> Tensor:
        """Without axes of size 1."""
        return namespace().squeeze(self, axis)  # type: ignore[no-any-return]

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        return namespace().swapaxes(self, axis1, axis2)  # type: ignore[no-any-return]

    def dot(self, other: Any) -> Tensor:
        """Sums over the last axis of this and the second-last of `other`."""
        return namespace().dot(self, other)  # type: ignore[no-any-return]

    def argsort(self, axis: int = -1) -> Tensor:
        """Where the elements lie that come first, second ... in order."""
        return namespace().argsort(self, axis)  # type: ignore[no-any-return]

    def ravel(self) -> Tensor:
        """As a vector."""
        return namespace().ravel(self)  # type: ignore[no-any-return]

    def astype(self, dtype: Any, copy: bool = True) -> Tensor:
        """The same numbers in another dtype."""
        return namespace().astype(self, dtype)  # type: ignore[no-any-return]

    def diagonal(self, offset: int = 0) -> Tensor:
        """The diagonal of each matrix."""
        return namespace().diagonal(self, offset=offset)  # type: ignore[no-any-return]

    def trace(self, offset: int = 0) -> Tensor:
        """The sum of the diagonal of each matrix."""
        return namespace().trace(self, offset=offset)  # type: ignore[no-any-return]

    def conj(self) -> Tensor:
        """The tensor itself: there are no complex dtypes."""
        return namespace().conj(self)  # type: ignore[no-any-return]

    def round(self, decimals: int = 0) -> Tensor:
        """The nearest whole numbers, halves to even; of so many decimals."""
        if not decimals:
            return namespace().round(self)  # type: ignore[no-any-return]
        return namespace().round(self * 10.0**decimals) / 10.0**decimals  # type: ignore

    def reshape(self, *shape: Any) -> Tensor:
        """The elements under another shape: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``."""
        whole = shape[0] if len(shape) == 1 else shape
        return namespace().reshape(self, whole if isinstance(whole, Sequence) else (whole,))  # type: ignore

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order: ``x.transpose(1, 0)``, ``x.transpose((1, 0))``, or the opposite one."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return namespace().transpose(self, order)  # type: ignore[no-any-return]

    def flatten(self) -> Tensor:
        """As a vector."""
        return namespace().ravel(self)  # type: ignore[no-any-return]

    def copy(self) -> Tensor:
        """The tensor itself: tensors never change."""
        return self  # type: ignore[return-value]
