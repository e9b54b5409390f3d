"""Sheets of pictures in memory, of any size and width."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from symgraph.models.contact_sheet import write_contact_sheet


def test_pictures_in_memory_in_rows_of_any_length(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (40, 40), (0, 0, 40 * number)) for number in range(5)]
    write_contact_sheet(tmp_path / "a.png", pictures, ["x"] * 5, [False] * 5, cell=40, columns=3)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (8 + 3 * 48, 8 + 2 * 70)
        seen = [sheet.getpixel((8 + 48 * (n % 3) + 20, 8 + 70 * (n // 3) + 20)) for n in range(5)]
    assert seen == [(0, 0, 40 * number) for number in range(5)]


def test_large_pictures_get_smaller_and_stay_themselves(tmp_path: Path) -> None:
    picture = Image.new("RGB", (200, 100), (90, 0, 0))
    write_contact_sheet(tmp_path / "a.png", [picture], ["x"], [False], cell=50)
    assert picture.size == (200, 100)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.getpixel((8 + 25, 8 + 25)) == (90, 0, 0)
        assert sheet.getpixel((8 + 25, 8 + 5)) == (255, 255, 255)
