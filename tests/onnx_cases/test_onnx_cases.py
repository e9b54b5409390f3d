"""The cases of the `onnx` package. `python -m tests.onnx_cases` prints what ran and what did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from symgraph import backend as K
from tests.onnx_cases.cases import Case, all_cases
from tests.onnx_cases.counts import AT_LEAST, CASES, RESULTS
from tests.onnx_cases.routes import ROUTES
from tests.onnx_cases.run import Outcome, compare, outcome_of, run
from tests.onnx_cases.translate import NotExpressibleError, translate
from tests.onnx_cases.without import WITHOUT

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("onnx")

FAMILIES = ("bodies of functions", "pytorch-converted", "pytorch-operator", "simple")


def _run(cases: Iterable[Case]) -> list[Outcome]:
    """All of them, also behind a wrong one."""
    outcomes, wrong = [], []
    for case in cases:
        try:
            outcomes.append(outcome_of(case.name))
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)
    return outcomes


@pytest.mark.parametrize("op", sorted(ROUTES))
def test_op_alone(op: str) -> None:
    _run(c for c in all_cases().values() if c.family == "node" and c.ops == (op,))


@pytest.mark.parametrize("family", FAMILIES)
def test_several_ops(family: str) -> None:
    cases = all_cases().values()
    if family in FAMILIES[1:]:
        _run(c for c in cases if c.family == family)
    else:
        _run(c for c in cases if c.family == "node" and len(c.ops) > 1)


def test_every_op_is_mapped_or_has_a_reason_not_to_be() -> None:
    ops = {node.op_type for case in all_cases().values() for node in case.model.graph.node}
    assert sorted(ops - set(ROUTES) - set(WITHOUT)) == []
    assert sorted(set(WITHOUT) & set(ROUTES)) == []
    assert sorted(set(AT_LEAST) ^ set(ROUTES)) == []


def test_as_many_cases_run_as_ever() -> None:
    ran = [o for o in map(outcome_of, all_cases()) if o.refusal is None]
    found = Counter(op for o in ran for op in set(o.ops))
    assert {op: (found[op], count) for op, count in AT_LEAST.items() if found[op] < count} == {}
    assert len(ran) >= CASES
    assert sum(o.compared for o in ran) >= RESULTS


def test_a_wrong_route_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROUTES, "Abs", lambda node: [K.abs(node.x()), K.relu(node.x())])
    with pytest.raises(AssertionError, match="test_abs, result 1"):
        run(all_cases()["test_abs"])


def test_what_has_no_route_is_refused() -> None:
    with pytest.raises(NotExpressibleError, match="op: Abs"):
        translate(all_cases()["test_abs"], {})
    with pytest.raises(NotExpressibleError, match="type: float16"):
        translate(all_cases()["test_cast_FLOAT_to_FLOAT16"], ROUTES)


def test_comparison() -> None:
    one = np.ones(2, "float32")
    compare(one, one + np.float32(5e-6), "near")
    for other in (one + np.float32(5e-5), one.astype("float64"), np.ones(3, "float32"), one * np.nan):
        with pytest.raises(AssertionError):
            compare(other, one, "other")
