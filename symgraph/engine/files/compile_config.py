"""The arguments of `compile` in model files, as Keras 2 and tf.keras write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from symgraph import losses, metrics
from symgraph.engine.files.keras3 import in_words_of_keras_2
from symgraph.engine.files.layer_config import json_value
from symgraph.utils.generic_utils import get_custom_objects, has_arg, is_all_none
from symgraph.utils.warn_user import warn_user

# tf.keras' names of arguments of optimizers.
_RENAMED = {"learning_rate": "lr"}
# Arguments of tf.keras' optimizers that Keras does not have. With these values they change nothing.
_NEUTRAL: dict[str, tuple[Any, ...] | None] = {
    "centered": (False,),
    "clipnorm": (None,),
    "clipvalue": (None,),
    "ema_momentum": None,
    "ema_overwrite_frequency": None,
    "global_clipnorm": (None,),
    "gradient_accumulation_steps": (None,),
    # Numbers with which the state of Adagrad begins; files have that state.
    "initial_accumulator_value": None,
    "is_legacy_optimizer": None,
    "jit_compile": None,
    "loss_scale_factor": (None,),
    "momentum": (0.0,),
    "name": None,
    "use_ema": (False,),
    "weight_decay": (None, 0.0),
}
LOSSES_OF_LAYERS = "losses_of_layers"
"""How many losses a model has besides those of `compile`: a key of its own, which Keras passes over."""
# Options with which an object does what the function of its name does.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "from_logits": (False,),
    "label_smoothing": (0, 0.0),
    "reduction": (None, "auto", "sum_over_batch_size"),
    "axis": (-1,),
    "delta": (1.0,),
    "threshold": (0.5,),
    "k": (5,),
}


def training_config(model: Any) -> dict[str, Any]:
    """What a file keeps of `compile`: optimizer, loss, metrics, sample weight mode and loss weights.

    Tensors that `add_loss` was given cannot be kept. The number of losses is, so that loading can warn.
    """
    return {
        **({LOSSES_OF_LAYERS: len(model.losses)} if model.losses else {}),
        "optimizer_config": {
            "class_name": type(model.optimizer).__name__,
            "config": model.optimizer.get_config(),
        },
        "loss": model.loss,
        "metrics": model.metrics,
        "weighted_metrics": model.weighted_metrics,
        "sample_weight_mode": model.sample_weight_mode,
        "loss_weights": model.loss_weights,
    }


def training_config_of_keras_3(config: Any) -> Any:
    """The training configuration in the configuration of a model of Keras 3; None where it has none."""
    found = config.get("compile_config") if isinstance(config, dict) else None
    if not isinstance(found, dict) or not found.get("optimizer"):
        return None
    found = in_words_of_keras_2(found)
    optimizer = found.get("optimizer")
    if isinstance(optimizer, str):
        optimizer = {"class_name": optimizer, "config": {}}
    return {**found, "optimizer_config": optimizer}


def config_value(value: Any) -> Any:
    """What JSON writes for functions and for objects that have a configuration; see `json_value`."""
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    return json_value(value)


def has_no_loss(loss: Any) -> bool:
    """Whether the argument `loss` of `compile` gives no output a loss."""
    return is_all_none(list(loss.values()) if isinstance(loss, dict) else loss)


def compile_arguments(config: Any, custom_objects: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `compile`, except the optimizer, from a training configuration.

    Parameters
    ----------
    config : dict
    custom_objects : mapping
        Losses and metrics by the names that the configuration uses.

    Raises
    ------
    ValueError
        If a loss has options that this library does not have.
    """
    if not isinstance(config, dict):
        raise ValueError(f"Improper training config: expected a dict, got {type(config).__name__}")
    known = {**get_custom_objects(), **custom_objects}
    return {
        "loss": _named(_losses(_made(config.get("loss"), losses, known)), known),
        "metrics": _named(_metrics(_made(config.get("metrics"), metrics, known)), known),
        "weighted_metrics": _named(_metrics(_made(config.get("weighted_metrics"), metrics, known)), known),
        "loss_weights": config.get("loss_weights"),
        "sample_weight_mode": config.get("sample_weight_mode"),
    }


def optimizer_config(config: Any, accepted: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the optimizer under Keras' names of arguments.

    Parameters
    ----------
    config : dict
        The training configuration.
    accepted : mapping
        The arguments that optimizers of this library have, by class: an iterable of names.
    """
    found = config.get("optimizer_config") if isinstance(config, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        raise ValueError(f"Improper training config: expected an optimizer_config, got {found!r}"[:200])
    # tf.keras says so of its own optimizers.
    class_name = str(found.get("class_name")).removeprefix("Custom>")
    known = accepted.get(class_name)
    arguments = {_RENAMED.get(name, name): value for name, value in found["config"].items()}
    if known is not None:
        arguments = {
            name: value
            for name, value in arguments.items()
            if name in known or name not in _NEUTRAL or not _is_neutral(name, value)
        }
    if class_name == "Nadam" and "weight_decay" in found["config"]:
        # Keras 3 warms the momentum up by 0.96^t, Keras 2 by 0.96^(t · schedule_decay).
        arguments.setdefault("schedule_decay", 1.0)
    return {"class_name": class_name, "config": arguments}


def _is_neutral(name: str, value: Any) -> bool:
    values = _NEUTRAL[name]
    return values is None or value in values


def _named(value: Any, custom_objects: Mapping[str, Any]) -> Any:
    """`value` with the names of custom objects replaced by the objects, at any depth."""
    if isinstance(value, list):
        return [_named(entry, custom_objects) for entry in value]
    if isinstance(value, dict):
        return {key: _named(entry, custom_objects) for key, entry in value.items()}
    return custom_objects.get(value, value) if isinstance(value, str) else value


def _made(value: Any, module: Any, custom_objects: Mapping[str, Any]) -> Any:
    """`value` with the objects of custom classes in the place of their descriptions, at any depth."""
    if _is_object(value) and value["class_name"] in custom_objects:
        return module.deserialize(value, custom_objects)
    if isinstance(value, list):
        return [_made(entry, module, custom_objects) for entry in value]
    if isinstance(value, dict):
        return {key: _made(entry, module, custom_objects) for key, entry in value.items()}
    return value


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= {"class_name", "config"}


def _function_name(class_name: str) -> str:
    """`CategoricalCrossentropy` -> `categorical_crossentropy`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", class_name).lower()


def _losses(value: Any) -> Any:
    """Losses by name, where tf.keras writes objects."""
    if isinstance(value, list):
        return [_losses(entry) for entry in value]
    if isinstance(value, dict) and not _is_object(value):
        return {key: _losses(entry) for key, entry in value.items()}
    if not _is_object(value):
        return value
    options = value["config"] if isinstance(value["config"], dict) else {}
    name = str(options.get("fn") or _function_name(str(value["class_name"])))
    if _is_plain(options) and callable(getattr(losses, name, None)):
        return name
    made = _object(getattr(losses, str(value["class_name"]), None), losses.Loss, options)
    if made is None:
        raise ValueError(f"the loss {value['class_name']} with {options} is not supported")
    return made


def _is_plain(options: Mapping[str, Any]) -> bool:
    return all(options.get(key, values[0]) in values for key, values in _PLAIN.items())


def _object(made_by: Any, base: type, options: Mapping[str, Any]) -> Any:
    """A loss or metric of the library with these options; None where it has not got them."""
    if not (isinstance(made_by, type) and issubclass(made_by, base)):
        return None
    known = {name: value for name, value in options.items() if has_arg(made_by.__init__, name)}
    # A dtype, or what later versions added and is not used.
    others = {name: value for name, value in options.items() if name not in known and name != "dtype"}
    if any(value and value not in _PLAIN.get(name, ()) for name, value in others.items()):
        return None
    if not isinstance(known.get("dtype", ""), str):
        del known["dtype"]
    return made_by(**known)


def _metrics(value: Any) -> Any:
    """Metrics by name, where tf.keras writes objects. Unknown ones are left out, with a warning."""
    if isinstance(value, list):
        found = [_metrics(entry) for entry in value]
        return [entry for entry in found if entry is not None]
    if isinstance(value, dict) and not _is_object(value):
        return {key: _metrics(entry) for key, entry in value.items()}
    if not _is_object(value):
        return value
    options = value["config"] if isinstance(value["config"], dict) else {}
    if options.get("name") in ("acc", "accuracy"):
        return options["name"]
    name = str(options.get("fn") or _function_name(str(value["class_name"])))
    made_by = getattr(metrics, str(value["class_name"]), None)
    mean = not isinstance(made_by, type) or issubclass(made_by, metrics.MeanMetricWrapper)
    if mean and _is_plain(options) and callable(getattr(metrics, name, None)):
        return name
    made = _object(made_by, metrics.Metric, options)
    if made is not None:
        return made
    warn_user(f"The metric {value['class_name']} of the file is not supported and left out.")
    return None
