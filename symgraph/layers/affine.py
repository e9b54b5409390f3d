"""Element-wise maps that converted networks need: factors and shifts, learned or constant, and powers."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer, number
from symgraph.utils.generic_utils import to_list


class Scale(ConfiguredLayer):
    """gamma · x + beta, with factors and shifts that are learned: what a batch normalisation ends with.

    Parameters
    ----------
    axis : int or list of int
        The axes (counted from the batch, 0) along which gamma and beta differ: those of channels, mostly.
    scale, center : bool
        Whether there is a factor `gamma` and a shift `beta`.
    gamma_initializer, beta_initializer : Initializer
    gamma_regularizer, beta_regularizer : Regularizer, optional
    gamma_constraint, beta_constraint : Constraint, optional

    Notes
    -----
    Not in Keras; the layers `Scale` and `Bias` of Caffe.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "axis",
        "scale",
        "center",
        "gamma_initializer",
        "beta_initializer",
        "gamma_regularizer",
        "beta_regularizer",
        "gamma_constraint",
        "beta_constraint",
    )
    gamma: Variable | None
    beta: Variable | None

    def __init__(
        self,
        axis: Any = -1,
        scale: bool = True,
        center: bool = True,
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        gamma_regularizer: Any = None,
        beta_regularizer: Any = None,
        gamma_constraint: Any = None,
        beta_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.axis = axis if isinstance(axis, int) else [int(a) for a in to_list(axis, allow_tuple=True)]
        self.scale = scale
        self.center = center
        self._store(
            gamma_initializer=gamma_initializer,
            beta_initializer=beta_initializer,
            gamma_regularizer=gamma_regularizer,
            beta_regularizer=beta_regularizer,
            gamma_constraint=gamma_constraint,
            beta_constraint=beta_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        """Make gamma and beta, of the sizes of the axes."""
        rank = len(input_shape)
        axes = self._axes(rank)
        if any(not 0 < a < rank for a in axes) or len(set(axes)) < len(axes):
            raise ValueError(f"layer {self.name}: axis {self.axis} does not suit inputs of {input_shape}")
        sizes = [input_shape[a] for a in axes]
        if None in sizes:
            raise ValueError(
                f"layer {self.name}: expected known sizes along axis {self.axis}, got {input_shape}"
            )
        self.gamma = self._weight("gamma", sizes) if self.scale else None
        self.beta = self._weight("beta", sizes) if self.center else None
        self.input_spec = InputSpec(ndim=rank, axes=dict(zip(axes, sizes, strict=True)))
        self.built = True

    def _axes(self, rank: int) -> list[int]:
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        return [a + rank if a < 0 else a for a in given]

    def _weight(self, name: str, sizes: list[Any]) -> Variable:
        return self.add_weight(
            name,
            tuple(sizes),
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Multiply and add."""
        axes = self._axes(inputs.ndim)
        output = inputs
        if self.gamma is not None:
            output = output * _beside(self.gamma, axes, inputs.ndim)
        return output if self.beta is None else output + _beside(self.beta, axes, inputs.ndim)


def _beside(weight: Tensor, axes: list[int], rank: int) -> Tensor:
    """A weight that has these axes, with axes of size 1 for the others."""
    order = sorted(range(len(axes)), key=axes.__getitem__)
    moved = K.permute_dimensions(weight, order) if order != list(range(len(axes))) else weight
    sizes = dict(zip(axes, K.int_shape(weight), strict=True))
    return K.reshape(moved, [sizes.get(axis, 1) for axis in range(rank)])


class Power(ConfiguredLayer):
    """(shift + scale · x)^power, with constants.

    Parameters
    ----------
    power, scale, shift : float
        With a power of 1, the default, the layer is an affine map.

    Notes
    -----
    Not in Keras; the layer `Power` of Caffe.
    """

    config_names: ClassVar[tuple[str, ...]] = ("power", "scale", "shift")

    def __init__(self, power: float = 1.0, scale: float = 1.0, shift: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.power = number(power, "power")
        self.scale = number(scale, "scale")
        self.shift = number(shift, "shift")

    def call(self, inputs: Tensor) -> Tensor:
        """Scale, shift, raise."""
        output = inputs if self.scale == 1 else self.scale * inputs
        output = output if self.shift == 0 else self.shift + output
        return output if self.power == 1 else K.pow(output, self.power)
