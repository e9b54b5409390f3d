"""NASNet-A, large and mobile: Zoph et al. 2017, figures 2 and 4 (arXiv:1707.07012).

Pictures are always (rows, columns, channels), as in Keras; where the default layout is another, it warns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from symgraph import backend as K
from symgraph.layers import Activation, Conv2D, Dense, GlobalAveragePooling2D
from symgraph.models import Model
from symgraph.models.application import Arguments, Published, WeightFile, loads_weights
from symgraph.models.imagenet_utils import decode_predictions, obtain_input_shape
from symgraph.models.imagenet_utils import preprocess_tf as preprocess_input
from symgraph.models.nasnet_cells import normal_cell, normalised, reduction_cell
from symgraph.utils.warn_user import warn_user

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

_RELEASE = "https://github.com/titu1994/Keras-NASNet/releases/download/v1.2"


class _Form(NamedTuple):
    """What tells the networks apart."""

    size: int
    #: Channels of the last cell's output, 24 times those of a cell's first stage.
    penultimate_filters: int
    cells: int
    stem_filters: int
    #: Whether the cell after a reduction also sees what came before it.
    skip_reduction: bool
    files: Published


LARGE = _Form(
    331,
    4032,
    6,
    96,
    True,
    Published(
        WeightFile(f"{_RELEASE}/NASNet-large.h5", "11577c9a518f0070763c2b964a382f17", "nasnet_large.h5"),
        WeightFile(
            f"{_RELEASE}/NASNet-large-no-top.h5", "d81d89dc07e6e56530c4e77faddd61b5", "nasnet_large_no_top.h5"
        ),
    ),
)
MOBILE = _Form(
    224,
    1056,
    4,
    32,
    False,
    Published(
        WeightFile(f"{_RELEASE}/NASNet-mobile.h5", "020fb642bf7360b370c678b08e0adf61", "nasnet_mobile.h5"),
        WeightFile(
            f"{_RELEASE}/NASNet-mobile-no-top.h5",
            "1ed92395b5b598bdda52abe5c0dbfd63",
            "nasnet_mobile_no_top.h5",
        ),
    ),
)


@loads_weights
def NASNetLarge(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """NASNet-A (6 @ 4032): 88,949,818 weights, pictures of 331 x 331, at least 32 x 32.

    Arguments and errors are those of `symgraph.models.application.Arguments`. Sizes may not be open.
    """
    return _nasnet(LARGE, Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


@loads_weights
def NASNetMobile(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
) -> Model:
    """NASNet-A (4 @ 1056): 5,326,716 weights, pictures of 224 x 224; else as `NASNetLarge`."""
    return _nasnet(MOBILE, Arguments(include_top, weights, input_tensor, input_shape, pooling, classes))


def _nasnet(form: _Form, arguments: Arguments) -> Model:
    image = arguments.image(_shape(form, arguments))
    filters = form.penultimate_filters // 24
    x = Conv2D(
        form.stem_filters,
        3,
        strides=2,
        use_bias=False,
        name="stem_conv1",
        kernel_initializer="he_normal",
        data_format="channels_last",
    )(image)
    x, before = normalised(x, "stem_bn1"), None
    x, before = reduction_cell(x, before, filters // 4, "stem_1")
    x, before = reduction_cell(x, before, filters // 2, "stem_2")
    for stage in range(3):
        first = stage * form.cells
        if stage:
            x, skipped = reduction_cell(x, before, filters << stage, f"reduce_{first}")
            before = before if form.skip_reduction else skipped
        for number in range(form.cells):
            # In the numbers, only the first reduction counts as a cell.
            x, before = normal_cell(x, before, filters << stage, f"{first + number + (stage > 0)}")
    x = Activation("relu")(x)
    if arguments.include_top:
        x = GlobalAveragePooling2D(data_format="channels_last")(x)
        x = Dense(arguments.classes, activation="softmax", name="predictions")(x)
    else:
        x = arguments.pooled(x, data_format="channels_last")
    return arguments.model(image, x, "NASNet", form.files)


def _shape(form: _Form, arguments: Arguments) -> tuple[int | None, ...]:
    """Of a picture; ValueError where a size is open."""
    shape = arguments.input_shape
    if arguments.weights == "imagenet" and shape is not None and None in shape:
        raise ValueError(
            "When specifying the input shape of a NASNet and loading `ImageNet` weights, the input_shape "
            f"argument must be static (no None entries). Got: `input_shape={shape}`."
        )
    if K.image_data_format() != "channels_last":
        warn_user(
            'The NASNet family of models is only available for the input data format "channels_last" '
            "(width, height, channels). However your settings specify the default data format "
            '"channels_first" (channels, width, height). The model being returned expects inputs in the '
            '"channels_last" data format.'
        )
    return obtain_input_shape(shape, form.size, 32, "channels_last", True, arguments.weights)
