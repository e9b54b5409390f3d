"""Functions as people write and call them: names, defaults, dictionaries, pairs, one thing for a list."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K


def pair() -> tuple[Any, Any]:
    return symgraph.placeholder((None,), name="x"), symgraph.placeholder((None,), name="y")


class TestForms:
    def test_one_variable_is_a_list_of_one(self) -> None:
        x, _ = pair()
        assert np.array_equal(symgraph.function(x, x * 2)([1.0, 2.0]), [2.0, 4.0])

    def test_outputs(self) -> None:
        x, y = pair()
        given = np.float32([1, 2]), np.float32([3, 5])
        as_dict = symgraph.function([x, y], {"sum": x + y, 2: x - y})(*given)
        assert list(as_dict) == ["sum", 2]
        assert np.array_equal(as_dict["sum"], [4, 7]) and np.array_equal(as_dict[2], [-2, -3])
        as_list = symgraph.function([x, y], (x + y, symgraph.Out(x - y, borrow=True)))(*given)
        assert isinstance(as_list, list) and np.array_equal(as_list[1], [-2, -3])
        assert symgraph.function([x, y], OrderedDict(a=x + y)).run({x: given[0], y: given[1]}).keys() == {"a"}
        assert symgraph.function([], [])() == []

    def test_none_is_none(self) -> None:
        x, _ = pair()
        v = symgraph.Variable(np.float32(1))
        f = symgraph.function([x], updates=[(v, v + K.sum(x))])
        assert f([1.0, 2.0]) is None
        assert v.get_value() == 4

    @pytest.mark.parametrize("form", [dict, OrderedDict, list, tuple, iter])
    def test_updates_and_givens(self, form: Any) -> None:
        x, y = pair()
        v, w = symgraph.Variable(np.float32(1)), symgraph.Variable(np.float32(2))
        f = symgraph.function([x], x * y, updates=form([(v, w), (w, v)]), givens=form([(y, x + 1)]))
        assert np.array_equal(f([1.0, 2.0]), [2.0, 6.0])
        assert (v.get_value(), w.get_value()) == (2, 1)

    def test_one_pair(self) -> None:
        v = symgraph.Variable(np.float32(1))
        symgraph.function([], updates=(v, v + 1))()
        assert v.get_value() == 2

    def test_updates_of_keras(self) -> None:
        """K.function took the keys of a dict for tensors to fetch, and dropped the updates."""
        v = K.variable(1.0)
        K.function([], [v], updates={v: v + 1})([])
        assert K.get_value(v) == 2

    def test_bad_forms(self) -> None:
        x, y = pair()
        with pytest.raises(ValueError, match=r"function: givens: <Tensor 'y' .* is given twice"):
            symgraph.function([x], x + y, givens=[(y, x), (y, x + 1)])
        with pytest.raises(TypeError, match="givens: expected pairs of a tensor and a value, got 3"):
            symgraph.function([x], x + y, givens=[3])
        with pytest.raises(TypeError, match="updates: expected a dict or pairs, got 3"):
            symgraph.function([x], x, updates=3)
        with pytest.raises(TypeError, match="expected a tensor as output 0, got 'sum'"):
            symgraph.function([x], ["sum"])


class TestCalls:
    def test_by_name(self) -> None:
        x, y = pair()
        f = symgraph.function([x, y], x - y, name="f")
        for result in (f([3.0], y=[1.0]), f(y=[1.0], x=[3.0])):
            assert np.array_equal(result, [2.0])

    @pytest.mark.parametrize(
        ("arguments", "named", "message"),
        [
            ([[1.0]], {"z": [2.0]}, "f: no input is called 'z'; it takes x, y"),
            ([[1.0]], {"x": [2.0]}, "f: got the input 'x' twice"),
            ([], {"y": [2.0]}, "f: missing input 'x'; it takes x, y"),
            ([[1.0], [2.0], [3.0]], {"y": [2.0]}, r"f: expected at most 2 inputs \(x, y\), got 3"),
        ],
    )
    def test_bad_calls(self, arguments: Any, named: Any, message: str) -> None:
        x, y = pair()
        f = symgraph.function([x, y], x - y, name="f")
        with pytest.raises(TypeError, match=message):
            f(*arguments, **named)

    def test_two_of_one_name(self) -> None:
        x, y = symgraph.placeholder((), name="x"), symgraph.placeholder((), name="x")
        f = symgraph.function([x, y], x - y, name="f")
        assert f(3, 1) == 2
        with pytest.raises(TypeError, match="2 inputs are called 'x': give them by place"):
            f(3, x=1)


class TestDefaults:
    def test_value(self) -> None:
        x, y = pair()
        f = symgraph.function([x, symgraph.In(y, value=[10.0], name="other")], x + y)
        assert [float(r[0]) for r in (f([1.0]), f([1.0], [2.0]), f([1.0], other=[3.0]))] == [11, 3, 4]
        with pytest.raises(TypeError, match=r"missing input 'x'; it takes x, other \(optional\)"):
            f()

    def test_a_variable_stands_for_its_value(self) -> None:
        x, _ = pair()
        v = symgraph.Variable(np.float32([1, 2]))
        f = symgraph.function([symgraph.In(x, value=v)], x * 2)
        v.set_value(np.float32([3, 4]))
        assert np.array_equal(f(), [6, 8])

    def test_update(self) -> None:
        """The accumulator of Theano's tutorial."""
        inc, state = symgraph.placeholder((), name="inc"), symgraph.placeholder((), name="state")
        f = symgraph.function(
            [symgraph.In(inc, value=1), symgraph.In(state, value=0, update=state + inc)], state
        )
        assert [float(r) for r in (f(), f(), f(inc=5), f(), f(state=100), f())] == [0, 1, 2, 7, 100, 101]
        with pytest.raises(ValueError, match="expected"):
            f(np.zeros(3))
        assert f() == 102

    def test_bad_defaults(self) -> None:
        x, _ = pair()
        with pytest.raises(ValueError, match="input 'x': an update needs a value to begin with"):
            symgraph.function([symgraph.In(x, update=x + 1)], x)
        with pytest.raises(TypeError, match=r"input 'x' is .*, its update"):
            symgraph.function([symgraph.In(x, value=[0.0], update=K.cast(x, "int32"))], x)
        with pytest.raises(TypeError, match="input 'x': expected numbers"):
            symgraph.function([symgraph.In(x, value="a")], x)
