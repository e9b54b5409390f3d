"""Single pictures: usual, odd and damaged files."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from symgraph.globals import set_image_data_format
from symgraph.preprocessing.image import array_to_img, img_to_array, list_pictures, load_img, save_img
from symgraph.preprocessing.image.pictures import FORMATS

PIXELS = np.random.RandomState(0).randint(0, 256, (5, 7, 4)).astype("uint8")
RGB = PIXELS[..., :3]
# Luma of ITU-R 601, which Pillow counts with.
LUMA = RGB @ np.array([0.299, 0.587, 0.114])


def saved(path: Path, pixels: Any, **options: Any) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def loaded(path: Path, **options: Any) -> np.ndarray:
    return np.asarray(load_img(path, **options))


def png(depth: int, kind: int, *rows: bytes, width: int = 1, height: int | None = None) -> bytes:
    """A file of the PNG standard, which can say more than Pillow writes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height or len(rows), depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# Reading


def test_color_modes(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", PIXELS)
    np.testing.assert_array_equal(loaded(path), RGB)
    np.testing.assert_array_equal(loaded(path, color_mode="rgba"), PIXELS)
    np.testing.assert_allclose(loaded(path, color_mode="grayscale"), LUMA, atol=1)
    with pytest.warns(UserWarning, match="grayscale is deprecated"):
        assert load_img(path, grayscale=True).mode == "L"
    with pytest.raises(ValueError, match='color_mode must be "grayscale", "rgb", or "rgba", got \'bgr\''):
        load_img(path, color_mode="bgr")


def test_sizes_and_interpolations(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", RGB)
    assert load_img(path).size == (7, 5)
    names = {"nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"}
    found = {name: loaded(path, target_size=(3, 4), interpolation=name).tobytes() for name in names}
    assert len({*found.values()}) == len(names)
    for name in names:
        expected = Image.fromarray(RGB).resize((4, 3), Image.Resampling[name.upper()])
        assert found[name] == expected.tobytes()
    # Box at half the size: means of 2 x 2 pixels.
    even = saved(tmp_path / "even.png", RGB[:4, :6])
    means = RGB[:4, :6].reshape(2, 2, 3, 2, 3).mean((1, 3))
    np.testing.assert_allclose(loaded(even, target_size=(2, 3), interpolation="box"), means, atol=1.01)
    with pytest.raises(ValueError, match=r"Invalid interpolation method cubic specified.*nearest, bilinear"):
        load_img(path, target_size=(5, 7), interpolation="cubic")


def test_file_objects_and_paths(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", RGB)
    np.testing.assert_array_equal(loaded(path), np.asarray(load_img(str(path))))
    with path.open("rb") as file:
        np.testing.assert_array_equal(np.asarray(load_img(file)), RGB)
        assert not file.closed
    with pytest.raises(UnidentifiedImageError, match="BytesIO"):
        load_img(io.BytesIO(b"no"))


# Odd pictures


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_sixteen_bits_are_scaled(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 255, 256], [32768, 65279, 65535]], "uint16")
    path = saved(tmp_path / name, values)
    np.testing.assert_array_equal(loaded(path, color_mode="grayscale"), [[0, 0, 1], [128, 254, 255]])
    np.testing.assert_array_equal(loaded(path)[..., 1], [[0, 0, 1], [128, 254, 255]])
    np.testing.assert_array_equal(loaded(path, color_mode="rgba")[0, 2], [1, 1, 1, 255])


def test_sixteen_bits_of_other_kinds(tmp_path: Path) -> None:
    colours = written(tmp_path / "rgb.png", png(16, 2, struct.pack(">3H", 0x1234, 0x80FF, 0xFF00)))
    np.testing.assert_array_equal(loaded(colours), [[[0x12, 0x80, 0xFF]]])
    alpha = written(tmp_path / "la.png", png(16, 4, struct.pack(">2H", 0x80FF, 0x4000)))
    np.testing.assert_array_equal(loaded(alpha, color_mode="rgba"), [[[0x80, 0x80, 0x80, 0x40]]])
    big_endian = saved(tmp_path / "b.tif", np.array([[0x1234, 0xFFFF]], ">u2"))
    np.testing.assert_array_equal(loaded(big_endian, color_mode="grayscale"), [[0x12, 0xFF]])
    # "I", as PGM files and old versions of Pillow have it, is taken for 16 bits, too.
    ints = saved(tmp_path / "i.tif", np.array([[-5, 0x1234, 70000]], "int32"))
    np.testing.assert_array_equal(loaded(ints, color_mode="grayscale"), [[0, 0x12, 0xFF]])
    pgm = written(tmp_path / "x.ppm", b"P5 2 1 4095\n" + struct.pack(">2H", 0, 4095))
    np.testing.assert_array_equal(loaded(pgm, color_mode="grayscale"), [[0, 255]])


def test_few_bits(tmp_path: Path) -> None:
    one = saved(tmp_path / "1.png", Image.fromarray(RGB[..., 0] > 99))
    np.testing.assert_array_equal(loaded(one, color_mode="grayscale"), (RGB[..., 0] > 99) * 255)
    two = written(tmp_path / "2.png", png(2, 0, bytes([0b00011011]), width=4))
    np.testing.assert_array_equal(loaded(two, color_mode="grayscale"), [[0, 85, 170, 255]])


@pytest.mark.parametrize("transparency", [None, 1, bytes([0, 128, 255, 3])])
def test_palettes(tmp_path: Path, transparency: Any) -> None:
    palette = np.array([[9, 8, 7], [200, 100, 0], [1, 2, 3], [250, 251, 252]], "uint8")
    indices = np.array([[0, 1, 2], [3, 2, 1]], "uint8")
    picture = Image.fromarray(indices)
    picture.putpalette(palette.tobytes())
    path = saved(
        tmp_path / "x.png", picture, **({} if transparency is None else {"transparency": transparency})
    )
    np.testing.assert_array_equal(loaded(path), palette[indices])
    luma = palette[indices] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(loaded(path, color_mode="grayscale"), luma, atol=1)
    alpha = np.full(4, 255)
    if transparency == 1:
        alpha[1] = 0
    elif transparency:
        alpha = np.frombuffer(transparency, "uint8")
    np.testing.assert_array_equal(loaded(path, color_mode="rgba")[..., 3], alpha[indices])


def test_alpha_is_dropped_not_composited(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "la.png", Image.merge("LA", [*map(Image.fromarray, (PIXELS[..., 0], PIXELS[..., 3]))])
    )
    np.testing.assert_array_equal(loaded(path), np.repeat(PIXELS[..., :1], 3, axis=2))
    np.testing.assert_array_equal(loaded(path, color_mode="grayscale"), PIXELS[..., 0])
    np.testing.assert_array_equal(loaded(path, color_mode="rgba"), PIXELS[..., [0, 0, 0, 3]])


@pytest.mark.parametrize("name", ["x.tif", "x.jpg"])
def test_cmyk(tmp_path: Path, name: str) -> None:
    inks = np.zeros((16, 16, 4), "uint8")
    inks[...] = (0, 255, 51, 51)
    path = saved(tmp_path / name, Image.fromarray(inks, mode="CMYK"))
    # Light that the ink of a colour and black leave: 255 * (1 - ink) * (1 - black).
    np.testing.assert_allclose(loaded(path)[8, 8], [204, 0, 163], atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif"])
def test_pictures_are_turned_upright(tmp_path: Path, name: str, orientation: int) -> None:
    # What the viewer is to see, and what a camera held another way stores (EXIF 2.3, tag 0x0112): where the
    # first row and the first column of the stored picture belong.
    upright = np.kron(np.array([[250, 10, 90], [60, 170, 210]], "uint8"), np.ones((8, 8), "uint8"))
    stored = {
        1: upright,  # top, left
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.T,  # left, top
        6: upright.T[::-1],  # right, top
        7: upright[::-1, ::-1].T,  # right, bottom
        8: upright.T[:, ::-1],  # left, bottom
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / name, np.ascontiguousarray(stored), exif=exif)
    np.testing.assert_allclose(loaded(path, color_mode="grayscale").astype(int), upright, atol=3)
    assert load_img(path, target_size=(8, 12)).size == (12, 8)


def test_a_damaged_note_of_the_camera_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "x.jpg", np.full((8, 8), 77, "uint8"), exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow: that the note is damaged
        np.testing.assert_allclose(loaded(path), 77, atol=2)

    def fail(self: Any) -> None:
        raise struct.error("inside")

    monkeypatch.setattr("PIL.Image.Image.getexif", fail)
    np.testing.assert_allclose(loaded(saved(path, np.full((8, 8), 55, "uint8"))), 55, atol=2)


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.tif"])
def test_animations_give_their_first_frame(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "lime", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(loaded(tmp_path / name), np.full((3, 4, 3), (255, 0, 0)))


def test_files_too_large_to_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "x.png", RGB)
    monkeypatch.setattr("symgraph.preprocessing.image.pictures._READ_AT_ONCE", 10)
    np.testing.assert_array_equal(loaded(path), RGB)
    with pytest.raises(OSError, match=r"'.*y\.png': image file is truncated"):
        load_img(written(tmp_path / "y.png", path.read_bytes()[:90]))


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.jpg", RGB, format="png")
    np.testing.assert_array_equal(loaded(path), RGB)


# Damaged files, and what is no file


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "tiff", "ppm", "gif"])
def test_truncated_pictures_are_named(tmp_path: Path, kind: str) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (60, 60, 3)).astype("uint8")
    data = saved(tmp_path / "whole", pixels, format=kind).read_bytes()
    for part in (0.02, 0.5, 0.9):
        path = written(tmp_path / "part.jpg", data[: int(part * len(data))])
        with pytest.raises(OSError, match=r"Cannot read the picture '.*part\.jpg'"):
            load_img(path)


def test_files_that_are_no_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnidentifiedImageError, match=r"'.*empty\.jpg': the file is empty"):
        load_img(written(tmp_path / "empty.jpg", b""))
    with pytest.raises(
        UnidentifiedImageError, match=r"'.*text\.png': it is no picture of the kinds BMP, GIF, JPEG"
    ):
        load_img(written(tmp_path / "text.png", b"hello, I am a picture"))
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        load_img(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"'.*folder\.png': it is a folder"):
        load_img(tmp_path / "folder.png")


def test_errors_of_every_kind_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "x.png", RGB)

    def fail(error: type[Exception]) -> None:
        def load(self: Any) -> None:
            raise error("inside")

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)

    for error in (SyntaxError, struct.error, ValueError, IndexError):
        fail(error)
        with pytest.raises(OSError, match=rf"x\.png': {error.__name__.split('.')[-1]}: inside"):
            load_img(path)
    fail(MemoryError)
    with pytest.raises(MemoryError, match="inside"):
        load_img(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_reading_a_named_pipe_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(OSError, match=r"'.*x\.png': it is not a regular file"):
        load_img(tmp_path / "x.png")


def test_small_files_of_huge_pictures_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.png", png(8, 0, b"", width=40_000, height=40_000))
    assert path.stat().st_size < 100
    with pytest.raises(ValueError, match=r"The picture '.*x\.png' has too many pixels: .*1600000000"):
        load_img(path)


# Arrays


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_become_pictures_and_back(channels: int) -> None:
    pixels = PIXELS[..., :channels].astype("float32")
    picture = array_to_img(pixels, scale=False)
    assert (picture.mode, picture.size) == ({1: "L", 3: "RGB", 4: "RGBA"}[channels], (7, 5))
    back = img_to_array(picture)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, pixels)
    first = pixels.transpose(2, 0, 1)
    same = array_to_img(first, data_format="channels_first", scale=False)
    assert same.tobytes() == picture.tobytes()
    np.testing.assert_array_equal(img_to_array(picture, data_format="channels_first", dtype="uint8"), first)
    set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(img_to_array(array_to_img(first, scale=False)), first)
    finally:
        set_image_data_format("channels_last")


def test_values_are_stretched() -> None:
    x = np.array([[[-2.0], [0.0]], [[1.0], [3.0]]])
    np.testing.assert_array_equal(np.asarray(array_to_img(x)), [[0, 102], [153, 255]])
    # The least value is lifted only if it is negative, and nothing is divided by zero.
    np.testing.assert_array_equal(np.asarray(array_to_img(x + 3)), [[42, 127], [170, 255]])
    np.testing.assert_array_equal(np.asarray(array_to_img(np.zeros((1, 2, 1)))), [[0, 0]])
    np.testing.assert_array_equal(
        np.asarray(array_to_img(np.full((1, 2, 1), 7), dtype="float64")), [[255, 255]]
    )
    np.testing.assert_array_equal(x[0, 0], -2)


def test_arrays_that_are_no_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rank 3 \(single image\). Got array with shape: \(2, 3\)"):
        array_to_img(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="Unsupported channel number: 5"):
        array_to_img(np.zeros((2, 3, 5)))
    with pytest.raises(ValueError, match="Invalid data_format: channels_middle"):
        array_to_img(np.zeros((2, 3, 1)), data_format="channels_middle")
    with pytest.raises(ValueError, match="Invalid data_format: NHWC"):
        img_to_array(np.zeros((2, 3, 1)), data_format="NHWC")
    with pytest.raises(ValueError, match=r"Unsupported image shape: \(2,\)"):
        img_to_array(np.zeros(2))


def test_writing(tmp_path: Path) -> None:
    save_img(tmp_path / "x.png", PIXELS, scale=False)
    np.testing.assert_array_equal(loaded(tmp_path / "x.png", color_mode="rgba"), PIXELS)
    save_img(str(tmp_path / "first.bmp"), RGB.transpose(2, 0, 1) / 255, data_format="channels_first")
    stretched = np.floor(RGB / 255 / (RGB.max() / 255) * 255)
    np.testing.assert_allclose(loaded(tmp_path / "first.bmp"), stretched, atol=1)
    file = io.BytesIO()
    save_img(file, RGB, file_format="jpg", scale=False, quality=100)
    assert Image.open(file).format == "JPEG"
    small = io.BytesIO()
    save_img(small, RGB, file_format="jpeg", scale=False, quality=5)
    assert len(small.getvalue()) < len(file.getvalue())
    for options in ({}, {"file_format": "jpeg"}):
        with pytest.warns(UserWarning, match="The JPG format does not support RGBA images"):
            save_img(tmp_path / "x.jpg", PIXELS, **options)
        assert load_img(tmp_path / "x.jpg").size == (7, 5)


def test_list_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/x.PNG", "b/my-cat.jpeg", "a.b.jpg", "c.ppm", "text.txt", "jpg", "x.jpg.txt", "x.gif"):
        (tmp_path / name).touch()
    expected = ["a.b.jpg", os.path.join("b", "my-cat.jpeg"), os.path.join("b", "x.PNG"), "c.ppm"]
    assert list_pictures(tmp_path) == [str(tmp_path / name) for name in expected]
    assert list_pictures(str(tmp_path), ext="gif|txt") == [
        str(tmp_path / name) for name in ("text.txt", "x.gif", "x.jpg.txt")
    ]


_WATCHED = """
import sys, warnings
from pathlib import Path
from symgraph.preprocessing.image import ImageDataGenerator, load_img

warnings.simplefilter("ignore")
seen = []
programs = ("subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.startfile")
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(programs) else None)
folder = Path(sys.argv[1])
for path in sorted((folder / "class").iterdir()):
    try:
        load_img(path)
        print(path.suffixes[0][1:])
    except OSError as error:
        assert str(path) in str(error), error
flow = ImageDataGenerator().flow_from_directory(folder, target_size=(4, 4), on_error="skip", class_mode=None)
assert sum(len(flow[i]) for i in range(len(flow))) > 3
print(*seen)
"""
_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
_WMF = struct.pack("<IHhhhhHIH", 0x9AC6CDD7, 0, 0, 0, 9, 9, 72, 0, 0) + bytes(18) + b"\1\0\t\0" + bytes(40)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_picture_starts_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures" / "class"
    folder.mkdir(parents=True)
    Image.init()
    written = set()
    for kind in sorted(Image.SAVE):
        memory = io.BytesIO()
        try:
            Image.fromarray(RGB).save(memory, format=kind)
        except (OSError, ValueError, RuntimeError):
            continue
        (folder / f"x.{kind}.jpg").write_bytes(memory.getvalue())
        written.add(kind)
    (folder / "a.POSTSCRIPT.jpg").write_bytes(_EPS)
    (folder / "a.BINARY.jpg").write_bytes(
        struct.pack("<4sIIIIIIH", b"\xc5\xd0\xd3\xc6", 32, len(_EPS), 0, 0, 0, 0, 0)[:30] + b"\0\0" + _EPS
    )
    (folder / "a.METAFILE.jpg").write_bytes(_WMF)
    # What an EPS would start.
    gs = tmp_path / "gs"
    gs.write_text("#!/bin/sh\ntouch " + str(tmp_path / "started"))
    gs.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    ran = subprocess.run(
        [sys.executable, "-c", _WATCHED, tmp_path / "pictures"], capture_output=True, text=True, check=True
    )
    *lines, events = ran.stdout.split("\n")[:-1]
    read = [line for line in lines if " " not in line]
    assert set(read) == (written & set(FORMATS)) | ({"DIB", "MPO"} & set(read))
    assert {"BMP", "GIF", "JPEG", "PPM", "PNG", "TIFF"} <= set(read)
    assert events == ""
    assert not (tmp_path / "started").exists()
