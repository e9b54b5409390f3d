"""Layers around a layer: for every time step, and in both directions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

from symgraph import backend as K
from symgraph.engine.base_layer import InputSpec, Layer
from symgraph.engine.cloning import clone_model
from symgraph.engine.files.layer_config import deserialize, serialize
from symgraph.engine.layer.losses import inputs_key
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import check_inputs
from symgraph.engine.training import Model
from symgraph.graph.leaves import Variable
from symgraph.graph.origin import layer_scope
from symgraph.graph.tensor import Tensor
from symgraph.layers.nested import Nested
from symgraph.layers.rnn import RNN, first, joined_inputs, split_inputs
from symgraph.utils.config_errors import taken
from symgraph.utils.generic_utils import has_arg, object_list_uid, to_list


class Wrapper(Nested):
    """What layers around one layer have in common.

    Parameters
    ----------
    layer : Layer
    """

    layer: Layer

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        _check_layer(type(self).__name__, layer)
        self.layer = layer
        kwargs.setdefault("trainable", layer.trainable)
        super().__init__(**kwargs)

    @property
    def _layers(self) -> list[Layer]:
        return [self.layer]

    @property
    def _input_map(self) -> dict[str, Any]:
        """What the layer inside reads, by the `object_list_uid` of what this one reads, as Keras notes it."""
        read = [node.input_tensors for node in self._inbound_nodes]
        return {
            object_list_uid(tensors): self._inner_inputs[key][0][1]
            for tensors in read
            if (key := inputs_key(tensors)) in self._inner_inputs
        }

    def build(self, input_shape: Any = None) -> None:
        """Nothing: what wraps a layer knows for which shape to build it."""
        self.built = True

    @property
    def activity_regularizer(self) -> Any:
        """That of the layer inside."""
        return getattr(self.layer, "activity_regularizer", None)

    @property
    def trainable(self) -> bool:
        """Whether the layer inside is."""
        return self.layer.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.layer.trainable = value

    def _listed_weights(self) -> list[Variable]:
        own = [*self._trainable_weights, *self._non_trainable_weights]
        return [*own, *(w for inner in self._layers for w in inner._listed_weights())]

    def get_config(self) -> dict[str, Any]:
        """Arguments, and the configuration of the layer inside."""
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make the layer and the one inside from a configuration; parameters as of `deserialize`."""
        layer, given = taken(config, "layer", cls.__name__)
        constants = given.pop("num_constants", None)
        if isinstance(layer, dict):
            layer = deserialize(layer, custom_objects, safe_mode=safe_mode)
        made = cls(layer, **given)
        if constants is not None:
            vars(made)["_num_constants"] = constants
        return made

    def _copy(self) -> Self:
        inner = clone_model(self.layer) if isinstance(self.layer, Model) else self.layer._copy()
        return type(self).from_config({**self.get_config(), "layer": inner})


def _check_layer(kind: str, layer: Any) -> None:
    """TypeError if a wrapped object is not a layer."""
    if not isinstance(layer, Layer):
        raise TypeError(f"`{kind}` wraps a layer, got {layer!r}")


class TimeDistributed(Wrapper):
    """Applies a layer to every time step, with the same weights: steps are treated as samples.

    Parameters
    ----------
    layer : Layer
        Of one input and one output; a model too.

    Shapes
    ------
    (batch, steps, ...) to (batch, steps, ...), as the layer maps (batch, ...).
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:  # type: ignore[override]
        """Build the layer for one step."""
        if len(input_shape) < 3:
            raise ValueError(
                f"layer {self.name}: `TimeDistributed` expects inputs of at least 3 axes "
                f"(samples, time, ...), got {input_shape}"
            )
        self.input_spec = InputSpec(shape=(None, None, *input_shape[2:]))
        self._build_inner(self.layer, (input_shape[0], *input_shape[2:]))
        self.built = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """That of the layer, with the steps behind the batch."""
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return (inner[0], input_shape[1], *inner[1:])

    def call(self, inputs: Tensor, training: Any = None, mask: Any = None) -> Tensor:
        """Apply the layer to all steps of all samples at once."""
        arguments = {"training": training} if has_arg(self.layer.call, "training") else {}
        if has_arg(self.layer.call, "mask") and mask is not None:
            arguments["mask"] = _joined(mask)
        steps = _joined(inputs)
        self._inner_inputs[inputs_key(inputs)] = [(self.layer, steps)]
        # Errors at run time name the layer that makes them.
        with layer_scope(self.layer.name):
            y = first(self.layer.call(steps, **arguments))
        output = K.reshape(y, (*inputs.shape[:2], *y.shape[1:]))
        output._uses_learning_phase = getattr(y, "_uses_learning_phase", False)
        return output

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Any:
        """What the layer makes of the masks of steps; where nothing, whether any part of a step counts."""
        ((_, steps),) = self._inner_inputs[inputs_key(inputs)]
        inner = None if mask is None else _joined(mask)
        # The mask (samples, time) has nothing to say to a layer that sees one step.
        found = self.layer.compute_mask(steps, inner if inner is not None and inner.ndim > 1 else None)
        if found is not None:
            return K.reshape(found, (*inputs.shape[:2], *found.shape[1:]))
        if mask is None or mask.ndim == 2:
            return mask
        return K.any(mask, axis=tuple(range(2, mask.ndim)))


def _joined(x: Tensor) -> Tensor:
    """Samples and steps as one axis."""
    return K.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


_MERGE_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Wrapper):
    """Runs a recurrent layer in both directions.

    Parameters
    ----------
    layer : recurrent layer
        The forward layer; the backward one is made of its configuration.
    merge_mode : str, optional
        How outputs are put together: 'sum', 'mul', 'ave', 'concat', or None for a list of both.
    weights : list of arrays, optional
        Those of the forward layer, then those of the backward one.

    Notes
    -----
    States, also those of a call, are the forward layer's followed by the backward layer's. Sequences of
    the backward layer are turned round before they are merged.

    Raises
    ------
    ValueError
        For any other `merge_mode`.
    """

    forward_layer: Any
    backward_layer: Any

    def __init__(
        self, layer: Any, merge_mode: str | None = "concat", weights: Any = None, **kwargs: Any
    ) -> None:
        if merge_mode not in _MERGE_MODES:
            raise ValueError(
                "Invalid merge mode. Merge mode should be one of "
                f'{{"sum", "mul", "ave", "concat", None}}, got {merge_mode!r}'
            )
        _check_layer(type(self).__name__, layer)
        if not hasattr(layer, "go_backwards"):
            raise TypeError(
                f"`Bidirectional` wraps a recurrent layer, got {layer.name}: {type(layer).__name__}"
            )
        self.forward_layer = copy.copy(layer)
        config = layer._own_config() if isinstance(layer, RNN) else layer.get_config()
        self.backward_layer = type(layer).from_config({**config, "go_backwards": not layer.go_backwards})
        self.forward_layer.name = f"forward_{layer.name}"
        self.backward_layer.name = f"backward_{layer.name}"
        self.merge_mode = merge_mode
        self._trainable: bool = layer.trainable
        super().__init__(layer, weights=weights, **kwargs)
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._num_constants: int | None = None

    @property
    def _layers(self) -> list[Layer]:
        return [self.forward_layer, self.backward_layer]

    @property
    def trainable(self) -> bool:
        """Whether both layers are trained."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        self.forward_layer.trainable = value
        self.backward_layer.trainable = value

    @property
    def constraints(self) -> dict[Any, Any]:
        """Projections of the weights that have one."""
        return {w: w.constraint for w in self.weights if w.constraint is not None}

    def build(self, input_shape: Any) -> None:  # type: ignore[override]
        """Build both layers."""
        for inner in self._layers:
            self._build_inner(inner, input_shape, f"/{inner.name}")
        self.built = True

    def assert_input_compatibility(self, inputs: Any) -> None:
        """Compare the sequences with `input_spec`; the layers look at states and constants."""
        check_inputs(self.name, to_list(inputs), [*self.input_spec, *[None] * (len(to_list(inputs)) - 1)])

    def __call__(self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any) -> Any:
        """Apply both layers, see `RNN`: states are the forward layer's, then the backward layer's."""
        x, states, constants = split_inputs(inputs, initial_state, constants, self._num_constants)
        tensors, keywords = joined_inputs(x, states, constants)
        with unchanged_on_error([self]):
            if constants:
                self._num_constants = len(constants)
                for inner in (self.forward_layer, self.backward_layer):
                    inner._num_constants = len(constants)
                    inner.constants_spec = [InputSpec(shape=K.int_shape(c)) for c in constants]
            return super().__call__(tensors, **keywords, **kwargs)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: Any = None,
        initial_state: Any = None,
        constants: Any = None,
    ) -> Any:
        """The merged outputs; lists with states as `RNN.call`."""
        x, states, constants = split_inputs(inputs, initial_state, constants, self._num_constants)
        if states and len(states) % 2:
            raise ValueError(
                "When passing `initial_state` to a Bidirectional RNN, the state should be a list containing "
                f"the states of the underlying RNNs. Found: {states}"
            )
        self._inner_inputs[inputs_key(inputs)] = [(inner, x) for inner in self._layers]
        half = len(states or ()) // 2
        results = []
        for inner, start in zip(self._layers, ((states or [])[:half], (states or [])[half:]), strict=True):
            given = {
                "training": training,
                "mask": first(mask),
                "initial_state": start or None,
                "constants": constants or None,
            }
            arguments = {name: value for name, value in given.items() if has_arg(inner.call, name)}
            results.append(to_list(inner.call(x, **arguments)))
        (forward, *ahead), (backward, *behind) = results
        output = self._merged(forward, K.reverse(backward, 1) if self.return_sequences else backward)
        learning = any(getattr(y, "_uses_learning_phase", False) for y in (forward, backward))
        for y in to_list(output):
            y._uses_learning_phase = learning
        return [*to_list(output), *ahead, *behind] if self.return_state else output

    def _merged(self, y: Tensor, turned: Tensor) -> Any:
        if self.merge_mode == "concat":
            return K.concatenate([y, turned])
        if self.merge_mode == "sum":
            return y + turned
        if self.merge_mode == "ave":
            return (y + turned) / 2
        return y * turned if self.merge_mode == "mul" else [y, turned]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As the forward layer's, with the outputs merged and the states of both."""
        output, *states = to_list(self.forward_layer.compute_output_shape(input_shape))
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        outputs = [output, output] if self.merge_mode is None else [output]
        shapes = [*outputs, *states, *states]
        return shapes if len(shapes) > 1 else shapes[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the inputs for sequences, none for last outputs and for states."""
        own = first(mask) if self.return_sequences else None
        outputs = [own, own] if self.merge_mode is None else [own]
        masks = [*outputs, *([None] * 2 * len(self.forward_layer.states) if self.return_state else [])]
        return masks if len(masks) > 1 else masks[0]

    def reset_states(self) -> None:
        """Set the states of both layers to zero."""
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    def get_config(self) -> dict[str, Any]:
        """Arguments, and the configuration of the layer."""
        config = {**super().get_config(), "merge_mode": self.merge_mode}
        return config if self._num_constants is None else {**config, "num_constants": self._num_constants}
