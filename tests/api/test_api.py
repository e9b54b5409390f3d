"""Names, parameters and defaults against those of Keras 2.2.4, which keras_2_2_4.json lists.

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

PAGE = Path(__file__).parents[2] / "docs" / "exceptions.md"
KERAS: dict[str, dict[str, Any]] = json.loads(FACTS.read_text(encoding="utf-8"))

# Work in progress. An entry that exists fails `test_what_is_not_yet_there_is_not_there`: take it out then.
NOT_YET: dict[str, str] = {}


def exceptions() -> set[str]:
    """The differences that the page explains: all code in the first column of its first table."""
    first = PAGE.read_text(encoding="utf-8").partition("\n## Behaviour")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", first, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


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


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    return {module: set(differences(module)) for module in KERAS}


@pytest.mark.parametrize("module", KERAS)
def test_names_parameters_and_defaults_are_those_of_keras(module: str, found: dict[str, set[str]]) -> None:
    assert sorted(found[module] - exceptions() - not_yet()) == []


def test_every_exception_is_still_one(found: dict[str, set[str]]) -> None:
    assert sorted(exceptions() - set().union(*found.values())) == []


def test_what_is_not_yet_there_is_not_there(found: dict[str, set[str]]) -> None:
    assert sorted(not_yet() - set().union(*found.values())) == []


def test_no_difference_is_listed_twice() -> None:
    assert sorted(exceptions() & not_yet()) == []
