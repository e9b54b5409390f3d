"""Activations with parameters of their own."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from symgraph import activations
from symgraph import backend as K
from symgraph.engine.base_layer import Layer  # noqa: F401 - scripts import it from here
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer, number
from symgraph.utils.generic_utils import to_list

# Keras 1 had these here too.
_OLD = ("ParametricSoftplus", "SReLU")


def __getattr__(name: str) -> Any:
    if name in _OLD:
        return getattr(importlib.import_module("symgraph.layers.old_activations"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class LeakyReLU(ConfiguredLayer):
    """x where x > 0, alpha · x elsewhere.

    Parameters
    ----------
    alpha : float
    """

    config_names: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha = number(alpha, "alpha")

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return K.relu(inputs, alpha=self.alpha)


class PReLU(ConfiguredLayer):
    """x where x > 0, alpha · x elsewhere, with an alpha that is learned (He et al., arXiv:1502.01852).

    Parameters
    ----------
    alpha_initializer : Initializer
    alpha_regularizer : Regularizer, optional
    alpha_constraint : Constraint, optional
    shared_axes : list of int, optional
        Axes (counted from the batch, 0) along which one alpha serves all: [1, 2] for one a channel.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "alpha_initializer",
        "alpha_regularizer",
        "alpha_constraint",
        "shared_axes",
    )
    alpha: Variable
    alpha_initializer: Any
    alpha_regularizer: Any
    alpha_constraint: Any

    @legacy.prelu
    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._store(
            alpha_initializer=alpha_initializer,
            alpha_regularizer=alpha_regularizer,
            alpha_constraint=alpha_constraint,
        )
        self.shared_axes = None if shared_axes is None else to_list(shared_axes, allow_tuple=True)

    def build(self, input_shape: Shape) -> None:
        """Make alpha, of a sample's shape with 1 along shared axes."""
        shared = self.shared_axes or []
        wrong = [axis for axis in shared if not 1 <= axis < len(input_shape)]
        if wrong:
            raise ValueError(
                f"layer {self.name}: shared_axes {wrong} lie outside an input of shape {input_shape}"
            )
        self.alpha = self.add_weight(
            "alpha",
            tuple(1 if axis in shared else size for axis, size in enumerate(input_shape) if axis > 0),  # type: ignore[misc]
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        axes = {axis: size for axis, size in enumerate(input_shape) if axis > 0 and axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return K.relu(inputs) - self.alpha * K.relu(-inputs)


class ELU(ConfiguredLayer):
    """x where x > 0, alpha · (exp(x) - 1) elsewhere (Clevert et al., arXiv:1511.07289).

    Parameters
    ----------
    alpha : float
    """

    config_names: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha = number(alpha, "alpha")

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return K.elu(inputs, self.alpha)


class ThresholdedReLU(ConfiguredLayer):
    """x where x > theta, 0 elsewhere (Konda et al., arXiv:1402.3337).

    Parameters
    ----------
    theta : float
    """

    config_names: ClassVar[tuple[str, ...]] = ("theta",)

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.theta = number(theta, "theta")

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return inputs * K.cast(K.greater(inputs, self.theta), inputs.dtype)


class Softmax(ConfiguredLayer):
    """exp(x) / Σ exp(x) along an axis.

    Parameters
    ----------
    axis : int
    """

    config_names: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.axis = axis

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return activations.softmax(inputs, axis=self.axis)


class ReLU(ConfiguredLayer):
    """max(x, 0), with a limit, a slope below and a threshold if asked for.

    Parameters
    ----------
    max_value : float, optional
        Larger values become this.
    negative_slope : float
        Below the threshold: negative_slope · (x - threshold).
    threshold : float
    """

    config_names: ClassVar[tuple[str, ...]] = ("max_value", "negative_slope", "threshold")

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.max_value = None if max_value is None else number(max_value, "max_value")
        self.negative_slope = number(negative_slope, "negative_slope")
        self.threshold = number(threshold, "threshold")
        if self.max_value is not None and self.max_value < 0.0:
            raise ValueError(f"max_value of ReLU layer cannot be negative value: {max_value}")
        if self.negative_slope < 0.0:
            raise ValueError(f"negative_slope of ReLU layer cannot be negative value: {negative_slope}")

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return K.relu(inputs, alpha=self.negative_slope, max_value=self.max_value, threshold=self.threshold)
