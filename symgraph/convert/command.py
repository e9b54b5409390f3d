"""`symgraph convert`: one file of a network into another, as their endings say."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from symgraph import convert as convert_package
from symgraph.engine.saving import load_model, save_model

_DESCRIPTION = """\
Convert a network. The last file is written; what is read and written is told by the endings:

  symgraph convert deploy.prototxt weights.caffemodel model.h5      from Caffe
  symgraph convert model.onnx model.h5                              from ONNX
  symgraph convert model.h5 model.onnx                              to ONNX
"""
_H5 = (".h5", ".hdf5")
_KINDS = {
    ".prototxt": "prototxt", ".caffemodel": "caffemodel", ".onnx": "onnx", **dict.fromkeys(_H5, "h5"),
}  # fmt: skip
_CAFFE, _FROM_ONNX, _TO_ONNX = ["prototxt", "caffemodel", "h5"], ["onnx", "h5"], ["h5", "onnx"]


def add_convert(commands: Any) -> None:
    """Add the command to a parser's."""
    tell = commands.add_parser(
        "convert",
        help="convert from Caffe, and from and to ONNX",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tell.add_argument("files", nargs="+", help="what is read, then the file that is written")
    tell.add_argument(
        "--input-shape",
        action="append",
        default=[],
        type=_shape,
        metavar="[NAME=]SIZES",
        help="of a sample, such as 3,227,227: for inputs whose shape a prototxt does not tell",
    )
    tell.add_argument("--opset", type=int, help="of the ONNX file that is written, 13 to 21; default: 17")


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    try:
        return name, tuple(int(size) for size in sizes.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected sizes such as 3,227,227 or data=3,227,227, got {text!r}"
        ) from None


def convert(options: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Read, convert, write.

    Raises
    ------
    ValueError, OSError
        The files are none of a conversion, or damaged, or something in them cannot be converted.
    """
    *sources, target = options.files
    kinds = [_KINDS.get(Path(name).suffix.lower()) for name in options.files]
    if kinds not in (_CAFFE, _FROM_ONNX, _TO_ONNX):
        raise ValueError(
            "expected the names of .prototxt, .caffemodel and .h5, of .onnx and .h5, or of .h5 and .onnx, "
            f"got {', '.join(options.files)}"
        )
    for name, given, kind in (
        ("--input-shape", options.input_shape, _CAFFE),
        ("--opset", options.opset is not None, _TO_ONNX),
    ):
        if given and kinds != kind:
            raise ValueError(f"{name}: it has no meaning for {', '.join(options.files)}")
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        model = _convert(sources, target, kinds, options)
    for note in notes:
        say(f"note: {note.message}")
    say(f"wrote {target}: {len(model.layers)} layers, {model.count_params():,} weights")
    return 0


def _convert(sources: Sequence[str], target: str, kinds: Sequence[str | None], options: Any) -> Any:
    """Read, and write; the model."""
    if kinds == _TO_ONNX:
        model = load_model(sources[0], compile=False)
        given = {} if options.opset is None else {"opset": options.opset}
        convert_package.save_onnx(model, target, **given)
        return model
    if kinds == _CAFFE:
        model = convert_package.load_caffe(*sources, input_shape=_shapes(options.input_shape))
    else:
        model = convert_package.load_onnx(sources[0])
    save_model(model, target, include_optimizer=False)
    return model


def _shapes(given: Sequence[tuple[str, tuple[int, ...]]]) -> Any:
    """One shape, or a dict of them, as `load_caffe` takes them."""
    if len(given) == 1 and not given[0][0]:
        return given[0][1]
    if any(not name for name, _ in given):
        raise ValueError("--input-shape: expected a name for each of several shapes")
    return dict(given) or None
