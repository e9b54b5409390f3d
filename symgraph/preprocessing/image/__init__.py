"""Pictures: reading, writing, random transforms, and batches of them."""

from symgraph.preprocessing.image.array_iterator import NumpyArrayIterator
from symgraph.preprocessing.image.dataframe_iterator import DataFrameIterator
from symgraph.preprocessing.image.directory_iterator import DirectoryIterator
from symgraph.preprocessing.image.generator import ImageDataGenerator
from symgraph.preprocessing.image.iterator import Iterator
from symgraph.preprocessing.image.pictures import (
    array_to_img,
    img_to_array,
    list_pictures,
    load_img,
    save_img,
)
from symgraph.preprocessing.image.transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    flip_axis,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
    transform_matrix_offset_center,
)

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "flip_axis",
    "img_to_array",
    "list_pictures",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "transform_matrix_offset_center",
]
