"""Pictures that several processes share: each opens its own, and together they have the batches of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from symgraph.distributed import ShardedSequence, makes_shards
from symgraph.preprocessing.image import (
    DataFrameIterator,
    DirectoryIterator,
    ImageDataGenerator,
    NumpyArrayIterator,
)
from symgraph.preprocessing.image.file_iterator import FileIterator
from tests.distributed.groups import together
from tests.preprocessing.stand_ins import Noisy, arrays, folders, numbered, numbers, samples

AUGMENTED = {"rotation_range": 40, "zoom_range": 0.3, "brightness_range": (0.5, 1.5), "rescale": 1 / 255}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return numbered(tmp_path / "data", {"cat": 9, "dog": 7, "owl": 7})


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the files that are opened."""
    paths: list[str] = []
    read = FileIterator._read_one

    def noting(iterator: FileIterator, index: int) -> np.ndarray:
        paths.append(iterator.filenames[index])
        return read(iterator, index)

    monkeypatch.setattr(FileIterator, "_read_one", noting)
    return paths


def _photographs(folder: Path, **options: Any) -> DirectoryIterator:
    """Noise, so that every transformation shows."""
    if not folder.exists():
        random = np.random.RandomState(0)
        for number in range(11):
            path = folder / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.randint(0, 256, (9, 8, 3)).astype("uint8")).save(path)
    generator = ImageDataGenerator(**{**AUGMENTED, **options.pop("settings", {})})
    return generator.flow_from_directory(folder, (9, 8), batch_size=4, seed=5, **options)


def _table(folder: Path, **options: Any) -> DataFrameIterator:
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))]
    table = {"filenames": names, "class": list(range(len(names)))}
    settings = {"target_size": (4, 3), "batch_size": 5, "seed": 7, "class_mode": "other", **options}
    return DataFrameIterator(table, folder, Noisy(), **settings)


def _with_inputs() -> NumpyArrayIterator:
    """Pictures of an array with another input, targets and weights."""
    extra, targets, weights = np.arange(23) * 3, np.arange(23), np.linspace(0, 1, 23)
    settings: dict[str, Any] = {"batch_size": 5, "shuffle": True, "seed": 7, "sample_weight": weights}
    return NumpyArrayIterator((samples(), extra), targets, Noisy(), **settings)


def _flat(batch: Any) -> list[np.ndarray]:
    """All arrays of a batch."""
    return [array for part in batch for array in _flat(part)] if isinstance(batch, tuple | list) else [batch]


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("kind", ["folder", "input", "skip", "table", "arrays", "inputs", "photographs"])
def test_shards_of_all_ranks_are_the_batches(kind: str, size: int, folder: Path, tmp_path: Path) -> None:
    """In three epochs; the last batches have 3 samples, so that of four ranks one has none."""
    make = {
        "folder": lambda: folders(folder),
        "input": lambda: folders(folder, class_mode="input"),
        "skip": lambda: folders(folder, on_error="skip", class_mode="sparse"),
        "table": lambda: _table(folder),
        "arrays": arrays,
        "inputs": _with_inputs,
        "photographs": lambda: _photographs(tmp_path / "photographs"),
    }[kind]
    whole, ranks = make(), [ShardedSequence(make(), rank, size) for rank in range(size)]
    for _ in range(3):
        for index in range(len(whole)):
            shards = [_flat(rank[index]) for rank in ranks]
            for expected, *parts in zip(_flat(whole[index]), *shards, strict=True):
                assert [part.dtype for part in parts] == [expected.dtype] * size
                np.testing.assert_array_equal(np.concatenate(parts), expected)
        for iterator in (whole, *ranks):
            iterator.on_epoch_end()


def test_each_file_is_opened_by_one_rank(folder: Path, opened: list[str]) -> None:
    by_rank = []
    for rank in range(3):
        iterator = ShardedSequence(folders(folder), rank, 3)
        for index in range(len(iterator)):
            iterator[index]
        by_rank.append(sorted(opened))
        opened.clear()
    # 4 batches of 5 and one of 3.
    assert [len(names) for names in by_rank] == [2 * 4 + 1, 2 * 4 + 1, 1 * 4 + 1]
    assert sorted(name for names in by_rank for name in names) == sorted(folders(folder).filenames)


def test_an_empty_shard_has_the_shape_of_what_users_functions_return(tmp_path: Path) -> None:
    """Nothing is opened for it."""
    halved = {"settings": {"preprocessing_function": lambda picture: picture[::2]}}
    last = len(_photographs(tmp_path / "photographs", **halved)) - 1
    for rank, rows in ((2, 1), (3, 0)):
        x, y = _photographs(tmp_path / "photographs", **halved).shard(last, rank, 4)
        assert (x.shape, y.shape) == ((rows, 5, 8, 3), (rows, 2))


def _damage(folder: Path, *numbers: int) -> None:
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        if number in numbers:
            path.write_bytes(b"no picture")


@pytest.mark.filterwarnings("ignore:Left out of the data")
@pytest.mark.parametrize("damaged", [(1,), (0, 1), (3, 4), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5)])
def test_damaged_files_are_left_out_as_by_one_process(
    damaged: tuple[int, ...], folder: Path, opened: list[str]
) -> None:
    """Of the first batch, 0 to 4: some rows, all of a rank, or all of the batch."""
    _damage(folder, *damaged)
    options = {"shuffle": False, "on_error": "skip", "class_mode": "sparse"}
    expected = folders(folder, **options)[0]
    shards = [folders(folder, **options).shard(0, rank, 3) for rank in range(3)]
    for whole, *parts in zip(expected, *shards, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert numbers(expected[0]) == [i for i in range(5) if i not in damaged] or [max(damaged) + 1]


def test_a_damaged_file_is_an_error_where_it_is_read(folder: Path) -> None:
    _damage(folder, 4)
    iterator = folders(folder, shuffle=False)
    assert numbers(iterator.shard(0, 0, 2)[0]) == [0, 1, 2]
    with pytest.raises(OSError, match=r"004\.png"):
        iterator.shard(0, 1, 2)


def test_an_iterator_whose_batches_a_subclass_changes_is_not_sharded(folder: Path) -> None:
    class Mixed(DirectoryIterator):
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            x, y = super()._get_batches_of_transformed_samples(index_array)
            return (x + x[::-1]) / 2, y

    class Twice(NumpyArrayIterator):
        def __getitem__(self, idx: int) -> Any:
            x, y = super().__getitem__(idx)
            return x, [y, y]

    assert makes_shards(folders(folder)) and makes_shards(_table(folder)) and makes_shards(arrays())
    assert not makes_shards(Mixed(folder, Noisy(), (4, 3)))
    assert not makes_shards(Twice(samples(), np.arange(23), Noisy()))


def test_ranks_agree_on_the_seed_and_the_place(folder: Path) -> None:
    np.random.seed(11)
    iterators = [folders(folder, seed=None) for _ in range(3)]
    for _ in range(7):
        next(iterators[0])
    assert not any(np.array_equal(iterators[0][0][0], other[0][0]) for other in iterators[1:])
    results = together(3, lambda world: iterators[world.rank].agree(world))
    assert results == [None] * 3
    expected = [next(iterators[0]) for _ in range(6)]
    for other in iterators[1:]:
        assert (other.epoch, other.total_batches_seen) == (1, 7)
        for x, y in expected:
            found = next(other)
            np.testing.assert_array_equal(found[0], x)
            np.testing.assert_array_equal(found[1], y)


def test_a_seed_of_any_size_stays_what_it_is(folder: Path) -> None:
    for seed in (-3, 2**70 + 5):
        one, other = folders(folder, seed=seed), folders(folder, seed=seed)
        assert together(1, other.agree) == [None]
        np.testing.assert_array_equal(one[2][0], other[2][0])


def test_ranks_with_other_files_are_refused_on_all_of_them(folder: Path, tmp_path: Path) -> None:
    other = numbered(tmp_path / "other", {"cat": 9, "dog": 8, "owl": 6})
    iterators = [folders(folder), folders(folder), folders(other)]
    for error in together(3, lambda world: iterators[world.rank].agree(world)):
        assert isinstance(error, ValueError)
        assert "got others than those of rank 0 on 2" in str(error)
