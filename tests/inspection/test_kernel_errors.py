"""Errors inside kernels name layer, line, op, shapes, and where in a loop or among slices they are."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers as L
from symgraph.models import Sequential


def test_layer_line_and_shapes() -> None:
    model = Sequential([L.Embedding(10, 3, input_length=4, name="words")])
    with pytest.raises(ValueError, match=r"layer words \(.*\): gather.*out of range.*\(10, 3\)") as caught:
        model.predict(np.full((2, 4), 10))
    assert __file__ in str(caught.value)


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("backward", [False, True])
def test_the_turn_of_a_loop(observed: bool, backward: bool) -> None:
    numbers, table = K.placeholder((None, 5), dtype="int32"), K.variable(np.eye(4))
    line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]
    _, outputs, _ = K.rnn(
        lambda now, before: (K.gather(table, K.cast(now[:, 0], "int32")), []),
        K.expand_dims(numbers),
        [],
        go_backwards=backward,
    )
    f = K.function([numbers], [outputs], nan_guard=observed)
    data = np.zeros((2, 5))
    f([data])
    data[1, 1] = 4
    turn = 4 if backward else 2
    with pytest.raises(ValueError, match=rf"out of range.*\(4, 4\).*; turn {turn} of the loop %") as caught:
        f([data])
    assert f"{__file__}:{line}" in str(caught.value)


def test_turns_of_loops_in_loops() -> None:
    numbers, table = K.placeholder((3, 4), dtype="int32"), K.variable(np.eye(4))

    def outer(row: Any) -> Any:
        return K.map_fn(lambda number: K.gather(table, number), row, dtype="float32")

    f = K.function([numbers], [K.map_fn(outer, numbers, dtype="float32")])
    data = np.zeros((3, 4), "int32")
    f([data])
    data[1, 2] = 9
    with pytest.raises(ValueError, match=r"turn 2 of the loop %\d+, turn 3 of the loop %\d+\.\d+"):
        f([data])
    data[1, 2] = 0
    f([data])
