"""What all architectures have in common: Keras' arguments, the input, the end, and published weights."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

from symgraph import backend as K
from symgraph import initializers
from symgraph.layers import GlobalAveragePooling2D, GlobalMaxPooling2D, Input
from symgraph.models import Model
from symgraph.models.imagenet_utils import obtain_input_shape
from symgraph.utils import get_file, get_source_inputs

# Symbolic tensors; their class is no part of the public interface.
Tensor = Any
Parameters = ParamSpec("Parameters")

_IMAGENET_CLASSES = 1000


def loads_weights(build: Callable[Parameters, Model]) -> Callable[Parameters, Model]:
    """Let an architecture draw no first values for weights that it then takes from a file."""
    default = inspect.signature(build).parameters["weights"]
    place = list(inspect.signature(build).parameters).index("weights")

    @wraps(build)
    def built(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Model:
        given = args[place] if len(args) > place else kwargs.get("weights", default.default)
        with nullcontext() if given is None else initializers.deferred():
            return build(*args, **kwargs)

    return built


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights that were learned on ImageNet."""

    origin: str
    md5: str | None = None
    #: Its name in the cache; default: the last part of the address.
    name: str | None = None

    def path(self) -> str:
        """Where it is, in the folder `models` of the cache, after a download if need be."""
        name = self.name or self.origin.rpartition("/")[2]
        return get_file(name, self.origin, cache_subdir="models", file_hash=self.md5)


@dataclass(frozen=True)
class Published:
    """The files of weights of one architecture, with its classifier and without."""

    top: WeightFile
    no_top: WeightFile


def tf_kernels(release: str, name: str, top_md5: str, no_top_md5: str) -> Published:
    """Two files that are named as most are: NAME_weights_tf_dim_ordering_tf_kernels[_notop].h5."""
    stem = f"{release}/{name}_weights_tf_dim_ordering_tf_kernels"
    return Published(WeightFile(f"{stem}.h5", top_md5), WeightFile(f"{stem}_notop.h5", no_top_md5))


@dataclass(frozen=True)
class Arguments:
    """The arguments that all architectures take; checked when they are stored.

    Parameters
    ----------
    include_top : bool
        Whether the network ends in its classifier.
    weights : str, os.PathLike or None
        None for random ones, 'imagenet' for published ones, or a file to load, in the order of the layers.
    input_tensor : Tensor, optional
        Is used as the picture: the output of `Input` or of another layer, or any tensor.
    input_shape : tuple, optional
        Of one picture. See `symgraph.models.imagenet_utils.obtain_input_shape`.
    pooling : {None, 'avg', 'max'}
        Without the classifier, what becomes of the last (batch, rows, columns, channels): it stays, or
        becomes (batch, channels).
    classes : int
        Outputs of the classifier.
    published : bool
        Whether there are published weights.

    Raises
    ------
    ValueError
        If `weights` is none of these or does not fit `classes`, or `pooling` is unknown.
    """

    include_top: bool
    weights: Any
    input_tensor: Tensor | None
    input_shape: Any
    pooling: str | None
    classes: int
    published: bool = True

    def __post_init__(self) -> None:
        imagenet = self.weights == "imagenet"
        if not (self.weights is None or (imagenet and self.published) or os.path.exists(self.weights)):
            raise ValueError(
                "The `weights` argument should be either `None` (random initialization), "
                + ("`imagenet` (pre-training on ImageNet), " if self.published else "")
                + "or the path to the weights file to be loaded."
                + ("" if self.published else f" Got {self.weights!r}")
            )
        if imagenet and self.include_top and self.classes != _IMAGENET_CLASSES:
            raise ValueError(
                'If using `weights` as `"imagenet"` with `include_top` as true, `classes` should be 1000'
            )
        if self.pooling not in (None, "avg", "max"):
            raise ValueError(f"The `pooling` argument should be None, 'avg' or 'max', got {self.pooling!r}")

    def shape(self, default_size: int, min_size: int, static: bool | None = None) -> tuple[int | None, ...]:
        """Of one picture. `static`: whether no size may be open; by default if there is a classifier."""
        return obtain_input_shape(
            self.input_shape,
            default_size,
            min_size,
            K.image_data_format(),
            self.include_top if static is None else static,
            self.weights,
        )

    def image(self, shape: tuple[int | None, ...]) -> Tensor:
        """The tensor that the network begins with: (batch, *shape), or what the user gave."""
        if self.input_tensor is None:
            return Input(shape=shape)
        if K.is_keras_tensor(self.input_tensor):
            return self.input_tensor
        return Input(tensor=self.input_tensor, shape=shape)

    def pooled(
        self, x: Tensor, avg: str | None = None, max: str | None = None, data_format: str | None = None
    ) -> Tensor:
        """The end of a network without classifier: `x` pooled as asked, by layers of these names."""
        if self.pooling == "avg":
            return GlobalAveragePooling2D(data_format, name=avg)(x)
        return GlobalMaxPooling2D(data_format, name=max)(x) if self.pooling == "max" else x

    def model(self, image: Tensor, outputs: Any, name: str, files: Published | None = None) -> Model:
        """The network from the sources of `image` to `outputs`, with the weights that were asked for."""
        inputs = image if self.input_tensor is None else get_source_inputs(self.input_tensor)
        model = Model(inputs, outputs, name=name)
        if self.weights == "imagenet" and files is not None:
            model.load_weights((files.top if self.include_top else files.no_top).path())
        elif self.weights is not None:
            model.load_weights(self.weights)
        return model


def channel_axis(last: int = 3) -> int:
    """The axis of channels in the default layout; `last` is how configurations write the last one."""
    return 1 if K.image_data_format() == "channels_first" else last


def channel_count(x: Tensor) -> int:
    """Of the output of a convolution."""
    count = K.int_shape(x)[channel_axis()]
    assert count is not None
    return count


def stride_padding(
    x: Tensor, kernel_size: int, channels: int | None = None
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Zeros around (rows, columns) for windows at every second place, as TensorFlow's 'same' has them.

    `channels` is their axis, by default that of the default layout. Open sizes count as even.
    """
    axes = (2, 3) if (channels or channel_axis()) == 1 else (1, 2)
    sizes = [K.int_shape(x)[axis] for axis in axes]
    half = kernel_size // 2
    before = [half - (size is None or size % 2 == 0) for size in sizes]
    return (before[0], half), (before[1], half)


def square_size(shape: Any, sizes: Sequence[int], default: int = 224) -> int:
    """Rows of a square picture of one of these `sizes`; `default` for any other shape, or none."""
    if shape is None or len(shape) != 3:
        return default
    rows, columns = shape[1:] if channel_axis() == 1 else shape[:2]
    return rows if rows == columns and rows in sizes else default


def picture(input_shape: Any, size: int, channels: int) -> Any:
    """`input_shape`, or where there is none a square picture of so many `channels`."""
    if input_shape is not None:
        return input_shape
    return (channels, size, size) if channel_axis() == 1 else (size, size, channels)
