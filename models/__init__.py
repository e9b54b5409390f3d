"""Ready architectures and runnable programs, written on the public interface only."""

# Configurations name classes of layers: all of them have to be loaded.
from symgraph import layers as _layers
from symgraph.engine.cloning import clone_model
from symgraph.engine.old_graph import Graph
from symgraph.engine.saving import (
    load_model,
    model_from_config,
    model_from_json,
    model_from_yaml,
    save_model,
)
from symgraph.engine.sequential import Sequential
from symgraph.engine.training import Model

Input = _layers.Input
InputLayer = _layers.InputLayer

__all__ = [
    "Graph",
    "Input",
    "InputLayer",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
]
