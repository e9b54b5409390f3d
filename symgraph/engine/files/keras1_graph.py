"""`Graph`, and a `Sequential` above a `Merge`, of Keras 0.3 and 1 as functional models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from symgraph.engine.files.keras1_merge import merge_layers

Config: TypeAlias = dict[str, Any]

MODELS = ("Model", "Container", "Functional")


def merged_models(entry: Any) -> list[Any] | None:
    """The models that a `Merge` holds, or None for every other layer."""
    if not isinstance(entry, dict):
        return None
    config = entry.get("config") if "class_name" in entry else entry
    found = config.get("layers") if isinstance(config, dict) else None
    is_merge = entry.get("class_name", entry.get("name")) == "Merge"
    return found if is_merge and isinstance(found, list) else None


class GraphBuilder:
    """Collects the layers of a functional model.

    Parameters
    ----------
    translate : callable
        Translates the configuration of a layer or a model.
    is_oldest : bool
        Whether Keras 0.3 wrote them.
    """

    def __init__(self, translate: Callable[[Config], Config], is_oldest: bool) -> None:
        self.order: list[str] = []
        """The names of the layers, but inputs and merges, as the files of Keras 0.3 and 1 list them."""
        self._translate = translate
        self._is_oldest = is_oldest
        self._layers: list[Config] = []
        self._inputs: list[list[Any]] = []
        self._outputs: list[list[Any]] = []

    def config(self, name: Any) -> Config:
        """The configuration of the functional model."""
        return {
            "name": name,
            "layers": self._layers,
            "input_layers": self._inputs,
            "output_layers": self._outputs,
        }

    def add_output(self, name: str) -> None:
        """Make the output of a layer the next output of the model."""
        self._outputs.append([name, 0, 0])

    def add_sequential(self, layers: Sequence[Any]) -> str:
        """Add the layers of a Sequential, and what its `Merge` holds; returns the name of the last one."""
        models = merged_models(layers[0]) if layers else None
        rest = list(layers)
        if models is not None:
            merge = rest.pop(0)
            config = merge["config"] if "class_name" in merge else merge
            below = self._add_merge(None, config, [self._add_model(model) for model in models])
        else:
            below = ""
        for entry in rest:
            below = self._add_layer(self._translate(_described(entry)), [below] if below else [])
        return below

    def _add_model(self, entry: Any) -> str:
        entry = _described(entry)
        name, config = entry.get("class_name", entry.get("name")), entry.get("config", entry)
        inner = config.get("layers") if isinstance(config, dict) else config
        if name == "Sequential" and isinstance(inner, list) and inner:
            return self.add_sequential(inner)
        if name == "Graph":
            return self._only(self.add_graph(config), "Graph")
        if name in MODELS and isinstance(inner, list):
            return self._inlined(self._translate(entry)["config"])
        return self.add_sequential([entry])

    def _inlined(self, config: Config) -> str:
        """The layers of a functional model as they are."""
        self._layers += config["layers"]
        self.order += [str(layer.get("name")) for layer in config["layers"]]
        self._inputs += config.get("input_layers") or ()
        return self._only([str(end[0]) for end in config.get("output_layers") or ()], "Model")

    @staticmethod
    def _only(outputs: Sequence[str], kind: str) -> str:
        if len(outputs) != 1:
            raise ValueError(f"a {kind} inside of a Merge: expected 1 output, got {len(outputs)}")
        return outputs[0]

    def _add_layer(self, entry: Config, sources: Sequence[str]) -> str:
        config = entry.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        if not isinstance(name, str):
            name = f"{str(entry.get('class_name')).lower()}_{len(self._layers) + 1}"
            layers = config if isinstance(config, list) else None
            entry = {**entry, "config": {"name": name, **({"layers": layers} if layers else config or {})}}
        if entry.get("class_name") == "InputLayer":
            return self.add_input(name, entry["config"])
        below = list(sources) or [self.add_input(f"{name}_input", _declared(entry))]
        calls = [[[source, 0, 0, {}] for source in below]]
        self._layers.append({**entry, "name": name, "inbound_nodes": calls})
        self.order.append(name)
        return name

    def add_input(self, name: str, config: Config) -> str:
        """Add an input of a shape and a type."""
        shape = config.get("batch_input_shape")
        if shape is None and config.get("input_shape") is not None:
            shape = [None, *config["input_shape"]]
        if shape is None:
            raise ValueError(f"layer {name}: the configuration does not say the shape of this input")
        dtype = config.get("dtype") or config.get("input_dtype") or "float32"
        dtype = {"float": "float32", "int": "int32"}.get(dtype, dtype)
        inner = {"name": name, "batch_input_shape": shape, "dtype": dtype, "sparse": False}
        self._layers.append({"name": name, "class_name": "InputLayer", "config": inner, "inbound_nodes": []})
        self._inputs.append([name, 0, 0])
        return name

    def _add_merge(self, name: str | None, config: Config, sources: Sequence[str]) -> str:
        name = name or config.get("name") if "mode_type" in config else name
        name = name or f"merge_{len(self._layers) + 1}"
        calls = [[[source, 0, 0, {}] for source in sources]]
        self._layers += merge_layers(name, config, calls, not self._is_oldest)
        return name

    # -- Graph -----------------------------------------------------------------------------------------------

    def add_graph(self, config: Config) -> list[str]:
        """Add the inputs and nodes of a Graph; returns the names of the layers of its outputs."""
        nodes = config.get("nodes") or {}
        for entry in config.get("input_config") or ():
            self.add_input(entry["name"], entry)
        outputs = list(config.get("output_config") or ())
        renamed = {
            entry["input"]: entry["name"] for entry in reversed(outputs) if entry.get("input") in nodes
        }
        for node in config.get("node_config") or ():
            self._add_node(node, nodes[node["name"]], renamed)
        return [self._add_graph_output(entry, renamed) for entry in outputs]

    def _add_node(self, node: Config, entry: Config, renamed: dict[str, str]) -> None:
        name: str = node["name"]
        if entry.get("shared") or "layer" in node or entry.get("name") == "Siamese":
            raise ValueError(f"node {name}: shared nodes of a Graph are not supported")
        name = renamed.get(name, name)
        made = self._translate(entry)
        config = made["config"] if isinstance(made.get("config"), dict) else {"layers": made.get("config")}
        self._add_layer({**made, "config": {**config, "name": name}}, [self._joined(name, node, renamed)])

    def _joined(self, name: Any, node: Config, renamed: dict[str, str]) -> str:
        """What a node reads: one layer, or several that are merged."""
        sources = [renamed.get(source, source) for source in node.get("inputs") or ()]
        if not sources:
            return renamed.get(node.get("input") or "", node.get("input") or "")
        merge = {**node, "mode": node.get("merge_mode", "concat")}
        return self._add_merge(f"merge_inputs_for_{name}", merge, sources)

    def _add_graph_output(self, entry: Config, renamed: dict[str, str]) -> str:
        name, source = entry["name"], self._joined(entry["name"], entry, renamed)
        if source == name:
            return name
        identity = {"class_name": "Activation", "config": {"name": name, "activation": "linear"}}
        return self._add_layer(identity, [source])


def _described(entry: Any) -> Config:
    if not isinstance(entry, dict):
        raise ValueError(f"Improperly formatted model config: a layer is described by {entry!r:.200}")
    return entry


def _declared(entry: Config) -> Config:
    """The configuration, of the layer or of the first one inside, that says the shape of the input."""
    config = entry.get("config")
    while isinstance(config, dict) and isinstance(config.get("layers"), list) and config["layers"]:
        first = config["layers"][0]
        config = first.get("config") if isinstance(first, dict) else None
    return config if isinstance(config, dict) else {}
