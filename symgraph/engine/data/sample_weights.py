"""Sample weights and class weights: from what users pass to one array of weights per output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine.data.rows import in_parts
from symgraph.engine.data.symbolic import sizes
from symgraph.engine.data.tables import numbers
from symgraph.utils.warn_user import warn_user


def standardize_sample_or_class_weights(
    x_weight: Any, output_names: Sequence[str], weight_type: str
) -> list[Any]:
    """One entry of `sample_weight` or `class_weight` for each output.

    Parameters
    ----------
    x_weight : array, list, dict or None
        The argument as the user gave it: for one output the weights themselves, for several a list or a dict
        from output names to weights.
    output_names : sequence of str
    weight_type : str
        The argument's name, for errors.

    Returns
    -------
    list
        As long as `output_names`; None where an output has no weights.

    Raises
    ------
    ValueError, TypeError
        If a list has another length than `output_names`, or the argument is no list or dict for several
        outputs.
    """
    if x_weight is None:
        return [None for _ in output_names]
    if not hasattr(x_weight, "__len__") or getattr(x_weight, "ndim", 1) == 0:
        raise TypeError(f"`{weight_type}` should hold one weight for each sample or class, got {x_weight!r}")
    if len(output_names) > 1 and not isinstance(x_weight, list | dict):
        raise TypeError(
            f"The model has multiple outputs, so `{weight_type}` should be either a list or a dict. "
            f"Provided `{weight_type}` type not understood: {x_weight!r}"
        )
    if len(x_weight) == 0:
        return [None for _ in output_names]
    if len(output_names) == 1:
        if isinstance(x_weight, list | tuple) and len(x_weight) == 1:
            return list(x_weight)
        if isinstance(x_weight, dict) and weight_type == "sample_weight" and {*x_weight} != {*output_names}:
            raise ValueError(
                f"Unknown entries in `sample_weight`: {list(x_weight)}, expected {list(output_names)}"
            )
        if isinstance(x_weight, dict) and output_names[0] in x_weight:
            return [x_weight[output_names[0]]]
        return [x_weight]
    if isinstance(x_weight, list):
        if len(x_weight) != len(output_names):
            raise ValueError(
                f"Provided `{weight_type}` was a list of {len(x_weight)} elements, but the model has "
                f"{len(output_names)} outputs. You should provide one `{weight_type}` array per model output."
            )
        return list(x_weight)
    unknown = sorted(str(name) for name in x_weight if name not in output_names)
    if unknown:
        raise ValueError(
            f"Unknown entries in `{weight_type}`: {', '.join(unknown)}. The model has several outputs, "
            f"so its keys are expected to be among {list(output_names)}."
        )
    return [x_weight.get(name) for name in output_names]


def of_fed_outputs(
    x_weight: Any, fed_names: Sequence[str], output_names: Sequence[str], weight_type: str
) -> Any:
    """The weights of those outputs that users pass targets for.

    Weights may be keyed as `target_tensors` are, by all outputs. Those of an output whose target comes from
    the graph, or that has no loss, count for nothing, as in Keras; a warning says so.

    Parameters
    ----------
    x_weight : array, list, dict or None
        The argument as the user gave it.
    fed_names, output_names : sequence of str
        The outputs whose targets users pass, and all of them.
    weight_type : str
        The argument's name, for the warning.
    """
    if x_weight is None or len(fed_names) == len(output_names):
        return x_weight
    idle = [name for name in output_names if name not in fed_names]
    used: Any
    if isinstance(x_weight, dict) and any(name in x_weight for name in idle):
        named = [name for name in idle if x_weight.get(name) is not None]
        used = {key: value for key, value in x_weight.items() if key not in idle}
    elif _has_entry_for_each(x_weight, output_names):
        named = [name for name in idle if x_weight[output_names.index(name)] is not None]
        used = [x_weight[output_names.index(name)] for name in fed_names]
    else:
        named, used = ([], x_weight) if fed_names else (idle, None)
    if named:
        warn_user(
            f"`{weight_type}` has no effect on {', '.join(named)}: only outputs whose targets are passed as "
            "data have weights, not those with `target_tensors` or without a loss.",
        )
    return used or None if isinstance(used, dict) else used


def _has_entry_for_each(x_weight: Any, output_names: Sequence[str]) -> bool:
    """Whether this is a list of weights by output, not a list of numbers that are the weights of one."""
    entries = isinstance(x_weight, list | tuple) and len(x_weight) == len(output_names)
    return entries and all(entry is None or hasattr(entry, "__len__") for entry in x_weight)


def standardize_class_weights(class_weight: Any, output_names: Sequence[str]) -> list[Any]:
    """One `class_weight` for each output; see `standardize_sample_or_class_weights`."""
    return standardize_sample_or_class_weights(class_weight, output_names, "class_weight")


def standardize_sample_weights(sample_weight: Any, output_names: Sequence[str]) -> list[Any]:
    """One `sample_weight` for each output; see `standardize_sample_or_class_weights`."""
    return standardize_sample_or_class_weights(sample_weight, output_names, "sample_weight")


def standardize_weights(
    y: Any,
    sample_weight: Any = None,
    class_weight: Any = None,
    sample_weight_mode: str | None = None,
) -> np.ndarray:
    """The weights of the samples (or of their time steps) of one output.

    Parameters
    ----------
    y : array-like, shape (samples, ...)
        Targets of that output.
    sample_weight : array-like, optional
        Shape (samples,), or (samples, steps) in the mode 'temporal'.
    class_weight : dict, optional
        From class numbers to weights. Not used (with a warning) if `sample_weight` is given.
    sample_weight_mode : str, optional
        None or 'temporal'.

    Returns
    -------
    ndarray of `K.floatx()`
        Shape (samples,), or (samples, steps) in the mode 'temporal'; ones if no weights are given.

    Raises
    ------
    ValueError, TypeError
        If the weights do not suit the targets or the mode, or a class has no weight.
    """
    y_shape = sizes(y)
    _check_mode(y_shape, sample_weight_mode)
    if sample_weight is not None:
        if class_weight is not None:
            warn_user(
                "Found both `sample_weight` and `class_weight`: `class_weight` argument will be ignored.",
            )
        return _checked_sample_weights(
            y_shape, np.asarray(numbers(sample_weight, " for sample_weight")), sample_weight_mode
        )
    if isinstance(class_weight, str) and class_weight == "auto":
        # A value of the first Keras, which scripts went on to pass long after it had no effect.
        warn_user("class_weight='auto' has no effect, as in Keras 2: pass a dict.")
    elif class_weight is not None:
        return _weights_of_classes(y, class_weight)
    return np.ones([size or 0 for size in y_shape[: 1 if sample_weight_mode is None else 2]], K.floatx())


def _check_mode(y_shape: tuple[int | None, ...], mode: str | None) -> None:
    if mode not in (None, "temporal"):
        raise ValueError(f'"sample_weight_mode" should be None or "temporal". Found: {mode!r}')
    if mode == "temporal" and len(y_shape) < 3:
        raise ValueError(
            f"Found a sample_weight array for an input with shape {y_shape}. Timestep-wise sample weighting "
            '(use of sample_weight_mode="temporal") is restricted to outputs that are at least 3D, i.e. that '
            "have a time dimension."
        )


def _checked_sample_weights(
    y_shape: tuple[int | None, ...], weights: np.ndarray, mode: str | None
) -> np.ndarray:
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"sample_weight: expected numbers, got an array of dtype {weights.dtype}")
    if mode is None and weights.ndim != 1:
        raise ValueError(
            f"Found a sample_weight array with shape {weights.shape}. In order to use timestep-wise sample "
            'weights, you should specify sample_weight_mode="temporal" in compile(). If you just mean to use '
            "sample-wise weights, make sure your sample_weight array is 1D."
        )
    if mode == "temporal" and weights.ndim != 2:
        raise ValueError(
            f"Found a sample_weight array with shape {weights.shape}. In order to use timestep-wise sample "
            "weighting, you should pass a 2D sample_weight array."
        )
    if mode == "temporal" and weights.shape[1] != y_shape[1]:
        raise ValueError(
            f"Found a sample_weight array with shape {weights.shape} for an input with shape {y_shape}. "
            "sample_weight cannot be broadcast."
        )
    if weights.shape[0] != y_shape[0]:
        raise ValueError(
            "Sample_weight arrays should have the same number of samples as target arrays. "
            f"Got {y_shape[0]} input samples and {weights.shape[0]} sample weights."
        )
    return weights.astype(K.floatx(), copy=False)


def _weights_of_classes(y: Any, class_weight: Any) -> np.ndarray:
    if not isinstance(class_weight, dict):
        raise TypeError(f"`class_weight` should be a dict from classes to weights, got {class_weight!r}")
    if len(y.shape) > 2:
        raise ValueError(
            f"`class_weight` not supported for 3+ dimensional targets; got shape {tuple(y.shape)}."
        )
    one_hot = len(y.shape) == 2 and y.shape[1] > 1
    labels = np.concatenate(
        [np.argmax(part, axis=1) if one_hot else part.reshape(-1) for part in in_parts(y)]
    )
    classes, positions = np.unique(labels, return_inverse=True)
    missing = {value for value in classes.tolist() if value not in class_weight}
    if missing:
        raise ValueError(
            f"`class_weight` must contain all classes in the data. The classes {missing} exist in the data "
            "but not in `class_weight`."
        )
    try:
        weights = np.asarray([class_weight[value] for value in classes.tolist()], K.floatx())
    except (ValueError, TypeError):
        raise TypeError(f"`class_weight` should hold a number for each class, got {class_weight!r}") from None
    return weights[positions.reshape(-1)]
