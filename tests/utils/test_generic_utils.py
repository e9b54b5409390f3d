"""Custom objects, configurations and the small list helpers, as Keras 2.2.4 documents them."""

import functools
import marshal

import numpy as np
import pytest

from symgraph import globals as state
from symgraph.utils import generic_utils as utils


class Thing:
    """An object with a configuration."""

    def __init__(self, size=1, inner=None):
        self.size = size
        self.inner = inner

    def get_config(self):
        return {"size": self.size}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class Outer(Thing):
    """An object that makes another one and takes custom objects for it."""

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(config["size"], utils.deserialize_keras_object(config["inner"], {}, custom_objects))


class Nested(Thing):
    """An object that makes another one and relies on the scope around it."""

    @classmethod
    def from_config(cls, config):
        return cls(config["size"], utils.deserialize_keras_object(config["inner"]))


def double(x):
    return 2 * x


def test_scopes_nest_and_end_as_they_began():
    registry = utils.get_custom_objects()
    before = dict(registry)
    with utils.CustomObjectScope({"a": 1}, {"b": 2}) as scope:
        assert registry["a"] == 1
        with utils.custom_object_scope({"a": 3}):
            assert registry["a"] == 3
            registry["c"] = 4
        assert "c" not in registry
        assert registry["a"] == 1
        with scope:
            assert registry["b"] == 2
        assert registry["a"] == 1
    assert registry == before
    with pytest.raises(KeyError), utils.CustomObjectScope({"a": 1}):
        raise KeyError
    assert registry == before
    assert utils.get_custom_objects() is registry


def test_serialize_and_deserialize():
    table = {"Thing": Thing, "double": double}
    described = utils.serialize_keras_object(Thing(5))
    assert described == {"class_name": "Thing", "config": {"size": 5}}
    made = utils.deserialize_keras_object(described, module_objects=table)
    assert isinstance(made, Thing)
    assert made.size == 5
    assert utils.serialize_keras_object(double) == "double"
    assert utils.deserialize_keras_object("double", module_objects=table) is double
    assert utils.serialize_keras_object(None) is None
    with pytest.raises(ValueError, match="Cannot serialize"):
        utils.serialize_keras_object(functools.partial(double, 1))


def test_lookup_order():
    with utils.custom_object_scope({"f": "registry"}):
        assert utils.deserialize_keras_object("f", {"f": double}, {"f": "given"}) == "given"
        assert utils.deserialize_keras_object("f", {"f": double}) == "registry"
    assert utils.deserialize_keras_object("f", {"f": double}) is double


def test_custom_objects_reach_inner_objects():
    inner = {"class_name": "Thing", "config": {"size": 2}}
    for cls in (Outer, Nested):
        described = {"class_name": "Outside", "config": {"size": 1, "inner": inner}}
        made = utils.deserialize_keras_object(described, {}, {"Outside": cls, "Thing": Thing})
        assert made.inner.size == 2
    assert "Thing" not in utils.get_custom_objects()


def test_a_function_may_make_the_object():
    described = {"class_name": "thing", "config": {"size": 4}}
    assert utils.deserialize_keras_object(described, {"thing": functools.partial(Thing)}).size == 4
    with pytest.raises(ValueError, match="expected a dict"):
        utils.deserialize_keras_object({"class_name": "thing", "config": [4]}, {"thing": Thing.__init__})


@pytest.mark.parametrize(
    "identifier",
    [
        {"class_name": "Thing"},
        {"config": {}},
        {"class_name": ["Thing"], "config": {}},
        {},
        5,
        ["Thing"],
        "os.system",
        "np",
        {"class_name": "builtins.eval", "config": {"source": "1"}},
        {"class_name": "np", "config": {}},
        {"class_name": "Thing", "config": {}, "module": "os", "registered_name": "system"},
    ],
)
def test_unknown_and_improper_configurations(identifier):
    with pytest.raises(ValueError, match="gadget"):
        utils.deserialize_keras_object(identifier, {"np": np}, printable_module_name="gadget")


def test_functions_travel_as_bytecode_only_if_trusted(monkeypatch):
    offset = 10

    def shifted(x, factor=3):
        return np.abs(x) * factor + offset

    dumped = utils.func_dump(shifted)
    # As in another process.
    monkeypatch.setattr(state, "_written_functions", {})
    with pytest.raises(ValueError, match="safe_mode"):
        utils.func_load(dumped)
    for unset in (True, None, 0):
        with pytest.raises(ValueError, match="safe_mode"):
            utils.func_load(*dumped, safe_mode=unset)
    for form in (dumped, list(dumped)):
        assert utils.func_load(form, safe_mode=False)(-2) == 16
    code, defaults, closure = dumped
    assert utils.func_load(code, list(defaults), closure, safe_mode=False)(1, factor=1) == 11
    assert utils.func_load(utils.func_dump(double), globs={}, safe_mode=False)(4) == 8


def test_damaged_bytecode_and_what_is_no_function():
    whole = utils.func_dump(double)[0]
    not_code = "".join(map(chr, marshal.dumps([1])))
    for text in ("é", "", whole[: len(whole) // 2], "not base64 at all", not_code, "WwEAAADpAQAAAA=="):
        with pytest.raises(ValueError, match="func_load"):
            utils.func_load(text, safe_mode=False)
    for wrong in (len, Thing, functools.partial(double, 1), 3):
        with pytest.raises(TypeError, match="Python function"):
            utils.func_dump(wrong)


def test_has_arg():
    def function(a, /, b, *rest, c=1, **more):
        return a, b, rest, c, more

    assert [utils.has_arg(function, name) for name in ("a", "b", "rest", "c", "more", "d")] == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    assert utils.has_arg(function, "d", accept_all=True)
    assert not utils.has_arg(double, "d", accept_all=True)
    assert utils.has_arg(Thing, "size")
    assert not utils.has_arg(max, "key")


def test_list_helpers():
    given = [1]
    assert utils.to_list(given) is given
    assert utils.to_list((1, 2)) == [(1, 2)]
    assert utils.to_list((1, 2), allow_tuple=True) == [1, 2]
    assert utils.to_list(None) == [None]
    assert utils.unpack_singleton([7]) == 7
    assert utils.unpack_singleton([7, 8]) == [7, 8]
    assert utils.is_all_none(None)
    assert utils.is_all_none((None, None))
    assert not utils.is_all_none([None, 0])
    one, other = Thing(), Thing()
    assert utils.object_list_uid(one) == utils.object_list_uid([one])
    assert utils.object_list_uid([one, other]) != utils.object_list_uid([other, one])


def test_slice_arrays():
    x, y = np.arange(10), np.arange(20).reshape(10, 2)
    first, none, second = utils.slice_arrays([x, None, y], 2, 4)
    assert none is None
    np.testing.assert_array_equal(first, [2, 3])
    np.testing.assert_array_equal(second, [[4, 5], [6, 7]])
    np.testing.assert_array_equal(utils.slice_arrays(x, 2, 4), [2, 3])
    np.testing.assert_array_equal(utils.slice_arrays(x, stop=2), [0, 1])
    for rows in ([5, 1], np.array([5, 1])):
        np.testing.assert_array_equal(utils.slice_arrays([y], rows)[0], [[10, 11], [2, 3]])
        np.testing.assert_array_equal(utils.slice_arrays(y, rows), [[10, 11], [2, 3]])
    assert utils.slice_arrays(None) == [None]


def test_slice_arrays_gives_lists_of_rows_to_what_is_no_numpy_array():
    class Dataset:
        def __getitem__(self, rows):
            assert isinstance(rows, list | slice)
            return rows

    assert utils.slice_arrays([Dataset()], np.array([1, 3])) == [[1, 3]]


def test_transpose_shape():
    assert utils.transpose_shape((16, 128, 64, 32), "channels_first", (1, 2)) == (16, 32, 128, 64)
    assert utils.transpose_shape([16, 128, 64, 32], "channels_first", (1, 2)) == [16, 32, 128, 64]
    assert utils.transpose_shape((128, 64, 32), "channels_first", (0, 1)) == (32, 128, 64)
    assert utils.transpose_shape((16, 128, 64, 32), "channels_last", (1, 2)) == (16, 128, 64, 32)
    with pytest.raises(ValueError, match="data_format"):
        utils.transpose_shape((1, 2), "tf", (0,))
