"""Custom objects, configurations of objects and functions, and small helpers for lists and arrays."""

from __future__ import annotations

import base64
import binascii
import inspect
import marshal
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np

from symgraph import globals as state
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.own_functions import Written, recall, remember
from symgraph.utils.progbar import Progbar

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "custom_object_scope",
    "deserialize_keras_object",
    "func_dump",
    "func_load",
    "get_custom_objects",
    "has_arg",
    "is_all_none",
    "object_list_uid",
    "serialize_keras_object",
    "slice_arrays",
    "to_list",
    "transpose_shape",
    "unpack_singleton",
]


class CustomObjectScope:
    """A `with` block in which further names are known to configurations.

    At its end the registry is what it was at its beginning, also after changes made inside the block.

    Parameters
    ----------
    *args : dict
        Tables from name to class or function. Later tables win.

    Examples
    --------
    >>> with CustomObjectScope({"twice": lambda x: 2 * x}):
    ...     deserialize_keras_object("twice")(4)
    8
    """

    def __init__(self, *args: Mapping[str, Any]) -> None:
        self.custom_objects = args
        self._backups: list[dict[str, Any]] = []

    def __enter__(self) -> CustomObjectScope:
        self._backups.append(dict(state._custom_objects))
        for objects in self.custom_objects:
            state._custom_objects.update(objects)
        return self

    def __exit__(self, *_: object) -> None:
        state._custom_objects.clear()
        state._custom_objects.update(self._backups.pop())


def custom_object_scope(*args: Mapping[str, Any]) -> CustomObjectScope:
    """The same as `CustomObjectScope(*args)`."""
    return CustomObjectScope(*args)


def get_custom_objects() -> dict[str, Any]:
    """The registry of custom objects itself: a change in it is seen everywhere."""
    return state._custom_objects


def serialize_keras_object(instance: Any) -> dict[str, Any] | str | None:
    """Describe an object so that `deserialize_keras_object` makes it again.

    Parameters
    ----------
    instance : object with `get_config`, function, class or None

    Returns
    -------
    dict, str or None
        `{"class_name": ..., "config": ...}` for an object with `get_config`, the name of a function or class,
        None for None.

    Raises
    ------
    ValueError
        If the object has neither.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": type(instance).__name__, "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return str(instance.__name__)
    raise ValueError(f"Cannot serialize {instance!r}: it has no get_config() and no name")


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """Make an object from its configuration, or find a function by its name.

    Names are looked up in `custom_objects`, then in the registry of custom objects, then in `module_objects`.
    Nothing is ever imported by a name, so a configuration from a stranger reaches these three tables only.

    Parameters
    ----------
    identifier : dict or str
        `{"class_name": ..., "config": ...}`, or the name of a function.
    module_objects : mapping, optional
        The built-in names: a table of exactly what may be made, not the `globals()` of a module.
    custom_objects : mapping, optional
        Further names, also known while the object is made.
    printable_module_name : str
        What to call the thing in errors, as in 'Unknown layer: Foo'.

    Returns
    -------
    object
        What `from_config` of the named class made (or the named function, called with `config` as keywords);
        for a str the function found.

    Raises
    ------
    ValueError
        If the name is unknown, or `identifier` is neither of the two forms.
    """
    custom_objects = custom_objects or {}
    if isinstance(identifier, str):
        return _find_object(identifier, module_objects, custom_objects, printable_module_name)
    if not isinstance(identifier, dict):
        raise ValueError(
            f"Could not interpret serialized {printable_module_name}: expected a str or a dict, "
            f"got {identifier!r}"
        )
    name = identifier.get("class_name")
    if not isinstance(name, str) or "config" not in identifier:
        raise ValueError(
            f"Improper config format of {printable_module_name}: expected a dict with the keys 'class_name' "
            f"(a str) and 'config', got {identifier!r}"
        )
    made_by = _find_object(name, module_objects, custom_objects, printable_module_name)
    config = identifier["config"]
    # A list is the configuration of an old Sequential.
    if not isinstance(config, dict | list if hasattr(made_by, "from_config") else dict):
        raise ValueError(
            f"Improper config of {printable_module_name} {name}: expected a dict, got {config!r}"
        )
    if name in custom_objects or name in state._custom_objects:
        return _made(made_by, config, custom_objects)
    with config_errors(label_of(name, config)):
        return _made(made_by, config, custom_objects)


def _made(made_by: Any, config: Any, custom_objects: Mapping[str, Any]) -> Any:
    if hasattr(made_by, "from_config"):
        if has_arg(made_by.from_config, "custom_objects"):
            return made_by.from_config(config, custom_objects={**state._custom_objects, **custom_objects})
        with CustomObjectScope(custom_objects):
            return made_by.from_config(config)
    # By Keras' convention a function that makes the object takes the configuration as keywords.
    with CustomObjectScope(custom_objects):
        return made_by(**config)


def _find_object(
    name: str, module_objects: Mapping[str, Any] | None, custom_objects: Mapping[str, Any], kind: str
) -> Any:
    for table in (custom_objects, state._custom_objects):
        if name in table:
            return table[name]
    found = (module_objects or {}).get(name)
    if not callable(found):
        known = [n for n, value in (module_objects or {}).items() if callable(value)]
        known += [*custom_objects, *state._custom_objects]
        near = _called(name, known) or nearest_name(name, known)
        hint = f"did you mean {near}? If not, " if near else ""
        raise ValueError(
            f"Unknown {kind}: {name}; {hint}one of your own is known inside of "
            f"`with CustomObjectScope({{{name!r}: ...}}):`"
        )
    return found


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, in capital or small letters; None where none is.

    Letters in a wrong order count less than other letters.
    """
    wanted = name.strip().lower()
    small = {entry.lower(): entry for entry in known}
    near = get_close_matches(wanted, small, 5)
    near.sort(key=lambda entry: sorted(entry) != sorted(wanted))
    return small[near[0]] if near else None


def _called(name: str, known: Sequence[str]) -> str | None:
    """The call itself where somebody gave its text, such as 'l2(0.01)'."""
    function = name.partition("(")[0].rpartition(".")[2]
    return f"{name}, the call instead of a text" if "(" in name and function in known else None


def func_dump(func: Callable[..., Any]) -> tuple[str, tuple[Any, ...] | None, tuple[Any, ...] | None]:
    """Turn a Python function into text (its bytecode), its defaults and the values that it closes over.

    Parameters
    ----------
    func : function
        A Python function or lambda.

    Returns
    -------
    (str, tuple or None, tuple or None)
        Code in base64, defaults, closure. The code suits the running Python version only.

    Raises
    ------
    TypeError
        If `func` is no Python function (a builtin, a class, a partial).
    """
    code = getattr(func, "__code__", None)
    if not isinstance(code, CodeType):
        raise TypeError(f"func_dump expects a Python function, got {func!r}")
    text = base64.encodebytes(marshal.dumps(code)).decode("ascii")
    cells = getattr(func, "__closure__", None)
    closure = tuple(cell.cell_contents for cell in cells) if cells else None
    defaults = getattr(func, "__defaults__", None)
    if isinstance(func, FunctionType):
        remember(text, Written(func, defaults, closure))
    return text, defaults, closure


def func_load(
    code: str | Sequence[Any],
    defaults: Sequence[Any] | None = None,
    closure: Sequence[Any] | None = None,
    globs: dict[str, Any] | None = None,
    *,
    safe_mode: bool = True,
) -> FunctionType:
    """Make a function from the result of `func_dump`.

    A function that this process wrote is restored. All others are refused unless `safe_mode=False`, since
    bytecode can do anything that this process may do: load it only from sources whose programs you would run.

    Parameters
    ----------
    code : str, or the whole result of `func_dump` as a tuple or list
    defaults : sequence, optional
        Defaults of the last parameters.
    closure : sequence, optional
        Values (or cells) that the function closes over.
    globs : dict, optional
        The global names of a function that is made of bytecode; by default `np` alone.
    safe_mode : bool
        Only an explicit False loads code that this process did not write. With `globs` it makes a new
        function of all code.

    Raises
    ------
    ValueError
        In safe mode, before the code is read; or if the code is damaged or of another Python version.
    """
    if isinstance(code, tuple | list):
        if len(code) != 3:
            raise ValueError(f"func_load expects code, defaults and closure, got {len(code)} values")
        code, defaults, closure = code
    if safe_mode is not False or globs is None:
        own = recall(code, defaults, closure)
        if own is not None:
            return own
    if safe_mode is not False:
        raise ValueError(
            "func_load refuses to load Python bytecode, which may run anything; pass safe_mode=False "
            "if you trust where it comes from"
        )
    try:
        function_code = marshal.loads(base64.b64decode(str(code).encode("ascii")))
    except (UnicodeEncodeError, binascii.Error, ValueError, EOFError, TypeError) as error:
        raise ValueError(
            f"func_load cannot read the bytecode: damaged, or of another Python version ({error})"
        ) from error
    if not isinstance(function_code, CodeType):
        raise ValueError(
            f"func_load expects marshalled code, got a marshalled {type(function_code).__name__}"
        )
    cells = None
    if closure is not None:
        cells = tuple(value if isinstance(value, CellType) else CellType(value) for value in closure)
    return FunctionType(
        function_code,
        {"np": np} if globs is None else globs,
        name=function_code.co_name,
        argdefs=None if defaults is None else tuple(defaults),
        closure=cells,
    )


def has_arg(fn: Callable[..., Any], name: str, accept_all: bool = False) -> bool:
    """Whether `fn` can be called with the keyword `name`.

    Parameters
    ----------
    fn : callable
        A builtin that does not tell its parameters counts as having none.
    name : str
        The keyword; positional-only parameters do not count.
    accept_all : bool
        What a `**kwargs` parameter counts as.
    """
    try:
        parameters = inspect.signature(fn).parameters
    except ValueError:
        return False
    found = parameters.get(name)
    if found is None:
        return accept_all and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY)


def to_list(x: Any, allow_tuple: bool = False) -> list[Any]:
    """`x` itself if it is a list, else a list with the one element `x`.

    With `allow_tuple` a tuple becomes a list of its elements; without, it is one element.
    """
    if isinstance(x, list):
        return x
    if allow_tuple and isinstance(x, tuple):
        return list(x)
    return [x]


def unpack_singleton(x: Any) -> Any:
    """The only element of a list or tuple of length 1, else `x` itself."""
    return x[0] if len(x) == 1 else x


def object_list_uid(object_list: Any) -> str:
    """A text that tells these very objects (one, or a list) from any others that live at the same time."""
    return ", ".join(str(abs(id(x))) for x in to_list(object_list))


def is_all_none(iterable_or_element: Any) -> bool:
    """Whether a value, or every element of a list or tuple, is None."""
    return all(element is None for element in to_list(iterable_or_element, allow_tuple=True))


def slice_arrays(arrays: Any, start: Any = None, stop: int | None = None) -> Any:
    """The same rows of one array or of each array in a list.

    Parameters
    ----------
    arrays : array-like, list of array-likes (or None), or None
    start : int, or list or array of int
        The first row, or the rows themselves.
    stop : int, optional
        The row after the last; not used if `start` lists the rows.

    Returns
    -------
    array-like or list
        `arrays[start:stop]`, or a list of such slices; `[None]` for None.
    """
    if arrays is None:
        return [None]
    if isinstance(arrays, list):
        return [None if x is None else _rows(x, start, stop) for x in arrays]
    return _rows(arrays, start, stop)


def _rows(x: Any, start: Any, stop: int | None) -> Any:
    if not hasattr(start, "__len__"):
        return x[start:stop]
    # HDF5 datasets take lists only; numpy takes an index array faster than a list.
    return x[start.tolist() if hasattr(start, "tolist") and not isinstance(x, np.ndarray) else start]


def transpose_shape(shape: Any, target_format: str, spatial_axes: Sequence[int]) -> Any:
    """A 'channels_last' shape (tuple or list) in the order of `target_format`.

    Parameters
    ----------
    shape : tuple or list
        For example (batch, rows, columns, channels).
    target_format : str
        'channels_first' or 'channels_last'.
    spatial_axes : sequence of int
        Which elements are spatial, for example (1, 2).

    Raises
    ------
    ValueError
        If `target_format` is neither.

    Examples
    --------
    >>> transpose_shape((16, 128, 64, 3), "channels_first", spatial_axes=(1, 2))
    (16, 3, 128, 64)
    """
    if target_format == "channels_last":
        return shape
    if target_format != "channels_first":
        raise ValueError(
            f"The `data_format` argument must be one of 'channels_first', 'channels_last'; "
            f"got {target_format!r}"
        )
    return type(shape)([*shape[: spatial_axes[0]], shape[-1], *(shape[axis] for axis in spatial_axes)])


def check_count(value: Any, name: str, minimum: int) -> None:
    """Refuse anything but an integer (TypeError) that is at least `minimum` (ValueError)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"`{name}` should be an int, got {value!r}")
    if value < minimum:
        raise ValueError(f"`{name}` should be at least {minimum}, got {value}")
