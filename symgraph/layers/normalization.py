"""Batch normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.distributed.own_batch import normalize_own_batch
from symgraph.distributed.world import world
from symgraph.engine.base_layer import Layer  # noqa: F401 - scripts import it from here
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.globals import TF_KERAS, answers_as, tensorflow_version
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer, number


class BatchNormalization(ConfiguredLayer):
    """Brings channels to mean 0 and deviation 1, then scales and shifts (Ioffe & Szegedy, arXiv:1502.03167).

    Training takes mean and variance of the batch and keeps moving averages of them, which testing uses.

    Parameters
    ----------
    axis : int
        The axis of channels.
    momentum : float
        Of the moving averages: average = momentum · average + (1 - momentum) · batch.
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a shift `beta` and a factor `gamma`.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer : Initializer
    beta_regularizer, gamma_regularizer : Regularizer, optional
    beta_constraint, gamma_constraint : Constraint, optional
    synchronized : bool
        Where several processes train together: whether each normalises by the samples of all of them, as one
        process would, at the price of two more exchanges in each direction. By default each normalises by its
        own, and the moving averages are those of all. The argument of this name in Keras 3.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "axis",
        "momentum",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
    )
    gamma: Variable | None
    beta: Variable | None
    moving_mean: Variable
    moving_variance: Variable

    @legacy.batch_normalization
    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        # That of Keras 1: 1 normalises each sample over its last axis, 2 by the batch in testing too.
        self._mode: int = kwargs.pop("_mode", 0)
        super().__init__(**kwargs)
        self.supports_masking = True
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"The `axis` argument must be an integer, got {axis!r}")
        self.axis = axis
        self.momentum = number(momentum, "momentum")
        self.epsilon = number(epsilon, "epsilon")
        self.center = center
        self.scale = scale
        self.synchronized = bool(synchronized)
        self._store(
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        """Make gamma, beta, moving_mean and moving_variance, each (channels,)."""
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ValueError(
                f"Invalid axis {self.axis} of layer {self.name} for an input of shape {input_shape}"
            )
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"Axis {self.axis} of input tensor should have a defined dimension but the layer received "
                f"an input with shape {input_shape}."
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self.gamma = self._weight("gamma", channels) if self.scale else None
        self.beta = self._weight("beta", channels) if self.center else None
        self.moving_mean = self._weight("moving_mean", channels, trainable=False)
        self.moving_variance = self._weight("moving_variance", channels, trainable=False)
        self.built = True

    def _weight(self, name: str, size: int, trainable: bool = True) -> Variable:
        return self.add_weight(
            name,
            (size,),
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer", None),
            constraint=getattr(self, f"{name}_constraint", None),
            trainable=trainable,
        )

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Normalise by the batch in training, by the moving averages in testing."""
        if self._mode == 1:
            return self._of_samples(inputs)
        if training is None and not self.trainable and answers_as() == TF_KERAS and tensorflow_version() > 1:
            # A layer that TensorFlow 2 finds frozen when it is called does not look at the batch.
            training = False
        if not isinstance(training, Tensor) and training is not None and not training:
            return self._normalized(inputs)
        self.normalizes_by_batch = training is None
        axes = [axis for axis in range(inputs.ndim) if axis != self.axis % inputs.ndim]
        alone = world().size == 1 or self.synchronized
        normalize = K.normalize_batch_in_training if alone else normalize_own_batch
        normed, mean, variance = normalize(inputs, self.gamma, self.beta, axes, epsilon=self.epsilon)
        if self._mode == 2:
            return normed
        variance = self._of_population(variance, inputs, axes)
        self.add_update(
            [
                K.moving_average_update(self.moving_mean, mean, self.momentum),
                K.moving_average_update(self.moving_variance, variance, self.momentum),
            ],
            inputs,
        )
        return K.in_train_phase(normed, lambda: self._normalized(inputs), training=training)

    def _of_samples(self, inputs: Tensor) -> Tensor:
        centred = inputs - K.mean(inputs, axis=-1, keepdims=True)
        # As in Keras 1: epsilon is added to the variance, and again to the deviation.
        deviation = K.sqrt(K.var(inputs, axis=-1, keepdims=True) + self.epsilon) + self.epsilon
        normed = centred / deviation
        if self.gamma is not None:
            normed = normed * self.gamma
        return normed if self.beta is None else normed + self.beta

    def get_config(self) -> dict[str, Any]:
        """Name, trainable, input shape if known, and the arguments.

        The `mode` of Keras 1 if it is not 0, and `synchronized` if it is true: Keras 2 knows neither.
        """
        further = {"mode": self._mode, "synchronized": self.synchronized}
        return {**super().get_config(), **{name: value for name, value in further.items() if value}}

    def _of_population(self, variance: Tensor, inputs: Tensor, axes: list[int]) -> Tensor:
        """An estimate of the variance of all data, from that of a batch."""
        count = K.cast(K.prod(K.gather(K.shape(inputs), axes)), inputs.dtype)
        if answers_as() != TF_KERAS:
            # Keras has epsilon where n might be 1.
            return variance * (count / (count - (1.0 + self.epsilon)))
        if inputs.ndim == 4 and self.axis % 4 in (1, 3):
            # TensorFlow has a kernel of its own for pictures, the only one that divides by n - 1.
            return variance * (count / K.maximum(count - 1.0, 1.0))
        return variance

    def _normalized(self, inputs: Tensor) -> Tensor:
        return K.batch_normalization(
            inputs,
            self.moving_mean,
            self.moving_variance,
            self.beta,
            self.gamma,
            axis=self.axis,
            epsilon=self.epsilon,
        )
