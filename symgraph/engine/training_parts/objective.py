"""What training minimises and what it reports: losses, their weights, targets, sample weights and metrics.

`build_objective` turns the arguments of `Model.compile` into graph nodes without touching the model, so a
wrong argument leaves the model as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from symgraph import backend as K
from symgraph import losses, metrics
from symgraph.engine.base_layer import Layer
from symgraph.engine.data.checks import is_library_loss
from symgraph.engine.layer.node import previous_mask
from symgraph.engine.training_parts.loss_shapes import check_pairing
from symgraph.globals import TF_KERAS, answers_as, tensorflow_version
from symgraph.losses.reduction import Loss, Reduction, weighted_loss
from symgraph.utils.generic_utils import nearest_name, to_list
from symgraph.utils.warn_user import warn_user

LossFunction = Callable[..., Any]


@dataclass(slots=True)
class Objective:
    """The nodes that `compile` writes. All lists but the `feed_` ones have an entry for every output."""

    loss_functions: list[LossFunction | None]
    targets: list[Any]
    sample_weights: list[Any]
    sample_weight_modes: list[str | None]
    total_loss: Any = None
    #: Which outputs are compared with targets that users pass.
    fed: list[int] = field(default_factory=list)
    metrics_names: list[str] = field(default_factory=lambda: ["loss"])
    metrics_tensors: list[Any] = field(default_factory=list)
    metrics_updates: list[Any] = field(default_factory=list)
    stateful_metric_names: list[str] = field(default_factory=list)
    stateful_metric_functions: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Output:
    """An output with everything that it is compared with."""

    name: str
    tensor: Any
    target: Any
    sample_weight: Any
    mask: Any
    loss: LossFunction
    several: bool


class NetworkEnds(Protocol):
    """A network as its objective sees it: its ends, and the losses of its layers."""

    outputs: list[Any]
    output_names: list[str]

    @property
    def losses(self) -> list[Any]:
        """Losses of all layers."""


def build_objective(
    model: NetworkEnds,
    loss: Any,
    metric_names: Any = None,
    loss_weights: Any = None,
    sample_weight_mode: Any = None,
    weighted_metrics: Any = None,
    target_tensors: Any = None,
) -> Objective:
    """Losses and metrics of `model` as nodes of its graph.

    Parameters
    ----------
    model : Model
        Its `inputs`, `outputs`, `output_names`, `losses` and masks are read.
    loss, metric_names, loss_weights, sample_weight_mode, weighted_metrics, target_tensors
        As `Model.compile` takes them.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit the model, naming the argument.
    """
    names = model.output_names
    functions = resolve_losses(loss, names)
    factors = _loss_factors(loss_weights, names)
    given_targets = _given_targets(target_tensors, names)
    fed = [i for i, fn in enumerate(functions) if fn is not None and _is_fed(given_targets[i])]
    modes = _weight_modes(sample_weight_mode, names, fed)
    targets = [
        _target(model.outputs[i], names[i], fn, given_targets[i]) if fn is not None else None
        for i, fn in enumerate(functions)
    ]
    weights = [
        _weight_placeholder(model.outputs[i], names[i], modes[i]) if i in fed else None
        for i in range(len(names))
    ]
    objective = Objective(functions, targets, weights, modes, fed=fed)
    masks = [previous_mask(x) for x in model.outputs]
    outputs = {
        i: _Output(names[i], model.outputs[i], targets[i], weights[i], masks[i], fn, len(names) > 1)
        for i, fn in enumerate(functions)
        if fn is not None
    }
    _add_losses(objective, outputs, factors, model.losses)
    plain, weighted = collect_metrics(metric_names, names), collect_metrics(weighted_metrics, names)
    with K.name_scope("metrics"):
        for i, output in outputs.items():
            for metric in plain[i]:
                _add_metric(objective, output, metric, weighted=False)
            for metric in weighted[i]:
                _add_metric(objective, output, metric, weighted=True)
    return objective


def _add_losses(
    objective: Objective, outputs: dict[int, _Output], factors: list[Any], penalties: list[Any]
) -> None:
    total = None
    with K.name_scope("loss"):
        for i, output in outputs.items():
            with K.name_scope(f"{output.name}_loss"):
                value = weighted_masked_objective(output.loss)(
                    output.target, output.tensor, output.sample_weight, output.mask
                )
            if output.several:
                objective.metrics_tensors.append(value)
                objective.metrics_names.append(f"{output.name}_loss")
            share = factors[i] * value
            total = share if total is None else total + share
        for penalty in penalties:
            total = penalty if total is None else total + penalty
    if total is None:
        raise ValueError("The model cannot be compiled because it has no loss to optimize.")
    objective.total_loss = total


# -- arguments of compile, one entry per output --------------------------------------------------------------


def _per_output(argument: Any, names: Sequence[str], what: str) -> list[Any] | None:
    """The entries of a list or dict for each output (None where a dict has none); None for anything else."""
    if isinstance(argument, dict):
        for name in argument:
            if name not in names:
                raise ValueError(
                    f'Unknown entry in {what} dictionary: "{name}". Only expected the following keys: '
                    f"{list(names)}"
                )
        return [argument.get(name) for name in names]
    if isinstance(argument, list | tuple):
        if len(argument) != len(names):
            raise ValueError(
                f"When passing a list as {what}, it should have one entry per model output. The model has "
                f"{len(names)} outputs, but you passed {what.strip('`')}={argument!r}"
            )
        return list(argument)
    return None


def resolve_losses(loss: Any, names: Sequence[str]) -> list[LossFunction | None]:
    """The loss function of each output.

    Parameters
    ----------
    loss : str, callable, list, dict or None
    names : sequence of str
        Of the outputs.

    Raises
    ------
    ValueError
        If a name is no loss or no output, or a list has another length than `names`.
    """
    entries = _per_output(loss, names, "loss")
    if entries is None:
        return [losses.get(loss) for _ in names]
    for name in names if isinstance(loss, dict) else ():
        if name not in loss:
            warn_user(
                f'Output "{name}" missing from loss dictionary. We assume this was done on purpose, and we '
                f'will not be expecting any data to be passed to "{name}" during training.',
            )
    return [losses.get(entry) for entry in entries]


def _loss_factors(loss_weights: Any, names: Sequence[str]) -> list[Any]:
    if loss_weights is None:
        return [1.0 for _ in names]
    entries = _per_output(loss_weights, names, "loss_weights")
    if entries is None:
        raise TypeError(
            f"Could not interpret loss_weights argument: {loss_weights!r} - expected a list or a dict."
        )
    factors = [1.0 if entry is None else entry for entry in entries]
    for factor, name in zip(factors, names, strict=True):
        if not (K.is_tensor(factor) or isinstance(factor, int | float | np.number)):
            raise TypeError(f"loss_weights: expected a number for output {name}, got {factor!r}")
    return factors


def _given_targets(target_tensors: Any, names: Sequence[str]) -> list[Any]:
    if target_tensors is None:
        return [None for _ in names]
    if K.is_tensor(target_tensors):
        if len(names) != 1:
            raise ValueError(
                f"The model has {len(names)} outputs, but you passed a single tensor as `target_tensors`. "
                "Expected a list or a dict of tensors."
            )
        return [target_tensors]
    entries = _per_output(target_tensors, names, "`target_tensors`")
    if entries is None:
        raise TypeError(
            "Expected `target_tensors` to be a tensor, a list of tensors, or dict of tensors, got "
            f"{target_tensors!r}"
        )
    return entries


def _is_fed(target: Any) -> bool:
    return target is None or K.is_placeholder(target)


def _weight_modes(mode: Any, names: Sequence[str], fed: Sequence[int]) -> list[str | None]:
    entries = _per_output(mode, names, "sample_weight_mode")
    if isinstance(mode, dict):
        for i in fed:
            if names[i] not in mode:
                raise ValueError(f'Output "{names[i]}" missing from sample_weight_modes dictionary')
    if entries is None:
        entries = [mode for _ in names]
    for entry in entries:
        if entry not in (None, "temporal"):
            raise ValueError(f'"sample_weight_mode" should be None or "temporal". Found: {entry!r}')
    return [entry if i in fed else None for i, entry in enumerate(entries)]


# -- placeholders --------------------------------------------------------------------------------------------


def _target(output: Any, name: str, loss: LossFunction, given: Any) -> Any:
    """The given target, or a placeholder.

    A loss of the library gets the output's own sizes, so targets and outputs have provably one shape. About a
    user's loss nothing is assumed but the number of axes and the batch size.
    """
    if given is not None:
        return given
    shape: tuple[Any, ...] = tuple(output.shape)
    if losses.function_of(loss) is losses.sparse_categorical_crossentropy:
        shape = (*shape[:-1], 1)
    elif not is_library_loss(loss):
        shape = (*shape[:1], *(None for _ in shape[1:]))
    return K.placeholder(shape=shape, name=f"{name}_target", dtype=K.dtype(output))


def _weight_placeholder(output: Any, name: str, mode: str | None) -> Any:
    if mode == "temporal" and K.ndim(output) < 3:
        raise ValueError(
            'sample_weight_mode="temporal" needs an output with a time axis (at least 3D), but '
            f'"{name}" has shape {K.int_shape(output)}'
        )
    shape = tuple(output.shape)[: 1 if mode is None else 2]
    return K.placeholder(shape=shape, name=f"{name}_sample_weights")


# -- weighting -----------------------------------------------------------------------------------------------


def weighted_masked_objective(fn: LossFunction | None, is_metric: bool = False) -> Any:
    """A loss or metric function with sample weights and masks.

    Parameters
    ----------
    fn : callable or None
        `fn(y_true, y_pred)` gives a value per sample (or per sample and step).
    is_metric : bool
        Whether it is one that is only shown: tf.keras divides those by the sum of the weights, and losses by
        the number of all entries.

    Returns
    -------
    callable or None
        `weighted(y_true, y_pred, weights, mask=None)`, a scalar: the mean of the values times the weights,
        over the entries whose weight is not 0 and which are not masked. None for None.
    """
    if fn is None:
        return None

    def weighted(y_true: Any, y_pred: Any, weights: Any, mask: Any = None) -> Any:
        name = str(getattr(fn, "__name__", None) or getattr(fn, "name", None) or type(fn).__name__)
        if isinstance(fn, metrics.Metric):
            return _metric_result(fn, y_true, y_pred, weights, mask)
        score = fn.call(y_true, y_pred) if isinstance(fn, Loss) else fn(y_true, y_pred)
        if not (K.is_tensor(score) or isinstance(score, int | float | np.ndarray | np.number)):
            raise TypeError(f"The loss or metric function {name} has to return a tensor, got {score!r}")
        if all(map(K.is_tensor, (score, y_true, y_pred))):
            check_pairing(score, y_true, y_pred, name)
        if isinstance(fn, Loss):
            return weighted_loss(score, (mask, weights), _total_reduction(fn))
        if answers_as() == TF_KERAS:
            return _mean_of_tf_keras(score, weights, mask, is_metric)
        if mask is not None:
            # The loss of a batch is in proportion to the number of entries that are not masked.
            kept = K.cast(mask, K.floatx())
            score = score * kept / K.mean(kept)
        if weights is not None:
            inner = list(range(K.ndim(weights), K.ndim(score)))
            if inner:
                score = K.mean(score, axis=inner)
            score = score * weights / K.mean(K.cast(K.not_equal(weights, 0), K.floatx()))
        return K.mean(score)

    return weighted


def _total_reduction(loss: Loss) -> str:
    """How the values of a batch become one number. ValueError where the loss leaves them as they are."""
    if loss.reduction == Reduction.NONE:
        raise ValueError(
            f"loss {loss.name or type(loss).__name__}: reduction='none' gives a value for each sample, and "
            "training needs one number: use 'sum_over_batch_size' or 'sum'"
        )
    return loss.reduction


def _metric_result(metric: metrics.Metric, y_true: Any, y_pred: Any, weights: Any, mask: Any) -> Any:
    """A metric object with a batch counted; what is masked has the weight 0. ValueError for a vector."""
    factor = weights
    if mask is not None:
        factor = K.cast(mask, K.floatx())
        if weights is not None:
            for _ in range(K.ndim(factor) - K.ndim(weights)):
                weights = K.expand_dims(weights, -1)
            factor = factor * weights
    options = {} if factor is None else {"sample_weight": factor}
    result = metric(y_true, y_pred, **options)
    if K.ndim(result):
        raise ValueError(
            f"metric {metric.name}: expected one number to report, got shape {K.int_shape(result)}; give "
            "each threshold a metric of its own"
        )
    return result


def _mean_of_tf_keras(score: Any, weights: Any, mask: Any, is_metric: bool) -> Any:
    """The mean of a loss or a metric, with weights and a mask, as TensorFlow 1.14 and 2 compute it."""
    factor = K.ones_like(score) if is_metric else 1.0
    for given in (mask, weights):
        if given is not None:
            given = K.cast(given, K.floatx())
            for _ in range(K.ndim(score) - K.ndim(given)):
                given = K.expand_dims(given, -1)
            factor = given * factor
    if not is_metric:
        return K.mean(score * factor)
    total = K.sum(factor)
    return K.sum(score * factor) / K.switch(K.equal(total, 0.0), K.ones_like(total), total)


# -- metrics -------------------------------------------------------------------------------------------------


def collect_metrics(metrics: Any, output_names: Sequence[str]) -> list[list[Any]]:
    """The metrics of each output.

    Parameters
    ----------
    metrics : list, dict or None
        A list counts for every output, a dict has a metric or a list of them by output name.
    output_names : sequence of str

    Raises
    ------
    TypeError
        If `metrics` is neither.
    ValueError
        If a dict has a key that is no output.
    """
    if not metrics:
        return [[] for _ in output_names]
    if isinstance(metrics, list | tuple) and any(isinstance(entry, list | tuple) for entry in metrics):
        return [
            to_list(entry or [], allow_tuple=True)
            for entry in _per_output(metrics, output_names, "metrics") or ()
        ]
    if isinstance(metrics, list | tuple):
        return [list(metrics) for _ in output_names]
    if isinstance(metrics, dict):
        entries = _per_output(metrics, output_names, "metrics") or []
        return [[] if entry is None else to_list(entry, allow_tuple=True) for entry in entries]
    raise TypeError(
        f"Type of `metrics` argument not understood. Expected a list or dictionary, found: {metrics!r}"
    )


_ACCURACY = ("accuracy", "acc")
_CROSSENTROPY = ("crossentropy", "ce")


def _metric_function(metric: Any, output: _Output) -> tuple[Any, str]:
    """The function of a metric and its name in logs; 'accuracy' depends on the output and the loss."""
    if not isinstance(metric, str) or metric not in _ACCURACY + _CROSSENTROPY:
        function = _known_metric(metric)
        name = str(getattr(function, "name", None) or function.__name__)
        return function, _short(name, metric) if isinstance(metric, str) else name
    loss = losses.function_of(output.loss)
    pair: tuple[Any, Any]
    if K.int_shape(output.tensor)[-1] == 1 or loss is losses.binary_crossentropy:
        pair = metrics.binary_accuracy, metrics.binary_crossentropy
    elif loss is losses.sparse_categorical_crossentropy:
        pair = metrics.sparse_categorical_accuracy, metrics.sparse_categorical_crossentropy
    else:
        pair = metrics.categorical_accuracy, metrics.categorical_crossentropy
    return (pair[0], _short("acc", metric)) if metric in _ACCURACY else (pair[1], _short("ce", metric))


def _short(name: str, given: str) -> str:
    """The name of a metric in logs, which TensorFlow 2 takes as it is given."""
    return given if answers_as() == TF_KERAS and tensorflow_version() > 1 else name


def _known_metric(metric: Any) -> Any:
    """`metrics.get`, whose error knows the names too that only `compile` knows."""
    try:
        return metrics.get(metric)
    except ValueError:
        known = [name for name in dir(metrics) if callable(getattr(metrics, name))]
        near = nearest_name(metric, [*known, *_ACCURACY, *_CROSSENTROPY]) if isinstance(metric, str) else None
        if near not in _ACCURACY + _CROSSENTROPY:
            raise
        raise ValueError(f"Unknown metric function: {metric}; did you mean {near!r}?") from None


def _add_metric(objective: Objective, output: _Output, metric: Any, weighted: bool) -> None:
    function, name = _metric_function(metric, output)
    if isinstance(function, metrics.Metric) and any(
        function is used for used in objective.stateful_metric_functions
    ):
        # The same metric for several outputs: each counts its own.
        function = function.copy()
    if weighted and not (answers_as() == TF_KERAS and tensorflow_version() > 1):
        name = f"weighted_{name}"
    with K.name_scope(name):
        value = weighted_masked_objective(function, is_metric=True)(
            output.target, output.tensor, output.sample_weight if weighted else None, output.mask
        )
    if output.several:
        name = f"{output.name}_{name}"
    unique, number = name, 0
    while unique in objective.metrics_names:
        number += 1
        unique = f"{name}_{number}"
    objective.metrics_names.append(unique)
    objective.metrics_tensors.append(value)
    if isinstance(function, Layer | metrics.Metric) and function.stateful:
        objective.stateful_metric_names.append(unique)
        objective.stateful_metric_functions.append(function)
        objective.metrics_updates += function.updates
