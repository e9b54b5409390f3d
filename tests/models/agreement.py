"""Ready networks beside onnxruntime: the same weights, written to ONNX, on the same pictures.

    python -m tests.models.agreement [--networks VGG16,ResNet50]

prints for each network, with pictures of its own size, how far the results differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from symgraph import backend as K
from symgraph import initializers, models
from symgraph.activations import softmax
from symgraph.convert import to_onnx
from symgraph.layers import Conv2D, Dense

#: With what logits of a classifier spread: its largest probability is near 1, the others are far from equal.
SPREAD = 4.0
#: Layers inside whose results are compared, too.
MAPS = 6


class Compared(NamedTuple):
    """Results layer by layer; `whole` are the last ones, of the model without further outputs."""

    layers: list[str]
    ours: list[np.ndarray]
    theirs: list[np.ndarray]
    whole: list[np.ndarray]

    def differences(self) -> list[float]:
        """The largest difference of each result, as a part of its largest value."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return [float(np.abs(ours - theirs).max() / np.abs(theirs).max()) for ours, theirs in pairs]


def compare(name: str, count: int = 2, **kwargs: Any) -> Compared:
    """Let both predict the outputs of an architecture, and the results of some layers inside."""
    model = network(name, **kwargs)
    shape = (count, *model.input_shape[1:])
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    inside, heads = list(_maps(model)), list(_classifiers(model))
    seen = [*(layer.output for layer in inside), *(head.input for head in heads)]
    wide = models.Model(model.input, [*seen, *model.outputs])
    for head, features in zip(heads, wide.predict(x)[len(inside) :], strict=False):
        kernel, *rest = head.get_weights()
        spread = np.std(features @ kernel.reshape(kernel.shape[-2:]))
        head.set_weights([kernel * (SPREAD / spread), *rest])
    theirs = _onnxruntime(to_onnx(wide).SerializeToString(), x)
    whole = model.predict(x)
    return Compared(
        [*(layer.name for layer in (*inside, *heads)), *model.output_names],
        wide.predict(x),
        theirs,
        whole if isinstance(whole, list) else [whole],
    )


def network(name: str, **kwargs: Any) -> Any:
    """An architecture with weights that keep the size of numbers (He et al. 2015), all channels different."""
    with initializers.deferred():
        model = getattr(models, name)(weights=None, **kwargs)
    rng = np.random.default_rng(3)
    for weight in model.weights:
        K.set_value(weight, _value(rng, weight.name.split("/")[-1], K.int_shape(weight)))
    return model


def _value(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if "kernel" in name:
        inputs = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
        return rng.normal(0, np.sqrt(2 / inputs), shape)
    if "gamma" in name or "variance" in name:
        return rng.uniform(0.5, 1.5, shape)
    return rng.normal(0, 0.1, shape)


def _maps(model: Any) -> Iterator[Any]:
    """Layers at equal distances whose results are pictures."""
    drawn = [layer for layer in model.layers[1:] if len(layer.output_shape) == 4]
    for place in np.linspace(0, len(drawn) - 1, MAPS).astype(int):
        if drawn[place].output not in model.outputs:
            yield drawn[place]


def _classifiers(model: Any) -> Iterator[Any]:
    """The layers that give a softmax its logits: the dense ones and 1 x 1 convolutions of as many outputs."""
    ends = [layer for layer in model.layers if getattr(layer, "activation", None) is softmax]
    for layer in model.layers if ends else ():
        pointwise = isinstance(layer, Conv2D) and layer.kernel_size == (1, 1)
        if (pointwise or isinstance(layer, Dense)) and layer.output_shape[-1] == ends[-1].output_shape[-1]:
            yield layer


def _onnxruntime(content: bytes, x: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: x}))


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=",".join(models._ARCHITECTURES))
    head = ("network", "outputs", "inside, at most", "probabilities", "s")
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for name in parser.parse_args().networks.split(","):
        start = time.perf_counter()
        found = compare(name, 1)
        outputs, inside = found.differences()[-len(found.whole) :], found.differences()[: -len(found.whole)]
        print(
            f"| {name} | {', '.join(f'{d:.1e}' for d in outputs)} | {max(inside):.1e} | "
            f"{found.theirs[-1].min():.1e} to {found.theirs[-1].max():.3f} | "
            f"{time.perf_counter() - start:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
