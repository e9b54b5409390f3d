"""The `flow` methods of `ImageDataGenerator`: batches of its transformed pictures from arrays and folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.preprocessing.image.array_iterator import NumpyArrayIterator
from symgraph.preprocessing.image.dataframe_iterator import DataFrameIterator
from symgraph.preprocessing.image.directory_iterator import DirectoryIterator
from symgraph.utils.old_arguments import old_arguments


class Flows:
    """Makes iterators that ask this generator for their batches."""

    data_format: str

    @old_arguments({"X": "x"})
    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: np.ndarray | None = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches from arrays.

        Parameters
        ----------
        x : array [samples, rows, columns, channels], or a pair
            The second of a pair, an array or a list of arrays, comes through as it is.
        y, sample_weight : array [samples, ...], optional
            Go with the pictures: batches are x, (x, y) or (x, y, sample_weight).
        seed : int, optional
            Of the order and of the transforms.
        save_to_dir : str, optional
            A folder for the transformed pictures, `save_prefix` and `save_format` (png or jpeg) are theirs.
        subset : {'training', 'validation'}, optional
            Part of the data, see `validation_split`.

        Raises
        ------
        ValueError
            Lengths or shapes that do not fit; see `NumpyArrayIterator`.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        on_error: str = "raise",
    ) -> DirectoryIterator:
        """Batches from a folder with one folder of pictures for each class; see `DirectoryIterator`.

        Parameters
        ----------
        directory : str or path
        target_size : (rows, columns)
            To which pictures are resized, by `interpolation` (nearest, bilinear, bicubic, ...).
        color_mode : {'rgb', 'grayscale', 'rgba'}
        classes : list of str, optional
            Names of the folders, in the order of their numbers; all folders, sorted, without it.
        class_mode : {'categorical', 'binary', 'sparse', 'input', None}
            What targets are: one-hot, 0 and 1, numbers, the pictures themselves, or none.
        batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset
            As for `flow`.
        follow_links : bool
            Whether to look into folders that are links.
        on_error : {'raise', 'skip'}
            What is done about a picture that cannot be read: an error, or it is left out with a warning.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            data_format=self.data_format,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            on_error=on_error,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str],
        x_col: str = "filename",
        y_col: str | Sequence[str] = "class",
        has_ext: bool = True,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[Any] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        on_error: str = "raise",
    ) -> DataFrameIterator:
        """Batches from a folder of pictures and a table of their targets; see `DataFrameIterator`.

        Parameters
        ----------
        dataframe : pandas.DataFrame, or anything whose columns ``dataframe[name]`` gives
        directory : str or path
            The folder of the pictures.
        x_col, y_col : str
            The columns with names of files and with targets; `y_col` may be a list for class_mode 'other'.
        has_ext : bool
            Whether the names have their endings.
        classes : list, optional
            The values of `y_col` in the order of their numbers; all, sorted, without it.
        class_mode : {'categorical', 'binary', 'sparse', 'input', 'other', None}
            As for `flow_from_directory`; 'other' gives the numbers in `y_col`.
        target_size, color_mode, batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset,
        interpolation, on_error
            As for `flow_from_directory`.
        """
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col=x_col,
            y_col=y_col,
            has_ext=has_ext,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            data_format=self.data_format,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            on_error=on_error,
        )
