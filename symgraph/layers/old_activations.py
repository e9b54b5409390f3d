"""Activations with parameters of their own that only Keras 1 had."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph import initializers
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer, number
from symgraph.utils.generic_utils import to_list
from symgraph.utils.warn_user import warn_old


class _Parametric(ConfiguredLayer):
    """What both have in common: weights of a sample's shape, with 1 along shared axes."""

    def __init__(self, shared_axes: Any = None, **kwargs: Any) -> None:
        warn_old(
            f"The `{type(self).__name__}` layer is gone since Keras 2: write it as a layer of your own, or "
            "use `PReLU`."
        )
        super().__init__(**kwargs)
        self.supports_masking = True
        self.shared_axes = None if shared_axes is None else to_list(shared_axes, allow_tuple=True)

    def _weight(self, name: str, input_shape: Shape, initializer: Any) -> Variable:
        shared = self.shared_axes or []
        if any(not 1 <= axis < len(input_shape) for axis in shared):
            raise ValueError(
                f"layer {self.name}: shared_axes {shared} lie outside an input of shape {input_shape}"
            )
        sizes = [1 if axis in shared else size for axis, size in enumerate(input_shape) if axis > 0]
        return self.add_weight(name, tuple(sizes), initializer=initializer)  # type: ignore[arg-type]


class ParametricSoftplus(_Parametric):
    """alpha · log(1 + exp(beta · x)) with both learned, with a warning.

    Parameters
    ----------
    alpha_init, beta_init : float
        First values.
    weights : list of arrays, optional
    shared_axes : list of int, optional
        Axes (counted from the batch, 0) along which one value serves all.
    """

    config_names: ClassVar[tuple[str, ...]] = ("alpha_init", "beta_init", "shared_axes")
    alphas: Variable
    betas: Variable

    def __init__(
        self,
        alpha_init: float = 0.2,
        beta_init: float = 5.0,
        weights: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(shared_axes, weights=weights, **kwargs)
        self.alpha_init = number(alpha_init, "alpha_init")
        self.beta_init = number(beta_init, "beta_init")

    def build(self, input_shape: Shape) -> None:
        """Make alphas and betas."""
        self.alphas = self._weight("alphas", input_shape, initializers.Constant(self.alpha_init))
        self.betas = self._weight("betas", input_shape, initializers.Constant(self.beta_init))
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        return K.softplus(self.betas * inputs) * self.alphas


class SReLU(_Parametric):
    """Three lines with learned joints and outer slopes (Jin et al., arXiv:1512.07030), with a warning.

    t_left + a_left · (x - t_left) below t_left, x up to t_left + ``|t_right|``, and from there on of slope
    a_right.

    Parameters
    ----------
    t_left_init, a_left_init, t_right_init, a_right_init : str or callable
        Initializers.
    shared_axes : list of int, optional
        Axes (counted from the batch, 0) along which one value serves all.
    """

    _NAMES: ClassVar[tuple[str, ...]] = ("t_left", "a_left", "t_right", "a_right")
    t_left: Variable
    a_left: Variable
    t_right: Variable
    a_right: Variable

    def __init__(
        self,
        t_left_init: Any = "zero",
        a_left_init: Any = "glorot_uniform",
        t_right_init: Any = "glorot_uniform",
        a_right_init: Any = "one",
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(shared_axes, **kwargs)
        given = (t_left_init, a_left_init, t_right_init, a_right_init)
        self._inits = {name: initializers.get(init) for name, init in zip(self._NAMES, given, strict=True)}

    def build(self, input_shape: Shape) -> None:
        """Make the joints and slopes."""
        for name in self._NAMES:
            setattr(self, name, self._weight(name, input_shape, self._inits[name]))
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Activate."""
        right = self.t_left + K.abs(self.t_right)
        centre = inputs - self.t_left
        bent = K.switch(K.greater(centre, 0), centre, self.a_left * centre)
        return self.t_left + K.minimum(bent, right - self.t_left) + K.relu(inputs - right) * self.a_right

    def get_config(self) -> dict[str, Any]:
        """Name, trainable, input shape if known, and the arguments."""
        inits = {f"{name}_init": initializers.serialize(init) for name, init in self._inits.items()}
        return {**super().get_config(), **inits, "shared_axes": self.shared_axes}
