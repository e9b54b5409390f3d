"""Models: layers, networks, training, files."""

from __future__ import annotations

import importlib
from typing import Any

from symgraph.engine.base_layer import Layer
from symgraph.engine.input_layer import Input, InputLayer
from symgraph.engine.layer.spec import InputSpec
from symgraph.engine.network import get_source_inputs
from symgraph.engine.training import Model

__all__ = ["Input", "InputLayer", "InputSpec", "Layer", "Model", "get_source_inputs"]

# Keras 1 had them here. They are layers, whose modules need this one.
_IN_TOPOLOGY = ("Merge", "merge")


def __getattr__(name: str) -> Any:
    if name in _IN_TOPOLOGY:
        return getattr(importlib.import_module(f"{__name__}.topology"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
