"""The base of all layers: weights, calls, nodes, masks, losses and updates, as in Keras 2.2.4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, Self

import numpy as np

from symgraph import backend as K
from symgraph import initializers
from symgraph.engine.layer.access import NodeAccess
from symgraph.engine.layer.first_values import made_weight
from symgraph.engine.layer.losses import InputsKey, LossesAndUpdates
from symgraph.engine.layer.node import Node, keras_history, node_key, previous_mask
from symgraph.engine.layer.old_names import OldNames, add_weight_arguments
from symgraph.engine.layer.rollback import NamedErrors, unchanged_on_error
from symgraph.engine.layer.shapes import Shape, merged_shape, shape_tuple
from symgraph.engine.layer.spec import InputSpec, check_inputs
from symgraph.engine.weights.budget import spend
from symgraph.engine.weights.order import WeightParts, always, ordered
from symgraph.globals import TF_KERAS, answers_as
from symgraph.graph.leaves import Variable
from symgraph.graph.origin import layer_scope
from symgraph.graph.tensor import Tensor
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import has_arg, is_all_none, to_list, unpack_singleton
from symgraph.utils.layer_utils import count_params
from symgraph.utils.naming import default_name

__all__ = ["InputSpec", "Layer", "Node"]

_KEYWORDS = (
    "input_shape",
    "batch_input_shape",
    "batch_size",
    "dtype",
    "name",
    "trainable",
    "weights",
    "input_dtype",
)


class Layer(NodeAccess, LossesAndUpdates, OldNames):
    """A part of a model: it turns tensors into tensors and may own weights.

    A subclass writes `build(input_shape)` (makes the weights), `call(inputs)` (writes the graph) and, where
    they differ from the defaults, `compute_output_shape(input_shape)` and `get_config()`.

    Parameters
    ----------
    name : str, optional
        Default: the class in snake case and a number, `dense_1`.
    trainable : bool
        Whether `trainable_weights` lists the weights that training changes.
    input_shape : tuple, optional
        The shape of a sample, for the first layer of a Sequential model.
    batch_input_shape : tuple, optional
        The same with the batch size (or None) in front.
    batch_size : int, optional
        Goes with `input_shape`.
    dtype : str, optional
        Of the input; default `K.floatx()`.
    weights : list of arrays, optional
        Values that the weights get when they are made.

    Raises
    ------
    TypeError
        For any other keyword.
    """

    def __init__(self, **kwargs: Any) -> None:
        for keyword in kwargs:
            if keyword not in _KEYWORDS:
                raise TypeError(f"{type(self).__name__}: Keyword argument not understood: {keyword!r}")
        # Layers of Keras 1 set these, and then call this method.
        self.input_spec: Any = vars(self).get("input_spec")
        self.supports_masking: bool = vars(self).get("supports_masking", False)
        self.stateful = vars(self).get("stateful", False)
        self.name: str = kwargs.get("name") or default_name(type(self).__name__)
        self.trainable: bool = kwargs.get("trainable", True)
        self._trainable_weights: list[Variable] = []
        self._non_trainable_weights: list[Variable] = []
        self._initial_weights: Sequence[Any] | None = kwargs.get("weights")
        self._losses: list[Any] = []
        self._updates: list[Any] = []
        self._per_input_losses: dict[InputsKey, list[Any]] = {}
        self._per_input_updates: dict[InputsKey, list[Any]] = {}
        self._built = False
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []
        self._declare_input(kwargs)

    def _declare_input(self, kwargs: dict[str, Any]) -> None:
        if kwargs.get("batch_input_shape") is not None:
            self.batch_input_shape = shape_tuple(kwargs["batch_input_shape"], "batch_input_shape")
        elif kwargs.get("input_shape") is not None:
            sample = shape_tuple(kwargs["input_shape"], "input_shape")
            self.batch_input_shape = (kwargs.get("batch_size"), *sample)
        else:
            return
        self.dtype: str = kwargs.get("dtype") or kwargs.get("input_dtype") or K.floatx()

    # -- weights ---------------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._built

    @built.setter
    def built(self, value: bool) -> None:
        self._built = value

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that training changes: none while `trainable` is False."""
        return list(self._trainable_weights) if self.trainable else []

    @trainable_weights.setter
    def trainable_weights(self, weights: list[Variable]) -> None:
        self._trainable_weights = list(weights)

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that training leaves alone: all of them while `trainable` is False."""
        return (
            list(self._non_trainable_weights)
            if self.trainable
            else [
                *self._trainable_weights,
                *self._non_trainable_weights,
            ]
        )

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: list[Variable]) -> None:
        self._non_trainable_weights = list(weights)

    @property
    def weights(self) -> list[Variable]:
        """All weights: first those that are trained while nothing is frozen. `trainable` moves none."""
        return ordered(self, always)

    def _weight_parts(self) -> WeightParts:
        own = [*self._trainable_weights, *self._non_trainable_weights]
        told = self.trainable_weights, self.non_trainable_weights
        if {id(w) for half in told for w in half} != {id(w) for w in own}:
            # A subclass has its own idea of what its weights are.
            return WeightParts(*told, ())
        return WeightParts(self._trainable_weights, self._non_trainable_weights, ())

    def _listed_weights(self) -> list[Variable]:
        """The weights in the order of `get_weights` and `set_weights`."""
        return self.weights

    @add_weight_arguments
    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str | None = None,
        initializer: Any = None,
        regularizer: Callable[[Tensor], Tensor] | None = None,
        trainable: bool = True,
        constraint: Callable[[Tensor], Tensor] | None = None,
    ) -> Variable:
        """Make a weight.

        Parameters
        ----------
        name : str
            The variable is called `LAYER/NAME:0`, as in files that Keras writes on TensorFlow.
        shape : sequence of int
        dtype : str, optional
            Default `K.floatx()`.
        initializer : str, dict or callable, optional
            Makes the first value; default 'glorot_uniform'.
        regularizer : callable, optional
            Its value is added to the layer's losses.
        trainable : bool
        constraint : callable, optional
            Projection that optimizers apply after each update.

        Raises
        ------
        ValueError
            If a size is not known, or memory does not suffice.
        """
        if any(not isinstance(size, (int, np.integer)) or size < 0 for size in shape):
            raise ValueError(
                f"layer {self.name}: the weight {name} needs a shape of known sizes, got {tuple(shape)}; "
                "give the first layer a complete input_shape"
            )
        spend(self.name, name, shape)
        make = initializers.get("glorot_uniform" if initializer is None else initializer)
        try:
            weight = made_weight(
                make, tuple(int(size) for size in shape), dtype, f"{self.name}/{name}", constraint
            )
        except (MemoryError, OverflowError) as error:
            raise ValueError(
                f"layer {self.name}: the weight {name} of shape {tuple(shape)} cannot be made: {error}"
            ) from error
        weight.trainable = trainable
        if regularizer is not None:
            self.add_loss(regularizer(weight))
        (self._trainable_weights if trainable else self._non_trainable_weights).append(weight)
        return weight

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of the weights. `trainable` has no influence on their order."""
        return K.batch_get_value(self._listed_weights())

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give the weights new values.

        Parameters
        ----------
        weights : list of arrays
            As `get_weights` returns them.

        Raises
        ------
        ValueError
            If their number or a shape differs; nothing is changed then.
        """
        variables = self._listed_weights()
        if len(variables) != len(weights):
            raise ValueError(
                f'You called `set_weights(weights)` on layer "{self.name}" with a weight list of length '
                f"{len(weights)}, but the layer was expecting {len(variables)} weights. Provided weights: "
                f"{str(weights)[:50]}..."
            )
        K.batch_set_value(matched(self.name, variables, weights))

    def count_params(self) -> int:
        """The number of scalars in all weights. RuntimeError before the layer is built."""
        if not self.built:
            raise RuntimeError(
                f"You tried to call `count_params` on {self.name}, but the layer isn't built. "
                f"You can build it manually via: `{self.name}.build(batch_input_shape)`."
            )
        return count_params(self.weights)

    # -- what a subclass writes ------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (a list of shapes for several inputs)."""
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Write the graph: tensors in, tensors out."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output (a list of shapes for several), given that of the input; here the same."""
        return input_shape

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, given that of the input.

        Raises
        ------
        TypeError
            If there is a mask and the layer does not support masking.
        """
        if self.supports_masking:
            return mask
        if mask is not None and not is_all_none(mask):
            raise TypeError(
                f"Layer {self.name} does not support masking, but was passed an input_mask: {mask}"
            )
        return None

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make this layer again, without weights. Plain values only."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        for name in ("batch_input_shape", "dtype"):
            if hasattr(self, name):
                config[name] = getattr(self, name)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer of this configuration."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**config)

    def _copy(self) -> Self:
        """A new layer of the same configuration: nothing goes through a file, so no code is refused."""
        return type(self).from_config(self.get_config())

    # -- calls -----------------------------------------------------------------------------------------------

    def assert_input_compatibility(self, inputs: Any) -> None:
        """Compare the inputs with `input_spec`. ValueError in Keras' words."""
        check_inputs(self.name, to_list(inputs), self.input_spec)

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Apply the layer: build it at the first call, write its graph, and enter a node.

        Parameters
        ----------
        inputs : Tensor or list of Tensor
        **kwargs
            Handed to `call`; `mask` overrides the masks of the inputs.

        Returns
        -------
        Tensor or list of Tensor

        Raises
        ------
        ValueError, TypeError
            If the inputs do not suit. The layer is then as it was before the call.
        """
        if isinstance(inputs, (list, tuple)):
            inputs = list(inputs)
        with unchanged_on_error([self]), NamedErrors(self.name), layer_scope(self.name):
            self._ensure_built(inputs)
            self.assert_input_compatibility(inputs)
            masks = unpack_singleton([previous_mask(x) for x in to_list(inputs)])
            arguments = dict(kwargs)
            if not is_all_none(masks) and has_arg(self.call, "mask"):
                arguments.setdefault("mask", masks)
            outputs = self._owned(self.call(inputs, **arguments))
            output_masks = to_list(self.compute_mask(inputs, masks))
            if len(output_masks) == 1:
                output_masks *= len(outputs)
            shapes = self._output_shapes(inputs, outputs)
            self._add_activity_losses(inputs, outputs)
            self._add_inbound_node(to_list(inputs), outputs, to_list(masks), output_masks, shapes, kwargs)
        return unpack_singleton(outputs)

    def _ensure_built(self, inputs: Any) -> None:
        if self.built:
            return
        self.assert_input_compatibility(inputs)
        shapes = [K.int_shape(x) for x in to_list(inputs)]
        with nullcontext() if self._initial_weights is None else initializers.deferred():
            self.build(unpack_singleton(shapes))
        self._obey_lists()
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)

    def _owned(self, outputs: Any) -> list[Tensor]:
        """The results of `call` as a list of tensors that no other layer has put its name on."""
        owned = []
        for x in to_list(outputs, allow_tuple=True):
            if not isinstance(x, Tensor):
                raise TypeError(f"layer {self.name}: `call` has to return tensors, got {type(x).__name__}")
            owned.append(K.identity(x) if x.op.leaf or keras_history(x) is not None else x)
        return owned

    def _output_shapes(self, inputs: Any, outputs: Sequence[Tensor]) -> list[Shape]:
        """Shapes of the outputs: what the graph knows, else what `compute_output_shape` says."""
        actual = [K.int_shape(x) for x in outputs]
        try:
            stated = self.compute_output_shape(unpack_singleton([K.int_shape(x) for x in to_list(inputs)]))
        except NotImplementedError:
            return actual
        declared = stated if isinstance(stated, list) and len(outputs) == len(stated) else [stated]
        if len(declared) != len(actual):
            return actual
        return [merged_shape(known, said) for known, said in zip(actual, declared, strict=True)]

    def _add_activity_losses(self, inputs: Any, outputs: Iterable[Tensor]) -> None:
        regularizer = getattr(self, "activity_regularizer", None)
        if regularizer is not None:
            penalties = [regularizer(x) for x in outputs]
            if answers_as() == TF_KERAS:
                # Keras adds up the penalties of all samples, tf.keras takes their mean.
                penalties = [
                    penalty / K.cast(K.shape(x)[0], x.dtype)
                    for penalty, x in zip(penalties, outputs, strict=True)
                ]
            self.add_loss(penalties, inputs=to_list(inputs))

    def _add_inbound_node(
        self,
        inputs: list[Tensor],
        outputs: list[Tensor],
        masks: list[Tensor | None],
        output_masks: list[Tensor | None],
        output_shapes: list[Shape],
        arguments: dict[str, Any],
    ) -> None:
        origins = [keras_history(x) or (None, None, None) for x in inputs]
        Node(
            self,
            [layer for layer, _, _ in origins],
            [index for _, index, _ in origins],
            [index for _, _, index in origins],
            inputs,
            outputs,
            masks,
            output_masks,
            [K.int_shape(x) for x in inputs],
            output_shapes,
            arguments,
        )
        learning = getattr(self, "uses_learning_phase", False) or any(uses_learning_phase(x) for x in inputs)
        for index, (x, shape) in enumerate(zip(outputs, output_shapes, strict=True)):
            x._keras_shape = shape
            x._keras_history = (self, len(self._inbound_nodes) - 1, index)
            x._uses_learning_phase = learning or uses_learning_phase(x)

    @staticmethod
    def _node_key(layer: Layer, node_index: int) -> str:
        return node_key(layer.name, node_index)


def uses_learning_phase(tensor: Tensor) -> bool:
    """Whether the value of `tensor` depends on training or testing."""
    return bool(getattr(tensor, "_uses_learning_phase", False))


def matched(
    owner: str, variables: Sequence[Variable], values: Iterable[Any]
) -> list[tuple[Variable, np.ndarray]]:
    """Pairs of variable and new value. ValueError where a shape differs."""
    pairs = [(variable, np.asarray(value)) for variable, value in zip(variables, values, strict=True)]
    for variable, value in pairs:
        if tuple(variable.shape) != value.shape:
            raise ValueError(
                f"Layer weight shape {tuple(variable.shape)} not compatible with provided weight shape "
                f"{value.shape} ({variable.name} of {owner})"
            )
    return pairs
