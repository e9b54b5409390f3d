"""Configurations of the layers of Keras 0.3 and 1 in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from symgraph.engine.files.keras1_values import (
    DATA_FORMATS,
    IMPLEMENTATIONS,
    constraint,
    initializer,
    regularizer,
)
from symgraph.utils.warn_user import warn_user

Config: TypeAlias = dict[str, Any]
Axes: TypeAlias = Mapping[int, int | None]

# Where the axes of kernels have gone, with channels first and with channels last.
_CONV1D: tuple[Axes, Axes] = ({0: 0, 1: None, 2: 1, 3: 2},) * 2
_CONV2D: tuple[Axes, Axes] = ({0: 3, 1: 2, 2: 0, 3: 1}, {0: 0, 1: 1, 2: 2, 3: 3})
_CONV3D: tuple[Axes, Axes] = ({0: 4, 1: 3, 2: 0, 3: 1, 4: 2}, {0: 0, 1: 1, 2: 2, 3: 3, 4: 4})
_TRANSPOSED: tuple[Axes, Axes] = ({0: 2, 1: 3, 2: 0, 3: 1}, {0: 0, 1: 1, 2: 3, 3: 2})


@dataclass(frozen=True)
class OldLayer:
    """How the configuration of a class of Keras 1 becomes one of Keras 2."""

    name: str
    """The class of Keras 2."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """New keys by the old ones."""
    sizes: tuple[str, ...] = ()
    """Keys of single sizes that `kernel_size` has together."""
    axes: tuple[Axes, Axes] | None = None
    """Of its kernel; see `constraint`."""
    has_channels: bool = False
    """Whether it has the option `data_format`."""
    dropped: tuple[str, ...] = ()
    """Keys that mean nothing any more."""
    special: Callable[[Config], Config] = dict
    """What else is to do, first."""


# -- what is more than another name ------------------------------------------------------------------------


def _gated(config: Config) -> Config:
    """Recurrent layers: the bias of the forget gate was an initializer, of which Keras 2 has one or none."""
    result = dict(config)
    forget = result.pop("forget_bias_init", None)
    if forget is not None:
        result["unit_forget_bias"] = forget in ("one", "ones")
    if isinstance(result.get("consume_less"), str):
        result["consume_less"] = IMPLEMENTATIONS.get(result["consume_less"], result["consume_less"])
    return result


def _gated_without_reset_after(config: Config) -> Config:
    return {"reset_after": False, **_gated(config)}


def _embedding(config: Config) -> Config:
    """`input_dtype` was that of the words; Keras 2 would make whole numbers of the weights."""
    result = {key: value for key, value in config.items() if key != "input_dtype"}
    if result.pop("dropout", 0.0):
        warn_user(
            f"The layer {config.get('name')} of the file drops whole words while it trains (dropout="
            f"{config['dropout']}), which `Embedding` does not do any more. Put a SpatialDropout1D behind "
            "it.",
        )
    return result


def _normalization(config: Config) -> Config:
    result = dict(config)
    mode = result.pop("mode", 0)
    if mode != 0:
        raise ValueError(
            f"mode={mode!r} of Keras 1's BatchNormalization is not supported: expected 0, statistics of each "
            "feature that are collected for predictions"
        )
    return result


def _separable(config: Config) -> Config:
    result = dict(config)
    if "init" in result:
        result["depthwise_initializer"] = result["pointwise_initializer"] = initializer(result.pop("init"))
    axes = _CONV2D[0 if result.get("dim_ordering") == "th" else 1]
    for key in ("depthwise_constraint", "pointwise_constraint"):
        if key in result:
            result[key] = constraint(result[key], axes)
    return result


_SIDES = {1: ("left_pad", "right_pad"), 2: ("top_pad", "bottom_pad", "left_pad", "right_pad")}


def _padded(axes: int) -> Callable[[Config], Config]:
    """Padding as a dict of sides, or as four numbers."""

    def convert(config: Config) -> Config:
        padding = config.get("padding")
        if isinstance(padding, dict):
            if not padding.keys() <= set(_SIDES[axes]):
                raise ValueError(f"padding: expected the keys {', '.join(_SIDES[axes])}, got {list(padding)}")
            padding = [padding.get(side, 0) for side in _SIDES[axes]]
        if axes == 2 and isinstance(padding, list | tuple) and len(padding) == 4:
            padding = [list(padding[:2]), list(padding[2:])]
        return config if "padding" not in config else {**config, "padding": padding}

    return convert


def _stretched(config: Config) -> Config:
    """`dilation_rate` of convolutions with holes."""
    result = dict(config)
    if "atrous_rate" in result:
        result["dilation_rate"] = result.pop("atrous_rate")
    return result


# -- the table ---------------------------------------------------------------------------------------------

_BIAS = {"b_regularizer": "bias_regularizer", "b_constraint": "bias_constraint", "bias": "use_bias"}
_KERNEL = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "W_constraint": "kernel_constraint",
    **_BIAS,
}
_WINDOWS = {"nb_filter": "filters", "subsample": "strides", "border_mode": "padding"}
_CONV = {**_WINDOWS, "subsample_length": "strides", **_KERNEL}
_GATES = {
    **_KERNEL,
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "consume_less": "implementation",
}
_POOL = {"border_mode": "padding", "pool_length": "pool_size", "stride": "strides"}
_TABLE = {
    "init": "embeddings_initializer",
    "W_regularizer": "embeddings_regularizer",
    "W_constraint": "embeddings_constraint",
}
_INPUT = ("input_dim", "input_length")
"""Of every layer: `batch_input_shape` tells it too, where it tells anything."""


def _dense(name: str = "Dense") -> OldLayer:
    return OldLayer(name, {"output_dim": "units", **_KERNEL}, dropped=_INPUT)


def _conv(
    name: str,
    sizes: tuple[str, ...],
    axes: tuple[Axes, Axes] | None = None,
    special: Callable[[Config], Config] = dict,
) -> OldLayer:
    several = len(sizes) > 1
    return OldLayer(name, _CONV, sizes, axes, has_channels=several, dropped=_INPUT, special=special)


def _recurrent(name: str, special: Callable[[Config], Config] = _gated) -> OldLayer:
    return OldLayer(name, {"output_dim": "units", **_GATES}, dropped=_INPUT, special=special)


_LENGTH = ("filter_length",)
_PICTURE = ("nb_row", "nb_col")
_VOLUME = ("kernel_dim1", "kernel_dim2", "kernel_dim3")

OLD_LAYERS: dict[str, OldLayer] = {
    "AtrousConvolution1D": _conv("Conv1D", _LENGTH, _CONV1D, _stretched),
    "AtrousConvolution2D": _conv("Conv2D", _PICTURE, _CONV2D, _stretched),
    "BatchNormalization": OldLayer(
        "BatchNormalization",
        {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
        special=_normalization,
    ),
    "ConvLSTM2D": OldLayer(
        "ConvLSTM2D",
        {**_WINDOWS, **_GATES},
        _PICTURE,
        has_channels=True,
        dropped=(*_INPUT, "consume_less", "unroll"),
        special=_gated,
    ),
    "Convolution1D": _conv("Conv1D", _LENGTH, _CONV1D),
    "Convolution2D": _conv("Conv2D", _PICTURE, _CONV2D),
    "Convolution3D": _conv("Conv3D", _VOLUME, _CONV3D),
    "Deconvolution2D": _conv("Conv2DTranspose", _PICTURE, _TRANSPOSED),
    "Dense": _dense(),
    "Dropout": OldLayer("Dropout", {"p": "rate"}),
    "Embedding": OldLayer("Embedding", _TABLE, special=_embedding),
    "GRU": _recurrent("GRU", _gated_without_reset_after),
    "GaussianDropout": OldLayer("GaussianDropout", {"p": "rate"}),
    "GaussianNoise": OldLayer("GaussianNoise", {"sigma": "stddev"}),
    "Highway": OldLayer("Highway"),
    "InputLayer": OldLayer("InputLayer", {"input_dtype": "dtype"}),
    "LSTM": _recurrent("LSTM"),
    "LocallyConnected1D": _conv("LocallyConnected1D", _LENGTH),
    "LocallyConnected2D": _conv("LocallyConnected2D", _PICTURE),
    "MaxoutDense": OldLayer("MaxoutDense"),
    "PReLU": OldLayer("PReLU", {"init": "alpha_initializer"}),
    "SeparableConvolution2D": OldLayer(
        "SeparableConv2D", {**_WINDOWS, **_BIAS}, _PICTURE, has_channels=True, special=_separable
    ),
    "SimpleRNN": _recurrent("SimpleRNN"),
    "SpatialDropout1D": OldLayer("SpatialDropout1D", {"p": "rate"}),
    "UpSampling1D": OldLayer("UpSampling1D", {"length": "size"}),
    "ZeroPadding1D": OldLayer("ZeroPadding1D", special=_padded(1)),
    "ZeroPadding2D": OldLayer("ZeroPadding2D", has_channels=True, special=_padded(2)),
    **{
        name: OldLayer(name, _POOL)
        for name in ("AveragePooling1D", "MaxPooling1D")
    },
    **{
        name: OldLayer(name, {"border_mode": "padding", "p": "rate"}, has_channels=True)
        for name in (
            "AveragePooling2D", "AveragePooling3D", "Cropping2D", "Cropping3D", "GlobalAveragePooling2D",
            "GlobalAveragePooling3D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPooling2D",
            "MaxPooling3D", "SpatialDropout2D", "SpatialDropout3D", "UpSampling2D", "UpSampling3D",
            "ZeroPadding3D",
        )
    },
}  # fmt: skip
"""The classes of Keras 1 whose configurations differ from those of Keras 2."""


# -- one layer ---------------------------------------------------------------------------------------------


def modern_layer(class_name: str, config: Config) -> tuple[str, Config]:
    """Class and configuration of a layer of Keras 1 in Keras 2. What Keras 2 wrote stays as it is.

    Parameters
    ----------
    class_name : str
    config : dict
        `dim_ordering` is there if the class has it.

    Raises
    ------
    ValueError
        If the layer has an option that is no more.
    """
    if class_name == "TimeDistributedDense":
        return _time_distributed_dense(config)
    old = OLD_LAYERS.get(class_name)
    if old is None:
        return class_name, config
    ordering = config.get("dim_ordering")
    result = old.special(config)
    if old.sizes and all(size in result for size in old.sizes):
        result["kernel_size"] = [result.pop(size) for size in old.sizes]
    is_old = any(key in config for key in (*old.keys, *old.sizes))
    for key in old.dropped if is_old else ():
        result.pop(key, None)
    if "dim_ordering" in result:
        result["data_format"] = DATA_FORMATS.get(result.pop("dim_ordering"), ordering)
        if not old.has_channels:
            del result["data_format"]
    axes = old.axes and old.axes[0 if ordering == "th" else 1]
    return old.name, {old.keys.get(key, key): _value(key, value, axes) for key, value in result.items()}


def _value(key: str, value: Any, axes: Axes | None) -> Any:
    if key == "init" or key.endswith("_init"):
        return initializer(value)
    if key.endswith("_regularizer"):
        return regularizer(value)
    if key.endswith("_constraint"):
        return constraint(value, axes if key == "W_constraint" else None)
    return value


def _time_distributed_dense(config: Config) -> tuple[str, Config]:
    """The layer that was `Dense` for each step of a sequence."""
    outer = {key: value for key, value in config.items() if key in _OF_EVERY_LAYER}
    inner = {key: value for key, value in config.items() if key not in _OF_EVERY_LAYER}
    name, dense = modern_layer("Dense", inner)
    dense["name"] = f"{config.get('name') or 'timedistributeddense'}_inner"
    return "TimeDistributed", {**outer, "layer": {"class_name": name, "config": dense}}


_OF_EVERY_LAYER = ("name", "trainable", "batch_input_shape", "input_shape", "input_dtype")
