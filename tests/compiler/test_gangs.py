"""Gangs: independent rows whose tiles are shared out at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph import backend as K
from symgraph.compiler.plan.gangs import PlannedRow, gather
from symgraph.kernels.run.jit import numba_kernel
from symgraph.kernels.run.machine import Row
from symgraph.layers import Dense
from symgraph.models import Sequential

pytestmark = pytest.mark.threads


def _nothing(operands, tile):  # type: ignore[no-untyped-def]
    return 0


NOTHING = numba_kernel("nothing", _nothing, "test")

_rows = st.lists(
    st.builds(
        lambda number, tiles, reads, writes, work, size: PlannedRow(
            Row(NOTHING, (), tiles), frozenset(reads) - frozenset(writes), frozenset(writes), work, size
        ),
        st.integers(),
        st.sampled_from([1, 1, 1, 2, 8]),
        st.sets(st.integers(0, 12), max_size=3),
        st.sets(st.integers(0, 12), min_size=1, max_size=2),
        st.sampled_from([0.0, 1e3, 1e6]),
        st.sampled_from([4, 1 << 20]),
    ),
    max_size=40,
)


def _clash(a: PlannedRow, b: PlannedRow) -> bool:
    return bool(a.writes & (b.reads | b.writes) or b.writes & a.reads)


@given(_rows)
def test_every_row_runs_once_and_after_what_it_needs(rows: list[PlannedRow]) -> None:
    gangs = gather(rows)
    place = {id(planned): number for number, gang in enumerate(gangs) for planned in gang}
    assert sorted(place) == sorted(map(id, rows)) and sum(map(len, gangs)) == len(rows)
    for later, b in enumerate(rows):
        for a in rows[:later]:
            if _clash(a, b):
                assert place[id(a)] < place[id(b)]


def _row(number: int, tiles: int, work: float, reads: tuple[object, ...] = ()) -> PlannedRow:
    return PlannedRow(Row(NOTHING, (number,), tiles), frozenset(reads), frozenset([number]), work, 8)


def _numbers(rows: list[PlannedRow]) -> list[list[object]]:
    return [[planned.row.operands[0] for planned in gang] for gang in gather(rows)]


def test_independent_rows_form_a_gang_with_the_longest_tiles_first() -> None:
    assert _numbers([_row(0, 8, 8e6), _row(1, 2, 8e6), _row(2, 1, 10)]) == [[1, 0, 2]]


def test_a_row_that_needs_another_starts_a_gang() -> None:
    assert _numbers([_row(0, 2, 1e6), _row(1, 2, 1e6, (0,)), _row(2, 2, 1e6)]) == [[0], [1, 2]]


def test_a_small_row_fills_an_earlier_gap() -> None:
    rows = [_row(0, 2, 1e6), _row(1, 2, 1e6), _row(2, 2, 1e6, (1,)), _row(3, 1, 10)]
    assert _numbers(rows) == [[0, 1, 3], [2]]


def test_rows_too_short_for_a_second_thread_run_alone() -> None:
    assert _numbers([_row(0, 1, 100), _row(1, 1, 100), _row(2, 1, 100)]) == [[0], [1], [2]]
    assert _numbers([_row(0, 1, 1e6), _row(1, 1, 1e6)]) == [[0, 1]]


def test_all_parameters_are_updated_in_one_gang() -> None:
    model = Sequential([Dense(64, input_shape=(96,), activation="relu"), Dense(64), Dense(1)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 96), np.float32), rng.standard_normal((8, 1), np.float32)
    model.train_on_batch(x, y)
    program = model.train_function.program()
    last = program.rows[-program.gangs[-1] :]
    read = {value.name for row in last for value in row.node.inputs}
    assert read >= {weight.name for weight in model.trainable_weights}


def test_two_updates_that_read_each_other_see_old_values() -> None:
    a, b = K.variable(np.zeros((300, 300))), K.variable(np.ones((300, 300)))
    step = K.function([], [], [(a, b + 1), (b, a + 5)])
    for _ in range(3):
        step([])
    # (0, 1) -> (2, 5) -> (6, 7) -> (8, 11)
    np.testing.assert_array_equal(K.get_value(a), 8)
    np.testing.assert_array_equal(K.get_value(b), 11)
