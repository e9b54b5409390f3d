"""`symgraph convert`: one file of a network into another, as their endings say."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from symgraph.convert.caffe.load import load_caffe
from symgraph.engine.saving import save_model

_DESCRIPTION = """\
Convert a network. The last file is written; what is read and written is told by the endings:

  symgraph convert deploy.prototxt weights.caffemodel model.h5      from Caffe
"""
_H5 = (".h5", ".hdf5")


def add_convert(commands: Any) -> None:
    """Add the command to a parser's."""
    tell = commands.add_parser(
        "convert",
        help="convert a network of Caffe",
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
    endings = [Path(name).suffix.lower() for name in sources]
    if endings != [".prototxt", ".caffemodel"] or Path(target).suffix.lower() not in _H5:
        raise ValueError(
            f"expected a .prototxt, a .caffemodel and an .h5 file, got {', '.join(options.files)}"
        )
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        model = load_caffe(*sources, input_shape=_shapes(options.input_shape))
        save_model(model, target, include_optimizer=False)
    for note in notes:
        say(f"note: {note.message}")
    say(f"wrote {target}: {len(model.layers)} layers, {model.count_params():,} weights")
    return 0


def _shapes(given: Sequence[tuple[str, tuple[int, ...]]]) -> Any:
    """One shape, or a dict of them, as `load_caffe` takes them."""
    if len(given) == 1 and not given[0][0]:
        return given[0][1]
    if any(not name for name, _ in given):
        raise ValueError("--input-shape: expected a name for each of several shapes")
    return dict(given) or None
