"""Constants of a file, which may be hostile: nothing is believed that the bytes do not hold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

_MOST_AXES = 32
_PLAIN = {
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.INT16,
    TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32,
    TensorProto.UINT64, TensorProto.BOOL,
}  # fmt: skip


def array_of(tensor: TensorProto, path: Path) -> np.ndarray:
    """The values of a constant, from the file or from one beside it.

    Raises
    ------
    ValueError
        If its type is none of numpy's, it has more or fewer values than its shape says, or its values would
        lie outside the folder of the file.
    """
    what = f"{path}: constant {tensor.name!r}"
    if tensor.data_type not in _PLAIN:
        raise ValueError(f"{what}: values of type {tensor.data_type} cannot be read")
    if len(tensor.dims) > _MOST_AXES or any(size < 0 for size in tensor.dims):
        raise ValueError(f"{what}: its shape {list(tensor.dims)} is none")
    count, dtype = math.prod(tensor.dims), helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if tensor.data_location == TensorProto.EXTERNAL:
        return _external(tensor, path, what, dtype, count).reshape(tensor.dims)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != count * dtype.itemsize:
        raise ValueError(
            f"{what}: expected {count} values of {dtype} for shape {list(tensor.dims)}, "
            f"got {len(tensor.raw_data)} bytes"
        )
    try:
        return np.asarray(numpy_helper.to_array(tensor)).reshape(tensor.dims)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what}: it does not have the {count} values of its shape: {error}") from None


def _external(tensor: TensorProto, path: Path, what: str, dtype: np.dtype, count: int) -> np.ndarray:
    """Values in another file, which has to lie in the folder of this one."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    folder = path.resolve().parent
    file = (folder / location).resolve()
    if not location or Path(location).is_absolute() or folder not in file.parents or not file.is_file():
        raise ValueError(f"{what}: expected a file in the folder of the model, got {location!r}")
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", count * dtype.itemsize))
    except ValueError:
        raise ValueError(f"{what}: its place in {location!r} is no number") from None
    if length != count * dtype.itemsize or offset < 0 or offset + length > file.stat().st_size:
        raise ValueError(
            f"{what}: expected {count * dtype.itemsize} bytes in {location!r}, "
            f"got {length} bytes at {offset} of {file.stat().st_size}"
        )
    with file.open("rb") as opened:
        opened.seek(offset)
        return np.frombuffer(opened.read(length), dtype.newbyteorder("<")).astype(dtype)
