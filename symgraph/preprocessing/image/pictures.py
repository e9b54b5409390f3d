"""Single pictures: from files to Pillow's images, to arrays, and back.

Pillow says what a file holds. Three things are done that it leaves to its callers: pictures are turned
upright as their camera noted, 16-bit grey values are scaled to 8 bits instead of cut off, and every error
names the file.
"""

from __future__ import annotations

import io
import operator
import os
import re
import stat
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from symgraph.globals import floatx, image_data_format
from symgraph.utils.old_arguments import LAYOUTS, old_arguments
from symgraph.utils.warn_user import warn_user

Path = str | os.PathLike[str]

INTERPOLATIONS: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "hamming": Image.Resampling.HAMMING,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Ways to change the size of a picture."""

COLOR_MODES: dict[str, tuple[str, int]] = {"grayscale": ("L", 1), "rgb": ("RGB", 3), "rgba": ("RGBA", 4)}
"""Color mode -> Pillow's mode, number of channels."""

FORMATS = (
    *("BMP", "GIF", "JPEG", "PPM", "PNG"),
    *("TIFF", "WEBP", "JPEG2000", "AVIF", "ICO", "PCX", "QOI", "SGI", "TGA"),
)
"""Pillow's names of the formats that are read, all of which Pillow decodes itself.

For others it starts another program (EPS), calls the system (WMF), or a plugin of whoever put one in. The
first five are those that it knows from the start.
"""

# Larger files, in bytes, are hardly pictures: of these Pillow reads only what it needs.
_READ_AT_ONCE = 2**26

# What undoes each orientation of the EXIF standard (tag 0x0112); 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def check_interpolation(interpolation: str) -> Image.Resampling:
    """Pillow's name for an interpolation; ValueError if there is none."""
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"Invalid interpolation method {interpolation} specified. "
            f"Supported methods are {', '.join(INTERPOLATIONS)}"
        )
    return INTERPOLATIONS[interpolation]


def check_size(target_size: Any) -> tuple[int, int]:
    """Height and width; ValueError if they are not two whole numbers of pixels."""
    try:
        height, width = (operator.index(size) for size in target_size)
    except (TypeError, ValueError) as error:
        raise ValueError(f"target_size must be (height, width) in pixels, got {target_size!r}") from error
    if min(height, width) < 1:
        raise ValueError(f"target_size must be (height, width) in pixels, got {target_size!r}")
    return height, width


def load_img(
    path: Path | IO[bytes],
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: Sequence[int] | None = None,
    interpolation: str = "nearest",
) -> Image.Image:
    """Read a picture from a file.

    Parameters
    ----------
    path : str, path or file object
        The file; its content tells the format, one of `FORMATS`, not its name. The first frame of an animated
        picture is read.
    grayscale : bool
        Deprecated: ``color_mode="grayscale"`` says the same.
    color_mode : str
        "grayscale", "rgb" or "rgba". Transparency is dropped by the first two, not laid over a background.
    target_size : (int, int), optional
        Height and width of the result in pixels; None keeps those of the file.
    interpolation : str
        "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos": how the size is changed.

    Returns
    -------
    PIL.Image.Image
        The picture in mode L, RGB or RGBA, upright, in memory; the file is closed.

    Raises
    ------
    OSError
        If there is no such file, or it is no picture, or a damaged one; the message names the file.
    ValueError
        If an argument is none of those above, or the picture has more pixels than Pillow reads, which
        protects from small files that need huge memory (twice ``PIL.Image.MAX_IMAGE_PIXELS``).
    """
    if grayscale not in (True, False, None):
        raise ValueError(f"grayscale must be True or False, got {grayscale!r}; target_size has its own name")
    if grayscale:
        warn_user('grayscale is deprecated. Please use color_mode = "grayscale"')
        color_mode = "grayscale"
    if not isinstance(color_mode, str) or color_mode not in COLOR_MODES:
        raise ValueError(f'color_mode must be "grayscale", "rgb", or "rgba", got {color_mode!r}')
    picture = _read(path, COLOR_MODES[color_mode][0])
    if target_size is not None:
        resample = check_interpolation(interpolation)
        height, width = check_size(target_size)
        if picture.size != (width, height):
            picture = picture.resize((width, height), resample)
    return picture


def _read(path: Path | IO[bytes], mode: str) -> Image.Image:
    """The decoded, upright picture of a file in one of Pillow's modes."""
    if not isinstance(path, (str, os.PathLike)):
        if not hasattr(path, "read"):
            raise TypeError(f"path must name a file, or be an open one, got {type(path).__name__}")
        return _decode(path, str(getattr(path, "name", path)), mode)
    size = _size_of_file(path)
    # Pillow gets the bytes, as it reads in many small pieces. Given a name it also maps uncompressed TIFF
    # files into memory by the size of the upright picture, and mixes up those that lie on their side.
    if size <= _READ_AT_ONCE:
        return _decode(io.BytesIO(_contents(path, size)), str(path), mode)
    with open(path, "rb") as file:
        return _decode(file, str(path), mode)


def _contents(path: Path, size: int) -> bytes:
    """The bytes of a file; file objects would take longer."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    parts = []
    try:
        while size > 0 and (part := os.read(file, size)):
            parts.append(part)
            size -= len(part)
    finally:
        os.close(file)
    return b"".join(parts)


def _decode(file: IO[bytes], name: str, mode: str) -> Image.Image:
    """The picture in an open file, which `name` stands for in errors."""
    begin = file.tell()
    try:
        with _open(file) as picture:
            picture.load()
            return _convert(_upright(picture), mode)
    except UnidentifiedImageError as error:
        empty = file.seek(0, os.SEEK_END) == begin
        what = "the file is empty" if empty else f"it is no picture of the kinds {', '.join(FORMATS)}"
        raise UnidentifiedImageError(f"Cannot read the picture {name!r}: {what}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(
            f"The picture {name!r} has too many pixels: {error} Raise PIL.Image.MAX_IMAGE_PIXELS "
            "if the file can be trusted"
        ) from error
    except OSError as error:
        raise OSError(f"Cannot read the picture {name!r}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow's decoders raise nearly anything
        raise OSError(f"Cannot read the picture {name!r}: {type(error).__name__}: {error}") from error


def _open(file: IO[bytes]) -> Image.Image:
    """A picture that is not decoded yet."""
    begin = file.tell()
    try:
        return Image.open(file, formats=FORMATS[:5])
    except UnidentifiedImageError:
        Image.init()
        file.seek(begin)
        return Image.open(file, formats=[name for name in FORMATS[5:] if name in Image.OPEN])


def _size_of_file(path: Path) -> int:
    """Bytes of a file; OSError for anything else, as opening a named pipe would block."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"Cannot read the picture {str(path)!r}: it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"Cannot read the picture {str(path)!r}: it is not a regular file")
    return status.st_size


def _upright(picture: Image.Image) -> Image.Image:
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged note about a picture does not make the picture unreadable
        orientation = 1
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _convert(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in another mode."""
    if picture.mode.startswith("I"):
        # 16 bits a value, "I" too in most files: Pillow's conversion would make white of all beyond 255.
        values = np.clip(np.asarray(picture), 0, 65535) // 256
        picture = Image.fromarray(values.astype(np.uint8))
    elif picture.mode == "P" and "transparency" in picture.info and mode != "RGBA":
        # The same colours as directly, without a warning that colours may be lost.
        picture = picture.convert("RGBA")
    return picture if picture.mode == mode else picture.convert(mode)


def _check_data_format(data_format: str | None) -> str:
    if data_format is None:
        return image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"Invalid data_format: {data_format}")
    return data_format


@old_arguments({"dim_ordering": "data_format"}, values={"dim_ordering": LAYOUTS}, method=False)
def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: DTypeLike | None = None
) -> Image.Image:
    """Make an image of Pillow from an array.

    Parameters
    ----------
    x : array_like
        Shape (height, width, channels), or (channels, height, width) with "channels_first"; of 1, 3 or 4
        channels.
    data_format : str, optional
        "channels_last" or "channels_first", by default that of `image_data_format()`.
    scale : bool
        Stretch the values so that the greatest is 255, after adding so much that none is negative. Without it
        values are cut to whole numbers, and must be in 0..255.
    dtype : dtype, optional
        The type to count in, by default `floatx()`.

    Returns
    -------
    PIL.Image.Image
        In mode L, RGB or RGBA.

    Raises
    ------
    ValueError
        If `x` has another rank or number of channels, or `data_format` is neither of the two.
    """
    values: NDArray[Any] = np.asarray(x, dtype=floatx() if dtype is None else dtype)
    if values.ndim != 3:
        raise ValueError(
            f"Expected image array to have rank 3 (single image). Got array with shape: {values.shape}"
        )
    if _check_data_format(data_format) == "channels_first":
        values = values.transpose(1, 2, 0)
    channels = values.shape[2]
    if channels not in (1, 3, 4):
        raise ValueError(f"Unsupported channel number: {channels}")
    if scale and values.size:
        values = values + max(-np.min(values), 0)
        greatest = np.max(values)
        if greatest != 0:
            values = values / greatest
        values = values * 255
    pixels = np.ascontiguousarray(values.astype(np.uint8))
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


@old_arguments({"dim_ordering": "data_format"}, values={"dim_ordering": LAYOUTS}, method=False)
def img_to_array(img: Any, data_format: str | None = None, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Make an array from an image of Pillow.

    Parameters
    ----------
    img : PIL.Image.Image
        The picture (or an array of rank 2 or 3, channels last).
    data_format : str, optional
        "channels_last" or "channels_first", by default that of `image_data_format()`.
    dtype : dtype, optional
        Of the result, by default `floatx()`.

    Returns
    -------
    numpy.ndarray
        Shape (height, width, channels), or (channels, height, width) with "channels_first"; values in 0..255.

    Raises
    ------
    ValueError
        If `img` has another rank, or `data_format` is neither of the two.
    """
    data_format = _check_data_format(data_format)
    x = np.array(img, dtype=floatx() if dtype is None else dtype)
    if x.ndim == 2:
        x = x[:, :, None]
    elif x.ndim != 3:
        raise ValueError(f"Unsupported image shape: {x.shape}")
    return x.transpose(2, 0, 1) if data_format == "channels_first" else x


def save_img(
    path: Path | IO[bytes],
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as a picture.

    Parameters
    ----------
    path : str, path or file object
        Where to.
    x : array_like
        The pixels, see `array_to_img`, which says what `data_format` and `scale` mean, too.
    data_format : str, optional
        "channels_last" or "channels_first".
    file_format : str, optional
        Such as "png" or "jpeg"; by default the ending of the file's name tells. File objects need it.
    scale : bool
        Stretch the values to 0..255.
    **kwargs
        Go to Pillow's `Image.save`, for instance ``quality=95``.
    """
    picture = array_to_img(x, data_format=data_format, scale=scale)
    ending = file_format or os.path.splitext(path if isinstance(path, (str, os.PathLike)) else "")[1].strip(
        "."
    )
    if ending.lower() in ("jpg", "jpeg") and picture.mode == "RGBA":
        warn_user("The JPG format does not support RGBA images, converting to RGB.")
        picture = picture.convert("RGB")
    if file_format is not None and file_format.lower() == "jpg":
        file_format = "jpeg"  # the only name that Pillow knows
    Image.init()
    if file_format is not None and file_format.upper() not in Image.SAVE:
        raise ValueError(f"file_format must be one that Pillow writes, such as 'png', got {file_format!r}")
    picture.save(path, format=file_format, **kwargs)


def list_pictures(directory: Path, ext: str = "jpg|jpeg|bmp|png|ppm") -> list[str]:
    """The paths of all files below a folder that have one of the endings `ext` (parted by ``|``), sorted."""
    ending = re.compile(rf".*\.(?:{ext})", re.IGNORECASE | re.DOTALL)
    return sorted(
        os.path.join(root, name)
        for root, _, names in os.walk(directory)
        for name in names
        if ending.fullmatch(name)
    )
