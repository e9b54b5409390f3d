"""From users' data to what a model's functions are fed with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from symgraph import backend as K
from symgraph import losses
from symgraph.distributed.alike import check_shares
from symgraph.distributed.world import world
from symgraph.engine.data.checks import (
    check_array_length_consistency,
    check_class_labels,
    check_loss_and_target_compatibility,
    check_not_empty,
    is_library_loss,
    standardize_input_data,
)
from symgraph.engine.data.rows import in_parts
from symgraph.engine.data.sample_weights import (
    of_fed_outputs,
    standardize_class_weights,
    standardize_sample_weights,
    standardize_weights,
)
from symgraph.engine.data.symbolic import holds_tensors, refuse_split, refuse_weights_by_class, sizes
from symgraph.engine.data.tables import is_dataset, is_table, numbers
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.graph.sparse import is_sparse_matrix

NOT_COMPILED = "You must compile a model before training/testing. Use `model.compile(optimizer, loss)`."

Feed = tuple[list[Any], list[Any], list[Any]]
"""Inputs, targets and sample weights; each a list of arrays of equal length."""


class FedModel(Protocol):
    """A model as data see it: what it is fed with once it is built and, for targets, compiled."""

    name: str
    built: bool
    optimizer: Any
    inputs: list[Any]
    output_names: list[str]
    _is_compiled: bool
    _is_graph_network: bool
    _first_tensors: tuple[Any, Any] | None
    _feed_inputs: list[Any]
    _feed_input_names: list[str]
    _feed_input_shapes: list[Any]
    _feed_output_names: list[str]
    _feed_output_shapes: list[Any]
    _feed_loss_fns: list[Any]
    _feed_sample_weight_modes: list[Any]

    @property
    def stateful(self) -> bool:
        """Whether a layer carries state from batch to batch."""

    def _set_inputs(self, inputs: Any) -> None:
        """Build for the shapes of the first data."""

    def _compile_again(self) -> None:
        """Compile with the arguments of before."""


def joined(feed: Feed) -> list[Any]:
    """Inputs, targets and sample weights in one list, as a model's functions are fed with them."""
    return [array for part in feed for array in part]


def standardized_pair(
    model: FedModel,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any = None,
    batch_size: int | None = None,
    may_be_empty: bool = False,
) -> Feed:
    """`standardized` for training and evaluation: a model whose losses compare with targets needs some."""
    if model.built and model.inputs and not model._is_compiled:
        # Its layers have changed since it was compiled.
        model._compile_again()
    if x is None and y is None and model._first_tensors is not None:
        # A model that was built for tensors has them as its data from then on, as in Keras.
        x, y = model._first_tensors
    feed = standardized(model, x, y, sample_weight, class_weight, batch_size, may_be_empty)
    # A model that waits for data to be compiled has no targets of its own either.
    names = model._feed_output_names if model._is_compiled else model.output_names
    if y is None and names:
        raise ValueError(
            f"Error when checking target: expected target data for {', '.join(names)}, got y=None"
        )
    return feed


def standardized(
    model: FedModel,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    batch_size: int | None = None,
    may_be_empty: bool = False,
) -> Feed:
    """Arrays for all inputs, targets and sample weights of `model`, checked.

    Parameters
    ----------
    model : Model
        Built for the shapes of the data, and compiled, if it was not yet.
    x, y : array or tensor, list or dict of them, or None
        A tensor of the graph, of a known batch size, is computed by the same run as the model.
    sample_weight, class_weight
        As `Model.fit` takes them.
    batch_size : int, optional
        The number of samples of a stateful model has to be a multiple of it.
    may_be_empty : bool
        Whether there may be no samples: other processes have those of the batch.

    Raises
    ------
    RuntimeError
        If there are targets and the model was never compiled.
    ValueError, TypeError
        If the data do not suit the model.
    """
    if y is not None and model.optimizer is None:
        raise RuntimeError(NOT_COMPILED)
    if x is None and model._first_tensors is not None:
        x = model._first_tensors[0]
    with unbuilt_on_error(model):
        _build_for(model, x, y)
        return _standardized(model, x, y, sample_weight, class_weight, batch_size, may_be_empty)


def unbuilt_on_error(model: FedModel) -> AbstractContextManager[None]:
    """A block whose errors take the shapes that data gave to `model`, and its weights, away again."""
    if model.built and model.inputs:
        return nullcontext()
    return unchanged_on_error([model] if model.optimizer is None else [model, model.optimizer])


def _standardized(
    model: FedModel,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    batch_size: int | None,
    may_be_empty: bool,
) -> Feed:
    inputs = standardize_input_data(
        x,
        model._feed_input_names,
        model._feed_input_shapes if model._is_graph_network else None,
        check_batch_axis=False,
        exception_prefix="input",
    )
    _check_present(inputs, model._feed_input_names, "input", may_be_empty)
    _check_sparse(inputs, model._feed_inputs, model._feed_input_names)
    targets: list[Any] = []
    weights: list[Any] = []
    if model._is_compiled:
        names = model._feed_output_names, model.output_names
        sample_weight = of_fed_outputs(sample_weight, *names, "sample_weight")
        class_weight = of_fed_outputs(class_weight, *names, "class_weight")
    if y is not None:
        targets, weights = _standardized_targets(model, y, sample_weight, class_weight, may_be_empty)
    check_array_length_consistency(inputs, targets or inputs, weights or targets or inputs)
    if model.stateful and batch_size and inputs and (sizes(inputs[0])[0] or 0) % batch_size != 0:
        raise ValueError(
            "In a stateful network, you should only pass inputs with a number of samples that can be "
            f"divided by the batch size. Found: {sizes(inputs[0])[0]} samples"
        )
    return inputs, targets, weights


def _standardized_targets(
    model: FedModel, y: Any, sample_weight: Any, class_weight: Any, may_be_empty: bool
) -> tuple[list[Any], list[Any]]:
    names, functions = model._feed_output_names, model._feed_loss_fns
    shapes = [
        _target_shape(shape, fn) for shape, fn in zip(model._feed_output_shapes, functions, strict=True)
    ]
    targets = standardize_input_data(
        y,
        names,
        shapes,
        check_batch_axis=False,
        exception_prefix="target",
        optional_names=model.output_names,
    )
    _check_present(targets, names, "target", may_be_empty)
    for target, fn, shape, name in zip(targets, functions, model._feed_output_shapes, names, strict=True):
        known = not K.is_tensor(target) and shape[-1] is not None
        if losses.function_of(fn) is losses.sparse_categorical_crossentropy and known:
            _check_labels(target, shape[-1], name)
    check_loss_and_target_compatibility(targets, functions, shapes)
    class_weights = standardize_class_weights(class_weight, names)
    refuse_weights_by_class(targets, class_weights)
    weights = [
        standardize_weights(target, of_samples, of_classes, mode)
        for target, of_samples, of_classes, mode in zip(
            targets,
            standardize_sample_weights(sample_weight, names),
            class_weights,
            model._feed_sample_weight_modes,
            strict=True,
        )
    ]
    return targets, weights


def _check_labels(target: Any, classes: int, name: str) -> None:
    """ValueError for class numbers that are none; of a file each of several processes reads its share."""

    def check(rows: Any) -> None:
        for part in in_parts(rows) if sizes(rows)[0] else ():
            check_class_labels(part, classes, name)

    if world().size == 1 or not is_dataset(target):
        check(target)
    else:
        check_shares(target.shape[0], lambda mine: check(DatasetRows(target, mine.start, mine.stop)))


def _target_shape(output_shape: tuple[int | None, ...], loss: Any) -> tuple[int | None, ...] | None:
    """The shape that targets have to have; None where a user's own loss decides that.

    Targets of an output that is one number a sample, without an axis for it, get no such axis either.
    """
    if losses.function_of(loss) is losses.sparse_categorical_crossentropy:
        return (*output_shape[:-1], 1)
    return output_shape if is_library_loss(loss) or len(output_shape) == 1 else None


def _check_present(arrays: Sequence[Any], names: Sequence[str], kind: str, may_be_empty: bool) -> None:
    missing = [name for name, array in zip(names, arrays, strict=True) if array is None]
    if missing:
        raise ValueError(f"Error when checking {kind}: expected data for {', '.join(missing)}, got None")
    if not may_be_empty:
        check_not_empty(arrays, names, kind)


def _check_sparse(arrays: Sequence[Any], tensors: Sequence[Any], names: Sequence[str]) -> None:
    """TypeError for dense data where an input is sparse."""
    for array, tensor, name in zip(arrays, tensors, names, strict=True):
        if K.is_sparse(tensor) and not is_sparse_matrix(array):
            raise TypeError(
                f"Error when checking input: expected {name} to be a sparse matrix of scipy, but got a dense "
                f"array with shape {tuple(array.shape)}"
            )


def _without_tables(x: Any) -> Any:
    """DataFrames and Series, and other libraries' tensors, as arrays; all else as it is."""
    if isinstance(x, list | tuple):
        return [_without_tables(part) for part in x]
    arrays = hasattr(x, "__array__") and not K.is_tensor(x)
    return numbers(x, "") if is_table(x) or arrays else x


def _build_for(model: FedModel, x: Any, y: Any) -> None:
    """Build a model without input shape for the first data; compile it if `compile` was called."""
    if not model.built or not model.inputs:
        x = _without_tables(x)
        arrays = list(x) if isinstance(x, list | tuple) else [x]
        known = (isinstance(array, np.ndarray) or is_dataset(array) or K.is_tensor(array) for array in arrays)
        if not arrays or not all(known):
            raise ValueError(
                f"{model.name} has no input shape yet. Please provide as model inputs either a single "
                f"array or a list of arrays; got {type(x).__name__}"
            )
        model._set_inputs(x)
        if holds_tensors(x):
            model._first_tensors = x, y
    if y is not None and not model._is_compiled:
        model._compile_again()


def validation_part(model: FedModel, validation_data: Any, batch_size: int | None) -> Feed:
    """The checked form of `validation_data`: (x, y) or (x, y, sample_weight)."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        got = (
            f"{len(validation_data)} items"
            if isinstance(validation_data, tuple | list)
            else type(validation_data).__name__
        )
        raise ValueError(
            "When passing validation_data, it must contain 2 (x_val, y_val) or 3 (x_val, y_val, "
            f"val_sample_weights) items, however it contains {got}"
        )
    x, y, *weights = validation_data
    return standardized_pair(model, x, y, weights[0] if weights else None, batch_size=batch_size)


def split_off(feed: Feed, share: float) -> tuple[Feed, Feed]:
    """Cut the last `share` of the samples off, for validation.

    Raises
    ------
    ValueError
        If `share` is not in [0, 1), one of the parts would be empty, or the data come from the graph.
    """
    if isinstance(share, bool) or not isinstance(share, int | float | np.number):
        raise TypeError(f"`validation_split` should be a number in [0, 1), got {share!r}")
    if not 0.0 <= share < 1.0:
        raise ValueError(f"`validation_split` should be in [0, 1), got {share}")
    refuse_split(feed[0] or feed[1])
    samples = (feed[0] or feed[1])[0].shape[0]
    cut = int(samples * (1.0 - share))
    if not 0 < cut < samples:
        raise ValueError(
            f"validation_split={share} of {samples} samples leaves {cut} to train on: give more samples"
        )
    inputs, targets, weights = feed
    return (
        (_rows(inputs, 0, cut), _rows(targets, 0, cut), _rows(weights, 0, cut)),
        (_rows(inputs, cut, samples), _rows(targets, cut, samples), _rows(weights, cut, samples)),
    )


def _rows(arrays: Sequence[Any], start: int, stop: int) -> list[Any]:
    # Not every format of sparse matrices can be sliced.
    rows = [x.tocsr() if is_sparse_matrix(x) else x for x in arrays]
    return [DatasetRows(x, start, stop) if is_dataset(x) else x[start:stop] for x in rows]


class DatasetRows:
    """Rows `start` to `stop` of a dataset in a file, read batch by batch like the dataset itself."""

    def __init__(self, dataset: Any, start: int, stop: int) -> None:
        self._dataset = dataset
        self._start = start
        self.shape: tuple[int, ...] = (stop - start, *dataset.shape[1:])
        self.dtype = dataset.dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice) -> Any:
        first, last, _ = key.indices(len(self))
        return self._dataset[self._start + first : self._start + last]
