"""Names, parameters and defaults against those of Keras 2.2.4.

names_2_2_4.json lists every name of every module, keras_2_2_4.json parameters of those that Keras defines.

What differs on purpose is written, with the reason, in docs/exceptions.md, which this test reads.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.read_keras import FACTS
from tests.api.record_names import NAMES

PAGE = Path(__file__).parents[2] / "docs" / "exceptions.md"
KERAS: dict[str, dict[str, Any]] = json.loads(FACTS.read_text(encoding="utf-8"))
RECORD: dict[str, Any] = json.loads(NAMES.read_text(encoding="utf-8"))
MODULES = [name for name in RECORD if not name.startswith("_")]

# Work in progress. An entry that exists fails `test_what_is_not_yet_there_is_not_there`: take it out then.
NOT_YET: dict[str, str] = {}


def exceptions() -> set[str]:
    """The differences that the page explains: all code in the first column of its first table."""
    first = PAGE.read_text(encoding="utf-8").partition("\n## Behaviour")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", first, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def missing_modules() -> set[str]:
    """The modules that the page says are not there, with what is below them."""
    section = PAGE.read_text(encoding="utf-8").split("## Missing modules\n")[1].split("\n")[0]
    named = re.findall(r"`([^`]+)`", section)
    return {m for m in MODULES if any(m == name or m.startswith(f"{name}.") for name in named)}


def not_yet() -> set[str]:
    return {f"{module}.{name}" for module, names in NOT_YET.items() for name in names.split()}


def _default(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


def _signature_differences(where: str, keras: str, ours: inspect.Signature) -> Iterator[str]:
    """`where(parameter)` for everything that code written for Keras could trip over."""
    arguments = ast.parse(f"def f({keras}): ...").body[0].args  # type: ignore[attr-defined]
    plain = [p.arg for p in arguments.args]
    defaults = dict(
        zip(plain[len(plain) - len(arguments.defaults) :], map(ast.unparse, arguments.defaults), strict=True)
    )
    kinds = inspect.Parameter
    given = {n: p for n, p in ours.parameters.items() if n != "self"}
    order = [n for n, p in given.items() if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.POSITIONAL_ONLY)]
    for place, name in enumerate(plain):
        parameter = given.get(name)
        if parameter is None or place >= len(order) or order[place] != name:
            yield f"{where}({name})"
        elif name not in defaults:
            if parameter.default is not kinds.empty:
                continue  # more may be left out than in Keras
        elif parameter.default is kinds.empty or repr(parameter.default) != repr(_default(defaults[name])):
            yield f"{where}({name}={defaults[name]})"
    for name in order[len(plain) :]:
        if given[name].default is kinds.empty:
            yield f"{where}({name})"
    for mark, entry, kind in (
        ("*", arguments.vararg, kinds.VAR_POSITIONAL),
        ("**", arguments.kwarg, kinds.VAR_KEYWORD),
    ):
        if entry and not any(p.kind is kind for p in given.values()):
            yield f"{where}({mark}{entry.arg})"


def _class_differences(where: str, keras: dict[str, str], ours: Any) -> Iterator[str]:
    for member, text in keras.items():
        label = where if member == "__init__" else f"{where}.{member}"
        found = inspect.getattr_static(ours, member, None)
        if text == "property" or found is None or isinstance(found, property):
            # Where Keras has a property, an attribute that instances get will do, and shows in annotations.
            known = found is not None or any(
                member in vars(c).get("__annotations__", {}) for c in ours.__mro__
            )
            if not known or (isinstance(found, property) and text != "property"):
                yield label
            continue
        yield from _signature_differences(label, text, inspect.signature(getattr(ours, member)))


def differences(module: str) -> Iterator[str]:
    """Every difference between a module and Keras', as the page and the list above name it."""
    try:
        ours = importlib.import_module(f"symgraph.{module}")
    except ModuleNotFoundError:
        yield module
        return
    for name, keras in KERAS[module].items():
        where, value = f"{module}.{name}", getattr(ours, name, None)
        if not getattr(value, "__module__", "").startswith("symgraph."):
            yield where
        elif isinstance(keras, str):
            yield from _signature_differences(where, keras, inspect.signature(value))
        else:
            yield from _class_differences(where, keras, value)


def missing_names(module: str) -> Iterator[str]:
    """Every name of a module of Keras that ours has not, or the module itself."""
    try:
        ours = importlib.import_module(f"symgraph.{module}".rstrip("."))
    except ModuleNotFoundError:
        yield module
        return
    recorded = RECORD[module] or {}
    for name in sorted({name for names in recorded.values() for name in names}):
        # A submodule is an attribute only once it is imported; it has a line of its own.
        label = f"{module}.{name}".lstrip(".")
        if not hasattr(ours, name) and label not in MODULES:
            yield label


def _differences_and_gaps(module: str) -> set[str]:
    gaps = set() if module in missing_modules() else set(missing_names(module))
    return gaps | (set(differences(module)) if module in KERAS else set())


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    return {module: _differences_and_gaps(module) for module in MODULES}


def test_the_record_is_of_every_module() -> None:
    assert set(KERAS) <= set(MODULES)
    assert {"applications.vgg16", "legacy.interfaces", "legacy.layers", "backend", "layers.core"} <= set(
        MODULES
    )
    named = sum(len(names) for m in MODULES for names in (RECORD[m] or {}).values())
    assert (len(MODULES), named) == (84, 1265)


@pytest.mark.parametrize("module", MODULES)
def test_names_parameters_and_defaults_are_those_of_keras(module: str, found: dict[str, set[str]]) -> None:
    assert sorted(found[module] - exceptions() - not_yet()) == []


def test_every_exception_is_still_one(found: dict[str, set[str]]) -> None:
    assert sorted(exceptions() - set().union(*found.values())) == []


def test_what_is_not_yet_there_is_not_there(found: dict[str, set[str]]) -> None:
    assert sorted(not_yet() - set().union(*found.values())) == []


def test_no_difference_is_listed_twice() -> None:
    assert sorted(exceptions() & not_yet()) == []
