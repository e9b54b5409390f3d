"""Batches of pictures that a table names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph.preprocessing.image.dataframe_iterator import DataFrameIterator
from tests.preprocessing.stand_ins import Noisy, numbered, numbers, same


class Frame:
    """As much of a DataFrame as is needed: columns by name that are array-like, and their names."""

    def __init__(self, **columns: Any) -> None:
        self._columns = {name: np.asarray(values) for name, values in columns.items()}
        self.columns = list(columns)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures 000.png to 005.png; all pixels of picture `i` are i."""
    return numbered(tmp_path, {"flat": 6}) / "flat"


def tables(folder: Path, table: Any, **options: Any) -> DataFrameIterator:
    generator = options.pop("generator", None) or Noisy()
    settings: dict[str, Any] = {"target_size": (4, 3), "shuffle": False, "seed": 1, "x_col": "file"}
    settings.update(options)
    return DataFrameIterator(table, folder, generator, **settings)


NAMES = ["004.png", "000.png", "003.png", "001.png"]
KINDS = ["dog", "cat", "owl", "cat"]


@pytest.mark.parametrize("kind", [Frame, dict])
def test_classes_come_from_the_table(folder: Path, kind: type, capsys: pytest.CaptureFixture[str]) -> None:
    iterator = tables(folder, kind(file=NAMES, **{"class": KINDS}))
    assert capsys.readouterr().out == "Found 4 images belonging to 3 classes.\n"
    assert iterator.filenames == NAMES
    assert iterator.class_indices == {"cat": 0, "dog": 1, "owl": 2}
    x, y = next(iterator)
    assert numbers(x) == [4, 0, 3, 1]
    np.testing.assert_array_equal(y, np.eye(3)[[1, 0, 2, 0]])
    x, y = next(
        tables(folder, kind(file=NAMES, y=KINDS), y_col="y", class_mode="sparse", shuffle=True, seed=3)
    )
    order = np.random.RandomState(3).permutation(4)
    assert numbers(x) == np.array([4, 0, 3, 1])[order].tolist()
    assert y.tolist() == np.array([1, 0, 2, 0])[order].tolist()


def test_classes_may_be_given(folder: Path) -> None:
    table = Frame(file=NAMES, y=[2, 0, 2, 0])
    iterator = tables(folder, table, y_col="y", classes=[2, 0], class_mode="binary")
    assert iterator.class_indices == {2: 0, 0: 1}
    assert next(iterator)[1].tolist() == [0, 1, 0, 1]
    assert tables(folder, table, y_col="y", class_mode="binary").class_indices == {0: 0, 2: 1}
    with pytest.raises(ValueError, match=r"classes lacks classes of the table: \[2\]; it has \[0, 1\]"):
        tables(folder, table, y_col="y", classes=[0, 1])
    with pytest.raises(ValueError, match='classes cannot be set if class_mode is either "other"'):
        tables(folder, table, y_col="y", classes=[0, 1], class_mode="other")
    # Texts and numbers have no order.
    mixed = tables(folder, {"file": NAMES, "y": [1, "a", 1, "a"]}, y_col="y")
    assert mixed.class_indices == {1: 0, "a": 1}


def test_numbers_as_targets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Frame(file=NAMES, a=[4, 0, 3, 1], b=[0.5, 1.5, 2.5, 3.5], c=KINDS)
    assert next(tables(folder, table, y_col="a", class_mode="other"))[1].tolist() == [4, 0, 3, 1]
    assert capsys.readouterr().out == "Found 4 images.\n"
    _, y = next(tables(folder, table, y_col=["a", "b"], class_mode="other"))
    assert y.tolist() == [[4, 0.5], [0, 1.5], [3, 2.5], [1, 3.5]]
    with pytest.raises(TypeError, match="y_col column/s must be numeric"):
        tables(folder, table, y_col=["a", "c"], class_mode="other")
    with pytest.raises(ValueError, match="y_col must be the name of one column for class_mode 'categorical'"):
        tables(folder, table, y_col=["a", "b"])


def test_no_targets_and_pictures_as_targets(folder: Path) -> None:
    assert numbers(next(tables(folder, Frame(file=NAMES), class_mode=None))) == [4, 0, 3, 1]
    x, y = next(tables(folder, Frame(file=NAMES), class_mode="input"))
    np.testing.assert_array_equal(x, y)


def test_names_without_endings(folder: Path) -> None:
    table = {"file": [3, "002"], "class": ["a", "b"]}
    (folder / "003.png").rename(folder / "3.png")
    iterator = tables(folder, table, has_ext=False)
    assert iterator.filenames == ["3.png", "002.png"]
    assert iterator.classes.tolist() == [0, 1]
    with pytest.raises(ValueError, match="has_ext is set to True but extension not found in x_col 'file'"):
        tables(folder, table)
    (folder / "002.jpg").touch()
    with pytest.raises(ValueError, match=r"'002' of the table may be '002\.jpg' or '002\.png'"):
        tables(folder, table, has_ext=False)


def test_pictures_in_subfolders(folder: Path) -> None:
    name = os.path.join("flat", "002.png")
    iterator = tables(folder.parent, {"file": [name]}, class_mode=None)
    assert numbers(next(iterator)) == [2]


def test_rows_that_are_left_out(folder: Path) -> None:
    table = {
        "file": ["001.png", None, "002.png", "001.png", "003.png", "gone.png"],
        "class": ["a", "a", float("nan"), "c", "b", "d"],
        "other": [None] * 6,
    }
    with pytest.warns(UserWarning, match=r"The table names 1 files that are not there, first 'gone\.png'"):
        iterator = tables(folder, table)
    assert iterator.filenames == ["001.png", "001.png", "003.png"]
    assert iterator.class_indices == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert iterator.classes.tolist() == [0, 2, 1]


def test_rows_keep_their_order_and_may_repeat(folder: Path) -> None:
    """Predictions, weights and subsets go with the rows of the table."""
    names = ["005.png", "001.png", "005.png", "000.png", "001.png", "003.png"]
    table = {"file": names, "class": list("abcabc"), "n": [50, 10, 51, 0, 11, 30]}
    iterator = tables(folder, table, batch_size=4)
    assert (iterator.samples, iterator.filenames) == (6, names)
    assert iterator.classes.tolist() == [0, 1, 2, 0, 1, 2]
    assert numbers(next(iterator)[0]) + numbers(next(iterator)[0]) == [5, 1, 5, 0, 1, 3]
    other = {"y_col": "n", "class_mode": "other"}
    assert next(tables(folder, table, **other))[1].tolist() == table["n"]
    held, rest = (
        tables(folder, table, subset=s, generator=Noisy(split=0.5), **other)
        for s in ("validation", "training")
    )
    assert (held.filenames, rest.filenames) == (names[:3], names[3:])
    assert [*next(held)[1], *next(rest)[1]] == table["n"]
    x, y = next(tables(folder, table, shuffle=True, **other))
    assert sorted(y) == sorted(table["n"])
    assert numbers(x) == [n // 10 for n in y]


def test_a_value_that_is_neither_like_itself_nor_unlike_is_missing(folder: Path) -> None:
    class NotAvailable:
        __hash__ = None  # type: ignore[assignment]

        def __ne__(self, other: object) -> Any:
            return self

        def __bool__(self) -> bool:
            raise TypeError("boolean value of NA is ambiguous")

    table = {"file": NAMES, "class": ["a", NotAvailable(), "b", "b"]}
    assert tables(folder, table).filenames == ["004.png", "003.png", "001.png"]


def test_subsets_are_parts_of_the_samples(folder: Path) -> None:
    table = {"file": NAMES, "class": KINDS}
    parts = {
        s: tables(folder, table, subset=s, generator=Noisy(split=0.25)) for s in ("validation", "training")
    }
    assert parts["validation"].filenames == ["004.png"]
    assert parts["training"].filenames == ["000.png", "003.png", "001.png"]
    assert next(parts["training"])[1].argmax(1).tolist() == [0, 2, 0]
    assert all(p.class_indices == {"cat": 0, "dog": 1, "owl": 2} for p in parts.values())


def test_bad_tables_are_refused(folder: Path) -> None:
    table = {"file": NAMES, "class": KINDS}
    for options, words in [
        ({"x_col": 3}, "x_col must be a string"),
        ({"x_col": "name"}, r"The table has no column 'name'; its columns: \['file', 'class'\]"),
        ({"y_col": "kind"}, "The table has no column 'kind'"),
        ({"has_ext": 1}, "has_ext must be either True"),
        ({"class_mode": "all"}, "Invalid class_mode: 'all'"),
        ({"class_mode": "binary"}, 'class_mode "binary" is for two classes, found 3'),
        ({"classes": ["cat", "dog", "owl", "cat"]}, "classes has an entry twice"),
    ]:
        with pytest.raises(ValueError, match=words):
            tables(folder, table, **options)
    with pytest.raises(ValueError, match=r"The table has no column 'no'; its columns: \['file'\]"):
        tables(folder, Frame(file=NAMES), y_col="no")
    with pytest.raises(ValueError, match="columns of the table have different lengths: 4, 3"):
        tables(folder, {"file": NAMES, "class": KINDS[:3]})
    with pytest.raises(TypeError, match="y_col must hold one class for each row"):
        tables(folder, {"file": NAMES[:2], "class": [["a", "b"], ["c"]]})
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        tables(folder / "no", table)
    with (
        pytest.warns(UserWarning, match="names 1 files that are not there"),
        pytest.raises(ValueError, match="No pictures of the table were found in"),
    ):
        next(tables(folder, {"file": ["x.png"]}, class_mode=None))


def test_unreadable_pictures_lose_their_targets(folder: Path) -> None:
    (folder / "001.png").write_bytes(b"")
    table = {"file": NAMES, "class": KINDS, "number": [4, 0, 3, 1]}
    with pytest.raises(OSError, match=r"001\.png"):
        next(tables(folder, table))
    with pytest.warns(UserWarning, match="Left out"):
        _, y = next(tables(folder, table, y_col="number", class_mode="other", on_error="skip"))
    assert y.tolist() == [4, 0, 3]


def test_a_frame_of_pandas_works_the_same(folder: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
    table = {"file": [*NAMES, None, "002.png"], "class": [*KINDS, "cat", None], "n": range(6)}
    frame = pandas.DataFrame(table)
    for options in ({}, {"class_mode": "other", "y_col": "n"}, {"class_mode": "other", "y_col": ["n", "n"]}):
        assert same(next(tables(folder, frame, **options)), next(tables(folder, table, **options)))
    # Missing values of this type are pandas.NA.
    strings = pandas.DataFrame(table, dtype="string")
    assert tables(folder, strings).class_indices == {"cat": 0, "dog": 1, "owl": 2}
