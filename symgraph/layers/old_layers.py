"""Layers of Keras 1 that Keras 2.2.4 still has, with a warning."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import activations, initializers
from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer, at_least
from symgraph.layers.conv import Conv1D, Conv2D
from symgraph.layers.core import Dense
from symgraph.utils.warn_user import warn_old


class _OldDense(ConfiguredLayer):
    """What both layers below have in common: the arguments of Keras 1, and inputs of two axes."""

    init: Any
    W_regularizer: Any
    b_regularizer: Any
    W_constraint: Any
    b_constraint: Any

    def __init__(self, init: Any, bias: bool, input_dim: int | None, **kwargs: Any) -> None:
        warn_old(
            f"The `{type(self).__name__}` layer is deprecated and will be removed after 06/2017: write it "
            "with `Dense` and the merge layers, or as a layer of your own."
        )
        if input_dim:
            kwargs["input_shape"] = (input_dim,)
        super().__init__(**kwargs)
        self.init = initializers.get(init)
        self.bias = bias
        self.input_dim = input_dim
        self.input_spec = InputSpec(ndim=2)

    def _demand(self, input_shape: Shape) -> int:
        """The number of features, which is demanded of all later inputs."""
        features = input_shape[1]
        if features is None:
            raise ValueError(f"layer {self.name}: the last dimension of the inputs should be defined")
        self.input_spec = InputSpec(dtype=K.floatx(), shape=(None, features))
        return features

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Variable:
        """A weight with the regularizer and the constraint for its name."""
        return self.add_weight(
            name,
            shape,
            initializer=initializer,
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
        )

    def get_config(self) -> dict[str, Any]:
        """Name, trainable, input shape if known, and the arguments."""
        return {**super().get_config(), "init": initializers.serialize(self.init)}


_ARGUMENTS = ("W_regularizer", "b_regularizer", "activity_regularizer", "W_constraint", "b_constraint")


class MaxoutDense(_OldDense):
    """The largest of several linear maps, output by output (Goodfellow et al. 2013, arXiv:1302.4389).

    Parameters
    ----------
    output_dim : int
    nb_feature : int
        The number of linear maps.
    init, W_regularizer, b_regularizer, activity_regularizer, W_constraint, b_constraint, bias :
        As of `Dense`, under the names of Keras 1.
    weights : list of arrays, optional
        W (nb_feature, input_dim, output_dim) and b (nb_feature, output_dim).
    input_dim : int, optional

    Shapes
    ------
    (batch, features) to (batch, output_dim).
    """

    config_names: ClassVar[tuple[str, ...]] = ("output_dim", "nb_feature", *_ARGUMENTS, "bias", "input_dim")
    W: Variable
    b: Variable | None

    def __init__(
        self,
        output_dim: int,
        nb_feature: int = 4,
        init: Any = "glorot_uniform",
        weights: Any = None,
        W_regularizer: Any = None,
        b_regularizer: Any = None,
        activity_regularizer: Any = None,
        W_constraint: Any = None,
        b_constraint: Any = None,
        bias: bool = True,
        input_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init, bias, input_dim, weights=weights, **kwargs)
        self.output_dim = at_least(1, output_dim, "output_dim")
        self.nb_feature = at_least(1, nb_feature, "nb_feature")
        self._store(
            W_regularizer=W_regularizer,
            b_regularizer=b_regularizer,
            activity_regularizer=activity_regularizer,
            W_constraint=W_constraint,
            b_constraint=b_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        """Make W and b."""
        features = self._demand(input_shape)
        maps = (self.nb_feature, features, self.output_dim)
        self.W = self._weight("W", maps, self.init)
        self.b = None
        if self.bias:
            shape = (self.nb_feature, self.output_dim)
            self.b = self._weight("b", shape, "zero")
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """Map, and take the largest."""
        output = K.dot(x, self.W)
        return K.max(output if self.b is None else output + self.b, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, output_dim)."""
        return input_shape[0], self.output_dim


class Highway(_OldDense):
    """t · activation(x · W + b) + (1 - t) · x with a gate t (Srivastava et al. 2015, arXiv:1505.00387).

    The gate is sigmoid(x · W_carry + b_carry).

    Parameters
    ----------
    init, activation, W_regularizer, b_regularizer, activity_regularizer, W_constraint, b_constraint, bias :
        As of `Dense`, under the names of Keras 1.
    weights : list of arrays, optional
        W, W_carry, b, b_carry.
    input_dim : int, optional

    Shapes
    ------
    (batch, features) to the same.
    """

    config_names: ClassVar[tuple[str, ...]] = ("activation", *_ARGUMENTS, "bias", "input_dim")
    activation: Any
    W: Variable
    W_carry: Variable
    b: Variable | None
    b_carry: Variable | None

    def __init__(
        self,
        init: Any = "glorot_uniform",
        activation: Any = None,
        weights: Any = None,
        W_regularizer: Any = None,
        b_regularizer: Any = None,
        activity_regularizer: Any = None,
        W_constraint: Any = None,
        b_constraint: Any = None,
        bias: bool = True,
        input_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        if "transform_bias" in kwargs:
            del kwargs["transform_bias"]
            warn_old("`transform_bias` argument is deprecated and has been removed.")
        super().__init__(init, bias, input_dim, weights=weights, **kwargs)
        self._store(
            activation=activation,
            W_regularizer=W_regularizer,
            b_regularizer=b_regularizer,
            activity_regularizer=activity_regularizer,
            W_constraint=W_constraint,
            b_constraint=b_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        """Make the weights of both maps."""
        n = self._demand(input_shape)
        self.W = self._weight("W", (n, n), self.init)
        self.W_carry = self.add_weight("W_carry", (n, n), initializer=self.init)
        self.b = self.b_carry = None
        if self.bias:
            self.b = self._weight("b", (n,), "zero")
            self.b_carry = self.add_weight("b_carry", (n,), initializer="one")
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """Map and mix."""
        gate, mapped = K.dot(x, self.W_carry), K.dot(x, self.W)
        if self.b is not None and self.b_carry is not None:
            gate, mapped = gate + self.b_carry, mapped + self.b
        share = activations.sigmoid(gate)
        return self.activation(mapped) * share + (1 - share) * x


def AtrousConvolution1D(*args: Any, **kwargs: Any) -> Conv1D:
    """`Conv1D` whose argument `dilation_rate` is called `atrous_rate`, with a warning."""
    return Conv1D(*args, **{"atrous_rate": 1, **kwargs})


def AtrousConvolution2D(*args: Any, **kwargs: Any) -> Conv2D:
    """`Conv2D` whose argument `dilation_rate` is called `atrous_rate`, with a warning."""
    return Conv2D(*args, **{"atrous_rate": (1, 1), **kwargs})


class TimeDistributedDense(Dense):
    """`Dense` on sequences, with a warning: `Dense` maps the last axis of any input today.

    Parameters
    ----------
    units : int
        `output_dim` in Keras 1.
    input_dim, input_length : int, optional
        The shape of a sample.
    **kwargs
        As of `Dense`.

    Shapes
    ------
    (batch, steps, features) to (batch, steps, units).
    """

    def __init__(self, units: int | None = None, **kwargs: Any) -> None:
        given = dict(kwargs)
        if units is None and "output_dim" not in given:
            raise TypeError("TimeDistributedDense: missing the argument `output_dim`")
        length = given.pop("input_length", None)
        if given.get("input_dim") is not None:
            given["input_shape"] = (length, given.pop("input_dim"))
        # The translation of the arguments warns, if there is one that is old.
        super().__init__(**{"output_dim": units, **given})
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Shape) -> None:
        """Make kernel (features, units) and bias (units,)."""
        super().build(input_shape)
        self.input_spec = InputSpec(ndim=3, axes={-1: input_shape[-1]})
