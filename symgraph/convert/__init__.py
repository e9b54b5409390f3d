"""Networks of other programs: from Caffe, and from and to ONNX."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symgraph.convert.caffe.load import load_caffe
    from symgraph.convert.onnx.load import load_onnx
    from symgraph.convert.onnx.save import save_onnx, to_onnx

# A part is loaded when its name is first used: the package onnx is an extra.
_NAMES = {
    "load_caffe": "caffe.load",
    "load_onnx": "onnx.load",
    "save_onnx": "onnx.save",
    "to_onnx": "onnx.save",
}

__all__ = ["load_caffe", "load_onnx", "save_onnx", "to_onnx"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
