"""A model that is one layer after another."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.data.symbolic import sizes
from symgraph.engine.files.layer_config import deserialize, serialize
from symgraph.engine.input_layer import Input, InputLayer
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.engine.layer.shapes import Shape, shape_tuple
from symgraph.engine.network import get_source_inputs
from symgraph.engine.network_parts.config import frozen_config, rebuild
from symgraph.engine.network_parts.layer_list import LayerList, in_order
from symgraph.engine.training import Model
from symgraph.graph.tensor import Tensor
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import to_list
from symgraph.utils.warn_user import warn_old, warn_user


class Sequential(Model):
    """Layers, each fed by the one before it.

    The model is built while layers are added if the first one knows its input shape, else by `build` or by
    the first data.

    Parameters
    ----------
    layers : list of Layer, optional
    name : str, optional

    Examples
    --------
    >>> model = Sequential([Dense(32, input_shape=(500,)), Dense(10)])
    >>> model.output_shape
    (None, 10)
    """

    def __init__(self, layers: Sequence[Layer] | None = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._build_input_shape: Shape | None = None
        self._joins = False
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers that were added, without the input layer that was put below them.

        The model follows a change of this list: layers that go are popped, those above them added again. A
        `Merge` of Keras 1 stands behind the layers that it merges, one branch after the other.
        """
        if self._joins:
            return LayerList(self, in_order(self.outputs))
        below = 1 if self._layers and isinstance(self._layers[0], InputLayer) else 0
        return LayerList(self, self._layers[below:])

    def _follow_layers(self, before: list[Layer], after: list[Layer]) -> None:
        kept = 0
        while kept < min(len(before), len(after)) and before[kept] is after[kept]:
            kept += 1
        shape = self.inputs[0]._keras_shape if self.inputs else None
        with unchanged_on_error([self, *self._layers, *after], parts=False):
            for _ in before[kept:]:
                self.pop()
            for layer in after[kept:]:
                self.add(layer)
            if after and shape is not None and not self.inputs:
                self.build(shape)

    @property
    def _configured_layers(self) -> list[Layer]:
        """The parts of a model of this configuration: `layers`, and before them an input that was added.

        An input that follows from the first layer, or from a shape given later, is made again by these.
        """
        declared = _declared_input(self.layers[0]) if self.layers else None
        is_other = declared is not None and self.inputs and declared[0] != self.inputs[0]._keras_shape
        follows = not self.layers or self._build_input_shape or (declared is not None and not is_other)
        return self.layers if follows else self._layers

    @property
    def flattened_layers(self) -> list[Layer]:
        """`layers`, by the name that Keras 1 had for those below a `Merge` too; with a warning."""
        warn_old("`Sequential.flattened_layers` is `layers` since Keras 2.")
        return list(self.layers)

    @property
    def model(self) -> Self:
        """The model itself, as in old versions of Keras, with a warning."""
        warn_user(
            "`Sequential.model` is deprecated. `Sequential` is a subclass of `Model`, you can just use your "
            "`Sequential` instance directly.",
        )
        return self

    def add(self, layer: Layer) -> None:
        """Put a layer on top.

        Parameters
        ----------
        layer : Layer
            With one output. The first one may carry `input_shape`.

        Raises
        ------
        TypeError
            If it is no layer, or has several outputs.
        ValueError
            If it does not fit the layer below, or its name is taken. The model is then as it was.
        """
        if not isinstance(layer, Layer):
            raise TypeError(f"The added layer must be an instance of class Layer. Found: {layer!r}")
        self._check_name(layer)
        # The layers below are not touched before all is well: to copy each at every call would cost a square.
        with unchanged_on_error([self], parts=False), unchanged_on_error([layer]):
            if not self._layers:
                self._add_first(layer)
            elif self.outputs:
                self.outputs = [_single(layer(self.outputs[0]))]
            if self.inputs:
                self.build()
            else:
                self.built = False
                self._layers.append(layer)

    def _check_name(self, layer: Layer) -> None:
        taken = [other for other in self._layers if other.name == layer.name and other is not layer]
        if taken:
            raise ValueError(
                f'The name "{layer.name}" is used {len(taken) + 1} times in the model. '
                "All layer names should be unique."
            )

    def _add_first(self, layer: Layer) -> None:
        # A `Merge` of Keras 1 has been called on the outputs of what it merges.
        self._joins = bool(getattr(layer, "joins_layers", False))
        if isinstance(layer, Model) and len(layer.inputs or ()) > 1:
            layer([Input(batch_shape=x._keras_shape, dtype=x.dtype) for x in layer.inputs])
            self._joins = True
        elif not self._joins and not isinstance(layer, InputLayer):
            declared = _declared_input(layer)
            if declared is None:
                return
            layer(Input(batch_shape=declared[0], dtype=declared[1], name=f"{layer.name}_input"))
        self.outputs = [_single(layer._inbound_nodes[-1].output_tensors)]
        self.inputs = get_source_inputs(self.outputs[0])

    def pop(self) -> None:
        """Take the top layer off. TypeError if there is none."""
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        if len(self.layers) == 1:
            # Nothing is left to know an input shape.
            empty: dict[str, Any] = {
                "inputs": None,
                "outputs": None,
                "_layers": [],
                "_build_input_shape": None,
                "_joins": False,
            }
            vars(self).update(empty, _is_graph_network=False, _is_compiled=False, _built=False)
        elif self.outputs:
            top, index, _ = self.outputs[0]._keras_history
            node = top._inbound_nodes[index]
            for below in node.inbound_layers:
                below._outbound_nodes.remove(node)
            self.outputs = [node.input_tensors[0]]
            self.build()
        else:
            self._layers.pop()

    def build(self, input_shape: Any = None) -> None:
        """Join the layers, and make their weights.

        Parameters
        ----------
        input_shape : tuple, optional
            The shape of a batch; only for a model whose first layer does not know it.

        Raises
        ------
        ValueError
            If a layer does not suit; all layers are then as they were.
        """
        if input_shape is not None and not self.inputs:
            with unchanged_on_error([self]):
                self._build_on(shape_tuple(input_shape, "input_shape"))
        if self.inputs:
            self._init_graph_network(self.inputs, self.outputs, name=self.name)

    def _build_on(self, input_shape: Shape) -> None:
        if not self._layers:
            raise ValueError(f"model {self.name} has no layers: add some before it is built")
        x = Input(batch_shape=input_shape, dtype=K.floatx(), name=f"{self.name}_input")
        self.inputs = [x]
        for layer in self._layers:
            x = _single(layer(x))
        self.outputs = [x]
        self._build_input_shape = input_shape

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Write the graph of all layers again, for new inputs; a model without input shape takes theirs."""
        if not self.inputs:
            self.build(K.int_shape(inputs))
        return super().call(inputs, mask)

    def _set_inputs(self, inputs: Any) -> None:
        """Build for the shape of the first data."""
        arrays = to_list(inputs, allow_tuple=True)
        if len(arrays) != 1:
            raise ValueError(f"{self.name} has no input shape yet and expects one array, got {len(arrays)}")
        # Samples that are single numbers become (samples, 1).
        self.build((None, *(sizes(arrays[0])[1:] or (1,))))

    def count_params(self) -> int:
        """The number of scalars in all weights. RuntimeError before the model is built."""
        if not self.built:
            self.build()
        return super().count_params()

    def predict_proba(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> np.ndarray:
        """Class probabilities: `predict`, with a warning where values lie outside [0, 1]."""
        found: np.ndarray = self.predict(x, batch_size, verbose)
        if found.size and (found.min() < 0.0 or found.max() > 1.0):
            warn_user(
                "Network returning invalid probability values. The last layer might not normalize "
                "predictions into probabilities (like softmax or sigmoid would).",
            )
        return found

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> np.ndarray:
        """Class numbers: the largest output, or for a single output whether it is above a half."""
        found = self.predict(x, batch_size=batch_size, verbose=verbose)
        return found.argmax(axis=-1) if found.shape[-1] > 1 else (found > 0.5).astype("int32")

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations, in order; over a `Merge` of Keras 1, that of a functional model."""
        if self._joins:
            return super().get_config()
        layers = [serialize(layer) for layer in self._configured_layers]
        config: dict[str, Any] = {"name": self.name, "layers": copy.deepcopy(layers)}
        if self._build_input_shape:
            config["build_input_shape"] = self._build_input_shape
        return {**config, **frozen_config(self)}

    @classmethod
    def from_config(
        cls, config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make a model from what `get_config` returned, or from a bare list of layers as old files hold.

        Parameters
        ----------
        config : dict or list
        custom_objects : mapping, optional
        safe_mode : bool
            See `Network.from_config`.

        Raises
        ------
        ValueError
            If the configuration is damaged.
        """
        described = config if isinstance(config, dict) else {"layers": config}
        if "input_layers" in described:
            with config_errors(label_of(cls.__name__, described)):
                inputs, outputs, name = rebuild(described, custom_objects, safe_mode=safe_mode)
                return cls._of_graph(inputs, outputs, name, bool(described.get("trainable", True)))
        if not isinstance(described.get("layers"), (list, tuple)):
            raise ValueError("Improperly formatted model config: expected a list of layers")
        with config_errors(label_of(cls.__name__, described)):
            model = cls(name=described.get("name"))
            for entry in described["layers"]:
                layer = deserialize(entry, custom_objects, safe_mode=safe_mode)
                with config_errors(f"layer {getattr(layer, 'name', layer)}"):
                    model.add(layer)
            if not model.inputs and described.get("build_input_shape"):
                model.build(described["build_input_shape"])
            model.trainable = bool(described.get("trainable", True))
            return model

    @classmethod
    def _of_graph(
        cls, inputs: list[Tensor], outputs: list[Tensor], name: str | None, trainable: bool
    ) -> Self:
        """The model of a graph that begins with several branches."""
        model = cls(name=name)
        model._joins, model.inputs, model.outputs = True, inputs, outputs
        model.build()
        model.trainable = trainable
        return model


def _declared_input(layer: Layer) -> tuple[Shape, str] | None:
    """Shape and dtype of the batches that a layer, or a model, says it reads; None where it does not say."""
    while isinstance(layer, Model):
        if layer.inputs:
            return layer.inputs[0]._keras_shape, layer.inputs[0].dtype
        if not layer.layers:
            raise ValueError(f"Cannot add an empty model to a `Sequential` model: {layer.name}")
        layer = layer.layers[0]
    return (layer.batch_input_shape, layer.dtype) if hasattr(layer, "batch_input_shape") else None


def _single(output: Any) -> Any:
    """The only output of a layer."""
    if isinstance(output, list):
        if len(output) == 1:
            return output[0]
        raise TypeError(
            "All layers in a Sequential model should have a single output tensor. For multi-output layers, "
            "use the functional API."
        )
    return output
