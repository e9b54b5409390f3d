"""Keras 3, on the backend that the environment variable KERAS_BACKEND names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.engines.keras_like import build, call
from benchmarks.workloads import WORKLOADS


def make(name: str, mode: str, threads: int) -> Callable[[], object]:
    """The workload as a call."""
    warnings.filterwarnings("ignore")
    if os.environ.get("KERAS_BACKEND") == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    import keras

    kinds: dict[object, Any] = {
        "adadelta": keras.optimizers.Adadelta,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
    }
    workload = WORKLOADS[name]
    model = build(keras.layers, keras.Sequential, workload.layers, workload.input_shape)
    kind, rate = workload.optimizer
    model.compile(kinds[kind](learning_rate=rate), workload.loss)
    return call(model, name, mode)
