"""Initial values of weights, drawn with numpy.

An initializer called with a shape returns a numpy array: `K.variable(initializer(shape))` copies it and no
graph is built. Without a seed of its own an initializer draws from numpy's global generator, so that
`np.random.seed(0)` at the top of a script makes its models reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import numpy as np

from symgraph.globals import floatx, random_source
from symgraph.utils import draws
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import deserialize_keras_object, serialize_keras_object

# Standard deviation of a unit normal distribution cut at two standard deviations
# (scipy.stats.truncnorm.std(-2, 2)).
_TRUNCATED_STD = 0.87962566103423978

_deferred: ContextVar[bool] = ContextVar("symgraph_deferred_values", default=False)


class Initializer:
    """Base of initializers: called with a shape (a tuple of int) and a dtype, it returns an array of them."""

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say how to make values")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make an initializer of `get_config`'s arguments; a `dtype` (tf.keras writes it) is passed over."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**{name: value for name, value in dict(config).items() if name != "dtype"})


class Zeros(Initializer):
    """All elements 0."""

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        return np.zeros(_sizes(shape), dtype or floatx())


class Ones(Initializer):
    """All elements 1."""

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        return np.ones(_sizes(shape), dtype or floatx())


class Constant(Initializer):
    """All elements one value, or a given array.

    Parameters
    ----------
    value : float, or array-like of as many elements as the shapes asked for
    """

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        values = np.asarray(self.value, dtype or floatx())
        sizes = _sizes(shape)
        if values.ndim == 0:
            return np.full(sizes, values)
        if values.size != math.prod(sizes):
            raise ValueError(f"Constant initializer: {values.size} values do not fill the shape {sizes}")
        return values.reshape(sizes).copy()

    def get_config(self) -> dict[str, Any]:
        """The value."""
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}


class RandomNormal(Initializer):
    """Normally distributed values.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
        With a seed, every call returns the same values.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        random = _generator(self.seed)
        return draws.normal(random, self.mean, self.stddev, _sizes(shape), dtype or floatx())

    def get_config(self) -> dict[str, Any]:
        """mean, stddev, seed."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class RandomUniform(Initializer):
    """Uniformly distributed values in [minval, maxval).

    Parameters
    ----------
    minval, maxval : float
    seed : int, optional
        With a seed, every call returns the same values.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        random = _generator(self.seed)
        return draws.uniform(random, self.minval, self.maxval, _sizes(shape), dtype or floatx())

    def get_config(self) -> dict[str, Any]:
        """minval, maxval, seed."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normally distributed values; those further than two standard deviations from the mean are drawn again.

    Parameters
    ----------
    mean, stddev : float
        Of the distribution before it is cut.
    seed : int, optional
        With a seed, every call returns the same values.
    """

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        random = _generator(self.seed)
        return draws.truncated_normal(random, self.mean, self.stddev, _sizes(shape), dtype or floatx())


class VarianceScaling(Initializer):
    """Values whose variance is `scale` / n, where n is counted from the shape of the weights.

    Parameters
    ----------
    scale : float
        Positive.
    mode : str
        What n is: 'fan_in' (inputs of a unit), 'fan_out' (outputs) or 'fan_avg' (the mean of both).
    distribution : str
        'normal' (cut at two standard deviations) or 'uniform' (within ±sqrt(3 scale / n)).
    seed : int, optional
        With a seed, every call returns the same values.

    Raises
    ------
    ValueError
        For a value outside these.
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "normal", seed: int | None = None
    ) -> None:
        if scale <= 0:
            raise ValueError(f"`scale` must be a positive float. Got: {scale}")
        self.scale = scale
        self.mode = _choice("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        # tf.keras has another name for the cut normal distribution; files keep Keras' name.
        chosen = _choice("distribution", distribution, ("normal", "uniform", "truncated_normal"))
        self.distribution = "uniform" if chosen == "uniform" else "normal"
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        sizes = _sizes(shape)
        fan_in, fan_out = _compute_fans(sizes)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        random = _generator(self.seed)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return draws.uniform(random, -limit, limit, sizes, dtype or floatx())
        deviation = math.sqrt(variance) / _TRUNCATED_STD
        return draws.truncated_normal(random, 0.0, deviation, sizes, dtype or floatx())

    def get_config(self) -> dict[str, Any]:
        """scale, mode, distribution, seed."""
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al., arXiv:1312.6120).

    Shapes of more than two axes are a matrix of all axes but the last by the last.

    Parameters
    ----------
    gain : float
        Factor of the matrix.
    seed : int, optional
        With a seed, every call returns the same values.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = gain
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        sizes = _sizes(shape)
        if len(sizes) < 2:
            raise ValueError(
                f"Orthogonal initializer: expected a shape of at least 2 dimensions, got {sizes}"
            )
        matrix = _generator(self.seed).normal(0.0, 1.0, (math.prod(sizes[:-1]), sizes[-1]))
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        basis = left if left.shape == matrix.shape else right
        return np.asarray(self.gain * basis.reshape(sizes), dtype or floatx())

    def get_config(self) -> dict[str, Any]:
        """gain, seed."""
        return {"gain": self.gain, "seed": self.seed}


class Identity(Initializer):
    """The identity matrix; where one side is a multiple of the other, several of them side by side.

    Parameters
    ----------
    gain : float
        Factor of the matrix.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        sizes = _sizes(shape)
        if len(sizes) != 2:
            raise ValueError(
                f"Identity matrix initializer can only be used for 2D matrices, got shape {sizes}"
            )
        rows, columns = sizes
        short = min(sizes)
        if short == 0 or max(sizes) % short:
            raise ValueError(
                f"Identity initializer: long side should be multiple of short side, got shape {sizes}"
            )
        matrix = np.tile(np.identity(short), (rows // short, columns // short))
        return np.asarray(self.gain * matrix, dtype or floatx())

    def get_config(self) -> dict[str, Any]:
        """Return gain."""
        return {"gain": self.gain}


def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within ±sqrt(3 / fan_in) (LeCun et al. 1998, Efficient BackProp)."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Normal, cut at two standard deviations, of variance 1 / fan_in (LeCun et al. 1998; for SELU)."""
    return VarianceScaling(1.0, "fan_in", "normal", seed)


def glorot_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within ±sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, AISTATS 2010)."""
    return VarianceScaling(1.0, "fan_avg", "uniform", seed)


def glorot_normal(seed: int | None = None) -> VarianceScaling:
    """Normal, cut at two deviations, of variance 2 / (fan_in + fan_out) (Glorot & Bengio, AISTATS 2010)."""
    return VarianceScaling(1.0, "fan_avg", "normal", seed)


def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within ±sqrt(6 / fan_in) (He et al., arXiv:1502.01852)."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def he_normal(seed: int | None = None) -> VarianceScaling:
    """Normal, cut at two standard deviations, of variance 2 / fan_in (He et al., arXiv:1502.01852)."""
    return VarianceScaling(2.0, "fan_in", "normal", seed)


# Names of TensorFlow 2. What they make is a VarianceScaling, which files of all versions hold.
LecunUniform, LecunNormal = lecun_uniform, lecun_normal
GlorotUniform, GlorotNormal = glorot_uniform, glorot_normal
HeUniform, HeNormal = he_uniform, he_normal

zero = zeros = Zeros
one = ones = Ones
constant = Constant
uniform = random_uniform = RandomUniform
normal = random_normal = RandomNormal
truncated_normal = TruncatedNormal
identity = Identity
orthogonal = Orthogonal

_CLASSES = (
    Initializer, Zeros, Ones, Constant, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling,
    Orthogonal, Identity,
)  # fmt: skip
_FUNCTIONS = (lecun_uniform, lecun_normal, glorot_uniform, glorot_normal, he_uniform, he_normal)
_OBJECTS: dict[str, Any] = {made.__name__: made for made in (*_CLASSES, *_FUNCTIONS)} | {
    "GlorotNormal": glorot_normal,
    "GlorotUniform": glorot_uniform,
    "HeNormal": he_normal,
    "HeUniform": he_uniform,
    "LecunNormal": lecun_normal,
    "LecunUniform": lecun_uniform,
    "zero": Zeros,
    "zeros": Zeros,
    "one": Ones,
    "ones": Ones,
    "constant": Constant,
    "uniform": RandomUniform,
    "random_uniform": RandomUniform,
    "normal": RandomNormal,
    "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "identity": Identity,
    "orthogonal": Orthogonal,
}


def makes_new_arrays(initializer: Any) -> bool:
    """Whether nobody else holds what an initializer makes, and it has the shape and dtype asked for."""
    return type(initializer) in _CLASSES


@contextmanager
def deferred() -> Iterator[None]:
    """In this block, weights are made without their first values.

    These are drawn when they are first needed: never, where other values are stored before. That saves time
    and memory for what is about to be loaded, and leaves numpy's generator alone:

        with initializers.deferred():
            model = VGG16(weights=None)
        model.load_weights("vgg16.h5")

    It is for the initializers of this module. Functions and classes of a script are called at once.
    """
    token = _deferred.set(True)
    try:
        yield
    finally:
        _deferred.reset(token)


def are_deferred() -> bool:
    """Whether a block of `deferred` is open."""
    return _deferred.get()


def _generator(seed: int | None) -> Any:
    """numpy's global generator, or a new one that leaves the global one alone."""
    return random_source() or np.random if seed is None else np.random.RandomState(seed)


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        raise ValueError(f"an initializer needs a shape of known sizes, got {sizes}")
    return tuple(int(size) for size in sizes)


def _choice(argument: str, value: str, expected: tuple[str, ...]) -> str:
    chosen = str(value).lower()
    if chosen not in expected:
        raise ValueError(
            f"Invalid `{argument}` argument: expected one of {', '.join(expected)} but got {value!r}"
        )
    return chosen


def _compute_fans(shape: Sequence[int], data_format: str = "channels_last") -> tuple[float, float]:
    """How many inputs and outputs a unit has, by Keras' rule.

    Parameters
    ----------
    shape : sequence of int
        (inputs, units) of a matrix; (..., inputs, filters) of a convolution kernel in 'channels_last' order,
        (filters, inputs, ...) in 'channels_first' order; sqrt(elements) for both of any other rank.
    data_format : str
        Order of a kernel's axes. All kernels of layers are 'channels_last', whatever their pictures are.
    """
    if len(shape) == 2:
        return float(shape[0]), float(shape[1])
    if len(shape) not in (3, 4, 5):
        both = math.sqrt(math.prod(shape))
        return both, both
    if data_format == "channels_first":
        field = math.prod(shape[2:])
        return float(shape[1] * field), float(shape[0] * field)
    if data_format == "channels_last":
        field = math.prod(shape[:-2])
        return float(shape[-2] * field), float(shape[-1] * field)
    raise ValueError(f"Invalid data_format: {data_format}")


def serialize(initializer: Any) -> Any:
    """Describe an initializer as a dict (a function as its name)."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make an initializer from `serialize`'s description. ValueError where its name is unknown."""
    return deserialize_keras_object(config, _OBJECTS, custom_objects, "initializer")


def get(identifier: Any) -> Any:
    """Find an initializer.

    Parameters
    ----------
    identifier : str, dict or callable
        A name such as 'glorot_uniform', a description by `serialize`, or the initializer itself.

    Raises
    ------
    ValueError
        If there is none of that name, or `identifier` is nothing of the kind.
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if callable(identifier):
        return identifier
    raise ValueError(
        f"Could not interpret initializer identifier: {identifier!r}; expected a name such as "
        "'glorot_uniform', an initializer such as `RandomNormal(stddev=0.1)`, or its configuration"
    )
