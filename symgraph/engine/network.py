"""A network: a graph of layers that is itself a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from symgraph import backend as K
from symgraph.engine.base_layer import Layer, matched, uses_learning_phase
from symgraph.engine.input_layer import InputLayer
from symgraph.engine.layer.losses import inputs_key
from symgraph.engine.layer.node import Node, node_key, previous_mask
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.network_parts.call import compute_shapes, run_network
from symgraph.engine.network_parts.config import network_config, rebuild
from symgraph.engine.network_parts.files import NetworkFiles
from symgraph.engine.network_parts.layer_list import LayerList, outputs_for
from symgraph.engine.network_parts.map import map_network
from symgraph.engine.network_parts.views import NetworkViews
from symgraph.engine.weights.order import WeightParts
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import has_arg, to_list, unpack_singleton
from symgraph.utils.layer_utils import get_source_inputs
from symgraph.utils.naming import default_network_name
from symgraph.utils.old_arguments import old_arguments
from symgraph.utils.warn_user import warn_user

__all__ = ["Network", "get_source_inputs"]


class Network(NetworkFiles, NetworkViews, Layer):
    """Layers joined to a graph without cycles. `Model` adds training to it.

    `Network(inputs, outputs, name=None)` takes what lies between two sets of tensors. A subclass that calls
    `super().__init__(name=...)` without tensors makes its layers as attributes and writes
    `call(inputs)` itself.

    Parameters
    ----------
    inputs, outputs : Tensor or list of Tensor
    name : str, optional

    Raises
    ------
    ValueError
        If a tensor was not made by a layer, an input appears twice, the graph is disconnected (also where
        an input does not come from `Input`, which warns before), or two layers have one name.
    """

    _is_graph_network: bool
    #: The tensors that the network begins and ends with; None until a Sequential model is built.
    inputs: list[Tensor]
    outputs: list[Tensor]

    @old_arguments({"input": "inputs", "output": "outputs"})
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        unknown = sorted(kwargs.keys() - {"inputs", "outputs", "name"})
        if unknown:
            raise TypeError(
                f"{type(self).__name__} expects `inputs`, `outputs` and `name`, got the arguments {unknown}"
            )
        if len(args) >= 2 or (args and "outputs" in kwargs) or {"inputs", "outputs"} <= kwargs.keys():
            self._init_graph_network(*args, **kwargs)
        elif args or {"inputs", "outputs"} & kwargs.keys():
            raise TypeError(
                f"{type(self).__name__} expects both `inputs` and `outputs`, got only one of them"
            )
        else:
            self._init_subclassed_network(**kwargs)

    def _base_init(self, name: str | None = None) -> None:
        # Plain assignment would look for layers to track.
        fresh: dict[str, Any] = {
            "name": name or default_network_name(type(self).__name__),
            "trainable": getattr(self, "trainable", True),
            "optimizer": getattr(self, "optimizer", None),
            "supports_masking": False,
            "_is_compiled": False,
            "_expects_training_arg": False,
            "_initial_weights": None,
            "_built": False,
            "_updates": [],
            "_losses": [],
            "_per_input_losses": {},
            "_per_input_updates": {},
            "_layers": [],
            "_inbound_nodes": [],
            "_outbound_nodes": [],
        }
        vars(self).update(fresh)

    def _init_graph_network(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        inputs, outputs = to_list(inputs, allow_tuple=True), to_list(outputs, allow_tuple=True)
        _check_ends(type(self).__name__, inputs, outputs)
        found = map_network(inputs, outputs)
        _check_inputs(inputs)
        self._base_init(name)
        self._is_graph_network = True
        self._uses_inputs_arg = True
        self.built = True
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self._compute_previous_mask = True
        self._network_nodes = found.node_keys
        self._nodes_by_depth = found.nodes_by_depth
        self._layers = found.layers
        self._layers_by_depth = found.layers_by_depth
        self._input_coordinates = [x._keras_history for x in inputs]
        self._output_coordinates = [x._keras_history for x in outputs]
        self._input_layers: list[Layer] = [layer for layer, _, _ in self._input_coordinates]
        self._output_layers: list[Layer] = [layer for layer, _, _ in self._output_coordinates]
        # What calls on given tensors and masks gave: asking for the masks of a call costs nothing.
        self._run_cache: dict[Any, tuple[list[Tensor], list[Tensor | None]]] = {}
        self._output_shape_cache: dict[str, list[Shape]] = {}
        self._name_ends()
        self._join_ends()

    def _name_ends(self) -> None:
        self.input_names = [layer.name for layer in self._input_layers]
        self.output_names = [layer.name for layer in self._output_layers]
        self.internal_input_shapes = [x._keras_shape for x in self.inputs]
        self.internal_output_shapes = [x._keras_shape for x in self.outputs]
        fed = [
            (layer, x)
            for layer, x in zip(self._input_layers, self.inputs, strict=True)
            if isinstance(layer, InputLayer) and layer.is_placeholder
        ]
        self._feed_inputs = [x for _, x in fed]
        self._feed_input_names = [layer.name for layer, _ in fed]
        self._feed_input_shapes = [x._keras_shape for _, x in fed]

    def _join_ends(self) -> None:
        """The node that makes the inputs and outputs the first call of the network itself."""
        Node(
            self,
            [],
            [],
            [],
            self.inputs,
            self.outputs,
            [None] * len(self.inputs),
            [previous_mask(x) for x in self.outputs],
            self.internal_input_shapes,
            self.internal_output_shapes,
        )

    def _init_subclassed_network(self, name: str | None = None) -> None:
        self._base_init(name)
        self._is_graph_network = False
        self._expects_training_arg = has_arg(self.call, "training")
        self._uses_inputs_arg = has_arg(self.call, "inputs")
        vars(self).update(inputs=None, outputs=None)

    def __setattr__(self, name: str, value: Any) -> None:
        # A subclass that is no graph knows its layers by its attributes.
        if isinstance(value, Layer):
            if "_is_graph_network" not in vars(self):
                raise RuntimeError(
                    "It looks like you are subclassing `Model` and you forgot to call "
                    "`super(YourClass, self).__init__()`. Always start with this line."
                )
            if not self._is_graph_network and value not in self._layers:
                self._layers.append(value)
        super().__setattr__(name, value)

    # -- layers and weights ----------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, from the inputs to the outputs. The model follows changes at the end of this list.

        What `layers.pop()` takes off is replaced by what it read among the outputs; layers on top are called
        on the outputs. ValueError for other changes, but for input layers, which only leave the list.
        """
        return LayerList(self, self._layers)

    def _follow_layers(self, before: list[Layer], after: list[Layer]) -> None:
        """Become a model of the layers `after`."""
        if not self._is_graph_network:
            self._layers = after
            return
        with unchanged_on_error([self, *before, *after], parts=False):
            outputs = outputs_for(self, before, after)
            if [id(x) for x in outputs] != [id(x) for x in self.outputs]:
                self._init_graph_network(self.inputs, outputs, name=self.name)
        self._layers = [x for x in self._layers if x in after or not isinstance(x, InputLayer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of this name, or at this place (which wins). ValueError if there is none."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has {len(self.layers)} "
                    "layers."
                )
            return self.layers[index]
        if not name:
            raise ValueError("Provide either a layer name or layer index.")
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}")

    @property  # type: ignore[misc]
    def trainable_weights(self) -> list[Variable]:
        """Trainable weights of all layers; none while the network is frozen."""
        return [w for layer in self.layers for w in layer.trainable_weights] if self.trainable else []

    @property  # type: ignore[misc]
    def non_trainable_weights(self) -> list[Variable]:
        """Frozen weights of all layers."""
        fixed = [w for layer in self.layers for w in layer.non_trainable_weights]
        if self.trainable:
            return fixed
        return [w for layer in self.layers for w in layer.trainable_weights] + fixed

    def _weight_parts(self) -> WeightParts:
        return WeightParts((), (), self.layers)

    def _listed_weights(self) -> list[Variable]:
        return [w for layer in self.layers for w in layer.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give all weights new values, in the order of `get_weights`: layer by layer.

        Raises
        ------
        ValueError
            If their number or a shape differs; nothing is changed then.
        """
        variables = self._listed_weights()
        if len(variables) != len(weights):
            raise ValueError(
                f'You called `set_weights(weights)` on model "{self.name}" with a weight list of length '
                f"{len(weights)}, but the model was expecting {len(variables)} weights."
            )
        K.batch_set_value(matched(self.name, variables, weights))

    def _check_trainable_weights_consistency(self) -> None:
        """Nothing to compare before there is training."""

    # -- losses, updates, states -----------------------------------------------------------------------------

    @property
    def updates(self) -> list[Any]:
        """(variable, new value) pairs of all layers, for the inputs of this network only."""
        if not self.trainable and not self.stateful:
            return []
        return _each_once(self._collected("get_updates_for", "updates"))

    @property
    def losses(self) -> list[Any]:
        """Losses of all layers, for the inputs of this network; tensors count once, numbers each time."""
        found = self._collected("get_losses_for", "losses")
        numbers = [x for x in found if isinstance(x, (int, float))]
        return _each_once(x for x in found if not isinstance(x, (int, float))) + numbers

    def _collected(self, getter: str, attribute: str) -> list[Any]:
        found: list[Any] = []
        for layer in self.layers:
            if not self._is_graph_network:
                found += getattr(layer, attribute)
                continue
            for index, node in enumerate(layer._inbound_nodes):
                if node_key(layer.name, index) in self._network_nodes:
                    found += getattr(layer, getter)(node.input_tensors)
            found += getattr(layer, getter)(None)
        found += getattr(self, getter)(None)
        return found

    @property
    def uses_learning_phase(self) -> bool:
        """Whether an output depends on training or testing."""
        return any(uses_learning_phase(x) for x in self.outputs or ())

    @property
    def stateful(self) -> bool:
        """Whether a layer carries state from batch to batch."""
        return any(layer.stateful for layer in self.layers)

    def reset_states(self) -> None:
        """Clear the state of all stateful layers."""
        for layer in self.layers:
            if layer.stateful and hasattr(layer, "reset_states"):
                layer.reset_states()

    @property
    def state_updates(self) -> list[Any]:
        """Updates of the stateful layers, which prediction stores too."""
        return [update for layer in self.layers if layer.stateful for update in layer.updates]

    @property
    def input_spec(self) -> Any:
        """Demands on the inputs, from the input layers."""
        if not self._is_graph_network:
            return None
        specs: list[Any] = []
        for layer in self._input_layers:
            specs += layer.input_spec if isinstance(layer.input_spec, list) else [layer.input_spec]
        return unpack_singleton(specs)

    # -- calls -----------------------------------------------------------------------------------------------

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Write the graph of all layers again, for new inputs."""
        outputs, _, _ = self.run_internal_graph(to_list(inputs), mask)
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks of the outputs for these inputs."""
        if not self._is_graph_network:
            return None
        _, masks, _ = self.run_internal_graph(to_list(inputs), mask)
        return masks

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for inputs of these shapes. NotImplementedError for a subclass."""
        if not self._is_graph_network:
            raise NotImplementedError(f"{type(self).__name__} has to implement `compute_output_shape`")
        shapes = to_list(input_shape)
        if len(shapes) != len(self._input_layers):
            raise ValueError(
                f"Invalid input_shape argument {input_shape}: model has {len(self._input_layers)} tensor "
                "inputs."
            )
        key = str(shapes)
        if key not in self._output_shape_cache:
            self._output_shape_cache[key] = compute_shapes(self, shapes)
        return unpack_singleton(list(self._output_shape_cache[key]))

    def run_internal_graph(self, inputs: Sequence[Tensor], masks: Any = None) -> tuple[Any, Any, Any]:
        """Call all layers on new inputs.

        Parameters
        ----------
        inputs : list of Tensor
        masks : Tensor, list of (Tensor or None), or None

        Returns
        -------
        outputs, masks, shapes
            Single values where the network has one output, else lists.
        """
        inputs = list(inputs)
        given = [None] * len(inputs) if masks is None else to_list(masks)
        if not self._is_graph_network:
            raise NotImplementedError(f"{type(self).__name__} has to implement `call`")
        if len(inputs) != len(self.inputs):
            raise ValueError(
                f"model {self.name}: expected {len(self.inputs)} input tensors, got {len(inputs)}"
            )
        key = (inputs_key(inputs), tuple(None if m is None else m.serial for m in given))
        if key not in self._run_cache:
            self._run_cache[key] = run_network(self, inputs, given)
        outputs, output_masks = self._run_cache[key]
        shapes = [x._keras_shape for x in outputs]
        return unpack_singleton(list(outputs)), unpack_singleton(list(output_masks)), unpack_singleton(shapes)

    # -- configuration and files -----------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Layers, joints, inputs, outputs. NotImplementedError for a subclass that writes `call`."""
        if not self._is_graph_network:
            raise NotImplementedError(f"{type(self).__name__} is no graph of layers and has no configuration")
        return network_config(self)

    @classmethod
    def from_config(
        cls, config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make a network from what `get_config` returned.

        Parameters
        ----------
        config : dict
        custom_objects : mapping, optional
            Further classes and functions by name.
        safe_mode : bool
            Only an explicit False lets `Lambda` layers load functions that are stored as bytecode.

        Raises
        ------
        ValueError
            If the configuration is damaged.
        """
        with config_errors(label_of(cls.__name__, config)):
            inputs, outputs, name = rebuild(config, custom_objects, safe_mode=safe_mode)
            network = cls(inputs=inputs, outputs=outputs, name=name)
            network.trainable = bool(config.get("trainable", True))
            return network


def _check_ends(kind: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Refuse inputs and outputs that cannot be those of a network."""
    if len({id(x) for x in inputs}) != len(inputs):
        raise ValueError(
            "The list of inputs passed to the model is redundant. All inputs should only appear once. "
            f"Found: {inputs}"
        )
    for x in inputs:
        if getattr(x, "_keras_history", None) is None:
            raise ValueError(
                f"Input tensors to a {kind} must come from `keras.layers.Input`. Received: {x!r} "
                "(missing previous layer metadata)."
            )
    for x in outputs:
        if getattr(x, "_keras_history", None) is None:
            raise ValueError(
                f"Output tensors to a {kind} must be the output of a Keras `Layer` "
                f"(thus holding past layer metadata). Found: {x!r}"
            )
    for x in inputs:
        layer = x._keras_history[0]
        if len(layer._inbound_nodes) > 1 or any(node.inbound_layers for node in layer._inbound_nodes[:1]):
            warn_user(
                f"{kind} inputs must come from `keras.layers.Input` (thus holding past layer metadata), they "
                "cannot be the output of a previous non-Input layer. Here, a tensor specified as input to "
                f"your model was not an Input tensor, it was generated by layer {layer.name}.\nNote that "
                "input tensors are instantiated via `tensor = keras.layers.Input(shape)`.\nThe tensor that "
                f"caused the issue was: {x!r}",
            )


def _check_inputs(inputs: Sequence[Any]) -> None:
    """TypeError where a network begins with tensors of other layers than `InputLayer`."""
    for index, x in enumerate(inputs):
        layer = x._keras_history[0]
        if not isinstance(layer, InputLayer):
            raise TypeError(
                f"Input layers to a `Model` must be `InputLayer` objects. Received inputs: {inputs}. "
                f"Input {index} (0-based) originates from layer type `{type(layer).__name__}`."
            )


def _each_once(items: Iterable[Any]) -> list[Any]:
    """`items` in order, each identical tensor or pair only once."""
    return list({_identity(item): item for item in items}.values())


def _identity(item: Any) -> Any:
    return tuple(id(part) for part in item) if isinstance(item, tuple) else id(item)
