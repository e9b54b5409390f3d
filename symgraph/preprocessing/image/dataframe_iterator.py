"""`DataFrameIterator`: batches of pictures from a folder, with targets from a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from symgraph.distributed.together import is_first
from symgraph.preprocessing.image.file_iterator import FileIterator
from symgraph.preprocessing.image.iterator import Indices, dtype_of
from symgraph.preprocessing.image.listing import DOTTED, ENDINGS, list_pictures_below, part
from symgraph.utils.warn_user import warn_user

_CLASS_MODES = ("categorical", "binary", "sparse", "input", "other", None)
_WITHOUT_CLASSES = ("input", "other", None)


class DataFrameIterator(FileIterator):
    """Batches of transformed pictures that a table names, with targets from the table.

    Samples are the rows of the table, in its order; several may name one file. Rows that name no file (one
    warning) or lack a name or target are left out.

    Parameters
    ----------
    dataframe : table
        A pandas DataFrame, or anything else whose columns ``dataframe[name]`` gives, such as a dictionary of
        lists.
    directory : str or path
        The folder of the pictures, which may be in subfolders.
    image_data_generator : ImageDataGenerator
        What transforms the pictures.
    x_col : str
        The column with the names of files, relative to `directory`.
    y_col : str or list of str
        The column with the class of each picture, or for class_mode "other" one or more columns of numbers.
    has_ext : bool
        Whether the names in `x_col` have their endings.
    target_size, color_mode, batch_size, shuffle, seed, data_format, save_to_dir, save_prefix, save_format,
    follow_links, interpolation, dtype, on_error
        See `DirectoryIterator`.
    classes : list, optional
        The classes in the order of their numbers, by default all in `y_col`, sorted.
    class_mode : str, optional
        As for `DirectoryIterator`, or "other": targets are the numbers in `y_col`, of shape (batch,) for one
        name, (batch, columns) for a list.
    subset : str, optional
        "training" or "validation", if the generator has a `validation_split`; the first part of the samples
        is for validation.

    Raises
    ------
    OSError
        If there is no such folder.
    ValueError
        If an argument is none of those above, a column is missing, or `classes` lacks a class of the table.
    TypeError
        If columns for class_mode "other" do not hold numbers.
    """

    data: NDArray[Any]
    """The targets of class_mode "other"."""

    def __init__(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str],
        image_data_generator: Any,
        x_col: str = "filenames",
        y_col: str | Sequence[str] = "class",
        has_ext: bool = True,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[Any] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: DTypeLike | None = None,
        on_error: str = "raise",
    ) -> None:
        self.common_init(
            image_data_generator,
            target_size,
            color_mode,
            data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
        )
        self._set_on_error(on_error)
        _check(x_col, y_col, has_ext, classes, class_mode)
        self.class_mode = class_mode
        self.dtype = dtype_of(dtype, image_data_generator)
        self.directory = os.fsdecode(directory)
        listed = list_pictures_below(self.directory, follow_links)
        targets = _targets(dataframe, y_col, class_mode)
        names = _whole_rows(_column(dataframe, x_col), targets)
        if has_ext and names and not any(name.lower().endswith(DOTTED) for name, _ in names):
            raise ValueError(f"has_ext is set to True but extension not found in x_col {x_col!r}")
        found = part(_match(listed, names, has_ext), self.split)
        self.filenames = [filename for filename, _ in found]
        self.samples = len(found)
        self._set_targets(targets, names, [row for _, row in found], classes)
        of_classes = f" belonging to {self.num_classes} classes" if self.num_classes else ""
        if is_first():
            print(f"Found {self.samples} images{of_classes}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _set_targets(
        self,
        targets: NDArray[Any] | None,
        names: list[tuple[str, int]],
        rows: list[int],
        classes: Sequence[Any] | None,
    ) -> None:
        """Targets of the samples, which are in `rows` of the table."""
        self.classes = np.zeros(0, np.int32)
        if self.class_mode in _WITHOUT_CLASSES:
            self._number_classes([])
            if targets is not None:
                self.data = targets[rows]
            return
        assert targets is not None
        labels = targets.tolist()
        known = _sorted_set(labels[row] for _, row in names)
        self._number_classes(list(classes) if classes else known)
        unknown = [label for label in known if label not in self.class_indices]
        if unknown:
            raise ValueError(f"classes lacks classes of the table: {unknown}; it has {list(classes or [])}")
        self.classes = np.array([self.class_indices[labels[row]] for row in rows], np.int32)

    def _marks(self) -> Iterator[bytes]:
        yield from super()._marks()
        if self.class_mode == "other":
            yield np.ascontiguousarray(self.data).tobytes()

    def _targets(self, indices: Indices, x: NDArray[Any]) -> NDArray[Any]:
        return self.data[indices] if self.class_mode == "other" else super()._targets(indices, x)

    def _why_empty(self) -> str:
        return (
            f"No pictures of the table were found in {self.directory!r} (subset: {self.subset}): names must "
            f"be those of files that end in {', '.join(ENDINGS)}"
        )


def _check(x_col: Any, y_col: Any, has_ext: Any, classes: Any, class_mode: Any) -> None:
    if not isinstance(x_col, str):
        raise ValueError("x_col must be a string.")
    if not isinstance(has_ext, bool):
        raise ValueError("has_ext must be either True if filenames in x_col has extensions,else False.")
    if class_mode not in _CLASS_MODES:
        raise ValueError(
            f"Invalid class_mode: {class_mode!r}; expected one of "
            '"categorical", "binary", "sparse", "input", "other" or None.'
        )
    if isinstance(classes, str):
        raise ValueError(f"classes must be a list of classes, got {classes!r}")
    if classes and class_mode in _WITHOUT_CLASSES:
        raise ValueError('classes cannot be set if class_mode is either "other" or "input" or None.')
    if class_mode not in _WITHOUT_CLASSES and not isinstance(y_col, str):
        raise ValueError(f"y_col must be the name of one column for class_mode {class_mode!r}, got {y_col!r}")


def _column(table: Any, name: str) -> NDArray[Any]:
    if table is None or isinstance(table, (str, list, tuple)):
        raise TypeError(f"dataframe must be a table with columns, got {type(table).__name__}")
    try:
        values = table[name]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        columns = getattr(table, "columns", None)
        known = list(table) if columns is None and isinstance(table, dict) else columns
        raise ValueError(f"The table has no column {name!r}; its columns: {known}") from error
    # Lists of texts and numbers stay what they are.
    return np.array(values, dtype=object) if isinstance(values, (list, tuple)) else np.asarray(values)


def _targets(table: Any, y_col: str | Sequence[str], class_mode: str | None) -> NDArray[Any] | None:
    """One target for each row of the table; None if there are none."""
    if class_mode in ("input", None):
        return None
    if class_mode != "other":
        assert isinstance(y_col, str)
        return _column(table, y_col)
    names = [y_col] if isinstance(y_col, str) else y_col
    columns = [_numbers(_column(table, name)) for name in names]
    lengths = {name: len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"y_col must name columns of one length, got {lengths}")
    return columns[0] if isinstance(y_col, str) else np.stack(columns, axis=1)


def _numbers(column: NDArray[Any]) -> NDArray[Any]:
    try:
        values = np.array(column.tolist()) if column.dtype == object else column
    except ValueError as error:
        raise TypeError(f"y_col must hold numbers, or lists of one length: {error}") from error
    if values.dtype.kind not in "biuf":
        raise TypeError("y_col column/s must be numeric datatypes.")
    return values


def _whole_rows(column: NDArray[Any], targets: NDArray[Any] | None) -> list[tuple[str, int]]:
    """(name, row) for the rows that lack neither name nor target."""
    if targets is not None and len(targets) != len(column):
        raise ValueError(f"The columns of the table have different lengths: {len(column)}, {len(targets)}")
    return [
        (str(name), row)
        for row, name in enumerate(column.tolist())
        if not _is_missing(name) and (targets is None or not _is_missing(targets[row]))
    ]


def _is_missing(value: Any) -> bool:
    """Whether a value is None, or unlike itself, as NaN and pandas' NA and NaT are."""
    differs = value != value  # noqa: PLR0124
    try:
        return value is None or bool(differs.any() if isinstance(differs, np.ndarray) else differs)
    except TypeError:  # pandas.NA is neither like itself nor unlike
        return True


def _match(listed: list[str], names: list[tuple[str, int]], has_ext: bool) -> list[tuple[str, int]]:
    """(file, row of the table) for each row whose file is there, in the order of the rows."""
    wanted = {name for name, _ in names}
    found: dict[str, str] = {}
    for filename in listed:
        name = filename if has_ext else os.path.splitext(filename)[0]
        if name in found and name in wanted:
            raise ValueError(
                f"{name!r} of the table may be {found[name]!r} or {filename!r}: use has_ext=True"
            )
        found[name] = filename
    missing = list(dict.fromkeys(name for name, _ in names if name not in found))
    if missing:
        warn_user(f"The table names {len(missing)} files that are not there, first {missing[0]!r}")
    return [(found[name], row) for name, row in names if name in found]


def _sorted_set(labels: Any) -> list[Any]:
    try:
        different = set(labels)
    except TypeError as error:
        raise TypeError("y_col must hold one class for each row, such as a text or a number") from error
    try:
        return sorted(different)
    except TypeError:  # texts and numbers
        return sorted(different, key=str)
