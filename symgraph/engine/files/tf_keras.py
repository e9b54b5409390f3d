"""Configurations that tf.keras 2 wrote, in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

# Arguments that Keras 2 does not have. With these values they say what it does anyway.
_NEUTRAL: dict[str, Any] = {
    "lora_alpha": None,
    "lora_rank": None,
    "optional": False,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "use_legacy_config": None,
    "zero_output_for_mask": False,
    "groups": 1,
    "keepdims": False,
    "ragged": False,
    "synchronized": False,
    "time_major": False,
    "type_spec": None,
}

_CLASSES = {
    "Functional": "Model",
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "L1": "L1L2",
    "L2": "L1L2",
    "LecunNormal": "lecun_normal",
    "LecunUniform": "lecun_uniform",
}


def _batch_normalization(config: dict[str, Any]) -> dict[str, Any]:
    """The axis is a list with one entry; an option for a kind of training that is not chosen."""
    axis = config.get("axis")
    kept = {key: value for key, value in config.items() if key != "renorm_momentum" or config.get("renorm")}
    return {**kept, "axis": axis[0]} if isinstance(axis, list) and len(axis) == 1 else kept


def _sequence(config: dict[str, Any]) -> dict[str, Any]:
    """Channels come last in sequences: there is no option."""
    return {key: value for key, value in config.items() if (key, value) != ("data_format", "channels_last")}


def _conv3d_transpose(config: dict[str, Any]) -> dict[str, Any]:
    """Holes of no width."""
    rate = config.get("dilation_rate")
    plain = isinstance(rate, list | tuple) and all(size == 1 for size in rate)
    return {key: value for key, value in config.items() if key != "dilation_rate" or not plain}


def _bidirectional(config: dict[str, Any]) -> dict[str, Any]:
    """Its layers give zeros for masked steps of sequences, on their own."""
    layer = config.get("layer")
    inner = layer.get("config") if isinstance(layer, dict) else None
    if not isinstance(layer, dict) or not isinstance(inner, dict):
        return config
    kept = {key: value for key, value in inner.items() if key != "zero_output_for_mask"}
    return {**config, "layer": {**layer, "config": kept}}


def _leaky_relu(config: dict[str, Any]) -> dict[str, Any]:
    """Keras 3 calls the slope `negative_slope`."""
    return {"alpha" if key == "negative_slope" else key: value for key, value in config.items()}


def _without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Drops arguments that do not change what the layer computes: seeds, and which code computes it."""
    return lambda config: {key: value for key, value in config.items() if key not in names}


_SPECIAL: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "BatchNormalization": _batch_normalization,
    "Bidirectional": _bidirectional,
    "Conv3DTranspose": _conv3d_transpose,
    "ConvLSTM2D": _without("seed", "use_cudnn"),
    "GRU": _without("seed", "use_cudnn"),
    "GRUCell": _without("seed"),
    "GaussianDropout": _without("seed"),
    "GaussianNoise": _without("seed"),
    "LSTM": _without("seed", "use_cudnn"),
    "LSTMCell": _without("seed"),
    "LeakyReLU": _leaky_relu,
    "SimpleRNN": _without("seed", "use_cudnn"),
    "SimpleRNNCell": _without("seed"),
    "SpatialDropout1D": _without("seed", "noise_shape"),
    "SpatialDropout2D": _without("seed", "noise_shape"),
    "SpatialDropout3D": _without("seed", "noise_shape"),
    "ZeroPadding1D": _sequence,
    **dict.fromkeys(
        ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"),
        _without("input_axes", "output_axes"),
    ),
}


def translated(config: Any, known: Container[str] = ()) -> Any:
    """A configuration with the names of classes, and without the arguments, that only tf.keras has.

    Parameters
    ----------
    config : object
        A configuration of anything: parts at any depth are translated too. Keras' own stay as they are.
    known : container of str
        Names of classes that stay as they are.
    """
    if isinstance(config, list):
        return [translated(entry, known) for entry in config]
    if not isinstance(config, dict):
        return config
    result = {key: translated(value, known) for key, value in config.items()}
    name, inner = result.get("class_name"), result.get("config")
    if isinstance(name, str) and name not in known:
        result["class_name"] = _CLASSES.get(name, name)
        if isinstance(inner, dict):
            kept = {
                key: value for key, value in inner.items() if key not in _NEUTRAL or value != _NEUTRAL[key]
            }
            result["config"] = _SPECIAL.get(name, dict)(kept)
    return result
