"""What this namespace can do, as the standard's inspection functions tell it."""

from __future__ import annotations

from typing import Any

from symgraph.globals import floatx
from symgraph.graph.types import DTYPES
from symgraph.numpy.arguments import DEVICE, check_device
from symgraph.numpy.dtypes import isdtype


class _Info:
    """The answer of `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        """No masks of data, no results whose sizes data tell; any number of axes."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": None}

    def default_device(self) -> str:
        """The processor."""
        return DEVICE

    def devices(self) -> list[str]:
        """The processor."""
        return [DEVICE]

    def default_dtypes(self, *, device: Any = None) -> dict[str, str]:
        """The dtypes of what is made without naming one."""
        check_device(device)
        return {"real floating": floatx(), "integral": "int64", "indexing": "int64"}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, str]:
        """The standard's dtypes that are there, or those of one kind."""
        check_device(device)
        return {name: name for name in DTYPES if kind is None or isdtype(name, kind)}


def __array_namespace_info__() -> _Info:
    """What this namespace can do."""
    return _Info()


__all__ = ["__array_namespace_info__"]
