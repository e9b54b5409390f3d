"""Small data for tests of iterators, and a generator whose results tell which seeds it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from symgraph.preprocessing.image import DirectoryIterator, NumpyArrayIterator

N = 23


class Noisy:
    """Adds a number in [0, 1) to each picture that its seed settles, as random transformations would."""

    def __init__(
        self, data_format: str = "channels_last", split: float = 0.0, dtype: str = "float32"
    ) -> None:
        self.data_format = data_format
        self._validation_split = split
        self.dtype = dtype

    def _batch(self, pictures: Any, seeds: list[int]) -> np.ndarray:
        assert all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
        noise = np.array([np.random.RandomState(seed).rand() for seed in seeds])
        return (np.asarray(pictures, "float64") + noise[:, None, None, None]).astype(self.dtype)


def plain(x: np.ndarray) -> np.ndarray:
    """The pictures without the noise."""
    return np.floor(x).astype(int)


def numbered(folder: Path, counts: dict[str, int], size: tuple[int, int] = (4, 3)) -> Path:
    """A folder for each class with so many pictures; all pixels of picture `i` of all are (i, 100, 200)."""
    number = 0
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (size[1], size[0]), (number, 100, 200)).save(folder / name / f"{i:03d}.png")
            number += 1
    return folder


def numbers(x: np.ndarray) -> list[int]:
    """Which pictures of `numbered` a batch has, or of an array whose sample `i` is full of `i`."""
    return [int(value) for value in plain(x)[:, 0, 0, 0]]


def samples(n: int = N, dtype: str = "uint8") -> np.ndarray:
    return np.arange(n).astype(dtype)[:, None, None, None] * np.ones((1, 2, 3, 1), dtype)


def arrays(**options: Any) -> NumpyArrayIterator:
    settings: dict[str, Any] = {"batch_size": 5, "shuffle": True, "seed": 7, **options}
    return NumpyArrayIterator(samples(), np.arange(N), Noisy(), **settings)


def folders(folder: Path, **options: Any) -> DirectoryIterator:
    generator = options.pop("generator", None) or Noisy()
    settings: dict[str, Any] = {"target_size": (4, 3), "batch_size": 5, "seed": 7, **options}
    return DirectoryIterator(folder, generator, **settings)


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
