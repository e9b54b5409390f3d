"""From and to ONNX (onnx.ai). Needs the package `onnx`, which is an extra."""

try:
    import onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        "reading and writing ONNX needs the package onnx: pip install symgraph[onnx]"
    ) from error
