"""Configurations that Keras 3 and late tf.keras 2 wrote, in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, TypeAlias

from symgraph.utils.warn_user import warn_user

Config: TypeAlias = dict[str, Any]

_TENSOR = "__keras_tensor__"
_LAMBDA = "__lambda__"
_NETWORKS = ("Functional", "Model", "Sequential")
# Policies that compute with other numbers than their weights are: here with the weights'.
_WEIGHT_TYPES = {"mixed_float16": "float32", "mixed_bfloat16": "float32"}
_MASKS = (("class_name", "Masking"), ("mask_zero", True))
_POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy")


def in_words_of_keras_2(config: Any, known: Container[str] = ()) -> Any:
    """Translate a configuration of anything, with all parts inside. What Keras 2 wrote stays as it is.

    Parameters
    ----------
    config : object
    known : container of str
        Names of classes that stay as they are, but for their types of numbers.

    Raises
    ------
    ValueError
        If it has a type of numbers, or calls layers with arguments, that this library does not have.
    """
    pairs = list(_pairs(config))
    if ("zero_output_for_mask", True) in pairs and any(pair in pairs for pair in _MASKS):
        warn_user(
            "Where steps of a sequence are masked, Bidirectional(return_sequences=True) gave zeros in the "
            "Keras that wrote the model. Here it gives its last output again, as in Keras 2.",
        )
    return _translated(config, known)


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    """The options that are words, or true or false, at any depth."""
    if isinstance(value, dict):
        yield from ((key, part) for key, part in value.items() if isinstance(part, str | bool))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _pairs(part)


def _translated(config: Any, known: Container[str]) -> Any:
    if isinstance(config, list):
        return [_translated(entry, known) for entry in config]
    if not isinstance(config, dict):
        return config
    if _is_function(config):
        return config["config"]
    result = {key: _translated(value, known) for key, value in config.items()}
    name, inner = result.get("class_name"), result.get("config")
    if not isinstance(name, str) or not isinstance(inner, dict):
        return result
    if isinstance(inner.get("dtype"), dict):
        inner["dtype"] = _number_type(inner["dtype"])
    if name in known:
        return result
    if name == "InputLayer" and "batch_shape" in inner:
        inner["batch_input_shape"] = inner.pop("batch_shape")
    if name == "Lambda":
        inner.update(_function(inner, "function"))
    if name == "Bidirectional" and "backward_layer" in inner:
        _check_backward(inner)
    if name in _NETWORKS and isinstance(inner.get("layers"), list):
        inner["layers"] = _joined(inner["layers"])
    return result


def _is_function(config: Config) -> bool:
    """Whether it stands for a function by its name."""
    return config.get("class_name") == "function" and isinstance(config.get("config"), str)


def _number_type(policy: Config) -> Any:
    """The type of numbers of a layer, by its policy."""
    options = policy.get("config")
    name = options.get("name") if isinstance(options, dict) else None
    if policy.get("class_name") not in _POLICIES or not isinstance(name, str):
        raise ValueError(f"dtype: expected one of the policies {', '.join(_POLICIES)}, got {policy!r:.200}")
    return _WEIGHT_TYPES.get(name, name)


def _function(config: Config, key: str) -> Config:
    """The function of a `Lambda` as Keras 2 stores it."""
    stored = config.get(key)
    if isinstance(stored, str) and f"{key}_type" not in config:
        return {f"{key}_type": "function"}
    code = stored.get("config") if isinstance(stored, dict) and stored.get("class_name") == _LAMBDA else None
    if not isinstance(code, dict):
        return {}
    return {key: [code.get(part) for part in ("code", "defaults", "closure")], f"{key}_type": "lambda"}


_OWN_NAME = ("name", "go_backwards", "shared_object_id")


def _check_backward(config: Config) -> None:
    """Drop the second layer of a `Bidirectional`, which Keras 2 makes of the first one.

    ValueError if it is no mirror image.
    """
    layers = [config.get("layer"), config.pop("backward_layer")]
    if layers[1] is None:
        return
    inner = [layer.get("config") if isinstance(layer, dict) else None for layer in layers]
    forward, backward = ({k: v for k, v in (c or {}).items() if k not in _OWN_NAME} for c in inner)
    turned = bool((inner[0] or {}).get("go_backwards")) != bool((inner[1] or {}).get("go_backwards"))
    if _without_ids(forward) != _without_ids(backward) or not turned:
        raise ValueError(
            f"Bidirectional {config.get('name')}: a backward_layer that is no mirror image of the layer "
            "is not supported"
        )


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_ids(part) for key, part in value.items() if key != "shared_object_id"}
    return [_without_ids(part) for part in value] if isinstance(value, list) else value


# -- calls -------------------------------------------------------------------------------------------------


def _joined(layers: Sequence[Any]) -> list[Any]:
    """The layers of a functional model with Keras 2's lists of what they are called on."""
    networks = {
        entry.get("name")
        for entry in layers
        if isinstance(entry, dict) and entry.get("class_name") in _NETWORKS
    }
    result = []
    for entry in layers:
        calls = entry.get("inbound_nodes") if isinstance(entry, dict) else None
        if isinstance(calls, list):
            made = [_call(call, networks, str(entry.get("name"))) for call in calls]
            entry = {**entry, "inbound_nodes": made}
        result.append(entry)
    return result


def _call(call: Any, networks: Container[Any], layer: str) -> Any:
    if isinstance(call, list):
        return _with_states(call)
    if not isinstance(call, dict) or not isinstance(call.get("args"), list):
        return call
    joints = [_joint(tensor, networks, layer) for tensor in _tensors(call["args"], layer)]
    options = {}
    for key, value in (call.get("kwargs") or {}).items():
        if key == "initial_state" and value is not None:
            joints += [_joint(tensor, networks, layer) for tensor in _tensors([value], layer)]
        elif value is not None:
            options[key] = value
    if any(_has_tensor(value) for value in options.values()):
        raise ValueError(f"layer {layer}: tensors as the arguments {', '.join(options)} are not supported")
    return [[*joint, options if number == 0 else {}] for number, joint in enumerate(joints)]


def _with_states(call: list[Any]) -> list[Any]:
    """tf.keras writes the layers of initial states as an argument."""
    states = [joint[3].get("initial_state") for joint in call if _has_options(joint)]
    if not any(isinstance(state, list) for state in states):
        return call
    result = []
    for joint in call:
        options = dict(joint[3]) if _has_options(joint) else {}
        further = options.pop("initial_state", None) or []
        result += [[*joint[:3], options], *([*state[:3], {}] for state in _listed(further))]
    return result


def _listed(states: list[Any]) -> list[Any]:
    return [states] if states and isinstance(states[0], str) else states


def _has_options(joint: Any) -> bool:
    return isinstance(joint, list) and len(joint) == 4 and isinstance(joint[3], dict)


def _tensors(values: Sequence[Any], layer: str) -> Iterator[Config]:
    for value in values:
        if isinstance(value, list):
            yield from _tensors(value, layer)
        elif _has_tensor(value):
            yield value
        elif value is not None:
            raise ValueError(f"layer {layer}: expected tensors in its call, got {value!r:.80}")


def _has_tensor(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_tensor(part) for part in value)
    return isinstance(value, dict) and value.get("class_name") == _TENSOR


def _joint(tensor: Config, networks: Container[Any], layer: str) -> list[Any]:
    options = tensor.get("config")
    history = options.get("keras_history") if isinstance(options, dict) else None
    if not isinstance(history, list) or len(history) != 3 or not isinstance(history[1], int):
        raise ValueError(f"layer {layer}: expected the keras_history of a tensor, got {tensor!r:.200}")
    # In Keras 2 a model has a call of its own, that joins its inputs to its outputs, before all others.
    return [history[0], history[1] + (history[0] in networks), history[2]]
