"""Pictures: reading, writing, and batches of them."""

from symgraph.preprocessing.image.array_iterator import NumpyArrayIterator
from symgraph.preprocessing.image.directory_iterator import DirectoryIterator
from symgraph.preprocessing.image.iterator import Iterator
from symgraph.preprocessing.image.pictures import (
    array_to_img,
    img_to_array,
    list_pictures,
    load_img,
    save_img,
)

__all__ = [
    "DirectoryIterator",
    "Iterator",
    "NumpyArrayIterator",
    "array_to_img",
    "img_to_array",
    "list_pictures",
    "load_img",
    "save_img",
]
