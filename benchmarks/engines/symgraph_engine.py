"""symgraph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.engines.keras_like import build, call
from benchmarks.workloads import WORKLOADS
from symgraph import layers, optimizers
from symgraph.models import Sequential

_OPTIMIZERS: dict[object, Any] = {
    "adadelta": optimizers.Adadelta,
    "sgd": optimizers.SGD,
    "rmsprop": optimizers.RMSprop,
    "adam": optimizers.Adam,
}


def make(name: str, mode: str, threads: int) -> Callable[[], object]:
    """The workload as a call."""
    workload = WORKLOADS[name]
    model = build(layers, Sequential, workload.layers, workload.input_shape)
    kind, rate = workload.optimizer
    model.compile(_OPTIMIZERS[kind](lr=rate), workload.loss)
    return call(model, name, mode)
