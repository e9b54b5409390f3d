"""Layers that run a cell along the time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.files.layer_config import deserialize, serialize
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec, check_inputs
from symgraph.graph.ops.create import zeros
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from symgraph.layers.cells import Step
from symgraph.layers.nested import Nested
from symgraph.layers.stacked_cells import StackedRNNCells, checked_step, copied, output_size, state_sizes
from symgraph.utils.config_errors import taken
from symgraph.utils.generic_utils import has_arg, to_list

UNKNOWN_BATCH = (
    "If a RNN is stateful, it needs to know its batch size. Specify the batch size of your input tensors: \n"
    "- If using a Sequential model, specify the batch size by passing a `batch_input_shape` argument to your "
    "first layer.\n"
    "- If using the functional API, specify the batch size by passing a `batch_shape` argument to your Input "
    "layer."
)
UNKNOWN_STEPS = (
    "Cannot unroll a RNN if the time dimension is undefined or equal to 1. \n"
    "- If using a Sequential model, specify the time dimension by passing an `input_shape` or "
    "`batch_input_shape` argument to your first layer. If your first layer is an Embedding, you can also use "
    "the `input_length` argument.\n"
    "- If using the functional API, specify the time dimension by passing a `shape` or `batch_shape` "
    "argument to your Input layer."
)


class RNN(Nested):
    """Runs a cell along the time axis.

    Parameters
    ----------
    cell : cell or list of cells
        Anything with `call(inputs, states) -> (output, new states)` and `state_size` (an integer, or one for
        each state); further, if it likes, `output_size` and `build`. `call` may take `constants` and
        `training`. A list is stacked.
    return_sequences : bool
        Whether to return the outputs of all steps instead of the last one.
    return_state : bool
        Whether to return the last states too, behind the output.
    go_backwards : bool
        From the last step to the first; the outputs then are in that order.
    stateful : bool
        Whether sample i of a batch starts from the final states of sample i of the previous batch.
        Needs a known batch size.
    unroll : bool
        Write every step into the graph, instead of one under a loop. Needs a known number of steps.
    **kwargs
        Keywords of `Layer`.

    Shapes
    ------
    (batch, steps, features) to (batch, units), or (batch, steps, units); each state is (batch, size).

    Raises
    ------
    ValueError
        For a cell without `call` or `state_size`.

    Notes
    -----
    A call takes `initial_state` (a tensor or a list) and `constants`, tensors that `cell.call` gets in every
    step: all of them outputs of layers, or none. A mask (batch, steps) holds states where it is False.
    Random numbers that `cell.call` draws are new in every step, what it chose in its first call and keeps is
    the same in all of them (see `K.rnn`). Losses of weights belong in `cell.build`: `cell.call` is called
    twice, or once a step under `unroll`.
    """

    cell: Any
    #: Axes of the inputs.
    _rank = 3

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        if not hasattr(cell, "call"):
            raise ValueError(f"`cell` should have a `call` method. The RNN was passed: {cell}")
        if not hasattr(cell, "state_size"):
            raise ValueError(
                "The RNN cell should have an attribute `state_size` (tuple of integers, one integer per RNN "
                f"state). The RNN was passed: {cell}"
            )
        self._refuse_old_steps()
        self.cell = cell
        super().__init__(**kwargs)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.supports_masking = True
        self.input_spec = [InputSpec(ndim=self._rank)]
        self.state_spec: list[InputSpec] | None = None
        self.constants_spec: list[InputSpec] | None = None
        self._states: list[Any] | None = None
        self._num_constants: int | None = None

    @property
    def _layers(self) -> list[Layer]:
        return [self.cell] if isinstance(self.cell, Layer) else []

    @property
    def states(self) -> list[Any]:
        """The variables that a stateful layer keeps its states in, or None for each state."""
        return [None] * len(state_sizes(self.cell)) if self._states is None else self._states

    @states.setter
    def states(self, states: Sequence[Any]) -> None:
        self._states = list(states)

    def _refuse_old_steps(self) -> None:
        """TypeError for a subclass that writes the steps of Keras 1 and 2.0, which nothing would call."""
        old = [name for name in ("step", "get_constants", "preprocess_input") if hasattr(self, name)]
        if old:
            raise TypeError(
                f"{type(self).__name__} defines `{old[0]}`, which recurrent layers had up to Keras 2.0 and "
                "no longer call: write a cell with `call(inputs, states)` and use `RNN(cell)`, or subclass "
                "`Recurrent`"
            )

    # -- shapes ----------------------------------------------------------------------------------------------

    def _output_step(self, input_shape: Shape) -> Shape:
        """The shape of one step's output, without the batch."""
        return (output_size(self.cell),)

    def _state_shapes(self, input_shape: Shape) -> list[Shape]:
        """The shapes of the states."""
        return [(input_shape[0], size) for size in state_sizes(self.cell)]

    def _state_axis(self) -> int:
        """The axis of a state that `state_size` tells."""
        return -1

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output; with `return_state` a list, with those of the states behind it."""
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        steps = (shape[1],) if self.return_sequences else ()
        output = (shape[0], *steps, *self._output_step(shape))
        return [output, *self._state_shapes(shape)] if self.return_state else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the inputs for sequences, none for a last output and for states."""
        output = first(mask) if self.return_sequences else None
        return [output, *(None for _ in self.states)] if self.return_state else output

    # -- calls -----------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Build the cell for one step; the shapes of initial states and constants may follow that of x."""
        shape = first(input_shape)
        batch = shape[0] if self.stateful else None
        self.input_spec = [InputSpec(shape=(batch, None, *shape[2:]))]
        step = (shape[0], *shape[2:])
        takes = has_arg(self.cell.call, "constants")
        constants = self._constant_shapes(input_shape) if takes else []
        self._build_inner(self.cell, [step, *constants] if constants else step)
        if self.state_spec is None:
            free = (None, *shape[1:])
            self.state_spec = [InputSpec(shape=s) for s in self._state_shapes(free)]
        if self.stateful:
            self.reset_states()
        self.built = True

    def _constant_shapes(self, input_shape: Any) -> list[Shape]:
        if self._num_constants and isinstance(input_shape, list):
            return input_shape[-self._num_constants :]
        return [tuple(spec.shape or ()) for spec in self.constants_spec or ()]

    def assert_input_compatibility(self, inputs: Any) -> None:
        """Compare the sequences with `input_spec`; states and constants are checked when they are used."""
        check_inputs(self.name, to_list(inputs), [*self.input_spec, *[None] * (len(to_list(inputs)) - 1)])

    def __call__(self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any) -> Any:
        """Apply the layer, see `Layer`.

        Parameters
        ----------
        inputs : Tensor or list of Tensor
            A list: the sequences, then initial states, then constants.
        initial_state : Tensor or list of Tensor, optional
        constants : Tensor or list of Tensor, optional
        """
        x, states, constants = split_inputs(inputs, initial_state, constants, self._num_constants)
        tensors, keywords = joined_inputs(x, states, constants)
        with unchanged_on_error([self]):
            if states is not None:
                self.state_spec = [InputSpec(shape=K.int_shape(state)) for state in states]
            if constants:
                self.constants_spec = [InputSpec(shape=K.int_shape(constant)) for constant in constants]
                self._num_constants = len(constants)
            return super().__call__(tensors, **keywords, **kwargs)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: Any = None,
        initial_state: Any = None,
        constants: Any = None,
    ) -> Any:
        """Run the cell; the output, or a list of the output and the last states."""
        x, start, constants = split_inputs(inputs, initial_state, constants, self._num_constants)
        if start is None:
            start = self.states if self.stateful else self.get_initial_state(x)
        self._check_start(start)
        steps = K.int_shape(x)[1]
        if self.unroll and steps in (None, 1):
            raise ValueError(UNKNOWN_STEPS)
        if hasattr(self.cell, "reset_masks"):
            self.cell.reset_masks()
        last, outputs, states = K.rnn(
            self._step(training, len(constants)),
            x,
            start,
            constants=constants,
            go_backwards=self.go_backwards,
            mask=first(mask),
            unroll=self.unroll,
            input_length=steps,
        )
        if self.stateful:
            self.add_update(list(zip(self.states, states, strict=True)), inputs)
        output = outputs if self.return_sequences else last
        for tensor in (output, *states):
            tensor._uses_learning_phase = getattr(last, "_uses_learning_phase", False)
        return [output, *states] if self.return_state else output

    def _step(self, training: Any, constants: int) -> Any:
        """The cell's `call` in the form of `K.rnn`: constants follow the states."""
        arguments = {"training": training} if has_arg(self.cell.call, "training") else {}
        if constants and not has_arg(self.cell.call, "constants"):
            raise ValueError("RNN cell does not support constants")

        def step(x: Tensor, states: list[Tensor]) -> Step:
            given = {"constants": states[-constants:], **arguments} if constants else arguments
            own = states[: len(states) - constants]
            return checked_step(self.cell.call(x, own, **given), self.cell, self.name)

        return step

    def get_initial_state(self, inputs: Tensor) -> list[Tensor]:
        """Zeros, for a call on `inputs` without states."""
        dtype = inputs.dtype if is_float(inputs.dtype) else K.floatx()
        return [zeros((inputs.shape[0], size), dtype) for size in state_sizes(self.cell)]

    def _check_start(self, start: Sequence[Any]) -> None:
        if len(start) != len(self.states):
            raise ValueError(
                f"Layer has {len(self.states)} states but was passed {len(start)} initial states."
            )
        found = [K.int_shape(state) for state in start]
        wanted = state_sizes(self.cell)
        axis = self._state_axis()
        fits = (s[axis] in (None, n) for s, n in zip(found, wanted, strict=True))
        if any(len(shape) != self._rank - 1 for shape in found) or not all(fits):
            raise ValueError(
                "An `initial_state` was passed that is not compatible with `cell.state_size`. Received "
                f"`state_spec`={found}; however `cell.state_size` is {self.cell.state_size}"
            )

    # -- states ----------------------------------------------------------------------------------------------

    def reset_states(self, states: Any = None) -> None:
        """Set the states of a stateful layer to zero, or to given values.

        Parameters
        ----------
        states : array or list of arrays, optional
            One for each state, of its shape with the batch.

        Raises
        ------
        AttributeError
            If the layer is not stateful.
        ValueError
            If the batch size is not known, or the values have another number or shape.
        """
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        shapes = self._state_shapes(self.input_spec[0].shape or (None,) * self._rank)
        if any(size is None for shape in shapes for size in shape):
            raise ValueError(self._unknown_batch())
        sizes = [tuple(size or 0 for size in shape) for shape in shapes]
        if self._states is None:
            self.states = [K.variable(np.zeros(s), name=f"{self.name}/state") for s in sizes]
        given = [np.zeros(shape) for shape in sizes] if states is None else to_list(states, allow_tuple=True)
        if len(given) != len(sizes):
            raise ValueError(
                f"Layer {self.name} expects {len(sizes)} states, but it received {len(given)} state values. "
                f"Input received: {states}"
            )
        values = [np.asarray(value) for value in given]
        for index, (value, shape) in enumerate(zip(values, sizes, strict=True)):
            if value.shape != shape:
                raise ValueError(
                    f"State {index} is incompatible with layer {self.name}: expected shape={shape}, "
                    f"found shape={value.shape}"
                )
        K.batch_set_value(list(zip(self.states, values, strict=True)))

    def _unknown_batch(self) -> str:
        return UNKNOWN_BATCH

    # -- configuration ---------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Arguments, and the configuration of the cell."""
        config = {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "cell": serialize(self.cell),
        }
        return config if self._num_constants is None else {**config, "num_constants": self._num_constants}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make the layer and its cell from a configuration; parameters as of `deserialize`."""
        cell, given = taken(config, "cell", cls.__name__)
        constants = given.pop("num_constants", None)
        layer = cls(
            deserialize(cell, custom_objects, safe_mode=safe_mode) if isinstance(cell, dict) else cell,
            **given,
        )
        layer._num_constants = constants
        return layer

    def _own_config(self) -> dict[str, Any]:
        """The configuration with a new cell in it, which needs no name that is known elsewhere."""
        config = self.get_config()
        return {**config, "cell": copied(self.cell)} if "cell" in config else config

    def _copy(self) -> Self:
        return type(self).from_config(self._own_config())


def first(value: Any) -> Any:
    """The first entry of a list, else the value itself."""
    return value[0] if isinstance(value, list) else value


def split_inputs(
    inputs: Any, initial_state: Any, constants: Any, count: int | None
) -> tuple[Any, list[Any] | None, list[Any]]:
    """Sequences, initial states (or None), and constants: the last `count` of a list of inputs."""
    if not isinstance(inputs, list):
        states = None if initial_state is None else to_list(initial_state, allow_tuple=True)
        return inputs, states, [] if constants is None else to_list(constants, allow_tuple=True)
    if initial_state is not None or constants is not None:
        raise ValueError(
            "The initial state and constants of an RNN layer are given by keywords, or in the list of its "
            "inputs, not both ways"
        )
    x, *rest = inputs
    cut = len(rest) - (count or 0)
    return x, rest[:cut] or None, rest[cut:]


def joined_inputs(
    inputs: Any, initial_state: list[Any] | None, constants: list[Any]
) -> tuple[Any, dict[str, Any]]:
    """One list of what layers made, and keywords for what they did not.

    Raises
    ------
    ValueError
        For states and constants some of which were made by layers, and some not.
    """
    extra = [*(initial_state or ()), *constants]
    made = {K.is_keras_tensor(tensor) for tensor in extra}
    if len(made) > 1:
        raise ValueError(
            "The initial state or constants of an RNN layer cannot be specified with a mix of Keras tensors "
            'and non-Keras tensors (a "Keras tensor" is a tensor that was returned by a Keras layer, or by '
            "`Input`)"
        )
    if made == {True}:
        return [inputs, *extra], {}
    keywords = {"initial_state": initial_state, "constants": constants or None}
    return inputs, {name: value for name, value in keywords.items() if value is not None}
