"""`DirectoryIterator`: batches of pictures from a folder that has a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from symgraph.distributed.together import is_first
from symgraph.preprocessing.image.file_iterator import FileIterator
from symgraph.preprocessing.image.iterator import dtype_of
from symgraph.preprocessing.image.listing import ENDINGS, find_classes, list_classes
from symgraph.utils.old_arguments import LAYOUTS, old_arguments
from symgraph.utils.warn_user import warn_user

_CLASS_MODES = ("categorical", "binary", "sparse", "input", None)


class DirectoryIterator(FileIterator):
    """Batches of transformed pictures from a folder that has a folder for each class.

    A batch is ``(x, y)``, or ``x`` if there are no targets. The attributes `filenames`, `classes`,
    `class_indices`, `num_classes` and `samples` tell what was found.

    Parameters
    ----------
    directory : str or path
        The folder. Pictures in subfolders of a class folder belong to that class.
    image_data_generator : ImageDataGenerator
        What transforms the pictures.
    target_size : (int, int)
        Height and width that pictures are brought to, in pixels.
    color_mode : str
        "grayscale" (1 channel), "rgb" (3) or "rgba" (4).
    classes : list of str, optional
        Names of class folders, in the order of their numbers; by default all folders but hidden ones, sorted.
    class_mode : str, optional
        What targets are: "categorical" (one-hot rows), "binary" (0.0 or 1.0), "sparse" (int32), "input" (the
        pictures themselves), or None for no targets.
    batch_size : int
        Samples in a batch.
    shuffle : bool
        Another order in each epoch.
    seed : int, optional
        See `Iterator`.
    data_format : str, optional
        That of the generator.
    save_to_dir : str, optional
        An existing folder that gets each transformed picture, stretched to 0..255.
    save_prefix, save_format : str
        Begin and ending of their names.
    follow_links : bool
        Look into links to folders, too.
    subset : str, optional
        "training" or "validation", if the generator has a `validation_split`; the first part of each class is
        for validation.
    interpolation : str
        See `load_img`.
    dtype : dtype, optional
        Of the batches; by default that of the generator.
    on_error : str
        What is done about a picture that cannot be read: "raise", or "skip" to leave it out of its batch,
        with one warning that names it.

    Raises
    ------
    OSError
        If there is no such folder.
    ValueError
        If an argument is none of those above.
    """

    @old_arguments({"dim_ordering": "data_format"}, values={"dim_ordering": LAYOUTS})
    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
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
        if class_mode not in _CLASS_MODES:
            raise ValueError(
                f"Invalid class_mode: {class_mode!r}; expected one of "
                '"categorical", "binary", "sparse", "input" or None.'
            )
        self.class_mode = class_mode
        self.dtype = dtype_of(dtype, image_data_generator)
        self.directory = os.fsdecode(directory)
        names = self._class_names(classes)
        self._number_classes(names)
        listing = list_classes(self.directory, names, self.split, follow_links)
        self.filenames = listing.filenames
        self.samples = len(self.filenames)
        self.classes = np.repeat(np.arange(self.num_classes, dtype=np.int32), listing.counts)
        if is_first():
            print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _class_names(self, classes: Sequence[str] | None) -> list[str]:
        found = find_classes(self.directory)
        if not classes:
            return found
        if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
            raise ValueError(f"classes must be a list of names of folders, got {classes!r}")
        names = list(classes)
        missing = [name for name in names if not os.path.isdir(os.path.join(self.directory, name))]
        if missing:
            warn_user(
                f"{self.directory!r} has no folders for the classes {missing}, which get no pictures; "
                f"it has {found}",
            )
        return names

    def _why_empty(self) -> str:
        few = ""
        if self.split is not None:
            share = self.split[1] - self.split[0]
            few = f"; {self.subset!r} takes {share:g} of each, rounded, which may be none of few pictures"
        return (
            f"No pictures were found in {self.directory!r} (subset: {self.subset}): it must have a folder "
            f"for each class, with files that end in {', '.join(ENDINGS)}; its classes are "
            f"{[*self.class_indices]}{few}"
        )
