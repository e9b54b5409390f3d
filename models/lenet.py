"""LeNet-5: LeCun et al. 1998, "Gradient-based learning applied to document recognition", figure 2."""

from __future__ import annotations

from typing import Any

from symgraph.layers import AveragePooling2D, Conv2D, Dense, Flatten
from symgraph.models import Model
from symgraph.models.application import Arguments, loads_weights, picture

__all__ = ["LeNet5"]


@loads_weights
def LeNet5(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 10,
) -> Model:
    """Three convolutions and two dense layers: 61,706 weights, digits of 32 x 32 with one channel.

    Arguments and errors are those of `symgraph.models.application.Arguments`; no weights are published.

    Notes
    -----
    As it is written today: C3 sees all maps of S2, where the paper's sees some of them (2,416 weights for
    1,516); S2 and S4 have no coefficients; the output is a softmax in place of radial basis functions.
    """
    shape = picture(input_shape, 32, channels=1)
    arguments = Arguments(include_top, weights, input_tensor, shape, pooling, classes, published=False)
    image = x = arguments.image(arguments.shape(32, min_size=32))
    x = Conv2D(6, 5, activation="tanh", name="C1")(x)
    x = AveragePooling2D(2, name="S2")(x)
    x = Conv2D(16, 5, activation="tanh", name="C3")(x)
    x = AveragePooling2D(2, name="S4")(x)
    x = Conv2D(120, 5, activation="tanh", name="C5")(x)
    if include_top:
        x = Flatten(name="flatten")(x)
        x = Dense(84, activation="tanh", name="F6")(x)
        x = Dense(classes, activation="softmax", name="output")(x)
    else:
        x = arguments.pooled(x)
    return arguments.model(image, x, "lenet5")
