"""Losses written in every way, against float64 formulas that lose no digits: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Constant, constant, placeholder
from symgraph.graph.ops.math import log1p
from symgraph.graph.ops.scan import scan
from symgraph.graph.stable import Stable
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor
from symgraph.passes.pipeline import run_passes

Curve = Callable[[np.ndarray], np.ndarray]


def sig(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def plus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def log_of_plus(x: np.ndarray) -> np.ndarray:
    """log(log(1 + exp(x)))."""
    return np.where(x < -40, x, np.log(plus(np.maximum(x, -40))))


_SIZES = [1e-3, 0.1, 0.7, 2, 5, 9, 15, 21, 33, 50, 87, 89, 104, 300, 700, 710, 746, 1e3, 3333, 1e4]
BELOW = np.array([-s for s in reversed(_SIZES)])
ABOVE = -BELOW[::-1]
ALL = np.concatenate([BELOW, [0.0], ABOVE])


@dataclass(frozen=True)
class Case:
    """An expression of x, its true value and derivative, and where.

    `near` is what of the value may be lost for good, where terms of size 1 cancel.
    """

    build: Callable[[Tensor], Tensor]
    value: Curve
    slope: Curve
    points: np.ndarray = None  # type: ignore[assignment]
    near: float = 0.0
    flat: float = 0.0


def both(x: Tensor) -> Tensor:
    """[x, 0] side by side."""
    return K.stack([x, x * 0], 1)


def written_softmax(x: Tensor) -> Tensor:
    return K.exp(x) / K.sum(K.exp(x), axis=-1, keepdims=True)


def shifted_softmax(x: Tensor) -> Tensor:
    e = K.exp(x - K.max(x, axis=-1, keepdims=True))
    return e / K.sum(e, axis=-1, keepdims=True)


def picked(x: Tensor, which: int) -> Tensor:
    """The chance of class `which` of [x, 0], by a one-hot product."""
    code = np.eye(2, dtype=K.dtype(x))[which]
    return K.sum(K.softmax(both(x)) * K.constant(code, K.dtype(x)), axis=-1)


def entropy(p: Tensor) -> Tensor:
    return -(0.25 * K.log(p) + (1 - 0.25) * K.log(1 - p))


def _entropy(x: np.ndarray) -> np.ndarray:
    return 0.25 * plus(-x) + 0.75 * plus(x)


LOG_SIG = (lambda x: -plus(-x), lambda x: sig(-x))
LOG_NOT = (lambda x: -plus(x), lambda x: -sig(x))
SOFTPLUS = (plus, sig)
HALF = np.log(2)

CASES: dict[str, Case] = {
    "log(sigmoid)": Case(lambda x: K.log(K.sigmoid(x)), *LOG_SIG),
    "log(1 - sigmoid)": Case(lambda x: K.log(1 - K.sigmoid(x)), *LOG_NOT),
    "log(-sigmoid + 1)": Case(lambda x: K.log(-K.sigmoid(x) + 1), *LOG_NOT),
    "log(-(sigmoid - 1))": Case(lambda x: K.log(-(K.sigmoid(x) - 1)), *LOG_NOT),
    "log(1 - (1 - sigmoid))": Case(lambda x: K.log(1 - (1 - K.sigmoid(x))), *LOG_SIG),
    "log(1/(1+exp(-x)))": Case(lambda x: K.log(1 / (1 + K.exp(-x))), *LOG_SIG),
    "log((1+exp(-x))**-1)": Case(lambda x: K.log(K.pow(1 + K.exp(-x), -1)), *LOG_SIG),
    "log(exp(x)/(1+exp(x)))": Case(lambda x: K.log(K.exp(x) / (1 + K.exp(x))), *LOG_SIG),
    "log(1 - mean(sigmoid))": Case(
        lambda x: K.log(1 - K.mean(K.sigmoid(K.stack([x, x], 1)), axis=1)), *LOG_NOT
    ),
    "log(1 - 1/(1+exp(-x)))": Case(lambda x: K.log(1 - 1 / (1 + K.exp(-x))), *LOG_NOT),
    "log(1+exp)": Case(lambda x: K.log(1 + K.exp(x)), *SOFTPLUS),
    "log(exp+1)": Case(lambda x: K.log(K.exp(x) + 1.0), *SOFTPLUS),
    "log(1+exp(x)+exp(-1e5))": Case(lambda x: K.log(1 + K.exp(x) + K.exp(x * 0 - 1e5)), *SOFTPLUS),
    "log(sum(exp))": Case(lambda x: K.log(K.sum(K.exp(both(x)), axis=1)), *SOFTPLUS),
    "logsumexp by hand": Case(
        lambda x: (
            K.log(K.sum(K.exp(both(x) - K.max(both(x), axis=1, keepdims=True)), axis=1))
            + K.max(both(x), axis=1)
        ),
        *SOFTPLUS,
        near=1e-6,
        flat=1e-6,
    ),
    "log(mean(exp))": Case(
        lambda x: K.log(K.mean(K.exp(both(x)), axis=1)), lambda x: plus(x) - HALF, sig, near=1e-6
    ),
    "log(prod(sigmoid))": Case(
        lambda x: K.log(K.prod(K.sigmoid(both(x)), axis=1)), lambda x: -plus(-x) - HALF, lambda x: sig(-x)
    ),
    "log(exp(x)+exp(-x))": Case(
        lambda x: K.log(K.exp(x) + K.exp(-x)), lambda x: np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))), np.tanh
    ),
    "log(exp(a)+exp(b)+exp(c))": Case(
        lambda x: K.log(K.exp(x) + K.exp(-x) + K.exp(x * 0.5)),
        lambda x: np.logaddexp(np.logaddexp(x, -x), x / 2),
        lambda x: (
            (np.exp(x - np.abs(x)) - np.exp(-x - np.abs(x)) + 0.5 * np.exp(x / 2 - np.abs(x)))
            / (np.exp(x - np.abs(x)) + np.exp(-x - np.abs(x)) + np.exp(x / 2 - np.abs(x)))
        ),
    ),
    "log(1 - softmax)[0]": Case(lambda x: K.log(1 - K.softmax(both(x)))[:, 0], *LOG_NOT),
    "log(1 - softmax[:, 1])": Case(lambda x: K.log(1 - K.softmax(both(x))[:, 1]), *LOG_SIG),
    "log(softmax)[1]": Case(lambda x: K.log(K.softmax(both(x)))[:, 1], *LOG_NOT),
    "log(softmax[:, 1])": Case(lambda x: K.log(K.softmax(both(x))[:, 1]), *LOG_NOT),
    "log(softmax)[0]": Case(lambda x: K.log(K.softmax(both(x)))[:, 0], *LOG_SIG),
    "log(sum(y softmax))": Case(lambda x: K.log(picked(x, 1)), *LOG_NOT),
    "log(softmax by hand)": Case(lambda x: K.log(written_softmax(both(x)))[:, 1], *LOG_NOT),
    "log(shifted softmax)": Case(lambda x: K.log(shifted_softmax(both(x))[:, 1]), *LOG_NOT),
    "log(exp(a)/(exp(a)+exp(b)))": Case(lambda x: K.log(K.exp(2 * x) / (K.exp(2 * x) + K.exp(x))), *LOG_SIG),
    "log(sqrt(sigmoid))": Case(
        lambda x: K.log(K.sqrt(K.sigmoid(x))), lambda x: -plus(-x) / 2, lambda x: sig(-x) / 2
    ),
    "log(sigmoid**3)": Case(
        lambda x: K.log(K.sigmoid(x) ** 3), lambda x: -3 * plus(-x), lambda x: 3 * sig(-x)
    ),
    "log(square(1 - sigmoid))": Case(
        lambda x: K.log(K.square(1 - K.sigmoid(x))), lambda x: -2 * plus(x), lambda x: -2 * sig(x)
    ),
    "log(3 sigmoid)": Case(
        lambda x: K.log(3 * K.sigmoid(x)), lambda x: np.log(3) - plus(-x), lambda x: sig(-x), near=1e-6
    ),
    "log(sigmoid / (1 - sigmoid))": Case(
        lambda x: K.log(K.sigmoid(x) / (1 - K.sigmoid(x))), lambda x: x, np.ones_like
    ),
    "log(sigmoid(x) sigmoid(-x))": Case(
        lambda x: K.log(K.sigmoid(x) * K.sigmoid(-x)),
        lambda x: -plus(-x) - plus(x),
        lambda x: sig(-x) - sig(x),
        near=0,
        flat=1e-7,
    ),
    "log(1 - exp)": Case(
        lambda x: K.log(1 - K.exp(x)),
        lambda x: np.where(x > -0.7, np.log(-np.expm1(x)), np.log1p(-np.exp(x))),
        lambda x: -1 / np.expm1(np.minimum(-x, 700)),
        BELOW,
    ),
    "log(exp - 1)": Case(
        lambda x: K.log(K.exp(x) - 1),
        lambda x: x + np.where(x < 0.7, np.log(-np.expm1(-x)), np.log1p(-np.exp(-x))),
        lambda x: -1 / np.expm1(-x),
        ABOVE,
        near=1e-6,
    ),
    "log(sigmoid + 1e-7)": Case(
        lambda x: K.log(K.sigmoid(x) + 1e-7),
        lambda x: np.logaddexp(-plus(-x), np.log(1e-7)),
        lambda x: sig(x) * sig(-x) / (sig(x) + 1e-7),
    ),
    "log(1 - sigmoid + 1e-7)": Case(
        lambda x: K.log(1 - K.sigmoid(x) + 1e-7),
        lambda x: np.logaddexp(-plus(x), np.log(1e-7)),
        lambda x: -sig(x) * sig(-x) / (sig(-x) + 1e-7),
    ),
    "log(3 + exp)": Case(
        lambda x: K.log(3 + K.exp(x)), lambda x: np.logaddexp(np.log(3), x), lambda x: sig(x - np.log(3))
    ),
    "log(x**2 + exp(x))": Case(
        lambda x: K.log(K.square(x) + K.exp(x)),
        lambda x: np.logaddexp(2 * np.log(np.maximum(np.abs(x), 1e-300)), x),
        lambda x: np.where(
            x > 0,
            (2 * x * np.exp(-np.abs(x)) + 1) / (x * x * np.exp(-np.abs(x)) + 1),
            (2 * x + np.exp(-np.abs(x))) / (x * x + np.exp(-np.abs(x))),
        ),
        near=1e-6,
        flat=1e-6,
    ),
    "log(softplus)": Case(
        lambda x: K.log(K.softplus(x)),
        log_of_plus,
        lambda x: np.where(x < -40, 1.0, sig(x) / plus(np.maximum(x, -40))),
        near=1e-6,
    ),
    "log(log(1+exp))": Case(
        lambda x: K.log(K.log(1 + K.exp(x))),
        log_of_plus,
        lambda x: np.where(x < -40, 1.0, sig(x) / plus(np.maximum(x, -40))),
        near=1e-6,
    ),
    "log(1 + tanh)": Case(
        lambda x: K.log(1 + K.tanh(x)), lambda x: HALF - plus(-2 * x), lambda x: 2 * sig(-2 * x), near=1e-6
    ),
    "log((1 + tanh(x/2))/2)": Case(lambda x: K.log((1 + K.tanh(x / 2)) / 2), *LOG_SIG, near=1e-6),
    "log(0.5 + 0.5 tanh(x/2))": Case(lambda x: K.log(0.5 + 0.5 * K.tanh(x / 2)), *LOG_SIG, near=1e-6),
    "log(1 - tanh)": Case(
        lambda x: K.log(1 - K.tanh(x)), lambda x: HALF - plus(2 * x), lambda x: -2 * sig(2 * x), near=1e-6
    ),
    "log(1 - tanh*tanh)": Case(
        lambda x: K.log(1 - K.tanh(x) * K.tanh(x)),
        lambda x: 2 * HALF - plus(2 * x) - plus(-2 * x),
        lambda x: -2 * np.tanh(x),
        near=1e-6,
        flat=1e-6,
    ),
    "log(1 - prod(1 - sigmoid))": Case(
        lambda x: K.log(1 - K.prod(1 - K.sigmoid(K.stack([x, x], 1)), axis=1)),
        lambda x: np.where(x < 0, np.log1p(sig(-x)) - plus(-x), np.log1p(-np.square(sig(-x)))),
        lambda x: 2 * np.square(sig(-x)) / (1 + sig(-x)),
    ),
    "log(1 - exp(-exp))": Case(
        lambda x: K.log(1 - K.exp(-K.exp(x))),
        lambda x: np.where(x < -30, x, np.log(-np.expm1(-np.exp(np.clip(x, -30, 9))))),
        lambda x: np.where(x < -30, 1, np.exp(np.clip(x, -30, 6)) / np.expm1(np.exp(np.clip(x, -30, 6)))),
    ),
    "log(1 - (sigmoid / 4 + sigmoid * 3 / 4))": Case(
        lambda x: K.log(1 - (0.25 * K.sigmoid(x) + K.sigmoid(x) * 0.75)), *LOG_NOT
    ),
    "log(1 - (0.3 sigmoid + 0.7 sigmoid))": Case(
        lambda x: K.log(1 - (0.3 * K.sigmoid(x) + 0.7 * K.sigmoid(x))), *LOG_NOT
    ),
    "log(1 - (sigmoid / 4 + sigmoid / 4))": Case(
        lambda x: K.log(1 - (0.25 * K.sigmoid(x) + 0.25 * K.sigmoid(x))),
        lambda x: np.log1p(-sig(x) / 2),
        lambda x: -sig(x) * sig(-x) / (2 - sig(x)),
        near=1e-6,
        flat=1e-6,
    ),
    "log(1 - sum of one)": Case(lambda x: K.log(1 - K.sum(K.softmax(both(x))[:, :1], axis=1)), *LOG_NOT),
    "log(1 - sqrt(sigmoid)**2)": Case(
        lambda x: K.log(1 - K.square(K.sqrt(K.sigmoid(x)))), *LOG_NOT, near=1e-6, flat=1e-6
    ),
    "log(abs(sigmoid - 1))": Case(lambda x: K.log(K.abs(K.sigmoid(x) - 1)), *LOG_NOT),
    "log(1/sigmoid - 1)": Case(
        lambda x: K.log(1 / K.sigmoid(x) - 1), lambda x: -x, lambda x: -np.ones_like(x)
    ),
    "log(1 - tanh**2)": Case(
        lambda x: K.log(1 - K.square(K.tanh(x))),
        lambda x: 2 * HALF - plus(2 * x) - plus(-2 * x),
        lambda x: -2 * np.tanh(x),
        near=1e-6,
        flat=1e-6,
    ),
    "cross-entropy by hand": Case(lambda x: entropy(K.sigmoid(x)), _entropy, lambda x: sig(x) - 0.25),
    "2**x": Case(
        lambda x: K.log(1 + K.pow(K.constant(2, K.dtype(x)), x)),
        lambda x: plus(x * HALF),
        lambda x: sig(x * HALF) * HALF,
    ),
    "log1p-like nesting": Case(lambda x: K.log(K.exp(x) * (1 + K.exp(-x))), plus, sig, near=1e-6, flat=1e-6),
}

PLAIN: dict[str, Case] = {
    "1/(1+exp(-x))": Case(lambda x: 1 / (1 + K.exp(-x)), sig, lambda x: sig(x) * sig(-x)),
    "exp(x)/(1+exp(x))": Case(lambda x: K.exp(x) / (1 + K.exp(x)), sig, lambda x: sig(x) * sig(-x)),
    "exp(x)*(1/(1+exp(x)))": Case(lambda x: K.exp(x) * (1 / (1 + K.exp(x))), sig, lambda x: sig(x) * sig(-x)),
    "softmax by hand": Case(lambda x: written_softmax(both(x))[:, 0], sig, lambda x: sig(x) * sig(-x)),
    "shifted softmax": Case(lambda x: shifted_softmax(both(x))[:, 0], sig, lambda x: sig(x) * sig(-x)),
    "exp(a)/(exp(a)+exp(b))": Case(
        lambda x: K.exp(x) / (K.exp(x) + K.exp(-x)),
        lambda x: sig(2 * x),
        lambda x: 2 * sig(2 * x) * sig(-2 * x),
    ),
    "exp(a)/(exp(a)+exp(b)+exp(c))": Case(
        lambda x: K.exp(x) / (K.exp(x) + K.exp(-x) + K.exp(-x)),
        lambda x: sig(2 * x - HALF),
        lambda x: 2 * sig(2 * x - HALF) * sig(HALF - 2 * x),
    ),
    "tanh by hand": Case(
        lambda x: (K.exp(x) - K.exp(-x)) / (K.exp(x) + K.exp(-x)),
        np.tanh,
        lambda x: 4 * sig(2 * x) * sig(-2 * x),
    ),
    "tanh by exp(2x)": Case(
        lambda x: (K.exp(2 * x) - 1) / (K.exp(2 * x) + 1), np.tanh, lambda x: 4 * sig(2 * x) * sig(-2 * x)
    ),
    "tanh by 2/(1+exp(-2x)) - 1": Case(
        lambda x: 2 / (1 + K.exp(-2 * x)) - 1, np.tanh, lambda x: 4 * sig(2 * x) * sig(-2 * x)
    ),
    "swish by hand": Case(
        lambda x: x / (1 + K.exp(-x)), lambda x: x * sig(x), lambda x: sig(x) + x * sig(x) * sig(-x)
    ),
    "sqrt(sigmoid)": Case(
        lambda x: K.sqrt(K.sigmoid(x)), lambda x: np.sqrt(sig(x)), lambda x: np.sqrt(sig(x)) * sig(-x) / 2
    ),
    "(1 - sigmoid)**0.7": Case(
        lambda x: K.pow(1 - K.sigmoid(x), 0.7),
        lambda x: np.exp(-0.7 * plus(x)),
        lambda x: -0.7 * np.exp(-0.7 * plus(x)) * sig(x),
    ),
    "sigmoid(x)/sigmoid(x+1)": Case(
        lambda x: K.sigmoid(x) / K.sigmoid(x + 1),
        lambda x: np.exp(plus(-x - 1) - plus(-x)),
        lambda x: np.exp(plus(-x - 1) - plus(-x)) * (sig(-x) - sig(-x - 1)),
    ),
    "masked softmax by hand": Case(
        lambda x: K.exp(x) * 0.5 / (0.5 * K.exp(x) + 0.0 * K.exp(-x) + 1e-7),
        lambda x: sig(x - np.log(2e-7)),
        lambda x: sig(x - np.log(2e-7)) * sig(np.log(2e-7) - x),
    ),
}


def measured(cases: dict[str, Case], dtype: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What all cases compute at their points: value and derivative, in few programs."""
    found = {}
    for points in (ALL, BELOW, ABOVE):
        chosen = {n: c for n, c in cases.items() if (ALL if c.points is None else c.points) is points}
        x = placeholder((None,), dtype=dtype)
        results = []
        for case in chosen.values():
            value = case.build(x)
            results += [value, gradients(K.sum(value), x)[0]]
        arrays = Function([x], results)(points.astype(dtype)) if results else []
        found.update(zip(chosen, zip(arrays[::2], arrays[1::2], strict=True), strict=True))
    return found


def check(case: Case, found: tuple[np.ndarray, np.ndarray], dtype: str, name: str = "") -> None:
    points = (ALL if case.points is None else case.points).astype(dtype).astype("float64")
    part = 1.0 if dtype == "float32" else 1e-8
    with np.errstate(all="ignore"):
        for array, true, lost in zip(found, (case.value, case.slope), (case.near, case.flat), strict=True):
            assert array.dtype == dtype
            np.testing.assert_allclose(
                array, true(points), rtol=2e-5 * part, atol=lost * part + 1e-30, err_msg=name
            )


@pytest.fixture(scope="module", params=["float32", "float64"])
def computed(request: pytest.FixtureRequest) -> tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    return request.param, measured({**CASES, **PLAIN}, request.param)


@pytest.mark.parametrize("name", [*CASES, *PLAIN])
def test_values_and_gradients(
    name: str, computed: tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]]
) -> None:
    dtype, found = computed
    case = CASES.get(name) or replace(PLAIN[name], near=2e-7, flat=3e-7)
    check(case, found[name], dtype)


def column(x: Tensor) -> Tensor:
    return K.expand_dims(x, 1)


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "slice": lambda p: p[0:],
    "item": lambda p: K.stack([p, p])[0],
    "reverse": lambda p: K.reverse(p[::-1], 0),
    "gather": lambda p: K.gather(p, K.arange(K.shape(p)[0])),
    "fancy index": lambda p: K.stack([p, p], 1)[K.arange(K.shape(p)[0]), K.zeros_like(p, "int32")],
    "reshape": lambda p: K.reshape(p, (-1, 1))[:, 0],
    "transpose": lambda p: K.transpose(K.stack([p, p], 1))[1],
    "concatenate": lambda p: K.concatenate([p, p])[: K.shape(p)[0]],
    "with ones": lambda p: K.stack([p, K.ones_like(p)], 1)[:, 0],
    "repeat": lambda p: K.repeat_elements(column(p), 3, 1)[:, 1],
    "tile": lambda p: K.tile(column(p), (1, 3))[:, 2],
    "broadcast": lambda p: (column(p) * np.ones((1, 3), K.dtype(p)))[:, 2],
    "padding": lambda p: K.temporal_padding(K.reshape(p, (1, -1, 1)), (1, 1))[0, 1:-1, 0],
    "one-hot": lambda p: K.sum(K.stack([p, p * p], 1) * K.constant([[1.0, 0.0]], K.dtype(p)), 1),
    "one": lambda p: K.relu(p * 1.0 + 0.0),
    "clip to [0, 1]": lambda p: K.clip(p, 0, 1),
    "where": lambda p: K.switch(p > -1, p, K.ones_like(p)),
    "max": lambda p: K.max(K.stack([p, p * p], 1), axis=1),
    "float64": lambda p: K.cast(K.cast(p, "float64"), K.dtype(p)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_moves_elements_is_seen_through(dtype: str) -> None:
    cases = {}
    for name, move in MOVES.items():
        cases[f"log {name}"] = Case(lambda x, move=move: K.log(move(K.sigmoid(x))), *LOG_SIG, flat=1e-6)
        if name not in ("max", "with ones"):
            cases[f"not {name}"] = Case(
                lambda x, move=move: K.log(1 - move(K.sigmoid(x))), *LOG_NOT, flat=1e-6
            )
        cases[f"softmax {name}"] = Case(lambda x, move=move: K.log(move(K.softmax(both(x))[:, 1])), *LOG_NOT)
    for name, found in measured(cases, dtype).items():
        check(cases[name], found, dtype, name)


def test_second_derivatives() -> None:
    x = placeholder((None,), dtype="float64")
    second = lambda x: sig(x) * sig(-x)  # noqa: E731
    cases = {
        "log(1 - sigmoid)": (CASES["log(1 - sigmoid)"].build, lambda x: -second(x)),
        "log(sum(exp))": (CASES["log(sum(exp))"].build, second),
        "log(exp(x)+exp(-x))": (CASES["log(exp(x)+exp(-x))"].build, lambda x: 4 * second(2 * x)),
        "log(softmax)[1]": (CASES["log(softmax)[1]"].build, lambda x: -second(x)),
        "swish by hand": (
            PLAIN["swish by hand"].build,
            lambda x: second(x) * (2 + x * (1 - 2 * sig(x))),
        ),
    }
    results = []
    for build, _ in cases.values():
        results.append(gradients(K.sum(gradients(K.sum(build(x)), x)[0]), x)[0])
    for name, array in zip(cases, Function([x], results)(ALL), strict=True):
        np.testing.assert_allclose(array, cases[name][1](ALL), rtol=1e-9, atol=1e-14, err_msg=name)


def test_the_derivative_by_an_inner_node_is_that_of_the_expression_around_it() -> None:
    x = placeholder((None,), dtype="float64")
    p = K.sigmoid(x)
    q = 1 - p
    t = K.tanh(x)
    loss = K.sum(K.log(q) + p * p + K.log(1 - t))
    values = np.array([-2.0, 0.0, 3.0, 50.0])
    by_x, by_p, by_q, by_t = Function([x], gradients(loss, [x, p, q, t]))(values)
    s = sig(values)
    np.testing.assert_allclose(by_x, -s + 2 * s * s * sig(-values) - 2 * sig(2 * values), rtol=1e-9)
    np.testing.assert_allclose(by_q[:3], 1 / (1 - s[:3]), rtol=1e-9)
    np.testing.assert_allclose(by_p[:3], 2 * s[:3] - 1 / (1 - s[:3]), rtol=1e-9)
    np.testing.assert_allclose(by_t[:3], -1 / (1 - np.tanh(values[:3])), rtol=1e-9)


def test_what_weights_lack_of_one_is_kept() -> None:
    x = placeholder((None,), dtype="float64")
    y = K.log(1 - (0.5 * K.sigmoid(x) + (0.5 - 1e-8) * K.sigmoid(x)))
    value, slope = Function([x], [y, *gradients(K.sum(y), x)])(np.array([0.0, 15.0, 30.0, 400.0]))
    p, q = sig(np.array([0.0, 15.0, 30.0, 400.0])), sig(-np.array([0.0, 15.0, 30.0, 400.0]))
    rest = q + 1e-8 * p
    np.testing.assert_allclose(value, np.log(rest), rtol=1e-8)
    np.testing.assert_allclose(slope, -(1 - 1e-8) * p * q / rest, rtol=1e-7, atol=1e-30)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log1p_keeps_what_is_small(dtype: str) -> None:
    """log1p of exponentials times and over other numbers, of which some are tiny, negative or infinite."""
    x, y = placeholder((None,), dtype=dtype), placeholder((None,), dtype=dtype)
    values = np.array([-80.0, -40, -20, -3, 0, 3, 0, -20, 1, 2])
    others = np.array([3.0, -2, 1e-3, -0.5, 1e-30, 1e30, -0.999, np.inf, 0, -0.1])
    with np.errstate(all="ignore"):
        for built, size in (
            (K.exp(x) * y, np.exp(values) * others),
            (K.exp(x) / y, np.exp(values) / np.where(others == 0, np.nan, others)),
            (K.exp(x) * abs(y), np.exp(values) * abs(others)),
        ):
            known = (size > -0.9985) & (size != np.inf)
            for whole in (log1p(built), K.log(1 + built), K.log(built + 1)):
                found = Function([x, y], [whole, *gradients(whole, [x])])(
                    [values.astype(dtype), others.astype(dtype)]
                )
                rounding = 3e-6 if dtype == "float32" else 1e-14
                np.testing.assert_allclose(found[0][known], np.log1p(size[known]), rounding / 5e-4, 0)
                some = known & (abs(size) < 0.6)
                np.testing.assert_allclose(found[0][some], np.log1p(size[some]), rounding, 0)
                np.testing.assert_allclose(found[1][some], (size / (1 + size))[some], rounding, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chances_of_constants_keep_their_digits(dtype: str) -> None:
    x = placeholder((3,), dtype=dtype)
    logs = K.log(K.softmax(x))
    value = np.array([60.0, 0.0, 1.0], dtype)
    rest = np.exp(-60.0) + np.exp(-59.0)
    for root in (logs, *gradients(logs[0], x)):
        constants = substitute([root], {x: constant(value, dtype)})
        (found,) = Function([], constants)()
        truth = [-rest, -60, -59] if root is logs else [rest, -np.exp(-60.0), -np.exp(-59.0)]
        np.testing.assert_allclose(found, truth, rtol=1e-6)
        assert isinstance(run_passes(constants)[0][0].op, Constant)


def test_inside_loops_and_choices() -> None:
    x = placeholder((None,))
    looped, _ = scan(lambda v, s: ([K.log(1 - K.sigmoid(v[0]))], []), [x])
    chosen = K.switch(K.sum(x * 0) >= 0, lambda: K.log(K.sigmoid(x)), lambda: x)
    results = [looped[0], gradients(K.sum(looped[0]), x)[0], chosen, gradients(K.sum(chosen), x)[0]]
    found = Function([x], results)(ALL)
    check(Case(K.log, *LOG_NOT), (found[0], found[1]), "float32")
    check(Case(K.log, *LOG_SIG), (found[2], found[3]), "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_nan_and_nothing(dtype: str) -> None:
    x = placeholder((None, 3), dtype=dtype)
    build = {
        "log(sum(exp))": (
            lambda x: K.log(K.sum(K.exp(x), axis=1)),
            lambda x: np.logaddexp.reduce(x, 1, initial=-np.inf),
        ),
        "log of all": (
            lambda x: K.log(K.sum(K.exp(x))),
            lambda x: np.logaddexp.reduce(x, None, initial=-np.inf),
        ),
        "log(1 - exp)": (lambda x: K.log(1 - K.exp(x)), lambda x: np.log(1 - np.exp(x))),
        "log(sigmoid)": (lambda x: K.log(K.sigmoid(x)), lambda x: -np.logaddexp(0, -x)),
        "log(1 + exp)": (lambda x: K.log(1 + K.exp(x)), lambda x: np.logaddexp(0, x)),
        "log(2 + exp)": (lambda x: K.log(2 + K.exp(x)), lambda x: np.logaddexp(np.log(2), x)),
        "exp / (3 + exp)": (lambda x: 1 / (3 + K.exp(x)), lambda x: 1 / (3 + np.exp(x))),
        "exp * exp": (lambda x: K.exp(x) * K.exp(x), lambda x: np.exp(2 * x)),
        "log(-log(1 + exp))": (
            lambda x: K.log(K.log(1 - K.sigmoid(x))),
            lambda x: np.log(-np.logaddexp(0, x)),
        ),
        "log(x exp)": (lambda x: K.log(x * K.exp(x)), lambda x: np.log(x) + x),
        "sqrt(1 - exp)": (lambda x: K.sqrt(1 - K.exp(x)), lambda x: np.sqrt(np.maximum(1 - np.exp(x), 0))),
        "2 / (1 - exp)": (lambda x: 2 / (1 - K.exp(x)), lambda x: 2 / (1 - np.exp(x))),
    }
    function = Function([x], [make(x) for make, _ in build.values()])
    special = np.array(
        [[np.inf, 0, 1], [-np.inf, -np.inf, -np.inf], [np.nan, 0, 1], [-np.inf, 2, -3], [1.5, -2, 0.5]]
    )
    for value in (*special[:, None], special[:0]):
        with np.errstate(all="ignore"):
            for name, array in zip(build, function(value), strict=True):
                wanted, near = build[name][1](value), {"float32": 1e-6, "float64": 1e-12}[dtype]
                np.testing.assert_allclose(array, wanted, rtol=near, err_msg=name)


def test_shapes_and_dtypes_stay() -> None:
    y = placeholder((4,))
    one = K.constant(np.ones((1, 1, 1)))
    for value, shape in (
        (K.log(one - K.sigmoid(y)), (1, 1, 4)),
        (K.log(one + K.exp(y)), (1, 1, 4)),
        (one / (1 + K.exp(-y)), (1, 1, 4)),
        (K.log(K.constant(np.ones((2, 1))) * K.sigmoid(y)), (2, 4)),
        (K.log(1 + K.constant(np.ones((3, 1))) * K.tanh(y)), (3, 4)),
    ):
        assert value.shape == shape
        assert Function([y], value)(np.zeros(4)).shape == shape


def test_nothing_is_done_to_what_is_in_range_already() -> None:
    x, y = placeholder((None, 5)), placeholder((None, 5))
    p = K.sigmoid(x)
    for loss in (
        K.categorical_crossentropy(y, p),
        K.binary_crossentropy(y, K.tanh(x) * 0.5 + 0.5),
        K.logsumexp(x, axis=1),
        K.log(K.clip(p, K.epsilon(), 1 - K.epsilon())),
        K.log(K.softplus(x) + K.epsilon()),
        K.log(K.square(x) + 1),
        p * K.tanh(x),
        K.elu(x) * p,
    ):
        stable = Stable()
        stable.rewrite([loss, *gradients(loss, x)])
        assert not stable.hits


def test_stable_forms_are_final() -> None:
    for case in [*CASES.values(), *PLAIN.values()]:
        value = case.build(placeholder((None,)))
        once = Stable().rewrite([value])[id(value)]
        again = Stable()
        again.rewrite([once])
        assert not again.hits


def test_a_long_chain_of_products_and_sums() -> None:
    x = placeholder(())
    value = K.sigmoid(x)
    for _ in range(1200):
        value = value * K.sigmoid(x)
    total = value
    for _ in range(100):
        total = total + value
    (slope,) = gradients(K.log(total), x)
    assert slope is not None
    np.testing.assert_allclose(evaluate([slope], {x: 0.5})[0], 1201 * sig(np.array(-0.5)), rtol=1e-4)
