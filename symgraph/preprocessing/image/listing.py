"""Which pictures a folder has: listed once, sorted, so that the same folder always gives the same order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

ENDINGS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
"""Files with these endings are pictures."""
DOTTED = tuple(f".{ending}" for ending in ENDINGS)

Entry = TypeVar("Entry")

# Listing waits for the disk, or for the network, more than it computes.
_THREADS = 8


class Listing(NamedTuple):
    """Pictures by class."""

    filenames: list[str]
    """Relative to the folder: class folder first."""
    counts: list[int]
    """How many belong to each class; those of the first class come first."""


def find_classes(directory: str) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones, such as .ipynb_checkpoints, are none."""
    with os.scandir(_check_folder(directory)) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _check_folder(directory: str) -> str:
    if not os.path.isdir(directory):
        if os.path.exists(directory):
            raise NotADirectoryError(f"Expected a folder with pictures, got the file {directory!r}")
        raise FileNotFoundError(f"There is no folder {directory!r}")
    return directory


def list_pictures_below(directory: str, follow_links: bool) -> list[str]:
    """Pictures in a folder and its subfolders, relative to it, sorted by folder, then by name.

    Hidden files and folders are left out. Links to files count as files, links to folders count if
    `follow_links`; a link to a folder that it is in is not followed.

    Raises
    ------
    OSError
        If a folder is missing or cannot be read.
    """
    return [
        os.path.join(below, name)
        for below, names in sorted(_walk(_check_folder(directory), "", follow_links, ()))
        for name in sorted(names)
    ]


def _walk(
    top: str, below: str, follow_links: bool, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, list[str]]]:
    """(folder relative to `top`, its pictures) for a folder and those in it; `above` are those it is in."""
    here = os.path.join(top, below)
    if follow_links:
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in above:
            return
        above = (*above, (status.st_dev, status.st_ino))
    names, folders = [], []
    with os.scandir(here) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if follow_links or not entry.is_symlink():
                    folders.append(entry.name)
            # A broken link is kept: reading it says that it is broken.
            elif entry.name.lower().endswith(DOTTED) and (entry.is_file() or entry.is_symlink()):
                names.append(entry.name)
    yield below, names
    for folder in folders:
        yield from _walk(top, os.path.join(below, folder), follow_links, above)


def part(entries: list[Entry], split: tuple[float, float] | None) -> list[Entry]:
    """The part of a list from one fraction of its length to another; all of it without `split`."""
    return entries if split is None else entries[int(split[0] * len(entries)) : int(split[1] * len(entries))]


def list_classes(
    directory: str, classes: list[str], split: tuple[float, float] | None, follow_links: bool
) -> Listing:
    """The pictures of each class folder, of each class the same part.

    A class without a folder has no pictures, so that data sets which lack a class can keep the numbers of
    the others.
    """

    def one(name: str) -> list[str]:
        folder = os.path.join(directory, name)
        found = list_pictures_below(folder, follow_links) if os.path.isdir(folder) else []
        return [os.path.join(name, picture) for picture in part(found, split)]

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="symgraph-listing") as pool:
        found = list(pool.map(one, classes))
    return Listing([name for names in found for name in names], [len(names) for names in found])
