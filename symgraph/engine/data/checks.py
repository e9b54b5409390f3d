"""Checks of users' data: from whatever `fit` was given to a list of arrays that suit the model.

Arrays stay what they are wherever that is possible (views of numpy arrays, HDF5 datasets, scipy's sparse
matrices): batches are cut from them later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import losses
from symgraph.engine.data.symbolic import sizes
from symgraph.engine.data.tables import numbers
from symgraph.graph.sparse import is_sparse_matrix
from symgraph.utils.generic_utils import check_count


def standardize_single_array(x: Any, name: str = "", expected_ndim: int | None = None) -> Any:
    """One array as the model is fed with it: numbers, and with an axis for features.

    Parameters
    ----------
    x : array-like, tensor or None
        DataFrames and Series of numbers, arrays of objects that are numbers, lists and other libraries'
        tensors become arrays.
    name : str
        The input or output, for errors.
    expected_ndim : int, optional
        Axes that the model expects. A 1-D array becomes (samples, 1) unless one axis is expected.

    Raises
    ------
    TypeError
        If `x` holds something other than real numbers (objects, text, complex numbers, dates).
    ValueError
        If `x` is a symbolic tensor whose batch size is not known, or a list that is no regular array.
    """
    if x is None:
        return None
    if K.is_tensor(x):
        shape = K.int_shape(x)
        if not shape or shape[0] is None:
            raise ValueError(
                "When feeding symbolic tensors to a model, we expect the tensors to have a static batch "
                f"size. Got tensor with shape: {shape}"
            )
        return x
    label = f" for {name}" if name else ""
    x = numbers(x, label)
    if x.dtype.kind not in "biuf":
        raise TypeError(
            f"Data should be an array of numbers{label}, got dtype {x.dtype} of shape {tuple(x.shape)}"
        )
    if len(x.shape) == 0:
        raise ValueError(f"Data should be an array of samples{label}, got the single value {x[()]!r}")
    if len(x.shape) == 1 and expected_ndim != 1:
        return (x if isinstance(x, np.ndarray) else np.asarray(x[:])).reshape(-1, 1)
    return x


def standardize_input_data(
    data: Any,
    names: Sequence[str],
    shapes: Sequence[tuple[int | None, ...] | None] | None = None,
    check_batch_axis: bool = True,
    exception_prefix: str = "",
    optional_names: Sequence[str] = (),
) -> list[Any]:
    """The arrays for the inputs (or the targets) called `names`, in that order.

    Parameters
    ----------
    data : array-like, or list, tuple or dict of array-likes, or None
        None gives None for every name.
    names : sequence of str
    shapes : sequence of tuple or None, optional
        The shape that each array has to have; None stands for a free size, or for a free shape.
    check_batch_axis : bool
        Whether the first size of `shapes` counts.
    exception_prefix : str
        'input' or 'target', for errors.
    optional_names : sequence of str
        Further keys that a dict may have; their arrays are not used.

    Raises
    ------
    ValueError, TypeError
        If arrays are missing or too many, hold no numbers, or have another shape than expected.
    """
    if not names:
        if data is not None and hasattr(data, "__len__") and len(data):
            raise ValueError(
                f"Error when checking model {exception_prefix}: expected no data, but got: {_brief(data)}"
            )
        return []
    if data is None:
        return [None for _ in names]
    arrays = _listed(data, names, exception_prefix, optional_names)
    if len(arrays) != len(names):
        raise ValueError(
            f"Error when checking model {exception_prefix}: the list of Numpy arrays that you are passing "
            f"to your model is not the size the model expected. Expected to see {len(names)} array(s) "
            f"({', '.join(names)}), but instead got the following list of {len(arrays)} arrays: "
            f"{_brief(arrays)}"
        )
    expected = list(shapes) if shapes else [None for _ in names]
    standard = []
    for array, name, shape in zip(arrays, names, expected, strict=True):
        array = standardize_single_array(array, name, None if shape is None else len(shape))
        if shape is not None and array is not None:
            _check_shape(sizes(array), shape, name, check_batch_axis, exception_prefix)
        standard.append(array)
    return standard


def _listed(data: Any, names: Sequence[str], prefix: str, optional_names: Sequence[str]) -> list[Any]:
    """The arrays of `data` in the order of `names`; as many as there are, not as there should be."""
    # A sparse matrix of the kind "dok" is a dict too.
    if isinstance(data, dict) and not is_sparse_matrix(data):
        for name in names:
            if name not in data:
                raise ValueError(f'No data provided for "{name}". Need data for each key in: {list(names)}')
        extra = [key for key in data if key not in names and key not in optional_names]
        if extra:
            raise ValueError(
                f"Error when checking model {prefix}: got data for unknown names {extra}, expected "
                f"{list(names)}"
            )
        return [data[name] for name in names]
    if not isinstance(data, list | tuple):
        return [data]
    if len(names) == 1 and data and isinstance(data[0], int | float | np.number):
        return [np.asarray(data)]
    return list(data)


def _brief(data: Any) -> str:
    if isinstance(data, list | tuple):
        shown = [f"array of shape {tuple(x.shape)}" if hasattr(x, "shape") else repr(x) for x in data[:10]]
        return ("[" + ", ".join(shown) + "]")[:200]
    return f"array of shape {tuple(data.shape)}" if hasattr(data, "shape") else repr(data)[:200]


def _check_shape(
    got: tuple[int | None, ...], shape: tuple[int | None, ...], name: str, check_batch_axis: bool, prefix: str
) -> None:
    if len(got) != len(shape):
        raise ValueError(
            f"Error when checking {prefix}: expected {name} to have {len(shape)} dimensions, but got array "
            f"with shape {got}"
        )
    first = 0 if check_batch_axis else 1
    if any(
        None not in (want, size) and want != size
        for want, size in zip(shape[first:], got[first:], strict=True)
    ):
        raise ValueError(
            f"Error when checking {prefix}: expected {name} to have shape {tuple(shape[first:])} but got "
            f"array with shape {got[first:]}"
        )


def check_not_empty(arrays: Sequence[Any], names: Sequence[str], exception_prefix: str) -> None:
    """Refuse arrays without samples (ValueError)."""
    for array, name in zip(arrays, names, strict=True):
        if array is not None and sizes(array)[0] == 0:
            raise ValueError(
                f"Error when checking {exception_prefix}: expected {name} to have at least one sample, but "
                f"got array with shape {tuple(array.shape)}"
            )


def check_array_length_consistency(
    inputs: Sequence[Any] | None, targets: Sequence[Any] | None, weights: Sequence[Any] | None = None
) -> None:
    """Refuse inputs, targets and sample weights of unequal numbers of samples (ValueError)."""
    length_x = _common_length(inputs, "input arrays (x)")
    length_y = _common_length(targets, "target arrays (y)")
    length_w = _common_length(weights, "sample_weight arrays")
    if length_x is not None and length_y is not None and length_x != length_y:
        raise ValueError(
            "Input arrays should have the same number of samples as target arrays. "
            f"Found {length_x} input samples and {length_y} target samples."
        )
    if length_y is not None and length_w is not None and length_y != length_w:
        raise ValueError(
            "Sample_weight arrays should have the same number of samples as target arrays. "
            f"Got {length_y} input samples and {length_w} target samples."
        )


def _common_length(arrays: Sequence[Any] | None, what: str) -> int | None:
    """The number of samples; None where there are no arrays. A missing array counts as an empty one."""
    lengths = {0 if x is None else sizes(x)[0] for x in ([None] if arrays is None else arrays)}
    if len(lengths) > 1:
        shapes = [None if x is None else sizes(x) for x in arrays or ()]
        raise ValueError(f"All {what} should have the same number of samples. Got array shapes: {shapes}")
    return lengths.pop() if lengths else None


def is_library_loss(fn: Any) -> bool:
    """Whether `fn` is a loss of `symgraph.losses`, all of which compare targets and outputs of one shape."""
    fn = losses.function_of(fn)
    name = getattr(fn, "__name__", None)
    return name is not None and getattr(losses, name, None) is fn


def check_loss_and_target_compatibility(
    targets: Sequence[Any],
    loss_fns: Sequence[Callable[..., Any] | None],
    output_shapes: Sequence[tuple[int | None, ...] | None],
) -> None:
    """Refuse targets that a loss would only take by mistake (ValueError).

    Parameters
    ----------
    targets : sequence of array-like
    loss_fns : sequence of callable or None
    output_shapes : sequence of tuple or None
        The shapes that targets should have; None stands for anything.
    """
    key_losses = (losses.mean_squared_error, losses.binary_crossentropy, losses.categorical_crossentropy)
    for y, loss, shape in zip(targets, loss_fns, output_shapes, strict=True):
        if y is None or loss is None:
            continue
        got, loss = sizes(y), losses.function_of(loss)
        if loss is losses.categorical_crossentropy and got[-1] == 1:
            raise ValueError(
                f"You are passing a target array of shape {got} while using as loss "
                "`categorical_crossentropy`. `categorical_crossentropy` expects targets to be binary "
                "matrices (1s and 0s) of shape (samples, classes). If your targets are integer classes, "
                "convert them with `symgraph.utils.to_categorical(y)`, or use the loss "
                "`sparse_categorical_crossentropy` instead, which does expect integer targets."
            )
        if loss not in key_losses or shape is None:
            continue
        if any(None not in (a, b) and a != b for a, b in zip(got[1:], shape[1:], strict=False)):
            raise ValueError(
                f"A target array with shape {got} was passed for an output of shape {shape} "
                f"while using as loss `{loss.__name__}`. This loss expects targets to have the same shape "
                "as the output."
            )


def check_class_labels(y: np.ndarray, classes: int, name: str) -> None:
    """Refuse class numbers that are no whole numbers of [0, classes) (ValueError)."""
    low, high = y.min(), y.max()
    # A NaN fails the comparison too.
    if not (low >= 0 and high < classes):
        raise ValueError(
            f"Error when checking target: expected {name} to have labels in [0, {classes}), one for each "
            f"class, but got labels from {low} to {high}"
        )
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        raise ValueError(f"Error when checking target: expected {name} to have whole numbers as labels")


def check_epochs(epochs: Any, initial_epoch: Any) -> None:
    """Refuse epochs that are no integers, or negative (TypeError, ValueError)."""
    check_count(epochs, "epochs", 0)
    check_count(initial_epoch, "initial_epoch", 0)


def batch_shuffle(index_array: np.ndarray, batch_size: int) -> np.ndarray:
    """Shuffle blocks of `batch_size` indices, which stay together; a smaller last block stays last."""
    whole = len(index_array) // batch_size * batch_size
    blocks = index_array[:whole].reshape(-1, batch_size).copy()
    np.random.shuffle(blocks)
    return np.append(blocks.reshape(-1), index_array[whole:])


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """The (start, stop) of every batch of `size` samples; the last one may be smaller."""
    return [(start, min(size, start + batch_size)) for start in range(0, size, batch_size)]


def check_num_samples(
    ins: Sequence[Any], batch_size: int | None = None, steps: int | None = None, steps_name: str = "steps"
) -> int | None:
    """The number of samples in `ins`; None where the length of an epoch is given in steps.

    Raises
    ------
    ValueError
        If both steps and a batch size are given, or neither steps nor arrays.
    """
    if steps is not None and batch_size is not None:
        raise ValueError(f"If {steps_name} is set, the `batch_size` must be None.")
    if not ins or any(K.is_tensor(x) for x in ins):
        if steps is None:
            raise ValueError(
                f"If your data is in the form of symbolic tensors, you should specify the `{steps_name}` "
                "argument (instead of the `batch_size` argument, because symbolic tensors are expected to "
                "produce batches of input data)."
            )
        return None
    return int(ins[0].shape[0])
