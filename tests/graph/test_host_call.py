"""Rows that numpy computes: listed, timed and observed as kernels are, with errors that say what failed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.op import Sample
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType


@dataclass(frozen=True)
class _Rising(HostCall):
    """Sorted columns: numpy refuses what is negative."""

    def __str__(self) -> str:
        return "rising"

    def infer(self, *types: Any) -> TensorType:
        return TensorType(types[0].dtype, types[0].shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        return (grad,)

    def compute(self, *arrays: np.ndarray) -> Any:
        if (arrays[0] < 0).any():
            raise np.linalg.LinAlgError(f"{int((arrays[0] < 0).sum())} numbers are negative")
        return np.sort(arrays[0], axis=0)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(cls(), (rng.random((3, 2)),), False)


def test_views_are_read_where_they_lie_and_the_row_is_listed() -> None:
    x = K.placeholder((None, 3), dtype="float64")
    f = symgraph.function([x], _Rising()(K.transpose(x)[:, ::-2]) * 2.0)
    data = np.random.default_rng(0).random((5, 3))
    np.testing.assert_array_equal(f(data), np.sort(data.T[:, ::-2], axis=0) * 2)
    names = [row.kernel.name for row in f.program().rows]
    assert names[0] == "numpy[rising]" and len(names) == 2
    assert "numpy[rising]" in str(f)


@pytest.mark.threads
def test_threads_see_operands_of_their_own() -> None:
    """Views are kept from call to call: each call has to get those of its own memory."""
    x = K.placeholder((64, 8), dtype="float64")
    f = symgraph.function([x], _Rising()(x * 2.0) + _Rising()(x))
    rng = np.random.default_rng(3)
    batches = [rng.random((64, 8)) for _ in range(40)]
    with ThreadPoolExecutor(4) as pool:
        for data, found in zip(batches, pool.map(f, batches), strict=True):
            np.testing.assert_allclose(found, np.sort(data, axis=0) * 3, rtol=1e-15)


def test_turns_of_a_loop_are_computed_one_by_one() -> None:
    x = K.placeholder((None, 4, 2), dtype="float64")
    f = K.function([x], [K.map_fn(lambda rows: _Rising()(rows) + 1.0, x)])
    data = np.random.default_rng(1).random((3, 4, 2))
    np.testing.assert_array_equal(f([data])[0], np.sort(data, axis=1) + 1)


def test_rows_are_timed_and_traced() -> None:
    x = K.placeholder((200, 200), dtype="float64")
    f = symgraph.function([x], K.exp(_Rising()(x)))
    data = np.random.default_rng(2).random((200, 200))
    with symgraph.profile(trace=(1, 2)) as profile:
        for _ in range(4):
            f(data)
    (times,) = profile.functions
    assert {group.name for group in times.groups("kernel")} == {"numpy[rising]", "elementwise[exp]"}
    assert set(times.row_runs) == {3} and all(seconds > 0 for seconds in times.row_seconds)
    assert sum(times.row_seconds) <= times.seconds
    assert "numpy[rising]" in str(profile)
    (events,) = [f.events for f in profile.functions]
    row = [r.kernel for r in times.facts.rows].index("numpy[rising]")
    own = [event for event in events if event.row == row]
    assert len(own) == 2 and all(event.end > event.start for event in own)


def test_values_are_seen_by_taps() -> None:
    x = K.placeholder((3, 2), dtype="float64")
    y = _Rising()(x)
    f = symgraph.function([x], K.sum(y))
    data = np.array([[3.0, 1], [2, 5], [1, 0]])
    assert f.check(data).ok
    seen = f.run(feed={x: data}, fetch=[y])
    np.testing.assert_array_equal(seen[0], np.sort(data, axis=0))


@pytest.mark.parametrize("observed", [False, True])
def test_what_numpy_refuses_is_named_and_nothing_is_updated(observed: bool) -> None:
    x, w = K.placeholder((3, None, 2), dtype="float64"), K.variable(np.zeros(2), "float64")
    line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]
    f = K.function(
        [x], [K.map_fn(lambda rows: _Rising()(rows), x)], updates=[(w, w + 1.0)], nan_guard=observed
    )
    data = np.ones((3, 4, 2))
    f([data])
    data[1, 2] = -1
    wanted = rf"^{__file__}:{line}: rising: 2 numbers are negative \(inputs of shapes \(4, 2\); turn 2 of the"
    with pytest.raises(np.linalg.LinAlgError, match=wanted):
        f([data])
    np.testing.assert_array_equal(K.get_value(w), 1)
    f([np.ones((3, 4, 2))])
    np.testing.assert_array_equal(K.get_value(w), 2)
