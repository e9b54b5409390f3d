"""Which dtype every kind of function gives, as docs/dtypes.md says it, and the values, as numpy has them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph
from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.graph.leaves import placeholder
from symgraph.graph.op import registered_ops
from symgraph.graph.ops import compare, floats, gamma, logarithms, math, matmul, plane, sort
from symgraph.graph.tensor import topological
from symgraph.graph.types import DTYPES, INTEGERS, is_float

PAGE = Path(__file__).parents[2] / "docs" / "dtypes.md"
TWO_WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": operator.add, "a - b": operator.sub, "a * b": operator.mul, "a / b": operator.truediv,
    "a // b": operator.floordiv, "a % b": operator.mod, "a & b": operator.and_, "a | b": operator.or_,
    "a ^ b": operator.xor, "a << b": operator.lshift, "a >> b": operator.rshift,
    "a < b": operator.lt, "a <= b": operator.le, "a > b": operator.gt, "a >= b": operator.ge,
}  # fmt: skip


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def _batch_dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.matmul(a[:, None], b[:, :, None])[:, :, 0]


# By the name in the page: the function, numpy's, and the axes of its arguments.
Case = tuple[Callable[..., Any], Callable[..., Any], tuple[int, ...]]
CASES: dict[str, Case] = {
    **{name: (f, f, (1, 1)) for name, f in TWO_WAYS.items()},
    "a ** b": (lambda a, b: a ** (b % 5), lambda a, b: a ** (b % 5), (1, 1)),
    "K.equal": (K.equal, np.equal, (1, 1)),
    "K.not_equal": (K.not_equal, np.not_equal, (1, 1)),
    "~a": (operator.invert, np.bitwise_not, (1,)),
    "-a": (operator.neg, lambda x: -x, (1,)),
    "K.abs": (K.abs, np.abs, (1,)),
    "K.square": (K.square, np.square, (1,)),
    "K.sign": (K.sign, np.sign, (1,)),
    "K.relu": (math.relu, lambda x: np.maximum(x, 0), (1,)),
    "K.pow": (lambda a, b: K.pow(a, K.abs(b) % 7), lambda a, b: a ** (np.abs(b) % 7), (1, 1)),
    "K.maximum": (K.maximum, np.maximum, (1, 1)),
    "K.minimum": (K.minimum, np.minimum, (1, 1)),
    "K.clip": (lambda x: K.clip(x, 0, 1), lambda x: np.minimum(np.maximum(x, 0), 1).astype(x.dtype), (1,)),
    "K.switch": (lambda a, b: K.switch(a > b, a, b), lambda a, b: np.where(a > b, a, b), (1, 1)),
    "K.round": (K.round, lambda x: x if x.dtype == bool else np.round(x), (1,)),
    "floor": (math.floor, lambda x: x if x.dtype == bool else np.floor(x), (1,)),
    "ceil": (math.ceil, lambda x: x if x.dtype == bool else np.ceil(x), (1,)),
    "trunc": (math.trunc, lambda x: x if x.dtype == bool else np.trunc(x), (1,)),
    "K.exp": (K.exp, np.exp, (1,)),
    "expm1": (math.expm1, np.expm1, (1,)),
    "K.log": (K.log, np.log, (1,)),
    "log1p": (math.log1p, np.log1p, (1,)),
    "K.sqrt": (K.sqrt, lambda x: np.sqrt(np.maximum(x, 0)), (1,)),
    "rsqrt": (math.rsqrt, lambda x: 1 / np.sqrt(x), (1,)),
    "reciprocal": (math.reciprocal, lambda x: 1 / x, (1,)),
    "K.sin": (lambda x: K.sin(x % 7), lambda x: np.sin(x % 7), (1,)),
    "K.cos": (lambda x: K.cos(x % 7), lambda x: np.cos(x % 7), (1,)),
    "tan": (lambda x: math.tan(x % 2), lambda x: np.tan(x % 2), (1,)),
    "arcsin": (lambda x: math.arcsin(x % 2), lambda x: np.arcsin(x % 2), (1,)),
    "arccos": (lambda x: math.arccos(x % 2), lambda x: np.arccos(x % 2), (1,)),
    "arctan": (math.arctan, np.arctan, (1,)),
    "sinh": (math.sinh, np.sinh, (1,)),
    "cosh": (math.cosh, np.cosh, (1,)),
    "K.tanh": (K.tanh, np.tanh, (1,)),
    "K.sigmoid": (K.sigmoid, lambda x: np.exp(-np.logaddexp(0, -x)), (1,)),
    "K.softplus": (K.softplus, _softplus, (1,)),
    "erf": (lambda x: math.erf(x) * 0, lambda x: x * 0.0, (1,)),
    "exp2": (lambda x: logarithms.exp2(x % 7), lambda x: np.exp2(x % 7), (1,)),
    "log2": (logarithms.log2, np.log2, (1,)),
    "log10": (logarithms.log10, np.log10, (1,)),
    "logaddexp": (logarithms.logaddexp, np.logaddexp, (1, 1)),
    "arctan2": (plane.arctan2, np.arctan2, (1, 1)),
    "hypot": (plane.hypot, np.hypot, (1, 1)),
    "arcsinh": (logarithms.arcsinh, np.arcsinh, (1,)),
    "arccosh": (logarithms.arccosh, np.arccosh, (1,)),
    "arctanh": (logarithms.arctanh, np.arctanh, (1,)),
    "lgamma": (lambda x: gamma.lgamma(x % 7), lambda x: scipy.special.gammaln(x % 7), (1,)),
    "digamma": (lambda x: gamma.digamma(x % 7), lambda x: scipy.special.digamma(x % 7), (1,)),
    "isfinite": (floats.isfinite, np.isfinite, (1,)),
    "signbit": (floats.signbit, lambda x: x < 0, (1,)),
    "isnan": (math.isnan, np.isnan, (1,)),
    "isinf": (math.isinf, np.isinf, (1,)),
    "logical_and": (compare.logical_and, np.logical_and, (1, 1)),
    "logical_or": (compare.logical_or, np.logical_or, (1, 1)),
    "logical_xor": (compare.logical_xor, np.logical_xor, (1, 1)),
    "logical_not": (compare.logical_not, np.logical_not, (1,)),
    "K.sum": (K.sum, np.sum, (2,)),
    "K.prod": (lambda x: K.prod(x, 0), lambda x: np.prod(x, 0), (2,)),
    "K.cumsum": (K.cumsum, lambda x: np.cumsum(x, 0), (2,)),
    "K.cumprod": (K.cumprod, lambda x: np.cumprod(x, 0), (2,)),
    "K.mean": (lambda x: K.mean(x, 1), lambda x: np.mean(x, 1), (2,)),
    "K.var": (lambda x: K.var(x, 1), lambda x: np.var(x, 1), (2,)),
    "K.std": (lambda x: K.std(x, 1), lambda x: np.std(x, 1), (2,)),
    "K.logsumexp": (lambda x: K.logsumexp(x, 1), lambda x: np.logaddexp.reduce(x, 1), (2,)),
    "K.max": (lambda x: K.max(x, 0), lambda x: np.max(x, 0), (2,)),
    "K.min": (lambda x: K.min(x, 1), lambda x: np.min(x, 1), (2,)),
    "K.argmax": (K.argmax, lambda x: np.argmax(x, -1), (2,)),
    "K.argmin": (K.argmin, lambda x: np.argmin(x, -1), (2,)),
    "K.any": (lambda x: K.any(x, 0), lambda x: np.any(x, 0), (2,)),
    "K.all": (lambda x: K.all(x, 1), lambda x: np.all(x, 1), (2,)),
    "K.dot": (lambda a, b: K.dot(a, K.transpose(b)), lambda a, b: np.dot(a, b.T), (2, 2)),
    "K.batch_dot": (lambda a, b: K.batch_dot(a, b, (1, 1)), _batch_dot, (2, 2)),
    "a @ b": (lambda a, b: a @ K.transpose(b), lambda a, b: a @ b.T, (2, 2)),
    "tensordot": (lambda a, b: matmul.tensordot(a, b, 2), lambda a, b: np.sum(a * b, dtype=a.dtype), (2, 2)),
    "K.softmax": (K.softmax, lambda x: np.exp(x - np.logaddexp.reduce(x, -1, keepdims=True)), (2,)),
    "K.reshape": (lambda x: K.reshape(x, (-1,)), lambda x: x.reshape(-1), (2,)),
    "K.transpose": (K.transpose, np.transpose, (2,)),
    "K.concatenate": (lambda a, b: K.concatenate([a, b]), lambda a, b: np.concatenate([a, b], -1), (2, 2)),
    "K.stack": (lambda a, b: K.stack([a, b]), lambda a, b: np.stack([a, b]), (2, 2)),
    "K.repeat_elements": (lambda x: K.repeat_elements(x, 2, 1), lambda x: np.repeat(x, 2, 1), (2,)),
    "K.tile": (lambda x: K.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3)), (2,)),
    "K.reverse": (lambda x: K.reverse(x, 0), lambda x: x[::-1], (2,)),
    "K.gather": (lambda x: K.gather(x, [2, 0]), lambda x: x[[2, 0]], (2,)),
    "a[1:, ::-2]": (lambda x: x[1:, ::-2], lambda x: x[1:, ::-2], (2,)),
    "K.zeros_like": (K.zeros_like, np.zeros_like, (2,)),
    "K.ones_like": (K.ones_like, np.ones_like, (2,)),
    "K.identity": (K.identity, np.copy, (2,)),
    "K.stop_gradient": (K.stop_gradient, np.copy, (2,)),
    "sort": (sort.sort, lambda x: np.sort(x, -1), (2,)),
    "argsort": (sort.argsort, lambda x: np.argsort(x, -1, kind="stable"), (2,)),
    "searchsorted": (
        lambda a, b: sort.searchsorted(sort.sort(a), b),
        lambda a, b: np.searchsorted(np.sort(a), b),
        (1, 1),
    ),
    "top_k": (lambda x: sort.top_k(x, 2)[0], lambda x: -np.sort(-x.astype("O"), -1)[:, :2], (2,)),
    "K.shape": (K.shape, lambda x: np.array(x.shape), (2,)),
}

# Linear algebra, and what ranks do together.
ROOMS_APART = ("symgraph.graph.ops.linalg.", "symgraph.graph.ops.collective")
# Functions whose results are sizes and places, whatever the dtype.
PLACES = ("K.argmax", "K.argmin", "argsort", "searchsorted", "K.shape")
# Ops of floats alone, sources, and what passes make: their own tests say which dtypes they take.
APART = {
    "AddAlongAxis", "Arange", "AveragePool2D", "AveragePool2DGradient", "Cond", "Conv2D",
    "Conv2DInputGradient", "Conv2DWeightBiasGradient", "Conv2DWeightGradient", "Copysign", "CsrDot",
    "CsrToDense", "CtcBeamSearch", "CustomGradient", "Eye", "Fused", "FusedReduction", "InRange",
    "LogSoftmax", "MaxPool2D", "MaxPool2DGradient", "MaxPool2DWithIndex", "Moments", "Nextafter", "OneHot",
    "Own", "Padded", "Place", "RandomBernoulli", "RandomNormal", "RandomTruncatedNormal", "RandomUniform",
    "Scan", "Scatter", "ScatterAdd", "SiblingReductions", "SoftmaxCrossEntropy",
    "SoftmaxCrossEntropyGradient", "Sparse", "TakeAlongAxis", "Undefined", "Until", "VariableRead", "Watch",
}  # fmt: skip


def _table() -> dict[str, tuple[str, str, str]]:
    """Each function of the page, with the results for bools, integers and floats."""
    found: dict[str, tuple[str, str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and "`" in cells[0]:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found[name.replace(r"\|", "|")] = cells[1], cells[2], cells[3]
    return found


TABLE = _table()


def _word(name: str, dtype: str) -> str:
    return TABLE[name][0 if dtype == "bool" else 2 if is_float(dtype) else 1]


def _values(dtype: str, axes: int, rng: np.random.Generator, mild: bool) -> np.ndarray:
    """Numbers of a dtype, its limits among them unless `mild`; zeros and ones among them always."""
    shape = (30,) if axes == 1 else (3, 10)
    if dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    if is_float(dtype):
        return np.asarray(rng.uniform(-3, 3, shape)).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = (max(limits.min, -20), 20) if mild else (limits.min, limits.max)
    x = rng.integers(low, high, shape, dtype, endpoint=True)
    edges = [low, high, low + 1, 0, 1, high - 1, 2] + ([-1, -2] if low else [])
    np.put(x, rng.permutation(30)[: len(edges)], edges)
    return x


def _truth(truth: Callable[..., Any], word: str, arrays: list[np.ndarray]) -> np.ndarray:
    with np.errstate(all="ignore"):
        if word == "int32":
            return np.asarray(truth(*(a.astype("int32") for a in arrays)))
        if word == "floatx" or arrays[0].dtype.kind == "f":
            wide = np.asarray(truth(*(a.astype("float64") for a in arrays)))
            return wide.astype({"floatx": K.floatx(), "same": arrays[0].dtype}.get(word, word))
        return np.asarray(truth(*arrays)).astype(arrays[0].dtype if word == "same" else word)


def test_every_row_has_a_truth() -> None:
    assert set(TABLE) == set(CASES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_dtypes_and_values_are_those_of_the_page(name: str, dtype: str) -> None:
    ours, truth, axes = CASES[name]
    word = _word(name, dtype)
    word = "uint64" if (word, dtype) == ("int64", "uint64") and name not in PLACES else word
    rng = np.random.default_rng(len(name))
    arrays = [_values(dtype, n, rng, word == "floatx") for n in axes]
    inputs = [placeholder((None, *a.shape[1:]), dtype=dtype) for a in arrays]
    if word == "refused":
        with pytest.raises(TypeError, match="expected integers or bools, got float"):
            ours(*inputs)
        return
    result = ours(*inputs)
    expected = _truth(truth, word, arrays)
    assert result.dtype == expected.dtype.name
    value = Function(inputs, result)(*arrays)
    assert value.dtype == expected.dtype
    if is_float(result.dtype):
        tolerance = 3e-5 if result.dtype == "float32" else 1e-11
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(value, expected)


def test_the_page_has_every_op() -> None:
    seen: set[str] = set()
    for name, (ours, _, axes) in CASES.items():
        for dtype in ("bool", "int32", "float32"):
            if _word(name, dtype) != "refused":
                result = ours(*(placeholder((None, 10)[-n:], dtype=dtype) for n in axes))
                seen |= {type(node.op).__name__ for node in topological([result])}
    here = {op.__name__ for op in registered_ops() if not op.__module__.startswith(ROOMS_APART)}
    assert here - seen == APART


@pytest.mark.parametrize("left", DTYPES)
@pytest.mark.parametrize("right", DTYPES)
def test_where_two_dtypes_meet(left: str, right: str) -> None:
    a, b = placeholder((2,), dtype=left), placeholder((2,), dtype=right)
    floats = [d for d in (left, right) if is_float(d)]
    common = max(floats, default=np.promote_types(left, right).name)
    if is_float(common) and not floats:
        for refused in (lambda: a + b, lambda: K.maximum(b, a), lambda: K.concatenate([a, b]), lambda: a < b):
            with pytest.raises(TypeError, match=r"no integer dtype holds all values of .*; use K.cast"):
                refused()
        return
    assert (a + b).dtype == (b * a).dtype == ("int32" if common == "bool" else common)
    assert K.maximum(a, b).dtype == K.concatenate([a, b]).dtype == common


MEETING: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": operator.add, "a / b": operator.truediv, "a ** b": operator.pow, "a @ b": operator.matmul,
    "K.maximum": K.maximum, "K.pow": K.pow, "K.dot": K.dot, "K.batch_dot": lambda a, b: K.batch_dot(a, b, 1),
    "K.switch": lambda a, b: K.switch(K.constant(np.eye(3) > 0, "bool"), a, b),
    "K.concatenate": lambda a, b: K.concatenate([a, b]), "K.stack": lambda a, b: K.stack([a, b]),
    "clip": lambda a, b: math.clip(a, b, b + 0.25),
    "symgraph.cond": lambda a, b: symgraph.cond(K.sum(a) > 0, lambda: a, lambda: b),
    "K.bias_add": lambda a, b: K.bias_add(a, b[0]), "tensordot": lambda a, b: matmul.tensordot(a, b, 1),
    "K.batch_normalization": lambda a, b: K.batch_normalization(a, b[0], b[1], b[2], b[0]),
    "K.normalize_batch_in_training": lambda a, b: K.normalize_batch_in_training(a, b[0], b[1], [0])[0],
    "K.rnn": lambda a, b: K.rnn(lambda x, s: (x + s[0] * s[1], [x]), a[None], [b[:1]], constants=[b[1:2]])[0],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MEETING)
def test_arrays_of_floats_take_the_dtype_of_what_they_meet(name: str, dtype: str) -> None:
    """The value is that beside a tensor which holds the same numbers in that dtype."""
    values, array = np.random.default_rng(5).uniform(0.5, 2, (2, 3, 3))
    x = placeholder((3, 3), dtype=dtype)
    expected = MEETING[name](x, K.constant(array, dtype)).eval({x: values})
    for other in (array, array.astype("float16")):
        result = MEETING[name](x, other)
        assert result.dtype == dtype
    np.testing.assert_array_equal(MEETING[name](x, array).eval({x: values}), expected)


def test_beside_a_sparse_tensor_and_beyond_the_dtype() -> None:
    sparse = K.placeholder((2, 3), sparse=True)
    assert K.dot(sparse, np.ones((3, 2))).dtype == "float32"
    with np.errstate(over="ignore"):
        total = placeholder((2,), name="x") + np.array([1e300, 1.0])
    np.testing.assert_array_equal(total.eval({"x": [0.0, 1.0]}), [np.inf, 2.0])


COMPARISONS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (K.equal, np.equal), (K.not_equal, np.not_equal), (K.less, np.less), (K.less_equal, np.less_equal),
    (K.greater, np.greater), (K.greater_equal, np.greater_equal),
]  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from(
        [s * 2**k + d for s in (1, -1) for k in (0, 7, 8, 24, 31, 32, 53, 63, 64, 80) for d in (-1, 0, 1)]
    ),
    st.sampled_from(
        [0.5, -0.5, 255.5, 2.0**24 + 1, 2.0**31, -(2.0**31), 2.0**63, float("inf"), float("nan")]
    ),
    st.booleans(),
)


@settings(deadline=None)
@given(NUMBERS, st.sampled_from(DTYPES), st.sampled_from(COMPARISONS))
def test_comparisons_with_numbers_are_numpys(
    number: Any, dtype: str, pair: tuple[Callable[..., Any], Callable[..., Any]]
) -> None:
    ours, truth = pair
    x = _values(dtype, 1, np.random.default_rng(0), mild=False)
    if is_float(dtype):
        x[:4] = [2.0**24, 2.0**24 + 2, np.nan, np.inf]
    else:
        x[-1] = min(2**24 + 1, np.iinfo(dtype).max) if dtype != "bool" else True
    node = placeholder((None,), dtype=dtype, name="x")
    left, right = Function([node], [ours(node, number), ours(number, node)])(x)
    x = x.astype("int32") if dtype == "bool" else x  # numpy fails on bools and large integers
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(left, truth(x, number))
        np.testing.assert_array_equal(right, truth(number, x))


@pytest.mark.parametrize("other", [d for d in DTYPES if is_float(d)])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_compared_with_floats_as_numpys(dtype: str, other: str) -> None:
    limits = np.iinfo(dtype)
    near = [0, 1, 100, 2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1, 2**53 + 2, limits.max]
    whole = np.array([n for n in near if n <= limits.max], dtype)
    broken = whole.astype(other)[:, None]
    a, b = placeholder((None,), dtype=dtype), placeholder((None, 1), dtype=other)
    found = Function([a, b], [ours(a, b) for ours, _ in COMPARISONS])(whole, broken)
    for value, (_, truth) in zip(found, COMPARISONS, strict=True):
        np.testing.assert_array_equal(value, truth(whole, broken))


MEETING_INTEGERS = [(a, b) for a in INTEGERS for b in INTEGERS if not is_float(np.promote_types(a, b).name)]


@pytest.mark.parametrize(("left", "right"), MEETING_INTEGERS)
def test_shifts_by_any_amount(left: str, right: str) -> None:
    x = _values(left, 1, np.random.default_rng(1), mild=False)[:, None]
    amounts = np.arange(-3 if np.iinfo(right).min else 0, 70).astype(right)
    a, b = placeholder((None, 1), dtype=left), placeholder((None,), dtype=right)
    up, down = Function([a, b], [a << b, a >> b])(x, amounts)
    np.testing.assert_array_equal(up, x << amounts)
    np.testing.assert_array_equal(down, x >> amounts)


@pytest.mark.parametrize("dtype", INTEGERS[:-1])
def test_bits_meet_numbers_arrays_and_other_dtypes(dtype: str) -> None:
    x = _values(dtype, 1, np.random.default_rng(2), mild=False)
    other = _values("int32", 1, np.random.default_rng(3), mild=False)
    a, b = placeholder((None,), dtype=dtype), placeholder((None,), dtype="int32")
    writers: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a & 6, lambda a, b: 6 | a, lambda a, b: 3 ^ a, lambda a, b: a << 2,
        lambda a, b: 1 << (a & 7), lambda a, b: a >> 1, lambda a, b: 100 >> (a & 3), lambda a, b: a & b,
        lambda a, b: b | a,
        lambda a, b: a & True, lambda a, b: (a > 1) ^ a, lambda a, b: (a > 1) & (b < 9),
        lambda a, b: other[::-1] & a,
    ]  # fmt: skip
    found = Function([a, b], [writer(a, b) for writer in writers])(x, other)
    for value, writer in zip(found, writers, strict=True):
        expected = writer(x, other)
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(symgraph.bitwise_not(a).eval({a: x}), ~x)
    np.testing.assert_array_equal(symgraph.left_shift(a, 3).eval({a: x}), x << 3)
    for wrong in (lambda: a & 1.5, lambda: placeholder((3,)) >> 1, lambda: ~placeholder((3,))):
        with pytest.raises(TypeError, match=r"expected integers or bools, got .*float32.*; use K.cast"):
            wrong()


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_products_of_integers_are_exact_in_every_form(dtype: str) -> None:
    rng = np.random.default_rng(4)
    limits = np.iinfo(dtype)
    a, b = (rng.integers(limits.min, limits.max, s, dtype) for s in ((2, 65, 33), (33, 70)))
    x, y = placeholder((2, None, 33), dtype=dtype), placeholder((33, None), dtype=dtype)
    bias = np.arange(70).astype(dtype)
    turned = K.dot(K.transpose(y), K.transpose(x[0]))
    results = [K.dot(x, y), math.relu(K.dot(x, y) + bias), turned, x[0] @ y[:, 1]]
    found = Function([x, y], results)(a, b)
    whole = a @ b
    expected = [whole, np.maximum(whole + bias, 0), b.T @ a[0].T, a[0] @ b[:, 1]]
    for value, truth in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, truth)


def test_means_and_variances_of_integers_round_once() -> None:
    x = np.array([[2**24 + 1, 2**24], [2**31 - 1, 2**31 - 3]], "int32")
    np.testing.assert_array_equal(K.eval(K.var(K.constant(x, "int32"), 1)), [0.25, 1.0])
    np.testing.assert_array_equal(K.eval(K.mean(K.constant(x, "int32"), 1)), x.mean(1).astype("float32"))


@pytest.mark.parametrize("target", INTEGERS)
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_casts_of_floats_end_at_the_limits(source: str, target: str) -> None:
    limits = np.iinfo(target)
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, -0.9, 300.0, float(limits.max)], source)
    expected = [
        0 if np.isnan(v) else min(max(int(np.clip(v, -1e30, 1e30)), limits.min), limits.max) for v in x
    ]
    node = placeholder((None,), dtype=source)
    cast = Function([node], K.cast(node, target))(x)
    folded = K.eval(K.cast(K.constant(x, source), target))
    np.testing.assert_array_equal(cast, np.array(expected, target))
    np.testing.assert_array_equal(folded, cast)


def test_clip_with_bounds_beyond_the_dtype() -> None:
    x = np.array([0, 7, 255], "uint8")
    node = placeholder((None,), dtype="uint8")
    for low, high in ((-1, 300), (5, 2**40), (-9, 9), (None, 255)):
        value = K.clip(node, low, high).eval({node: x})
        assert value.dtype == np.uint8
        np.testing.assert_array_equal(value, np.clip(x, low, high))
    for wrong in (lambda: K.clip(node, 256, 300), lambda: K.clip(node, -5, -1), lambda: K.maximum(node, -1)):
        with pytest.raises(ValueError, match="does not fit into uint8"):
            wrong()


def test_negative_powers_of_integers() -> None:
    node, exponents = placeholder((None,), dtype="int32"), placeholder((None,), dtype="int32")
    for wrong in (lambda: node**-1, lambda: K.pow(node, -2)):
        with pytest.raises(ValueError, match="integers have no powers of -"):
            wrong()
    value = (node**exponents).eval(
        {node: np.array([0, 1, -1, -1, 2, 3]), exponents: np.array([-1, -5, -2, -3, -1, 2])}
    )
    np.testing.assert_array_equal(value, [0, 1, 1, -1, 0, 9])
    folded = K.eval(K.pow(K.constant([-1, 2], "int32"), K.constant([-3, -1], "int32")))
    np.testing.assert_array_equal(folded, [-1, 0])


OF_NOTHING = {
    "sum": 0, "prod": 1, "mean": np.nan, "var": np.nan, "std": np.nan, "logsumexp": -np.inf, "any": False,
    "all": True,
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("known", [False, True])
def test_reductions_of_nothing(known: bool, dtype: str) -> None:
    x = placeholder((0 if known else None, 3), dtype=dtype)
    outputs = [getattr(K, name)(x, axis=0) for name in OF_NOTHING]
    outputs += [getattr(K, name)(x) for name in OF_NOTHING]
    # Fused with what comes before and after.
    outputs += [getattr(K, name)(K.equal(x * 2 + x, x), axis=0, keepdims=True) for name in OF_NOTHING]
    found = Function([x], outputs)(np.zeros((0, 3), dtype))
    for value, expected in zip(found, [*OF_NOTHING.values()] * 3, strict=True):
        np.testing.assert_array_equal(value, np.full(value.shape, expected))
    for name in ("max", "min", "argmax", "argmin"):
        with pytest.raises(ValueError, match=f"no {name} of an empty axis"):
            Function([x], getattr(K, name)(x, axis=0))(np.zeros((0, 3), dtype))


def test_nothing_inside_of_loops_and_layers() -> None:
    x = placeholder((None, None, 2))
    rows = K.map_fn(lambda part: K.stack([K.mean(part), K.logsumexp(part), K.sum(part)]), x)
    np.testing.assert_array_equal(rows.eval({x: np.zeros((2, 0, 2))}), [[np.nan, -np.inf, 0]] * 2)
    normal, mean, variance = K.normalize_batch_in_training(x, K.ones((2,)), K.zeros((2,)), [0, 1])
    for value in (mean, variance):
        assert np.isnan(value.eval({x: np.zeros((0, 4, 2))})).all()
    assert normal.eval({x: np.zeros((0, 4, 2))}).shape == (0, 4, 2)
