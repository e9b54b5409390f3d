"""Hands the builder functions to tensors, whose operators need them.

The one place where the circle is closed.
"""

from __future__ import annotations

from symgraph.graph.ops import (
    barrier,
    bits,
    chosen,
    collective,
    compare,
    cond,
    conv,
    conv_bias,
    create,
    csr,
    ctc,
    cumulative,
    custom_gradient,
    elementwise,
    floats,
    fused,
    gamma,
    host,
    index,
    logarithms,
    math,
    matmul,
    moments,
    nn,
    own,
    parts,
    plane,
    pool,
    random,
    reduce,
    scan,
    scatter,
    shape,
    siblings,
    sizes,
    slicing,
    sort,
    until,
)
from symgraph.graph.ops.linalg import determinants, diagonals, factors, least_squares, norms, solve, spectral
from symgraph.graph.tensor import install_operators

_BUILDERS = {
    elementwise: "add subtract multiply divide floor_divide mod power where cast maximum minimum",
    compare: "less less_equal greater greater_equal equal",
    bits: "bitwise_and bitwise_or bitwise_xor bitwise_not left_shift right_shift",
    math: "negative absolute log exp sqrt relu sigmoid tanh softplus",
    reduce: "sum mean max min prod",
    cumulative: "product_of_others",
    matmul: "matmul",
    shape: "reshape transpose broadcast_to concatenate of_shape",
    slicing: "reverse",
    create: "zeros_like",
    sizes: "as_dim",
    chosen: "nonzero",
    index: "getitem gather take_along_axis",
    parts: "at",
    barrier: "identity",
}

install_operators(
    {name: getattr(module, name) for module, names in _BUILDERS.items() for name in names.split()}
)

FAMILIES = (
    barrier, bits, chosen, collective, compare, cond, conv, conv_bias, create, csr, ctc, cumulative,
    elementwise, floats, fused, gamma, host, index, logarithms, math, matmul, moments, nn, plane, pool,
    random, reduce, scan, shape, siblings, slicing, sort, until, determinants, diagonals, factors,
    least_squares, norms, solve, spectral, custom_gradient, own, parts, scatter,
)  # fmt: skip
"""All op families, so that importing this module makes every op known."""
