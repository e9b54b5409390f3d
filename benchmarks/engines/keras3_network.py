"""Ready networks by Keras 3, on the backend that the environment variable KERAS_BACKEND names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.network_files import Layer, Network, Steps, leave, read

# What both versions of Keras call by the same name.
_ARGUMENTS = {
    "filters", "kernel_size", "strides", "padding", "activation", "use_bias", "units", "axis", "momentum",
    "epsilon", "center", "scale", "pool_size", "max_value", "rate", "name",
}  # fmt: skip


def make(folder: str, task: str, batch: str, threads: int) -> Callable[[], object]:
    """Prediction of one batch, or a training step on it, as a call."""
    warnings.filterwarnings("ignore")
    backend = os.environ["KERAS_BACKEND"]
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    import keras

    network = read(folder)
    model = _build(keras, network)
    x = network.pictures(int(batch))
    if task == "train":
        model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), "categorical_crossentropy")
        step = partial(model.train_on_batch, x, network.targets(int(batch)))
        return Steps(folder, f"keras {backend}", step, model.count_params())
    leave(folder, f"keras {backend}", model.predict_on_batch(x), model.count_params())
    return partial(model.predict_on_batch, x)


def _build(keras: Any, network: Network) -> Any:
    """A functional model with the network's weights."""
    values: dict[str, Any] = {}
    for layer, weights in network.walk():
        if layer.kind == "InputLayer":
            values[layer.name] = keras.Input(network.input_shape)
            continue
        sources = [values[source] for source in layer.inputs]
        made = _layer(keras, layer)
        values[layer.name] = made(sources[0] if len(sources) == 1 else sources)
        made.set_weights(weights)
    return keras.Model(values[network.layers[0].name], values[network.layers[-1].name])


def _layer(keras: Any, layer: Layer) -> Any:
    return getattr(keras.layers, layer.kind)(
        **{name: value for name, value in layer.arguments.items() if name in _ARGUMENTS}
    )
