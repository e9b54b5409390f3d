"""U-Net: Ronneberger et al. 2015, figure 1 (arXiv:1505.04597)."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph.layers import (
    Activation,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dropout,
    MaxPooling2D,
    Softmax,
)
from symgraph.models import Model
from symgraph.models.application import Arguments, Tensor, channel_axis, loads_weights, picture

__all__ = ["UNet"]

LEVELS = 5
_GRID = 2 ** (LEVELS - 1)


@loads_weights
def UNet(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 2,
    filters: int = 64,
    padding: str = "valid",
) -> Model:
    """Down to a sixteenth of the picture and up again, with shortcuts on each level: 31,030,658 weights.

    The output is a class for each pixel: (batch, rows, columns, classes) of probabilities, by a softmax, or
    by a sigmoid for one class. Pictures have 572 x 572 pixels and one channel.

    Parameters
    ----------
    classes : int
        What a pixel may be.
    filters : int
        Of the first level; each further one has twice as many.
    padding : {'valid', 'same'}
        'valid', as in the paper: the output is the part of the picture that is seen with all its
        surroundings, 184 rows and columns smaller. Sizes are 16 n + 12: 572, 1004. 'same': the output is as
        large as the picture. Sizes are multiples of 16.
    include_top, weights, input_tensor, input_shape, pooling
        As of `symgraph.models.application.Arguments`, with its errors; no weights are published. Sizes may be
        open. Without the top, the output has the `filters` channels that pixels are classified by.
    """
    if padding not in ("valid", "same"):
        raise ValueError(f"The `padding` argument must be 'valid' or 'same', got {padding!r}")
    shape = picture(input_shape, 572 if padding == "valid" else 512, channels=1)
    arguments = Arguments(include_top, weights, input_tensor, shape, pooling, classes, published=False)
    image = x = arguments.image(arguments.shape(572, min_size=_GRID, static=False))
    _check_sizes(image, padding)
    shortcuts = []
    for level in range(LEVELS):
        x = _convolutions(x, filters << level, padding, f"down{level + 1}")
        if level >= LEVELS - 2:
            x = Dropout(0.5, name=f"down{level + 1}_dropout")(x)
        if level < LEVELS - 1:
            shortcuts.append(x)
            x = MaxPooling2D(2, name=f"down{level + 1}_pool")(x)
    for level in reversed(range(LEVELS - 1)):
        name = f"up{level + 1}"
        x = Conv2DTranspose(
            filters << level, 2, strides=2, activation="relu", kernel_initializer="he_normal", name=name
        )(x)
        # What 'valid' convolutions have cut off at each side since: 4, 16, 40 and 88 pixels.
        cut = 12 * 2 ** (LEVELS - 2 - level) - 8 if padding == "valid" else 0
        shortcut = Cropping2D(cut, name=f"{name}_crop")(shortcuts[level]) if cut else shortcuts[level]
        x = Concatenate(axis=channel_axis(), name=f"{name}_concat")([shortcut, x])
        x = _convolutions(x, filters << level, padding, name)
    if include_top:
        x = Conv2D(classes, 1, name="classes")(x)
        probabilities = Activation("sigmoid", name="probabilities") if classes == 1 else None
        x = (probabilities or Softmax(axis=channel_axis(), name="probabilities"))(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, "unet")


def _convolutions(x: Tensor, filters: int, padding: str, name: str) -> Tensor:
    for number in (1, 2):
        x = Conv2D(
            filters,
            3,
            padding=padding,
            activation="relu",
            kernel_initializer="he_normal",
            name=f"{name}_conv{number}",
        )(x)
    return x


def _check_sizes(image: Tensor, padding: str) -> None:
    """ValueError where levels would not fit together."""
    rest = 12 if padding == "valid" else 0
    shape = K.int_shape(image)
    for size in shape[2:] if channel_axis() == 1 else shape[1:3]:
        # Of fewer than 188 nothing is left in the end.
        if size is not None and (size % _GRID != rest or (padding == "valid" and size < 188)):
            raise ValueError(
                f"UNet with padding {padding!r} takes rows and columns of "
                + ("16 n + 12, at least 188" if rest else "16 n")
                + f", got the input shape {shape[1:]}"
            )
