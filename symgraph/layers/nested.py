"""Layers that keep other layers inside them, whose weights, losses and updates are theirs too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from symgraph.engine.base_layer import Layer
from symgraph.engine.layer.losses import InputsKey, inputs_key
from symgraph.engine.weights.order import WeightParts
from symgraph.graph.leaves import Variable
from symgraph.layers.arguments import ConfiguredLayer


class Nested(ConfiguredLayer):
    """A layer with layers inside, which it calls by `call`: they have no nodes of their own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # What the layers inside read when this one read the inputs of the key.
        self._inner_inputs: dict[InputsKey, list[tuple[Layer, Any]]] = {}

    @property
    def _layers(self) -> list[Layer]:
        """The layers inside."""
        raise NotImplementedError

    @property  # type: ignore[misc]
    def trainable_weights(self) -> list[Variable]:
        """Its own, then those of the layers inside; none while the layer is frozen."""
        if not self.trainable:
            return []
        return [*self._trainable_weights, *(w for inner in self._layers for w in inner.trainable_weights)]

    @property  # type: ignore[misc]
    def non_trainable_weights(self) -> list[Variable]:
        """Frozen weights: its own, then those of the layers inside."""
        own = [] if self.trainable else list(self._trainable_weights)
        frozen = [] if self.trainable else [w for inner in self._layers for w in inner.trainable_weights]
        fixed = [w for inner in self._layers for w in inner.non_trainable_weights]
        return [*own, *frozen, *self._non_trainable_weights, *fixed]

    def _weight_parts(self) -> WeightParts:
        return WeightParts(self._trainable_weights, self._non_trainable_weights, self._layers)

    @property
    def losses(self) -> list[Any]:
        """Losses of the layers inside, then its own."""
        return [*(x for inner in self._layers for x in inner.losses), *self._losses]

    @property
    def updates(self) -> list[Any]:
        """Updates of the layers inside, then its own; none while the layer is frozen."""
        if not self.trainable and not self.stateful:
            return []
        return [*(x for inner in self._layers for x in inner.updates), *self._updates]

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        """Losses that were added for exactly these inputs, here or inside."""
        return [*self._from_inside("get_losses_for", inputs), *super().get_losses_for(inputs)]

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        """Updates that were added for exactly these inputs, here or inside."""
        if not self.trainable and not self.stateful:
            return []
        return [*self._from_inside("get_updates_for", inputs), *super().get_updates_for(inputs)]

    def _from_inside(self, getter: str, inputs: Any) -> list[Any]:
        key = inputs_key(inputs)
        if key is None:
            return [x for inner in self._layers for x in getattr(inner, getter)(None)]
        # A layer inside that reads the same tensors is not noted.
        read = self._inner_inputs.get(key) or [(inner, inputs) for inner in self._layers]
        return [x for inner, tensors in read for x in getattr(inner, getter)(tensors)]

    def _build_inner(self, inner: Any, shape: Any, scope: str = "") -> None:
        """Build a layer inside, if that was not done; its weights get names under that of this layer."""
        if isinstance(inner, Layer) and not inner.built:
            with _called(inner, f"{self.name}{scope}"):
                inner.build(shape)
            inner.built = True


@contextmanager
def _called(layer: Layer, name: str) -> Iterator[None]:
    """In this block the layer has another name."""
    own, layer.name = layer.name, name
    try:
        yield
    finally:
        layer.name = own
