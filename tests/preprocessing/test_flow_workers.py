"""Folders of pictures behind the workers of `fit_generator`: the same batches, and errors that name files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from symgraph.preprocessing.image import DirectoryIterator, ImageDataGenerator
from symgraph.utils import OrderedEnqueuer

EPOCHS, BATCHES = 2, 4


def flow(folder: Path, **options: Any) -> DirectoryIterator:
    generator = ImageDataGenerator(
        rotation_range=30,
        zoom_range=0.2,
        horizontal_flip=True,
        brightness_range=(0.5, 1.5),
        rescale=1 / 255,
    )
    return generator.flow_from_directory(folder, target_size=(24, 32), batch_size=6, seed=4, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.RandomState(0)
    for i in range(21):
        path = tmp_path / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.randint(0, 256, (40 + i, 60, 3)).astype("uint8")).save(path)
    return tmp_path


@pytest.fixture
def expected(folder: Path) -> list[bytes]:
    """The batches of two epochs, made one after the other."""
    iterator = flow(folder)
    return [x.tobytes() + y.tobytes() for x, y in (next(iterator) for _ in range(EPOCHS * BATCHES))]


@pytest.mark.parametrize(("workers", "processes"), [(1, False), (3, False), (8, False), (2, True)])
def test_workers_give_the_batches_of_one_thread(
    folder: Path, expected: list[bytes], workers: int, processes: bool
) -> None:
    enqueuer = OrderedEnqueuer(flow(folder), use_multiprocessing=processes)
    enqueuer.start(workers=workers, max_queue_size=5)
    try:
        batches = enqueuer.get()
        found = [x.tobytes() + y.tobytes() for x, y in (next(batches) for _ in range(EPOCHS * BATCHES))]
    finally:
        enqueuer.stop()
    assert found == expected


@pytest.mark.parametrize("processes", [False, True])
def test_an_unreadable_picture_is_named_by_workers(folder: Path, processes: bool) -> None:
    path = folder / "a" / "8.jpg"
    path.write_bytes(path.read_bytes()[:700])
    enqueuer = OrderedEnqueuer(flow(folder), use_multiprocessing=processes)
    enqueuer.start(workers=2, max_queue_size=5)
    try:
        batches = enqueuer.get()
        with pytest.raises(OSError, match=r"Cannot read the picture '.*8\.jpg': image file is truncated"):
            for _ in range(BATCHES):
                next(batches)
    finally:
        enqueuer.stop()
