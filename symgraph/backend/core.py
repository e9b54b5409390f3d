"""Tensors and their properties: variables, placeholders, constants, names, values, updates of variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple
from typing import cast as typed

import numpy as np

from symgraph.compiler.function import Function, evaluate
from symgraph.globals import (
    backend_name,
    floatx,
    forget_variables,
    get_uid,
    image_data_format,
    note_variable,
    reset_learning_phase,
    reset_uids,
    set_session,
)
from symgraph.graph import leaves
from symgraph.graph.dims import Expression, shape_text
from symgraph.graph.leaves import Placeholder, Unmade, Variable
from symgraph.graph.ops import barrier, create, csr, elementwise
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.sizes import checked_shape
from symgraph.graph.origin import current_layer, layer_scope
from symgraph.graph.sparse import SparseTensor, is_sparse_matrix, sparse_constant, sparse_placeholder
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import dtype_name, is_float
from symgraph.utils.old_arguments import old_arguments

__all__ = [
    "backend", "batch_get_value", "batch_set_value", "cast", "cast_to_floatx", "clear_session", "constant",
    "count_params", "dtype", "eval", "eye", "get_uid", "get_value", "get_variable_shape", "identity",
    "int_shape", "is_keras_tensor", "is_placeholder", "is_sparse", "is_tensor", "moving_average_update",
    "name_scope", "ndim", "normalize_data_format", "ones", "ones_like", "placeholder", "reset_uids",
    "set_value", "shape", "to_dense", "update", "update_add", "update_sub", "variable", "zeros", "zeros_like",
]  # fmt: skip

# Elements of a first value that a variable keeps, in order to be started anew.
_KEPT = 1024

_scopes: ContextVar[tuple[str, ...]] = ContextVar("symgraph_name_scopes", default=())


def backend() -> str:
    """The name of the engine under the API: 'symgraph'.

    For a script that imports symgraph by the name of Keras 'tensorflow', or what `KERAS_BACKEND` names.
    """
    return backend_name()


def clear_session() -> None:
    """Start the counters of names again and leave the learning phase to each call. Old models stay valid.

    The next `get_session` gives a new session, which does not start the variables so far anew.
    """
    reset_uids()
    reset_learning_phase()
    forget_variables()
    set_session(None)


@contextmanager
def name_scope(name: str) -> Iterator[None]:
    """Variables made inside are called `name/...`; nodes made outside layers belong to this scope."""
    scopes = (*_scopes.get(), str(name))
    outer = current_layer()
    inside_layer = outer is not None and outer != "/".join(_scopes.get())
    token = _scopes.set(scopes)
    try:
        with layer_scope(outer if inside_layer and outer else "/".join(scopes)):
            yield
    finally:
        _scopes.reset(token)


def cast_to_floatx(x: Any) -> np.ndarray:
    """A numpy array of `x` in the default float type."""
    return np.asarray(x, dtype=floatx())


def normalize_data_format(value: str | None) -> str:
    """The picture layout that `value` names, or the default layout for None.

    Raises
    ------
    ValueError
        If `value` is neither 'channels_first' nor 'channels_last'.
    """
    if value is None:
        return image_data_format()
    data_format = value.lower() if isinstance(value, str) else value
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            f'The `data_format` argument must be one of "channels_first", "channels_last". Received: {value}'
        )
    return str(data_format)


def variable(
    value: Any,
    dtype: str | None = None,
    name: str | None = None,
    constraint: Callable[[Any], Any] | None = None,
) -> Any:
    """Make a tensor whose value lives on between calls.

    Parameters
    ----------
    value : number, array-like, scipy sparse matrix or tensor
        The first value; it is copied. A tensor is computed once. A sparse matrix gives a sparse tensor, whose
        value does not change, as in Keras.
    dtype : str, optional
        By default `floatx()`, whatever the dtype of `value`.
    name : str, optional
        The variable is called `scope/name:0` as in TensorFlow, with the scopes of `name_scope`.
    constraint : callable, optional
        Projection that optimizers apply to each new value.

    Raises
    ------
    TypeError
        If `value` is not made of numbers.

    Returns
    -------
    Variable, or SparseTensor for a sparse matrix
    """
    if is_sparse_matrix(value):
        return _noted(sparse_constant(value, dtype, _label(name)))
    if isinstance(value, Tensor):
        value = eval(value)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"variable {name}: expected numbers, got dtype {array.dtype}")
    made = Variable(array, dtype or floatx(), _label(name), constraint)
    note_variable(made)
    if array.size <= _KEPT:
        made.first_value = array.copy
    return _noted(made)


def own_variable(value: np.ndarray | Unmade, dtype: str, name: str, constraint: Any = None) -> Variable:
    """`variable` of an array that nobody else holds, which is not copied, or of one that is made later."""
    made = Variable(value, dtype, _label(name), constraint, own=True)
    note_variable(made)
    _noted(made)
    return made


def _label(name: str | None) -> str | None:
    """What a variable made here is called."""
    return None if name is None else "/".join((*_scopes.get(), name)) + ":0"


def _noted(made: Tensor) -> Tensor:
    """`made` with Keras' notes on tensors that are no layer's results."""
    made._keras_shape = int_shape(made)
    made._uses_learning_phase = False
    return made


def constant(
    value: Any, dtype: str | None = None, shape: Sequence[int] | None = None, name: str | None = None
) -> Tensor:
    """Make a tensor of a fixed value.

    Parameters
    ----------
    value : number or array-like
    dtype : str, optional
        By default `floatx()`.
    shape : sequence of int, optional
        A single value fills it; several values have to be as many as its elements.
    name : str, optional

    Raises
    ------
    ValueError
        If the values do not fit `shape`, or whole numbers do not fit into `dtype`.
    """
    if is_sparse_matrix(value):
        raise TypeError(f"constant {name}: expected numbers, got a sparse matrix; use K.variable")
    kind = dtype_name(dtype or floatx())
    array = np.asarray(value)
    if shape is not None:
        sizes = tuple(int(size) for size in shape)
        if array.size == 1:
            array = np.full(sizes, array.reshape(()))
        elif array.size == np.prod(sizes, dtype=np.int64):
            array = array.reshape(sizes)
        else:
            raise ValueError(f"constant {name}: {array.size} values do not fill the shape {sizes}")
    return leaves.constant(array, kind, name=name)


def placeholder(
    shape: Sequence[Any] | None = None,
    ndim: int | None = None,
    dtype: str | None = None,
    sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make an input, fed at every call.

    Parameters
    ----------
    shape : sequence of int, None or symbolic size, optional
        None stands for a size that the data tell.
    ndim : int, optional
        Number of axes of any size, if there is no `shape`.
    dtype : str, optional
        By default `floatx()`.
    sparse : bool
        Whether it is fed with sparse matrices of scipy, of any format; then it has two dimensions.
    name : str, optional

    Raises
    ------
    ValueError
        If neither `shape` nor `ndim` is given, a size is negative, or a sparse input is no matrix.
    """
    make = sparse_placeholder if sparse else leaves.placeholder
    return _noted(make(shape, ndim, dtype, name))


def is_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor."""
    return isinstance(x, Tensor)


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` was returned by a layer or by `Input`.

    Raises
    ------
    ValueError
        If `x` is no symbolic tensor.
    """
    if not is_tensor(x):
        raise ValueError(
            f"Unexpectedly found an instance of type `{type(x)}`. Expected a symbolic tensor instance."
        )
    return hasattr(x, "_keras_history")


def is_placeholder(x: Any) -> bool:
    """Whether `x` is an input that has to be fed."""
    return isinstance(x, Tensor) and isinstance(x.op, Placeholder)


def is_sparse(tensor: Any) -> bool:
    """Whether `tensor` is a sparse tensor."""
    return isinstance(tensor, SparseTensor)


def to_dense(tensor: Any) -> Any:
    """The dense form of a sparse tensor; any other as it is."""
    return csr.to_dense(tensor) if isinstance(tensor, SparseTensor) else tensor


def shape(x: Any) -> Tensor:
    """The sizes of `x` as an int64 vector, computed when the graph runs."""
    return shape_ops.shape(x)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of `x` as far as they are known: None for the others."""
    if not isinstance(x, Tensor):
        return tuple(np.shape(x))
    return tuple(size if isinstance(size, int) else None for size in x.shape)


def get_variable_shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of a variable: the same as `int_shape`."""
    return int_shape(x)


def ndim(x: Any) -> int:
    """Number of axes."""
    return x.ndim if isinstance(x, Tensor) else int(np.ndim(x))


def dtype(x: Any) -> str:
    """Name of the dtype, such as 'float32'."""
    return str(x.dtype) if isinstance(x, Tensor) else np.asarray(x).dtype.name


def count_params(x: Any) -> int:
    """Number of elements of a tensor whose shape is known.

    Raises
    ------
    ValueError
        If a size is unknown.
    """
    sizes = int_shape(x)
    if None in sizes:
        raise ValueError(f"count_params: expected a tensor of known shape, got {shape_text(x.shape)}")
    return int(np.prod(typed(tuple[int, ...], sizes), dtype=np.int64))


def eval(x: Any) -> Any:
    """The value of a tensor that depends on no placeholder, as a numpy array (numpy scalar for a scalar).

    Of what `K.update` returns it is the new value, which is stored.
    """
    if isinstance(x, NewValue):
        return Function([], x.value, [x], name="eval")()[()]
    return evaluate(x if isinstance(x, Tensor) else leaves.as_tensor(x))[()]


def zeros(shape: Any, dtype: str | None = None, name: str | None = None) -> Tensor:
    """Zeros: a variable where all sizes are known, else a tensor.

    Parameters
    ----------
    shape : int, sequence of int or symbolic size, or integer vector such as `K.shape(x)`
    dtype : str, optional
        By default `floatx()`.
    name : str, optional
    """
    return _filled(0, shape, dtype, name)


def ones(shape: Any, dtype: str | None = None, name: str | None = None) -> Tensor:
    """Ones: a variable where all sizes are known, else a tensor. Parameters as of `zeros`."""
    return _filled(1, shape, dtype, name)


def _filled(value: int, shape: Any, dtype: str | None, name: str | None) -> Tensor:
    sizes = checked_shape(shape, "fill")
    if all(isinstance(size, int) for size in sizes):
        make = partial(np.full, typed(tuple[int, ...], sizes), value, dtype or floatx())
        made = variable(make(), dtype, name)
        made.first_value = make
        return made
    return create.full(sizes, value, dtype or floatx())


def eye(size: int, dtype: str | None = None, name: str | None = None) -> Tensor:
    """An identity matrix of `size` rows: a variable where the size is known, else a tensor."""
    if isinstance(size, (Tensor, Expression)):
        return create.eye(size, dtype=dtype or floatx())
    return variable(np.eye(size), dtype, name)


def zeros_like(x: Any, dtype: str | None = None, name: str | None = None) -> Tensor:
    """Zeros of the shape of `x`, in its dtype unless given."""
    x = leaves.as_tensor(x)
    return create.full(x.shape, 0, dtype or x.dtype)


def ones_like(x: Any, dtype: str | None = None, name: str | None = None) -> Tensor:
    """Ones of the shape of `x`, in its dtype unless given."""
    x = leaves.as_tensor(x)
    return create.full(x.shape, 1, dtype or x.dtype)


def identity(x: Any, name: str | None = None) -> Tensor:
    """`x` as a tensor of its own, without what layers have noted on `x`."""
    return x.again() if isinstance(x, SparseTensor) else barrier.identity(x)


def cast(x: Any, dtype: str) -> Tensor:
    """`x` in another dtype: the same tensor where it has it, floats cut towards zero for integers."""
    if isinstance(x, SparseTensor):
        return csr.cast_sparse(x, dtype_name(dtype))
    return elementwise.cast(x, dtype)


def get_value(x: Any) -> Any:
    """A copy of the value of a variable (the value of any other tensor is computed); see `as_value`."""
    return as_value(x.get_value() if isinstance(x, Variable) else np.asarray(eval(x)))


def as_value(array: np.ndarray) -> Any:
    """An array as users get it: one without axes as a numpy scalar, which Python's `round` and dicts take."""
    return array if array.ndim else array[()]


@old_arguments({"xs": "ops"}, method=False)
def batch_get_value(ops: Sequence[Any]) -> list[Any]:
    """Copies of the values of several variables; see `as_value`."""
    return [get_value(x) for x in ops]


def set_value(x: Variable, value: Any) -> None:
    """Replace the value of a variable.

    Raises
    ------
    ValueError, TypeError
        If the shape differs, or these are no numbers; the old value stays.
    """
    _known_variable(x).set_value(value)


def batch_set_value(tuples: Sequence[tuple[Variable, Any]]) -> None:
    """Replace the values of several variables, all or none.

    Parameters
    ----------
    tuples : sequence of (variable, array)

    Raises
    ------
    ValueError, TypeError
        If a shape differs, or an array is not made of numbers; all old values stay.
    """
    checked = [(x, _known_variable(x).checked(value)) for x, value in tuples]
    for x, value in checked:
        x.storage.store(value)


class NewValue(NamedTuple):
    """A variable, and what a Function is to store in it."""

    variable: Variable
    value: Tensor


def update(x: Variable, new_x: Any) -> NewValue:
    """The pair that tells a Function to store `new_x` in the variable `x` after its outputs.

    It stands among `updates`, `fetches` or `outputs` of `K.function`; `K.eval` stores and returns the value.

    Raises
    ------
    TypeError, ValueError
        If `x` is no variable, or `new_x` is known not to fit its dtype or shape.
    """
    target = _known_variable(x)
    value = leaves.as_stored(new_x, target.dtype)
    if is_float(value.dtype) and not is_float(target.dtype):
        raise TypeError(f"update of variable {target.name}: expected {target.dtype}, got {value.dtype}")
    sizes = zip(value.shape, target.shape, strict=False)
    if value.ndim != target.ndim or any(isinstance(a, int) and a != b for a, b in sizes):
        raise ValueError(
            f"update of variable {target.name}: expected shape {shape_text(target.shape)}, "
            f"got {shape_text(value.shape)}"
        )
    return NewValue(target, cast(value, target.dtype))


def update_add(x: Variable, increment: Any) -> NewValue:
    """The update of `x` to `x + increment`."""
    return update(x, x + increment)


def update_sub(x: Variable, decrement: Any) -> NewValue:
    """The update of `x` to `x - decrement`."""
    return update(x, x - decrement)


@old_arguments({"variable": "x"}, method=False)
def moving_average_update(x: Variable, value: Any, momentum: Any) -> NewValue:
    """The update of `x` to `x · momentum + value · (1 - momentum)`."""
    return update(x, x * momentum + value * (1.0 - momentum))


def _known_variable(x: Any) -> Variable:
    if not isinstance(x, Variable):
        raise TypeError(f"expected a variable, got {brief(x)}")
    return x
