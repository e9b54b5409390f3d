"""Small pictures as characters, and enlarged."""

from __future__ import annotations

import numpy as np

from symgraph.models.small_pictures import as_text, enlarged


def test_small_pixels_are_two_characters_wide() -> None:
    picture = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25]])
    # 0.5 is the shade 4.5 of 9, which is rounded to even.
    assert as_text([picture], ["a"]) == "  @@==\n@@  ::\na\n"


def test_of_wide_pictures_two_rows_are_a_line() -> None:
    picture = np.zeros((5, 28))
    picture[0, :14] = picture[1, :14] = picture[2, :2] = 1
    assert as_text([picture], ["b"]) == "@" * 14 + "\n==\nb\n"


def test_as_many_as_fit_stand_beside_each_other() -> None:
    pictures = [np.full((1, 2), shade) for shade in (0.0, 1.0, 1.0)]
    # Captions of 38 characters, and 4 between them, are 80 for two.
    names = [name * 38 for name in "abc"]
    assert as_text(pictures, names).split("\n") == [
        " " * 42 + "@@@@",
        names[0] + "    " + names[1],
        "",
        "@@@@",
        names[2],
        "",
    ]
    assert as_text(pictures[:1], ["a" * 200]).split("\n") == ["", "a" * 200, ""]


def test_a_pixel_becomes_a_square() -> None:
    picture = np.array([[0.0, 1.0, 0.2]])
    large = np.asarray(enlarged(picture, side=10))
    np.testing.assert_array_equal(large, np.repeat([[255] * 3 + [0] * 3 + [204] * 3], 3, axis=0))
    assert enlarged(np.zeros((28, 28)), side=10).size == (28, 28)
