"""How tensors reach the functions that write graphs, which are built on tensors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

_operators: dict[str, Callable[..., Any]] = {}


def install_operators(functions: dict[str, Callable[..., Any]]) -> None:
    """Give tensors their operators. Ops are built on tensors, so they are handed in from above, once."""
    _operators.update(functions)


def operator(name: str) -> Callable[..., Any]:
    """The builder function called `name`."""
    return _operators[name]


def namespace() -> Any:
    """`symgraph.numpy`, where tensors have their methods from.

    It lies some floors above, and is loaded when a method is first used.
    """
    return importlib.import_module("symgraph.numpy")
