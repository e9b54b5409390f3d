"""Ready networks by symgraph."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.network_files import Steps, leave, read
from benchmarks.network_zoo import NETWORKS
from symgraph.optimizers import SGD


def make(folder: str, task: str, batch: str, threads: int) -> Callable[[], object]:
    """Prediction of one batch, or a training step on it, as a call."""
    network = read(folder)
    model = NETWORKS[network.name]()
    for layer, weights in network.walk():
        model.get_layer(layer.name).set_weights(weights)
    x = network.pictures(int(batch))
    if task == "predict":
        leave(folder, "symgraph", model.predict(x, batch_size=len(x)), model.count_params())
        return lambda: model.predict(x, batch_size=len(x))
    y = network.targets(int(batch))
    model.compile(SGD(lr=1e-3, momentum=0.9), "categorical_crossentropy")
    return Steps(folder, "symgraph", lambda: model.train_on_batch(x, y), model.count_params())
