"""Configurations of models of Keras 0.3 and 1 in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from symgraph.engine.files.keras1_graph import MODELS, GraphBuilder, merged_models
from symgraph.engine.files.keras1_layers import OLD_LAYERS, modern_layer
from symgraph.engine.files.keras1_merge import merge_layers
from symgraph.utils.config_errors import config_errors

Config: TypeAlias = dict[str, Any]

_UNUSED = {"Embedding": ("input_shape",)}


@dataclass
class OldModel:
    """What a configuration of Keras 0.3 or 1 says."""

    config: Any
    """In the words of Keras 2. Anything else is as it was."""
    order: tuple[str, ...] = ()
    """The names of the layers in the order of its files, where that is not the order of the model."""
    shapes: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Output shapes that layers must have."""


def modern_model(config: Any, known: Container[str] = ()) -> OldModel:
    """Translate a configuration that Keras 0.3 or 1 may have written; others do not change.

    Parameters
    ----------
    config : object
        `{"class_name": ..., "config": ...}`; of Keras 0.3 `{"name": "Sequential", "layers": ...}`.
    known : container of str
        Names of classes that stay as they are.

    Raises
    ------
    ValueError
        If it has options that are no more, or cannot be told what it means.
    """
    if not isinstance(config, dict):
        return OldModel(config)
    converter = _Converter(known, _orderings(config))
    result = converter.entry(config)
    is_built = result.get("class_name") == "Model" and config.get("class_name") not in MODELS
    return OldModel(result, tuple(converter.order) if is_built else (), converter.shapes)


def _orderings(config: Any) -> list[str]:
    """The values of `dim_ordering` in a configuration."""
    return sorted({str(value) for key, value in _pairs(config) if key == "dim_ordering"})


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _pairs(part)


class _Converter:
    """Translates the parts of one configuration.

    Parameters
    ----------
    known : container of str
    orderings : list of str
        Those of its layers: Keras 1 did not store that of padding, cropping and the like.
    """

    def __init__(self, known: Container[str], orderings: Sequence[str]) -> None:
        self.order: list[str] = []
        self.shapes: dict[str, tuple[Any, ...]] = {}
        self._known = known
        self._orderings = orderings
        self._names: set[str] = set()

    def entry(self, entry: Config) -> Config:
        """A layer or a model, with all that is inside."""
        is_oldest = "class_name" not in entry and isinstance(entry.get("name"), str)
        if is_oldest:
            entry = self._named(entry)
        name, config = entry.get("class_name"), entry.get("config")
        if not isinstance(name, str) or name in self._known or not isinstance(config, dict | list):
            return entry
        if name == "Sequential":
            return {**entry, **self._sequential(config, entry.get("name"), is_oldest)}
        # Our own configurations of a `Graph`, in the words of Keras 2, name it.
        if name == "Graph" and isinstance(config, dict) and "name" not in config:
            return {**entry, **self._graph(config, entry.get("name"), is_oldest)}
        if not isinstance(config, dict):
            return entry
        if name in MODELS and isinstance(config.get("layers"), list):
            return {**entry, "config": {**config, "layers": list(self._joined(config["layers"]))}}
        with config_errors(f"layer {config.get('name')}"):
            return {**entry, **self._layer(name, config)}

    def _named(self, entry: Config) -> Config:
        """Keras 0.3 called the class `name`, and the layer, always the same, `custom_name`."""
        # The input shape that Keras 0.3 wrote for an Embedding is not that of its input.
        unused = ("name", "custom_name", "cache_enabled", *_UNUSED.get(entry["name"], ()))
        config = {key: value for key, value in entry.items() if key not in unused}
        if entry["name"] == "Layer":
            return {
                "class_name": "Activation",
                "config": {"activation": "linear", **self._own(entry, config)},
            }
        if entry["name"] in ("Sequential", "Graph", "Merge"):
            return {"class_name": entry["name"], "config": config}
        return {"class_name": entry["name"], "config": self._own(entry, config)}

    def _own(self, entry: Config, config: Config) -> Config:
        """A configuration with a name that no other layer has."""
        wanted = entry.get("custom_name") or entry["name"].lower()
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return {**config, "name": name}

    def _layer(self, class_name: str, config: Config) -> Config:
        config = dict(config)
        inner = config.get("layer")
        if isinstance(inner, dict):
            config["layer"] = self.entry(inner)
        old = OLD_LAYERS.get(class_name)
        if old and old.has_channels and "data_format" not in config and "dim_ordering" not in config:
            config.update(self._ordering())
        shape = config.pop("output_shape", None) if class_name == "Deconvolution2D" else None
        if isinstance(shape, list | tuple):
            self.shapes[str(config.get("name"))] = tuple(shape)
        name, config = modern_layer(class_name, config)
        return {"class_name": name, "config": config}

    def _ordering(self) -> Config:
        """What other layers say of the order of axes; nothing where they say nothing."""
        if len(self._orderings) > 1:
            raise ValueError(
                "its configuration does not say whether channels come first or last (Keras 1 did not store "
                f"it), and other layers of the model do not agree: dim_ordering={', '.join(self._orderings)}"
            )
        return {"dim_ordering": self._orderings[0]} if self._orderings else {}

    # -- models ----------------------------------------------------------------------------------------------

    def _joined(self, layers: Sequence[Any]) -> Iterator[Any]:
        """The layers of a functional model."""
        for entry in layers:
            merges = isinstance(entry, dict) and entry.get("class_name") == "Merge"
            if merges and "Merge" not in self._known and isinstance(entry.get("config"), dict):
                name = str(entry.get("name") or entry["config"].get("name"))
                yield from merge_layers(name, entry["config"], entry.get("inbound_nodes") or (), True)
            else:
                yield self.entry(entry) if isinstance(entry, dict) else entry

    def _sequential(self, config: Any, name: Any, is_oldest: bool) -> Config:
        layers = config.get("layers") if isinstance(config, dict) else config
        if not isinstance(layers, list):
            return {"config": config}
        if layers and "Merge" not in self._known and merged_models(layers[0]) is not None:
            builder = GraphBuilder(self.entry, is_oldest)
            builder.add_output(builder.add_sequential(layers))
            return self._built(builder, name)
        made = [self.entry(entry) if isinstance(entry, dict) else entry for entry in layers]
        if isinstance(config, dict):
            return {"config": {**config, "layers": made}}
        return {"config": {"name": name, "layers": made} if isinstance(name, str) else made}

    def _graph(self, config: Config, name: Any, is_oldest: bool) -> Config:
        builder = GraphBuilder(self.entry, is_oldest)
        for output in builder.add_graph(config):
            builder.add_output(output)
        return self._built(builder, name)

    def _built(self, builder: GraphBuilder, name: Any) -> Config:
        self.order = builder.order
        return {"class_name": "Model", "config": builder.config(name)}
