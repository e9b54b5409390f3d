"""Dense, activations, dropout, and layers that move or map data."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any, ClassVar

from symgraph import backend as K
from symgraph import regularizers
from symgraph.engine.base_layer import Layer
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer, at_least, number
from symgraph.layers.dropout import Dropout, SpatialDropout1D, SpatialDropout2D
from symgraph.layers.lambda_layer import Lambda
from symgraph.layers.volumes import SpatialDropout3D

# With those that Keras has in a module of this name.
__all__ = [
    "Activation",
    "ActivityRegularization",
    "Dense",
    "Dropout",
    "Flatten",
    "InputSpec",
    "Lambda",
    "Layer",
    "Masking",
    "Permute",
    "RepeatVector",
    "Reshape",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]  # fmt: skip

# Keras 1 had these here. They are layers on those of this module.
_OLD = {
    "Highway": "old_layers",
    "MaxoutDense": "old_layers",
    "Merge": "old_merge",
    "TimeDistributedDense": "old_layers",
    "merge": "old_merge",
}


def __getattr__(name: str) -> Any:
    if name in _OLD:
        return getattr(importlib.import_module(f"symgraph.layers.{_OLD[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Dense(ConfiguredLayer):
    """activation(x · kernel + bias), over the last axis.

    Parameters
    ----------
    units : int
        The size of the output's last axis.
    activation : str or callable, optional
        Default: none.
    use_bias : bool
    kernel_initializer, bias_initializer : str, dict or Initializer
    kernel_regularizer, bias_regularizer, activity_regularizer : Regularizer, optional
    kernel_constraint, bias_constraint : Constraint, optional
    **kwargs
        Keywords of `Layer`, and `input_dim` for an input shape of one axis.

    Shapes
    ------
    (batch, ..., features) to (batch, ..., units).
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )
    kernel: Variable
    bias: Variable | None

    @legacy.dense
    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        input_dim = kwargs.pop("input_dim", None)
        if input_dim is not None and "input_shape" not in kwargs:
            kwargs["input_shape"] = (input_dim,)
        super().__init__(**kwargs)
        self.units = at_least(1, units, "units")
        self.use_bias = use_bias
        self._store(
            activation=activation,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    activation: Any
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any

    def build(self, input_shape: Shape) -> None:
        """Make kernel (features, units) and bias (units,)."""
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"layer {self.name}: the last dimension of the inputs to `Dense` should be defined. Found "
                "`None`."
            )
        self.kernel = self.add_weight(
            "kernel",
            (features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Multiply, add, activate."""
        output = K.dot(inputs, self.kernel)
        if self.bias is not None:
            output = K.bias_add(output, self.bias, data_format="channels_last")
        return output if self.activation is None else self.activation(output)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The last size becomes `units`."""
        return (*input_shape[:-1], self.units)


class Activation(ConfiguredLayer):
    """An activation function as a layer.

    Parameters
    ----------
    activation : str or callable
    """

    config_names: ClassVar[tuple[str, ...]] = ("activation",)
    activation: Any

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._store(activation=activation)

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return self.activation(inputs)


class Flatten(ConfiguredLayer):
    """All axes but the batch become one. Vectors stay as they are, as in tf.keras.

    Parameters
    ----------
    data_format : str, optional
        'channels_first' moves the channels to the end before, so that weights suit either layout.
    """

    config_names: ClassVar[tuple[str, ...]] = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_spec = InputSpec(min_ndim=1)
        self.data_format = K.normalize_data_format(data_format)

    def call(self, inputs: Tensor) -> Tensor:
        """Reshape; channels last."""
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = K.permute_dimensions(inputs, (0, *range(2, inputs.ndim), 1))
        return K.batch_flatten(inputs)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Flatten:
        """Of a configuration. Those without `data_format` are of Keras before 2.1.6, which moved nothing."""
        layer: Flatten = super().from_config({"data_format": "channels_last", **config})
        return layer

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, product of the others). ValueError where one is not known."""
        sizes = [size for size in input_shape[1:] if size is not None]
        if len(sizes) != len(input_shape) - 1:
            raise ValueError(
                f'The shape of the input to "Flatten" is not fully defined (got {input_shape[1:]}). Make '
                'sure to pass a complete "input_shape" or "batch_input_shape" argument to the first layer in '
                "your model."
            )
        return input_shape[0], math.prod(sizes)


class Reshape(ConfiguredLayer):
    """The same values in another shape.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch; one -1 is worked out.
    """

    config_names: ClassVar[tuple[str, ...]] = ("target_shape",)

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(target_shape, int):
            raise TypeError(f"The `target_shape` argument must be a tuple of integers, got {target_shape!r}")
        self.target_shape = tuple(at_least(-1, size, "target_shape") for size in target_shape)
        if self.target_shape.count(-1) > 1:
            raise ValueError(
                f"Can only specify one unknown dimension. Received target_shape: {self.target_shape}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Reshape all axes but the batch."""
        return K.reshape(inputs, (inputs.shape[0], *self.target_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The target, with -1 worked out where the input's sizes are known."""
        sizes = [size for size in input_shape[1:] if size is not None]
        if len(sizes) != len(input_shape) - 1:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        total, known = math.prod(sizes), math.prod(size for size in self.target_shape if size != -1)
        free = -1 in self.target_shape
        if (free and (known == 0 or total % known)) or (not free and total != known):
            raise ValueError(
                f"total size of new array must be unchanged: layer {self.name} cannot reshape "
                f"{input_shape[1:]} ({total} values) to {self.target_shape}"
            )
        return (input_shape[0], *(total // known if size == -1 else size for size in self.target_shape))


class Permute(ConfiguredLayer):
    """The axes in another order.

    Parameters
    ----------
    dims : tuple of int
        A permutation of 1, 2 ...: axis i + 1 of the output is axis `dims[i]` of the input.
    """

    config_names: ClassVar[tuple[str, ...]] = ("dims",)

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Invalid permutation `dims`: expected an order of 1 to {len(self.dims)}, got {self.dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Tensor) -> Tensor:
        """Transpose."""
        return K.permute_dimensions(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The sizes in the new order."""
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))


class RepeatVector(ConfiguredLayer):
    """Each sample `n` times.

    Parameters
    ----------
    n : int

    Shapes
    ------
    (batch, features) to (batch, n, features).
    """

    config_names: ClassVar[tuple[str, ...]] = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = at_least(1, n, "n")
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        """Repeat along a new axis 1."""
        return K.repeat(inputs, self.n)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, n, features)."""
        return input_shape[0], self.n, input_shape[1]


class ActivityRegularization(ConfiguredLayer):
    """Passes its input on, and adds l1 · Σ|x| + l2 · Σx² to the loss.

    Parameters
    ----------
    l1, l2 : float
    """

    config_names: ClassVar[tuple[str, ...]] = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.l1 = number(l1, "l1")
        self.l2 = number(l2, "l2")
        self.activity_regularizer = regularizers.L1L2(l1=self.l1, l2=self.l2)


class Masking(ConfiguredLayer):
    """Marks time steps to be skipped: those where every feature has `mask_value`.

    Parameters
    ----------
    mask_value : float

    Shapes
    ------
    (batch, steps, features) to the same, with marked steps set to zero, and a mask (batch, steps).
    """

    config_names: ClassVar[tuple[str, ...]] = ("mask_value",)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mask_value = number(mask_value, "mask_value")

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor:
        """True where a step counts."""
        return K.any(K.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Tensor) -> Tensor:
        """Set skipped steps to zero."""
        kept = K.any(K.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * K.cast(kept, K.dtype(inputs))
