"""Kernels of users as ops: a numba function, a rule for its results, and perhaps a gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar

import numba
import numpy as np
from numba.core.errors import NumbaError

from symgraph.graph.dims import shape_text
from symgraph.graph.gradient import fits
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Sample, parts
from symgraph.graph.ops.create import zeros_like
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.ops.sizes import checked_shape
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType, dtype_name, is_float, working_dtype

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, eq=False)
class Definition:
    """What a user said of an op. Two are the same only if they are one object.

    Attributes
    ----------
    function : callable
        In Python: the meaning of the op, what its kernel is checked against.
    writes : int
        How many results it writes into arrays that it gets behind its inputs; 0 where it returns them.
    """

    name: str
    function: Callable[..., Any]
    rule: Callable[..., Any]
    inputs: int
    writes: int
    gradient: Callable[..., Any] | None = None
    flops: Callable[..., int] | None = None
    compiled: Any = field(default=None, repr=False)

    @cached_property
    def kernel(self) -> Any:
        """The function compiled by numba, at its first call for each set of dtypes and numbers of axes."""
        if self.compiled is not None:
            return self.compiled
        # What a file does not hold all of, numba must not find there again.
        kept = self.function.__closure__ is None and _has_file(self.function)
        return numba.njit(nogil=True, error_model="numpy", cache=kept)(self.function)

    def __getstate__(self) -> Any:
        raise TypeError(f"the op {self.name} holds a function and cannot be pickled")


def _has_file(function: Callable[..., Any]) -> bool:
    try:
        return inspect.getsourcefile(function) is not None and bool(inspect.getsource(function))
    except (OSError, TypeError):
        return False


@dataclass(frozen=True)
class Own(HostCall):
    """An op whose kernel a user wrote."""

    definition: Definition
    machine: ClassVar[str] = "numba"

    def __str__(self) -> str:
        return self.definition.name

    def infer(self, *types: Any) -> TensorType | TupleType:
        """What the user's rule says."""
        count = self.definition.inputs
        if len(types) != count:
            raise TypeError(f"{self}: expected {count} inputs, got {len(types)}")
        kinds = _kinds(str(self), self.definition.rule(*types))
        if self.definition.writes not in (0, len(kinds)):
            raise TypeError(
                f"{self}: its rule says {len(kinds)} results, its function has {self.definition.writes} "
                f"parameters behind its {count} inputs"
            )
        return kinds[0] if len(kinds) == 1 else TupleType(tuple(kinds))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """What the user's function writes."""
        if self.definition.gradient is None:
            raise NotImplementedError(
                f"{self} has no gradient: give symgraph.op(gradient=...), or use symgraph.stop_gradient"
            )
        made: Any = output
        if isinstance(output.type, TupleType):
            made = list(parts(output))
            grad = [
                zeros_like(t, working_dtype(t.dtype)) if g is None else g
                for t, g in zip(made, grad, strict=True)
            ]
        found = self.definition.gradient(list(inputs), made, grad)
        return checked_gradients(str(self), inputs, found)

    def compute(self, *arrays: np.ndarray) -> Any:
        """The compiled function."""
        given = [np.ascontiguousarray(a).reshape(a.shape) for a in arrays]
        try:
            return self._result(self.definition.kernel, given)
        except NumbaError as error:
            kinds = ", ".join(f"{a.dtype}{shape_text(a.shape)}" for a in given)
            raise TypeError(f"{self}: numba cannot compile it for {kinds}: {error}") from error

    def reference(self, *arrays: Any) -> Any:
        """The function in Python."""
        with np.errstate(all="ignore"):
            return self._result(self.definition.function, [np.array(a) for a in arrays])

    def _result(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> Any:
        """The results for these arrays, checked against the rule."""
        kind = self.infer(*(TensorType(a.dtype.name, a.shape) for a in arrays))
        kinds = kind.items if isinstance(kind, TupleType) else (kind,)
        if self.definition.writes:
            made = [np.empty([int(n) for n in k.shape], k.dtype) for k in kinds]
            function(*arrays, *made)
        else:
            found = function(*arrays)
            made = list(found) if isinstance(found, tuple) else [found]
            _check_results(kinds, made)
        typed = tuple(np.asarray(m, k.dtype) for m, k in zip(made, kinds, strict=True))
        return typed if isinstance(kind, TupleType) else typed[0]

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """What the user says, 0 where nothing is said."""
        count = self.definition.flops
        return 0 if count is None else int(count(*inputs))

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both ways to give results, one and two of them."""
        for shape in ((3, 5), (0, 5)):
            yield Sample(cls(_DOUBLED), (rng.standard_normal(shape),), True, ((0, 0),))
            yield Sample(cls(_SUMS), (rng.standard_normal(shape),), True, ((0, 0),))


def _kinds(what: str, given: Any) -> list[TensorType]:
    """What a rule says, as types. TypeError where that is nothing of the kind."""
    listed = given if isinstance(given, (list, tuple)) and not _is_kind(given) else [given]
    if not listed or not all(map(_is_kind, listed)):
        raise TypeError(
            f"{what}: expected its rule to give a dtype and a shape, or a list of such pairs, "
            f"got {brief(given)}"
        )
    found = []
    for item in listed:
        dtype, shape = (item.dtype, item.shape) if isinstance(item, TensorType) else item
        found.append(TensorType(dtype_name(dtype), checked_shape(shape, what)))
    return found


def _is_kind(item: Any) -> bool:
    """Whether this is a type, or a pair of a dtype and a shape."""
    if isinstance(item, TensorType):
        return True
    pair = isinstance(item, (list, tuple)) and len(item) == 2
    return pair and isinstance(item[0], (str, np.dtype, type)) and isinstance(item[1], (list, tuple))


def _check_results(kinds: Sequence[TensorType], made: Sequence[Any]) -> None:
    """ValueError where results are not what the rule says."""
    if len(made) != len(kinds):
        raise ValueError(f"its rule says {len(kinds)} results, its function returned {len(made)}")
    for number, (kind, value) in enumerate(zip(kinds, made, strict=True)):
        found: Any = value
        if (
            isinstance(value, (bool, int, float))
            and np.asarray(value).dtype.kind == np.dtype(kind.dtype).kind
        ):
            found = np.asarray(value, kind.dtype)  # numba returns numbers as Python's
        fits = isinstance(found, (np.ndarray, np.generic))
        if not fits or (found.dtype.name, found.shape) != (kind.dtype, kind.shape):
            got = f"{found.dtype.name}{shape_text(found.shape)}" if fits else brief(value)
            label = f"result {number}" if len(kinds) > 1 else "its result"
            raise ValueError(f"its rule says {kind} for {label}, its function made {got}")


def checked_gradients(what: str, inputs: Sequence[Tensor], found: Any) -> list[Tensor | None]:
    """What a user's gradient gives, one for each input. TypeError or ValueError for what does not fit."""
    if len(inputs) == 1 and not isinstance(found, (list, tuple)):
        found = [found]
    if not isinstance(found, (list, tuple)) or len(found) != len(inputs):
        raise ValueError(f"{what}: expected a gradient for each of {len(inputs)} inputs, got {brief(found)}")
    flows: list[Tensor | None] = []
    for number, (flow, tensor) in enumerate(zip(found, inputs, strict=True)):
        if flow is None or not is_float(tensor.dtype):
            flows.append(None)
            continue
        made = as_tensor(flow, working_dtype(tensor.dtype))
        if not fits(made, tensor):
            raise ValueError(f"{what}: expected {tensor.type} as gradient by input {number}, got {made.type}")
        flows.append(made)
    return flows


class OwnOp:
    """An op of a user, to be called with tensors: see `op`.

    Attributes
    ----------
    name : str
    function : callable
        What it was made of.
    """

    def __init__(self, definition: Definition) -> None:
        self.name = self.__name__ = definition.name
        self.function = definition.function
        self.__doc__ = definition.function.__doc__
        self.__wrapped__ = definition.function
        self._op = Own(definition)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __call__(self, *inputs: Any, name: str | None = None) -> Any:
        """A tensor, or a list of them, from tensors, arrays and numbers."""
        node = self._op(*map(as_tensor, inputs), name=name)
        return list(parts(node)) if isinstance(node.type, TupleType) else node


def op(
    function: Callable[..., Any] | None = None,
    *,
    result: Callable[..., Any] | None = None,
    gradient: Callable[..., Any] | None = None,
    flops: Callable[..., int] | None = None,
    name: str | None = None,
) -> Any:
    """Make an op of a function that numba compiles.

    Parameters
    ----------
    function : callable
        A function of arrays (C-contiguous, of the inputs' dtypes), in the part of Python that
        `numba.njit` compiles, or what that made of one. It returns an array, or a tuple of arrays for several
        results; or it takes further parameters, one for each result, and writes into these arrays. It must
        not write to its inputs, and its results depend on nothing else. Division by zero gives infinity; an
        exception that it raises ends the call, before anything is updated.
    result : callable
        ``result(*types) -> (dtype, shape)``, or a list of such pairs for several results. Each type has
        `dtype`, `shape` and `ndim`; sizes may be unknown and can be added and multiplied. ValueError or
        TypeError for inputs that it does not take. Default: the type of the first input.
    gradient : callable, optional
        ``gradient(inputs, output, grad)`` gets tensors (for several results lists of them as `output` and
        `grad`) and returns what flows to each input: a list of tensors, with None where nothing does.
    flops : callable, optional
        ``flops(*shapes) -> int``: floating-point operations for these shapes of the inputs, for profiles.
    name : str, optional
        What listings show; default: the function's name.

    Returns
    -------
    OwnOp
        ``f(*tensors)`` gives a tensor, or a list of them. It is a node like any other: planned, listed,
        timed, profiled, differentiated, checked (`Function.check`) against the function in Python.

    Raises
    ------
    TypeError
        The parameters of the function do not fit its rule; numba cannot compile it (when it is first run).
    ValueError
        When it runs: a result has not the dtype and shape that the rule says.

    Examples
    --------
    >>> @symgraph.op(
    ...     result=lambda x: (x.dtype, x.shape[:1]),
    ...     gradient=lambda inputs, output, grad: [inputs[0] * K.expand_dims(grad / output)],
    ... )
    ... def row_norm(x, out):
    ...     for i in range(x.shape[0]):
    ...         out[i] = np.sqrt(np.sum(x[i] * x[i]))
    """
    if function is None:
        return partial(op, result=result, gradient=gradient, flops=flops, name=name)
    compiled = function if hasattr(function, "py_func") else None
    plain = getattr(function, "py_func", function)
    if not inspect.isfunction(plain):
        raise TypeError(f"op: expected a function that numba compiles, got {brief(function)}")
    label = name or plain.__name__
    taken = _parameters(label, plain)
    rule = _first_type if result is None else result
    declared = _parameters(label, rule) if result is not None else None
    inputs = taken if declared is None else declared
    if taken < inputs:
        raise TypeError(f"op {label}: its rule takes {inputs} inputs, its function {taken}")
    return OwnOp(Definition(label, plain, rule, inputs, taken - inputs, gradient, flops, compiled))


def _first_type(first: TensorType, *_: TensorType) -> TensorType:
    """The rule of ops that have none: the type of the first input."""
    return first


def _parameters(what: str, function: Callable[..., Any]) -> int:
    """How many arguments a function takes. TypeError where that is not one number."""
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    if not kinds or any(kind not in _POSITIONAL for kind in kinds):
        raise TypeError(
            f"op {what}: expected a fixed number of parameters, got {inspect.signature(function)}"
        )
    return len(kinds)


def _doubled(x: Any) -> Any:
    """2 x."""
    return x + x


def _sums(x: Any, rows: Any, columns: Any) -> None:
    """Sums along both axes."""
    rows[:] = 0
    columns[:] = 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            rows[i] += x[i, j]
            columns[j] += x[i, j]


def _sums_gradient(inputs: Sequence[Tensor], output: Any, grad: Sequence[Tensor]) -> list[Tensor]:
    """What arrives at both sums, spread again."""
    (x,) = inputs
    return [zeros_like(x) + grad[1] + grad[0][:, None]]


_DOUBLED = Definition("doubled", _doubled, _first_type, 1, 0, lambda inputs, output, grad: [grad + grad])
_SUMS = Definition(
    "sums",
    _sums,
    lambda x: [(x.dtype, x.shape[:1]), (x.dtype, x.shape[1:])],
    1,
    2,
    _sums_gradient,
)
