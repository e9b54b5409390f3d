"""Float32 kernels on odd sizes against float64: small errors in the norm, and the same bits in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from symgraph.kernels.conv import conv2d, conv2d_input_gradient
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient, conv2d_weight_gradient_rows
from symgraph.kernels.elementwise import elementwise
from symgraph.kernels.matmul import matmul
from symgraph.kernels.pool import (
    average_pool2d,
    average_pool2d_gradient,
    max_pool2d,
    max_pool2d_gradient,
)
from symgraph.kernels.reduce import reduce
from symgraph.kernels.run.buffer import launch
from symgraph.kernels.softmax import softmax
from tests.kernels.test_conv import (
    reference,
    reference_input_gradient,
    reference_weight_gradient,
    windows,
)

BOUND = 1e-5
Case = tuple[str, Callable[[int], np.ndarray], Callable[[], np.ndarray]]
NONE = ((0, 0), (0, 0))


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def convolutions() -> Iterator[Case]:
    table = [
        ("3x3", (3, 27, 25, 37), (3, 3), 67, {"padding": ((1, 1), (1, 1))}),
        ("3x3 valid", (5, 26, 26, 32), (3, 3), 64, {}),
        ("3x3 strides", (3, 33, 35, 19), (3, 3), 41, {"strides": (2, 2), "padding": ((0, 1), (1, 0))}),
        ("1x1", (3, 19, 17, 131), (1, 1), 67, {}),
        ("1x1 strides", (3, 19, 17, 65), (1, 1), 33, {"strides": (2, 2)}),
        ("5x5", (2, 23, 21, 21), (5, 5), 35, {"padding": ((2, 2), (2, 2))}),
        (
            "7x7 of three channels",
            (2, 45, 47, 3),
            (7, 7),
            64,
            {"strides": (2, 2), "padding": ((3, 3), (3, 3))},
        ),
        ("3x3 of one channel", (5, 29, 27, 1), (3, 3), 33, {}),
        ("dilated", (2, 21, 23, 15), (3, 3), 29, {"dilation": (2, 2)}),
        ("groups", (3, 15, 17, 28), (3, 3), 36, {"groups": 4}),
        ("depthwise", (3, 21, 23, 37), (3, 3), 37, {"groups": 37, "padding": ((1, 1), (1, 1))}),
        (
            "depthwise, colliding pixels",
            (2, 9, 11, 256),
            (3, 3),
            256,
            {"groups": 256, "padding": ((1, 1), (1, 1))},
        ),
        (
            "depthwise, colliding pixels, strides",
            (2, 12, 11, 512),
            (5, 3),
            512,
            {"groups": 512, "strides": (2, 2), "padding": ((0, 2), (0, 1))},
        ),
        ("depthwise, colliding pixels, valid", (2, 9, 13, 256), (3, 4), 256, {"groups": 256}),
        ("depthwise strides", (3, 22, 23, 37), (3, 3), 37, {"groups": 37, "strides": (2, 2)}),
        (
            "depthwise 5x5 multiplied",
            (2, 15, 17, 13),
            (5, 5),
            26,
            {"groups": 13, "padding": ((2, 2), (2, 2))},
        ),
    ]
    for name, shape, kernel, features, chosen in table:
        options = {"strides": (1, 1), "padding": NONE, "dilation": (1, 1), "groups": 1} | chosen
        yield from _convolution(name, shape, kernel, features, options)


def _convolution(name, shape, kernel, features, options) -> Iterator[Case]:
    x = random(*shape)
    w = random(*kernel, shape[3] // options["groups"], features, seed=1)
    bias = random(features, seed=2)
    grad = random(*reference(x, w, **options).shape, seed=3)

    def sums(threads):
        weights, total = np.empty_like(w), np.empty(features, np.float32)
        launch(conv2d_weight_gradient_rows, x, grad, weights, total, threads=threads, **options)
        return total

    yield (
        f"conv2d {name}",
        lambda n: conv2d(x, w, bias=bias, activation="relu", threads=n, **options),
        lambda: np.maximum(reference(x, w, **options) + bias, 0),
    )
    yield (
        f"input gradient {name}",
        lambda n: conv2d_input_gradient(grad, w, shape, threads=n, **options),
        lambda: reference_input_gradient(grad, w, shape, **options),
    )
    yield (
        f"weight gradient {name}",
        lambda n: conv2d_weight_gradient(x, grad, w.shape, threads=n, **options),
        lambda: reference_weight_gradient(x, grad, w.shape, **options),
    )
    yield f"bias gradient {name}", sums, lambda: grad.astype(np.float64).sum((0, 1, 2))


def products() -> Iterator[Case]:
    for m, k, n in (
        (1, 1021, 517),
        (7, 2053, 301),
        (33, 31, 35),
        (129, 127, 131),
        (257, 1025, 63),
        (63, 9001, 65),
    ):
        a, b, bias = random(m, k), random(k, n, seed=1), random(n, seed=2)
        exact = a.astype(np.float64) @ b

        def call(threads, a=a, b=b, bias=bias):
            return matmul(a, b, bias, "relu", threads)

        yield f"matmul {m}x{k}x{n}", call, lambda exact=exact, bias=bias: np.maximum(exact + bias, 0)
        for form, left, right in (("ta", a.T.copy().T, b), ("tb", a, b.T.copy().T)):
            yield (
                f"matmul {m}x{k}x{n} {form}",
                lambda threads, left=left, right=right: matmul(left, right, threads=threads),
                lambda exact=exact: exact,
            )


def pools() -> Iterator[Case]:
    x = random(3, 31, 29, 37)
    for pool, strides in (((2, 2), (2, 2)), ((3, 3), (2, 2)), ((3, 2), (1, 3))):
        seen = windows(x, pool, strides, NONE, (1, 1)).reshape(
            3, *windows(x, pool, strides, NONE, (1, 1)).shape[1:4], -1
        )
        grad, index = random(*seen.shape[:4], seed=1), seen.argmax(-1).astype(np.uint8)
        chosen = index[..., None] == np.arange(seen.shape[-1])
        options = {"pool": pool, "strides": strides}

        def scattered(parts, pool=pool, strides=strides):
            total = np.zeros(x.shape)
            for place in range(parts.shape[-1]):
                i, j = divmod(place, pool[1])
                rows = i + strides[0] * np.arange(parts.shape[1])
                columns = j + strides[1] * np.arange(parts.shape[2])
                total[:, rows[:, None], columns] += parts[..., place]
            return total

        yield (
            f"max pool {pool}",
            lambda n, o=options: max_pool2d(x, threads=n, **o)[0],
            lambda s=seen: s.max(-1),
        )
        yield (
            f"max pool gradient {pool}",
            lambda n, o=options, g=grad, i=index: max_pool2d_gradient(g, i, x.shape, threads=n, **o),
            lambda g=grad, c=chosen, f=scattered: f(g[..., None].astype(np.float64) * c),
        )
        yield (
            f"average pool {pool}",
            lambda n, o=options: average_pool2d(x, threads=n, **o),
            lambda s=seen: s.mean(-1),
        )
        yield (
            f"average pool gradient {pool}",
            lambda n, o=options, g=grad: average_pool2d_gradient(g, x.shape, threads=n, **o),
            lambda g=grad, s=seen, f=scattered: f(
                np.repeat(g[..., None].astype(np.float64), s.shape[-1], -1) / s.shape[-1]
            ),
        )


def sweeps() -> Iterator[Case]:
    x = random(41, 129, 67) + np.float32(1)
    for kind in ("sum", "mean", "max", "min"):
        for axes in (None, (0, 1), (1,), (2,), (0, 2)):
            yield (
                f"{kind} over {axes}",
                lambda n, k=kind, a=axes: np.asarray(reduce(k, x, a, n)),
                lambda k=kind, a=axes: getattr(np, k)(x.astype(np.float64), axis=a),
            )
    for axis in (-1, 1):
        wide = x.astype(np.float64)
        logs = wide - np.log(np.exp(wide).sum(axis, keepdims=True))
        yield f"softmax {axis}", lambda n, a=axis: softmax(x, axis=a, threads=n), lambda v=logs: np.exp(v)
        yield (
            f"log softmax {axis}",
            lambda n, a=axis: softmax(x, log=True, axis=a, threads=n),
            lambda v=logs: v,
        )
    unary = {
        "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "log1p": np.log1p, "expm1": np.expm1,
    }  # fmt: skip
    positive = np.abs(x) + np.float32(0.01)
    for name, function in unary.items():
        yield (
            name,
            lambda n, f=name: elementwise(f, positive, threads=n),
            lambda f=function: f(positive.astype(np.float64)),
        )
    other = random(129, 1, seed=1)
    for name in ("add", "sub", "mul", "div"):
        exact = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[name]
        yield (
            f"{name} broadcast",
            lambda n, f=name: elementwise(f, x, np.broadcast_to(other, x.shape), threads=n),
            lambda f=exact: f(x.astype(np.float64), other.astype(np.float64)),
        )


CASES = [*convolutions(), *products(), *pools(), *sweeps()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_errors_are_small_and_runs_alike(case):
    _, call, truth = case
    exact = truth()
    scale = np.linalg.norm(exact)
    assert scale > 0
    for threads in (1, 2):
        first = call(threads)
        assert first.shape == exact.shape
        assert first.dtype == np.float32
        assert np.linalg.norm(first - exact) <= BOUND * scale
        assert first.tobytes() == call(threads).tobytes()
