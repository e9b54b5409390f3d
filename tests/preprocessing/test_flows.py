"""`ImageDataGenerator`'s flows, from files to batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from symgraph.preprocessing.image import ImageDataGenerator, load_img
from symgraph.preprocessing.image.iterator import sample_seeds

RANDOM: dict[str, Any] = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "rescale": 1 / 255,
}


@pytest.fixture(autouse=True)
def _several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures, too, are read by all threads."""
    monkeypatch.setattr("symgraph.preprocessing.image.file_iterator._WORTH_SHARING", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.RandomState(0)
    for i in range(10):
        path = tmp_path / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.randint(0, 256, (9 + i, 12, 3)).astype("uint8")).save(path)
    return tmp_path


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_batch_is_what_the_generator_makes_of_each_picture(folder: Path, data_format: str) -> None:
    generator = ImageDataGenerator(**RANDOM, data_format=data_format)
    options: dict[str, Any] = {
        "target_size": (8, 10),
        "batch_size": 4,
        "seed": 5,
        "interpolation": "bilinear",
    }
    flow = generator.flow_from_directory(folder, class_mode="sparse", **options)
    table = {"filename": flow.filenames, "class": [name[0] for name in flow.filenames]}
    from_table = generator.flow_from_dataframe(table, folder, class_mode="sparse", **options)
    for epoch in range(2):
        order = np.random.RandomState(5 + 3 * epoch).permutation(10)
        for batch in range(3):
            rows = order[4 * batch : 4 * batch + 4]
            expected = []
            for row, seed in zip(rows, sample_seeds(5, epoch, rows), strict=True):
                picture = load_img(
                    folder / flow.filenames[row], target_size=(8, 10), interpolation="bilinear"
                )
                x = np.asarray(picture, "float32")
                x = x.transpose(2, 0, 1) if data_format == "channels_first" else x
                expected.append(generator.standardize(generator.random_transform(x, seed)))
            for iterator in (flow, from_table):
                x, y = next(iterator)
                np.testing.assert_allclose(x, expected, atol=1e-5)
                assert y.tolist() == [row // 5 for row in rows]


def test_pictures_and_masks_with_one_seed_belong_together() -> None:
    x = np.random.RandomState(0).randint(0, 256, (7, 6, 6, 1)).astype("uint8")
    generator = ImageDataGenerator(**RANDOM)
    pictures, masks = (generator.flow(values, batch_size=3, seed=1) for values in (x, x.copy()))
    for _ in range(6):
        np.testing.assert_array_equal(next(pictures), next(masks))


def test_unreadable_pictures_are_skipped_if_asked(folder: Path) -> None:
    (folder / "a" / "4.png").write_bytes(b"")
    generator = ImageDataGenerator(rescale=1 / 255)
    options: dict[str, Any] = {
        "target_size": (4, 4),
        "batch_size": 10,
        "class_mode": "sparse",
        "shuffle": False,
    }
    with pytest.raises(OSError, match=r"4\.png': the file is empty"):
        next(generator.flow_from_directory(folder, **options))
    table = {"filename": ["a/4.png", "a/2.png", "b/3.png"], "class": ["x", "y", "z"]}
    with pytest.warns(UserWarning, match=r"Left out of the data: .*4\.png"):
        x, y = next(generator.flow_from_directory(folder, on_error="skip", **options))
        assert x.shape == (9, 4, 4, 3)
        assert y.tolist() == [0] * 4 + [1] * 5
        x, y = next(generator.flow_from_dataframe(table, folder, on_error="skip", **options))
        assert y.tolist() == [1, 2]


def test_subsets(folder: Path) -> None:
    generator = ImageDataGenerator(validation_split=0.4)
    names = {
        subset: generator.flow_from_directory(folder, target_size=(4, 4), subset=subset).filenames
        for subset in ("training", "validation")
    }
    assert names == {
        "validation": ["a/0.png", "a/2.png", "b/1.png", "b/3.png"],
        "training": ["a/4.png", "a/6.png", "a/8.png", "b/5.png", "b/7.png", "b/9.png"],
    }


def test_threads_get_the_same_batches_from_kernel_and_files(folder: Path) -> None:
    generator = ImageDataGenerator(**RANDOM, brightness_range=(0.5, 1.5))
    options: dict[str, Any] = {"target_size": (8, 10), "batch_size": 3, "seed": 5}
    alone = generator.flow_from_directory(folder, **options)
    expected = [alone[i][0].tobytes() for i in range(4)]
    shared = generator.flow_from_directory(folder, **options)
    tasks = [3, 0, 2, 1] * 10
    with ThreadPoolExecutor(8) as pool:
        found = [x.tobytes() for x, _ in pool.map(shared.__getitem__, tasks)]
    assert found == [expected[i] for i in tasks]
