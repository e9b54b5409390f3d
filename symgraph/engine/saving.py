"""Models and weights in HDF5 files, and models from JSON and YAML, in Keras' formats."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import h5py
import numpy as np

from symgraph import backend as K
from symgraph import optimizers
from symgraph.distributed.together import written_by_first
from symgraph.engine.files.compile_config import (
    LOSSES_OF_LAYERS,
    compile_arguments,
    config_value,
    has_no_loss,
    optimizer_config,
    training_config,
    training_config_of_keras_3,
)
from symgraph.engine.files.groups import (
    load_attributes_from_hdf5_group,
    load_weights_from_hdf5_group,
    load_weights_from_hdf5_group_by_name,
    save_attributes_to_hdf5_group,
    save_weights_to_hdf5_group,
)
from symgraph.engine.files.hdf5 import (
    HDF5_OBJECT_HEADER_LIMIT,
    SPARE_NUMBERS,
    load_by_name,
    load_in_order,
    most_numbers,
    names_of,
    write_arrays,
    write_layers,
)
from symgraph.engine.files.keras1 import modern_model
from symgraph.engine.files.keras3 import in_words_of_keras_2
from symgraph.engine.files.keras_archive import (
    CONFIG,
    WEIGHTS,
    KerasArchive,
    is_archive,
    read_archive,
)
from symgraph.engine.files.layer_config import KERAS_BACKEND, KERAS_VERSION, deserialize
from symgraph.engine.files.layer_order import check_shapes, layers_in_file_order, remember_order
from symgraph.engine.files.optimizer_state import StoredState, restore_state, stored_state
from symgraph.engine.files.tf_keras import translated
from symgraph.engine.files.yaml_config import read_yaml
from symgraph.engine.weights.assignment import hand_over
from symgraph.engine.weights.budget import weight_budget
from symgraph.engine.weights.conversion import preprocess_weights_for_loading
from symgraph.engine.weights.order import as_reloaded
from symgraph.initializers import deferred
from symgraph.utils.config_errors import config_errors
from symgraph.utils.hdf5_reader import GuardedGroup, open_hdf5
from symgraph.utils.io_utils import ask_to_proceed_with_overwrite, atomic_path
from symgraph.utils.warn_user import warn_user

__all__ = [
    "HDF5_OBJECT_HEADER_LIMIT",
    "load_attributes_from_hdf5_group",
    "load_model",
    "load_weights",
    "load_weights_from_hdf5_group",
    "load_weights_from_hdf5_group_by_name",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "pickle_model",
    "preprocess_weights_for_loading",
    "save_attributes_to_hdf5_group",
    "save_model",
    "save_weights",
    "save_weights_to_hdf5_group",
    "unpickle_model",
]

Target: TypeAlias = str | os.PathLike[str] | h5py.Group
CustomObjects: TypeAlias = Mapping[str, Any] | None


# -- writing -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _written(target: Target, overwrite: bool) -> Iterator[h5py.Group | None]:
    """A group to write to: a new file that appears under its name when it is whole, or an open group.

    None where the user does not want an existing file to be replaced, and on all but the first of several
    processes that train together: they go on when it has written.
    """
    if isinstance(target, h5py.Group):
        yield target
        return
    with written_by_first() as is_writer:
        kept = is_writer and not overwrite and os.path.isfile(target)
        if not is_writer or (kept and not ask_to_proceed_with_overwrite(target)):
            yield None
            return
        with atomic_path(target) as temporary:
            with h5py.File(temporary, "w", driver="core", backing_store=False) as file:
                yield file
                file.flush()
                image = file.id.get_file_image()
            # Written here, not by HDF5: when the disk is full, or Ctrl-C comes, while it writes itself, it
            # cannot close its file any more, and the process crashes at its end.
            temporary.write_bytes(image)


def save_model(model: Any, filepath: Target, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write configuration, weights and the optimizer's state to one HDF5 file.

    Parameters
    ----------
    model : Model
    filepath : path or h5py.Group
        A file is written beside and renamed: a crash leaves the old file or the new one.
    overwrite : bool
        False asks before an existing file is replaced.
    include_optimizer : bool
        Also store the arguments of `compile` and the state of the optimizer.
    """
    with _written(filepath, overwrite) as group:
        if group is not None:
            _write_model(group, model, include_optimizer)


def _write_model(group: h5py.Group, model: Any, include_optimizer: bool) -> None:
    described = {"class_name": type(model).__name__, "config": model.get_config()}
    group.attrs["keras_version"] = KERAS_VERSION.encode()
    group.attrs["backend"] = KERAS_BACKEND.encode()
    group.attrs["model_config"] = json.dumps(described, default=config_value).encode("utf-8")
    write_layers(group.create_group("model_weights"), model.layers, as_reloaded)
    if not include_optimizer or not model.optimizer:
        return
    group.attrs["training_config"] = json.dumps(training_config(model), default=config_value).encode("utf-8")
    state = model.optimizer.weights
    if state:
        inside = group.create_group("optimizer_weights")
        write_arrays(inside, names_of(state), K.batch_get_value(state))
        # Keras' files leave this out, and Keras does not look at it.
        for name, variable in model.optimizer.further_state().items():
            inside.attrs[name] = K.get_value(variable)


def save_weights(model: Any, filepath: Target, overwrite: bool = True) -> None:
    """Write the weights of all layers to an HDF5 file; parameters as of `save_model`."""
    with _written(filepath, overwrite) as group:
        if group is not None:
            write_layers(group, model.layers)


# -- reading -------------------------------------------------------------------------------------------------


def load_weights(
    model: Any,
    filepath: Any,
    by_name: bool = False,
    skip_mismatch: bool = False,
    reshape: bool = False,
) -> None:
    """Read weights from an HDF5 file, one of weights or of a whole model.

    Parameters
    ----------
    model : Model
    filepath : path or h5py.Group
    by_name : bool
        Match layers by name instead of by order; layers without a name in the file are left alone.
    skip_mismatch : bool
        With `by_name`: also leave layers alone whose weights do not fit, with a warning.
    reshape : bool
        Accept arrays of another shape with the right number of elements.

    Raises
    ------
    ValueError
        If the file does not fit the model, or cannot be trusted, or the model has no shapes yet; no weight is
        changed then.
    OSError
        If the file cannot be read.
    """
    if skip_mismatch and not by_name:
        raise ValueError(
            "When calling load_weights, skip_mismatch can be set to True only when by_name is True."
        )
    if not model.built and not any(layer.weights for layer in model.layers):
        raise ValueError(
            f"{model.name} has no weights yet to load others into: call it on data first (fit, predict), or "
            "build(input_shape) a Sequential"
        )
    with _weights_file(filepath) as file, config_errors(file.label):
        group = _weights_group(file)
        if by_name:
            assignments = load_by_name(group, model.layers, skip_mismatch, reshape)
        else:
            assignments = load_in_order(group, layers_in_file_order(group, model), reshape)
    hand_over(assignments)


@contextlib.contextmanager
def _weights_file(filepath: Any) -> Iterator[GuardedGroup]:
    """The HDF5 file of weights, which `.keras` files hold inside."""
    if is_archive(filepath):
        archive = read_archive(filepath)
        with open_hdf5(io.BytesIO(archive.weights), f"{archive.label}, {WEIGHTS}") as file:
            yield file
    else:
        with open_hdf5(filepath) as file:
            yield file


def _weights_group(file: GuardedGroup) -> GuardedGroup:
    has_layers = "layer_names" in file.group.attrs or "layer_names0" in file.group.attrs
    return file.subgroup("model_weights") if not has_layers and "model_weights" in file else file


def load_model(
    filepath: Any, custom_objects: CustomObjects = None, compile: bool = True, *, safe_mode: bool = True
) -> Any:
    """Read a model from a file that `save_model`, Keras 2 or tf.keras 2 has written.

    Parameters
    ----------
    filepath : path, h5py.Group or binary file object
    custom_objects : mapping, optional
        Classes and functions of your own, by the names that the file uses.
    compile : bool
        Also compile the model and restore the optimizer's state, as far as the file has them.
    safe_mode : bool
        Only an explicit False loads functions that are stored as bytecode, which can do anything.

    Returns
    -------
    Model

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it holds no model, does not fit together, or cannot be trusted.
    """
    if is_archive(filepath):
        return _load_archive(read_archive(filepath), custom_objects, compile, safe_mode)
    with open_hdf5(filepath) as file, config_errors(file.label):
        described = file.text("model_config")
        if described is None:
            raise ValueError(
                f"{file.label}: No model found in config file. It may hold weights only: build the model "
                "and call load_weights"
            )
        config, weights = _json(described, f"{file.label}: model_config"), file.subgroup("model_weights")
        with weight_budget(most_numbers(weights)), deferred():
            model = _deserialized(config, custom_objects, safe_mode)
        hand_over(load_in_order(weights, layers_in_file_order(weights, model)))
        if compile:
            text = file.text("training_config")
            training = None if text is None else _json(text, f"{file.label}: training_config")
            if _compile(model, file.label, training, dict(custom_objects or {})):
                _restore(model, stored_state(file, weights), file.label)
    return model


def _load_archive(
    archive: KerasArchive, custom_objects: CustomObjects, compile: bool, safe_mode: bool
) -> Any:
    """The model of a `.keras` file of Keras 3."""
    with config_errors(archive.label):
        config = _json(archive.config, f"{archive.label}: {CONFIG}")
        with weight_budget(SPARE_NUMBERS + len(archive.weights)), deferred():
            model = _deserialized(config, custom_objects, safe_mode)
        with open_hdf5(io.BytesIO(archive.weights), f"{archive.label}, {WEIGHTS}") as file:
            hand_over(load_in_order(file, model.layers))
            training = training_config_of_keras_3(config) if compile else None
            if compile and _compile(model, archive.label, training, dict(custom_objects or {})):
                _restore(model, stored_state(file, file), archive.label)
    return model


def _compile(model: Any, label: str, config: Any, custom_objects: dict[str, Any]) -> bool:
    """Compile `model` as the file says; whether it did."""
    if config is None:
        warn_user(
            "No training configuration found in save file: the model was *not* compiled. Compile it "
            "manually.",
        )
        return False
    try:
        with config_errors("training_config"):
            settings = optimizer_config(config, _optimizer_arguments())
            optimizer = optimizers.deserialize(settings, custom_objects=custom_objects)
            arguments = compile_arguments(config, custom_objects)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{label}: the training configuration cannot be used ({error}). Pass missing objects in "
            "custom_objects, or load with compile=False"
        ) from error
    lost = len(model.losses) < _count(config.get(LOSSES_OF_LAYERS))
    only_lost = has_no_loss(arguments["loss"]) and (lost or not model.losses)
    if lost or only_lost:
        warn_user(
            "The model had losses of `add_loss`, which files do not keep. Add them and compile the model"
            + (", which was *not* compiled." if only_lost else "."),
        )
    if only_lost:
        return False
    with config_errors(f"{label}: training_config"):
        model.compile(optimizer, **arguments)
    return True


def _restore(model: Any, state: StoredState | None, label: str) -> None:
    """Give the optimizer its stored state, or warn that the file has another one."""
    if state is None:
        return
    with config_errors(label):
        if not restore_state(model, state):
            warn_user(
                "Error in loading the saved optimizer state. As a result, your model is starting with a "
                "freshly initialized optimizer.",
            )


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _optimizer_arguments() -> dict[str, list[str]]:
    """The arguments of each optimizer class of this library."""
    classes = inspect.getmembers(optimizers, inspect.isclass)
    return {
        name: list(inspect.signature(cls).parameters)
        for name, cls in classes
        if issubclass(cls, optimizers.Optimizer)
    }


def _json(text: str, label: str) -> Any:
    try:
        value = json.loads(text)
        # Some scripts of the time wrote what `to_json` returned as JSON once more.
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"{label} is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{label} is nested deeper than any model") from error


def _deserialized(config: Any, custom_objects: CustomObjects, safe_mode: bool) -> Any:
    with config_errors("model_config"):
        old = modern_model(config, custom_objects or ())
        described = translated(in_words_of_keras_2(old.config, custom_objects or ()), custom_objects or ())
        model = deserialize(described, custom_objects, safe_mode=safe_mode)
        check_shapes(model, old.shapes)
        remember_order(model, old.order)
        return model


# -- configurations ------------------------------------------------------------------------------------------


def model_from_config(config: Any, custom_objects: CustomObjects = None, *, safe_mode: bool = True) -> Any:
    """Make a model, with new weights, from a configuration with the name of its class.

    Parameters
    ----------
    config : dict
    custom_objects : mapping, optional
        Classes and functions of your own, by the names that the configuration uses.
    safe_mode : bool
        Only an explicit False loads functions that are stored as bytecode.

    Raises
    ------
    TypeError
        If `config` is a list, as old Sequential models have it.
    ValueError
        If it describes no model.
    """
    if isinstance(config, list):
        raise TypeError(
            "`model_from_config` expects a dictionary, not a list. Maybe you meant to use "
            "`Sequential.from_config(config)`?"
        )
    return _deserialized(config, custom_objects, safe_mode)


def model_from_json(json_string: str, custom_objects: CustomObjects = None, *, safe_mode: bool = True) -> Any:
    """Make a model, with new weights, from what `to_json` returned; parameters as of `model_from_config`."""
    return model_from_config(_json(json_string, "the model's text"), custom_objects, safe_mode=safe_mode)


def model_from_yaml(yaml_string: str, custom_objects: CustomObjects = None, *, safe_mode: bool = True) -> Any:
    """Make a model, with new weights, from what `to_yaml` returned; parameters as of `model_from_config`."""
    return model_from_config(read_yaml(yaml_string), custom_objects, safe_mode=safe_mode)


# -- pickle --------------------------------------------------------------------------------------------------


def pickle_model(model: Any) -> dict[str, Any]:
    """The state of a model for `pickle`: the bytes of the file that `save_model` writes."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        save_model(model, file)
    return {"hdf5": np.frombuffer(memory.getvalue(), np.uint8)}


def unpickle_model(state: Mapping[str, Any]) -> Any:
    """The model of a state that `pickle_model` returned."""
    with warnings.catch_warnings():
        # A model that was never compiled has no training configuration, and that is as it should be.
        warnings.filterwarnings("ignore", "No training configuration found")
        return load_model(io.BytesIO(state["hdf5"].tobytes()))
