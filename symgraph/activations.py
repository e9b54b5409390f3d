"""Activation functions: element-wise functions that layers apply to their outputs, and softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph import backend as K
from symgraph.utils.generic_utils import deserialize_keras_object
from symgraph.utils.warn_user import warn_user

# Fixed point of mean 0 and variance 1 under SELU (Klambauer et al., arXiv:1706.02515, section 1).
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / Σ exp(x) along an axis.

    Parameters
    ----------
    x : tensor
        At least 2 dimensions.
    axis : int
        The axis of the classes.

    Raises
    ------
    ValueError
        If `x` has fewer than 2 dimensions.
    """
    if K.ndim(x) < 2:
        raise ValueError(f"Cannot apply softmax to a tensor that is 1D. Received input: {x}")
    return K.softmax(x, axis=axis)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, alpha · (exp(x) - 1) elsewhere (Clevert et al., arXiv:1511.07289)."""
    return K.elu(x, alpha)


def selu(x: Any) -> Any:
    """scale · elu(x, alpha) with the two constants of self-normalising networks (arXiv:1706.02515).

    To be used with the initializer `lecun_normal` and the layer `AlphaDropout`.
    """
    return _SELU_SCALE * K.elu(x, _SELU_ALPHA)


def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    return K.softplus(x)


def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return K.softsign(x)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """max(x, 0); with the other arguments a leaky, capped or shifted form of it.

    Parameters
    ----------
    x : tensor
    alpha : float
        Slope below the threshold.
    max_value : float, optional
        Largest output.
    threshold : float
        Where the linear part begins: x above, alpha · (x - threshold) elsewhere.
    """
    return K.relu(x, alpha=alpha, max_value=max_value, threshold=threshold)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return K.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return K.sigmoid(x)


def hard_sigmoid(x: Any) -> Any:
    """0.2x + 0.5 held between 0 and 1: cheaper than sigmoid."""
    return K.hard_sigmoid(x)


def exponential(x: Any) -> Any:
    """exp(x)."""
    return K.exp(x)


def swish(x: Any) -> Any:
    """x · sigmoid(x) (Ramachandran et al., arXiv:1710.05941)."""
    return x * K.sigmoid(x)


def relu6(x: Any) -> Any:
    """x held between 0 and 6."""
    return K.relu(x, max_value=6.0)


def leaky_relu(x: Any, alpha: float = 0.2) -> Any:
    """x where x > 0, alpha · x elsewhere, with TensorFlow's slope."""
    return K.relu(x, alpha=alpha)


def linear(x: Any) -> Any:
    """x itself."""
    return x


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        softmax, elu, selu, softplus, softsign, relu, tanh, sigmoid, hard_sigmoid, exponential, swish,
        relu6, leaky_relu, linear,
    )
}  # fmt: skip


def serialize(activation: Any) -> str:
    """The name of an activation function."""
    return str(activation.__name__)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation function called `name`. ValueError where there is none."""
    return deserialize_keras_object(name, _FUNCTIONS, custom_objects, "activation function")


def get(identifier: Any) -> Any:
    """Find an activation function.

    Parameters
    ----------
    identifier : None, str or callable
        A name, or the function itself; None means `linear`.

    Raises
    ------
    ValueError
        If there is none of that name, or `identifier` is nothing of the kind.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return deserialize(identifier)
    if callable(identifier):
        # A layer, told by what only layers have: this module must not import the engine, which imports it.
        if hasattr(identifier, "compute_output_shape"):
            warn_user(
                f"Do not pass a layer instance (such as {type(identifier).__name__}) as the activation "
                "argument of another layer. Instead, advanced activation layers should be used just like any "
                "other layer in a model.",
            )
        return identifier
    raise ValueError(
        f"Could not interpret activation function identifier: {identifier!r}; expected "
        "None, a name such as 'relu', or a function of a tensor"
    )
