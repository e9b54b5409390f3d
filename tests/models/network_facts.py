"""What the networks of Keras look like, layer by layer.

keras_networks.json and keras_weight_files.json beside this file were written by ``python network_facts.py``
under Keras 2.2.4 with keras_applications 1.0.8 (Python 3.7, TensorFlow 1.14). It imports nothing of ours.
"""

import hashlib
import importlib
import json
import os
import sys
from functools import partial

HERE = os.path.dirname(os.path.abspath(__file__))
FACTS = os.path.join(HERE, "keras_networks.json")
FILES = os.path.join(HERE, "keras_weight_files.json")

# Module of keras.applications (of keras_applications, where Keras has none): its networks.
NETWORKS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "xception": "Xception",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "densenet": "DenseNet121 DenseNet169 DenseNet201",
    "nasnet": "NASNetMobile NASNetLarge",
    "resnet": "ResNet50 ResNet101 ResNet152",
    "resnet_v2": "ResNet50V2 ResNet101V2 ResNet152V2",
}


def layer_facts(layer):
    """Name, kind, shape, weights, the layers before it, and configuration, as JSON holds them.

    Keras' `Lambda` layers are written as the `ScaledAdd` that stands in their place.
    """
    config = layer.get_config()
    kind = type(layer).__name__
    if kind == "Lambda":
        kind = "ScaledAdd"
        config = {"name": config["name"], "trainable": config["trainable"], **config["arguments"]}
    before = [other.name for other in layer._inbound_nodes[0].inbound_layers]
    shape = layer.output_shape[1:]
    weights = [[w.name.split(":")[0].split("/")[-1], list(map(int, w.shape))] for w in layer.weights]
    facts = [layer.name, kind, shape, weights, before, config]
    return json.loads(json.dumps(facts, sort_keys=True, default=lambda number: number.item()))


def network_facts(model):
    """Name, number of weights, number of layers, and a digest of all that `layer_facts` says."""
    layers = [layer_facts(layer) for layer in model.layers]
    digest = hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest()
    return [model.name, int(model.count_params()), len(layers), digest]


# Networks whose weights depend on more than their name.
SIZED = {
    "MobileNet": [{"alpha": a} for a in (0.25, 0.5, 0.75)]
    + [{"input_shape": (s, s, 3)} for s in (128, 160, 192)],
    "MobileNetV2": [{"alpha": a} for a in (0.35, 0.5, 0.75, 1.3, 1.4)]
    + [{"input_shape": (s, s, 3)} for s in (96, 128, 160, 192)],
}


class Asked(Exception):
    """A file of weights was asked for; its arguments are name, address and hash."""


def ask(fname, origin, cache_subdir, file_hash=None, md5_hash=None):
    """In place of Keras' `get_file`."""
    assert cache_subdir == "models"
    raise Asked(fname, origin, file_hash or md5_hash)


def asked_file(build, **kwargs):
    """The file of weights that a network asks for."""
    try:
        build(weights="imagenet", **kwargs)
    except Asked as asked:
        return list(asked.args)
    raise ValueError("nothing was asked for")


def builder(module, name):
    """Keras' function, or that of keras_applications for what Keras has not."""
    keras = importlib.import_module("keras")
    try:
        return getattr(importlib.import_module("keras.applications." + module), name)
    except ImportError:
        parts = {part: getattr(keras, part) for part in ("backend", "layers", "models", "utils")}
        return partial(getattr(importlib.import_module("keras_applications." + module), name), **parts)


def main():
    """Write the facts of Keras' networks."""
    keras = importlib.import_module("keras")
    keras.utils.get_file = ask
    facts, files = {}, {}
    for module, names in NETWORKS.items():
        for name in names.split():
            build = builder(module, name)
            for key, kwargs in (("", {}), (" without top", {"include_top": False, "pooling": "avg"})):
                keras.backend.clear_session()
                facts[f"{module}.{name}{key}"] = network_facts(build(weights=None, **kwargs))
            for kwargs in [{}, *SIZED.get(name, [])]:
                keras.backend.clear_session()
                found = [asked_file(build, include_top=top, **kwargs) for top in (True, False)]
                files.setdefault(f"{module}.{name}", []).append([kwargs, found])
            sys.stderr.write(f"{module} {name}\n")
    for path, content in ((FACTS, facts), (FILES, files)):
        with open(path, "w") as file:
            json.dump(content, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
