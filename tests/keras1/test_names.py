"""Names and arguments of Keras 1.2.2, which names_1_2_2.json lists, against docs/keras1.md.

The file was written by reading Keras 1.2.2's sources: {module: {name: arguments of a function, or {method:
arguments} of a class}}. Without `self`, and without modules of pictures' networks.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from symgraph import layers

PAGE = Path(__file__).parents[2] / "docs" / "keras1.md"
KERAS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("names_1_2_2.json").read_text(encoding="utf-8")
)
# Layers take these by keyword, wherever Keras 1 had them.
OF_LAYERS = {"weights", "input_dim", "input_length"}
# These hand all arguments on.
AS_OF = {
    "AtrousConvolution1D": layers.Conv1D,
    "AtrousConvolution2D": layers.Conv2D,
    "TimeDistributedDense": layers.Dense,
}


def exceptions() -> set[str]:
    """What is missing according to the page: all code in the first column of its last table."""
    last = PAGE.read_text(encoding="utf-8").partition("\n## What is not there")[2]
    cells = re.findall(r"^\| (`[^|]+`) \|", last, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def _missing_arguments(where: str, keras: list[str], ours: Any, text: str) -> Iterator[str]:
    parameters = inspect.signature(ours).parameters
    known = set(parameters) | set(getattr(ours, "old_names", ()))
    rest = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for name in keras:
        # Some are taken out of `**kwargs`, as the text tells.
        if name not in known and not (rest and f"`{name}`" in text):
            yield f"{where}({name})"


def missing(module: str) -> Iterator[str]:
    """Every name and argument of a module of Keras 1 that symgraph has not."""
    try:
        ours = importlib.import_module(f"symgraph.{module}")
    except ModuleNotFoundError:
        yield module
        return
    for name, keras in KERAS[module].items():
        where, value = f"{module}.{name}", getattr(ours, name, None)
        if value is None:
            yield where
        elif isinstance(keras, list):
            yield from _missing_arguments(where, keras, value, value.__doc__ or "")
        else:
            for method, arguments in keras.items():
                if not hasattr(value, method):
                    yield f"{where}.{method}"
                elif callable(getattr(value, method)):
                    label = where if method == "__init__" else f"{where}.{method}"
                    given = sorted(set(arguments) - (OF_LAYERS if "layers" in module else set()))
                    found = getattr(AS_OF.get(name, value), method)
                    text = f"{value.__doc__} {found.__doc__}"
                    yield from _missing_arguments(label, given, found, text)


@pytest.mark.parametrize("module", KERAS)
def test_what_keras_1_had_is_there(module: str) -> None:
    assert sorted(set(missing(module)) - exceptions()) == []


def test_what_the_page_calls_missing_is() -> None:
    assert sorted(exceptions() - {name for module in KERAS for name in missing(module)}) == []
