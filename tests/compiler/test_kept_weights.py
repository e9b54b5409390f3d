"""Packed weights that are kept between calls: how many, and that results do not depend on it."""

from __future__ import annotations

import numpy as np

import symgraph
from symgraph import backend as K

RNG = np.random.default_rng(5)


def matrices(count: int, size: int) -> list[symgraph.Variable]:
    return [
        symgraph.Variable(RNG.normal(0, size**-0.5, (size, size)).astype("float32")) for _ in range(count)
    ]


def product(weights: list[symgraph.Variable], lines: int) -> tuple[int, bool]:
    """The bytes kept beside the weights of a chain of products, and whether it computes what numpy does."""
    size = weights[0].shape[0]
    x = K.placeholder((lines, size))
    y = x
    for w in weights:
        y = K.dot(y, w)
    function = symgraph.function([x], y)
    values = RNG.normal(size=(lines, size)).astype("float32")
    expected = values.astype("float64")
    for w in weights:
        expected = expected @ w.get_value()
    right = True
    for _ in range(2):  # packed, and taken from there
        right &= np.allclose(function(values), expected, rtol=1e-4, atol=1e-4)
    own = {id(w.storage.array) for w in weights}
    arrays = {id(base.array): base.array for base in function.program().bases if base.array is not None}
    return sum(array.nbytes for number, array in arrays.items() if number not in own), right


def test_a_part_of_large_weights_is_kept() -> None:
    weights = matrices(8, 1024)
    kept, right = product(weights, 64)
    assert right and 4 << 20 <= kept <= 8 * 4 << 20 >> 2


def test_all_of_small_weights_are_kept() -> None:
    weights = matrices(4, 512)
    kept, right = product(weights, 64)
    assert right and kept == 4 << 20


def test_all_are_kept_for_products_of_few_lines() -> None:
    """Packing them anew would take as long as the product."""
    weights = matrices(8, 1024)
    kept, right = product(weights, 16)
    assert right and kept == 8 * 4 << 20


def test_new_values_are_packed_again() -> None:
    weights = matrices(2, 256)
    x = K.placeholder((48, 256))
    function = symgraph.function([x], K.dot(K.dot(x, weights[0]), weights[1]))
    values = RNG.normal(size=(48, 256)).astype("float32")
    function(values)
    weights[1].set_value(np.eye(256))
    np.testing.assert_allclose(function(values), values @ weights[0].get_value(), rtol=1e-4, atol=1e-4)
