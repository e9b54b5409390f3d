"""Which reductions are asked whether they may become one pass."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.passes import siblings


def test_a_long_chain_of_reductions_is_not_compared_pair_by_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    may_join = siblings._Families.may_join

    def counted(*arguments: object) -> bool:
        nonlocal asked
        asked += 1
        return may_join(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(siblings._Families, "may_join", counted)
    x = t = K.placeholder((4,))
    for _ in range(100):
        t = K.tanh((K.sum(t) + t) * 0.2)
    value = np.ones(4)
    expected = value
    for _ in range(100):
        expected = np.tanh((expected.sum() + expected) * 0.2)
    np.testing.assert_allclose(K.function([x], t)(value), expected, rtol=1e-4)
    assert asked < 10


def test_the_first_family_that_shares_a_tensor_is_joined() -> None:
    x, y = K.placeholder((3, 5)), K.placeholder((3, 5))
    results = [K.sum(x * y), K.sum(K.square(x)), K.sum(K.square(y)), K.sum(K.exp(y))]
    function = K.function([x, y], results)
    a, b = np.random.default_rng(0).random((2, 3, 5))
    found = function([a, b])
    expected = [(a * b).sum(), (a * a).sum(), (b * b).sum(), np.exp(b).sum()]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert [node.kind for node in function.facts().nodes if node.role == "op"] == ["siblings"]


def test_a_tensor_that_a_whole_chain_reads_does_not_make_every_pair_be_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0
    leads = siblings._Families._leads

    def counted(*arguments: object) -> bool:
        nonlocal asked
        asked += 1
        return leads(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(siblings._Families, "_leads", counted)
    x = t = K.placeholder((4,))
    for _ in range(60):
        t = K.sum(t * 0.2, keepdims=True) + x
    value = expected = np.ones(4)
    for _ in range(60):
        expected = (expected * 0.2).sum(keepdims=True) + value
    np.testing.assert_allclose(K.function([x], t)(value), expected, rtol=1e-4)
    assert asked <= 2 * 8 * 60
