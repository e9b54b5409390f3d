"""What all engines of `benchmarks.networks` read: a network, its weights, data; and what they leave.

A network is Keras' own description of its layers, as `get_config` gives it, so every engine builds the same
from it. numpy is all that is needed here: peers have nothing of symgraph.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

DESCRIPTION, WEIGHTS, ONNX = "network.json", "weights.npz", "network.onnx"


@dataclass(frozen=True)
class Layer:
    """A layer: its class and arguments in Keras' words, and the names of the layers that it reads."""

    kind: str
    name: str
    arguments: dict[str, Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """Layers in an order in which they can be computed: the first is the input, the last the output.

    `onnx_parameters` is how many weights the network's ONNX file has, 0 where there is none.
    """

    folder: Path
    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    onnx_parameters: int

    def walk(self) -> Iterator[tuple[Layer, list[np.ndarray]]]:
        """Layers with their weights, read as they are needed: all at once may be half a gigabyte."""
        with np.load(self.folder / WEIGHTS) as arrays:
            keys = {
                name: list(own) for name, own in groupby(arrays.files, lambda key: key.rpartition("/")[0])
            }
            for layer in self.layers:
                yield layer, [arrays[key] for key in keys.get(layer.name, ())]

    def pictures(self, batch: int) -> np.ndarray:
        """Random inputs [batch, rows, columns, channels]."""
        return np.random.default_rng(1).standard_normal((batch, *self.input_shape), dtype=np.float32)

    def classes(self, batch: int) -> np.ndarray:
        """Random classes as integers: [batch], or [batch, rows, columns] where each pixel has one."""
        shape = (batch, *self.output_shape[:-1])
        return np.random.default_rng(2).integers(0, self.output_shape[-1], shape)

    def targets(self, batch: int) -> np.ndarray:
        """The same classes as a one in as many zeros, in another axis at the end."""
        return np.eye(self.output_shape[-1], dtype=np.float32)[self.classes(batch)]


def read(folder: str | Path) -> Network:
    """The network that is described in a folder."""
    found = json.loads(Path(folder, DESCRIPTION).read_text())
    layers = tuple(_layer(**config) for config in found["layers"])
    shapes = tuple(found["input_shape"]), tuple(found["output_shape"])
    return Network(Path(folder), found["name"], *shapes, layers, found["onnx_parameters"])


def _layer(class_name: str, name: str, config: dict[str, Any], inbound_nodes: list[Any]) -> Layer:
    inputs = inbound_nodes[0] if inbound_nodes else []
    return Layer(class_name, name, config, tuple(source for source, *_ in inputs))


def leave(folder: str | Path, engine: str, result: Any, parameters: int) -> None:
    """Keep what an engine computed, to be compared, and how many weights it computed it with."""
    np.savez(Path(folder, f"{engine}.result.npz"), result=np.asarray(result), parameters=parameters)


class Steps:
    """A training step as a call, whose first two losses are left: the second tells how weights changed.

    `step` gives the loss.
    """

    def __init__(self, folder: str | Path, engine: str, step: Callable[[], Any], parameters: int) -> None:
        self.folder, self.engine, self.step, self.parameters = folder, engine, step, parameters
        self.losses: list[float] = []

    def __call__(self) -> None:
        """Another step."""
        loss = float(self.step())
        if len(self.losses) < 2:
            self.losses.append(loss)
            leave(self.folder, self.engine, self.losses, self.parameters)


def results(folder: str | Path) -> dict[str, tuple[np.ndarray, int]]:
    """What engines have left: results and numbers of weights."""
    found = {}
    for path in sorted(Path(folder).glob("*.result.npz")):
        with np.load(path) as arrays:
            found[path.name.removesuffix(".result.npz")] = arrays["result"], int(arrays["parameters"])
    return found


def forget(folder: str | Path) -> None:
    """Remove what engines have left."""
    for path in Path(folder).glob("*.result.npz"):
        path.unlink()
