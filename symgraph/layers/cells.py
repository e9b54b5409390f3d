"""One step of recurrent layers: `call(inputs, states)` gives an output and new states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer, at_least, number
from symgraph.utils.manners import tf_keras_defaults
from symgraph.utils.warn_user import warn_user

Step = tuple[Tensor, list[Tensor]]
"""The output of a step, and the new states."""

#: How weights begin, and what holds them: arguments of every cell.
WEIGHT_ARGUMENTS = tuple(
    f"{weight}_{kind}"
    for kind in ("initializer", "regularizer", "constraint")
    for weight in ("kernel", "recurrent", "bias")
)


class DroppingCell(ConfiguredLayer):
    """A cell that drops inputs and states while it trains, the same ones in every step of a call.

    Parameters
    ----------
    dropout, recurrent_dropout : float
        Shares of the inputs and of the states, held between 0 and 1. At 1, as in Keras, nothing is dropped.
    """

    #: The number of parts that the weights have side by side: one for each gate.
    gates: ClassVar[int] = 1
    kernel: Variable
    recurrent_kernel: Variable
    bias: Variable | None

    def __init__(self, dropout: float, recurrent_dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = min(1.0, max(0.0, number(dropout, "dropout")))
        self.recurrent_dropout = min(1.0, max(0.0, number(recurrent_dropout, "recurrent_dropout")))
        self.reset_masks()

    def reset_masks(self) -> None:
        """Let the next step choose anew what is dropped."""
        self._dropout_mask: list[Tensor] | None = None
        self._recurrent_dropout_mask: list[Tensor] | None = None

    def _choose_masks(self, inputs: Tensor, state: Tensor, training: Any, count: int) -> None:
        """Make the factors of inputs and states, `count` of each, unless an earlier step has made them.

        They are made in the first call, which `K.rnn` does outside of its loop: one draw for all steps.
        """
        if self._dropout_mask is None:
            self._dropout_mask = _masks(inputs, self.dropout, training, count)
        if self._recurrent_dropout_mask is None:
            self._recurrent_dropout_mask = _masks(state, self.recurrent_dropout, training, count)

    def _marked(self, output: Tensor, training: Any) -> Tensor:
        """`output`, noted as one that depends on the learning phase if it does."""
        if self.dropout + self.recurrent_dropout > 0 and training is None:
            output._uses_learning_phase = True
        return output

    def _weight(self, name: str, shape: Sequence[Any], initializer: Any = None) -> Variable:
        kind = name.removesuffix("_kernel")
        return self.add_weight(
            name,
            shape,
            initializer=initializer or getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )


def _masks(like: Tensor, rate: float, training: Any, count: int) -> list[Tensor]:
    """Factors that drop a share `rate` of a tensor like this one in training; none where nothing is."""
    if not 0.0 < rate < 1.0:
        return []
    ones = K.ones_like(like)
    return [K.in_train_phase(lambda: K.dropout(ones, rate), ones, training=training) for _ in range(count)]


def with_ones(initializer: Any, *sizes: int) -> Any:
    """An initializer of vectors: parts of these sizes, made by `initializer` and of ones in turn."""

    def make(shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        parts = [
            np.ones(size, dtype or K.floatx()) if odd else _array(initializer((size,)))
            for size, odd in zip(sizes, (k % 2 for k in range(len(sizes))), strict=True)
        ]
        return np.concatenate(parts)

    return make


def _array(value: Any) -> np.ndarray:
    return np.asarray(K.eval(value) if K.is_tensor(value) else value)


class MatrixCell(DroppingCell):
    """A cell whose inputs and states are vectors, multiplied by matrices.

    Parameters
    ----------
    units : int
        Size of the output and of each state.
    use_bias : bool
    dropout, recurrent_dropout : float
    implementation : int
        1 drops for each gate by itself, 2 for all of them together. There is no other difference here:
        without dropout either does one product for all gates.
    arguments : mapping
        The activations and `WEIGHT_ARGUMENTS`.
    """

    def __init__(
        self,
        units: int,
        use_bias: bool,
        dropout: float,
        recurrent_dropout: float,
        implementation: int,
        arguments: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout, recurrent_dropout, **kwargs)
        self.units = at_least(1, units, "units")
        self.use_bias = use_bias
        self.implementation = checked_implementation(implementation)
        self._store(**arguments)
        self.state_size: int | tuple[int, ...] = self.units
        self.output_size = self.units

    activation: Any
    recurrent_activation: Any
    bias_initializer: Any

    def build(self, input_shape: Shape) -> None:
        """Make kernel (features, gates · units), recurrent_kernel (units, gates · units) and the bias."""
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"layer {self.name}: the last dimension of the inputs to a recurrent layer should be "
                "defined. Found `None`."
            )
        width = self.gates * self.units
        self.kernel = self._weight("kernel", (features, width))
        self.recurrent_kernel = self._weight("recurrent_kernel", (self.units, width))
        self.bias = self._make_bias() if self.use_bias else None
        self.built = True

    def _make_bias(self) -> Variable:
        return self._weight("bias", (self.gates * self.units,))

    @property
    def _mask_count(self) -> int:
        return self.gates if self.implementation == 1 else 1

    def _product(self, x: Tensor, weights: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """[samples, gates · units]: x · weights, with a mask for each gate, or one for all, or none."""
        if len(masks) <= 1:
            return K.dot(x * masks[0] if masks else x, weights)
        parts = [K.dot(x * mask, self._part(weights, g)) for g, mask in enumerate(masks)]
        return K.concatenate(parts)

    def _part(self, whole: Tensor, gate: int, count: int = 1) -> Tensor:
        """What belongs to a gate, or to `count` gates side by side."""
        return whole[:, gate * self.units : (gate + count) * self.units]


def checked_implementation(value: int) -> int:
    """1 or 2. 0, of older versions, counts as 1, with a warning."""
    if value == 0:
        warn_user(
            "`implementation=0` has been deprecated, and now defaults to `implementation=1`. Please update "
            "your layer call.",
        )
        return 1
    return value


class SimpleRNNCell(MatrixCell):
    """output = activation(x · kernel + output before · recurrent_kernel + bias), which is the state too.

    Parameters
    ----------
    units : int
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str, dict or Initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : Regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : Constraint, optional
    dropout, recurrent_dropout : float
        Shares of inputs and states that are dropped in training.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "units",
        "activation",
        "use_bias",
        *WEIGHT_ARGUMENTS,
        "dropout",
        "recurrent_dropout",
    )

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "activation": activation,
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(units, use_bias, dropout, recurrent_dropout, 1, arguments, **kwargs)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: Any = None) -> Step:
        """One step. Shapes: inputs (samples, features), state and output (samples, units)."""
        self._choose_masks(inputs, states[0], training, 1)
        new = self._product(inputs, self.kernel, self._dropout_mask or ())
        if self.bias is not None:
            new = K.bias_add(new, self.bias, data_format="channels_last")
        new = new + self._product(states[0], self.recurrent_kernel, self._recurrent_dropout_mask or ())
        output = self._marked(new if self.activation is None else self.activation(new), training)
        return output, [output]


class GRUCell(MatrixCell):
    """The step of a gated recurrent unit (Cho et al., arXiv:1406.1078).

    z, r = recurrent_activation(x · W + h · U + b), new = activation(x · W + (r · h) · U + b), and
    output = z · h + (1 - z) · new, which is the state too. The weights are those of z, r, new side by side.

    Parameters
    ----------
    units, activation, use_bias, kernel_initializer, ... :
        As of `SimpleRNNCell`.
    recurrent_activation : str or callable
        Of the gates.
    implementation : int
        1 drops for each gate by itself, 2 for all of them together (and drops the state itself, as Keras).
    reset_after : bool
        Whether r is applied to h · U instead of h, as cuDNN does. Then there are two biases, in one of shape
        (2, 3 · units).
    """

    gates: ClassVar[int] = 3
    config_names: ClassVar[tuple[str, ...]] = (
        "units",
        "activation",
        "recurrent_activation",
        "use_bias",
        *WEIGHT_ARGUMENTS,
        "dropout",
        "recurrent_dropout",
        "implementation",
        "reset_after",
    )

    @tf_keras_defaults(since=2, recurrent_activation="sigmoid", reset_after=True)
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 1,
        reset_after: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(units, use_bias, dropout, recurrent_dropout, implementation, arguments, **kwargs)
        self.reset_after = reset_after

    def _make_bias(self) -> Variable:
        # A shape of its own, so that files tell these biases from those of CuDNNGRU.
        return self._weight("bias", (2, 3 * self.units) if self.reset_after else (3 * self.units,))

    def _biases(self) -> tuple[Tensor | None, Tensor | None]:
        """The biases of x · W and of h · U."""
        if self.bias is None:
            return None, None
        return (self.bias[0], self.bias[1]) if self.reset_after else (self.bias, None)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: Any = None) -> Step:
        """One step. Shapes: inputs (samples, features), state and output (samples, units)."""
        self._choose_masks(inputs, states[0], training, self._mask_count)
        bias, inner_bias = self._biases()
        x = self._product(inputs, self.kernel, self._dropout_mask or ())
        x = x if bias is None else x + bias
        h, masks = states[0], self._recurrent_dropout_mask or []
        if masks and self.implementation != 1:
            h, masks = h * masks[0], []
        if self.reset_after:
            inner = self._product(h, self.recurrent_kernel, masks)
            inner = inner if inner_bias is None else inner + inner_bias
            z, r = self._open(x, inner)
            candidate = self._part(x, 2) + r * self._part(inner, 2)
        else:
            z, r = self._open(x, self._product(h, self._part(self.recurrent_kernel, 0, 2), masks[:2]))
            kept = h * masks[2] if masks else h
            candidate = self._part(x, 2) + K.dot(r * kept, self._part(self.recurrent_kernel, 2))
        new = candidate if self.activation is None else self.activation(candidate)
        output = self._marked(z * h + (1 - z) * new, training)
        return output, [output]

    def _open(self, x: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
        """The gates z and r."""
        both = self._part(x, 0, 2) + self._part(inner, 0, 2)
        if self.recurrent_activation is not None:
            both = self.recurrent_activation(both)
        return self._part(both, 0), self._part(both, 1)


class LSTMCell(MatrixCell):
    """The step of a long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of 2000).

    i, f, o = recurrent_activation(x · W + h · U + b), c = f · c before + i · activation(x · W + h · U + b),
    and output = o · activation(c). The states are the output h and c; the weights those of i, f, c, o side
    by side.

    Parameters
    ----------
    units, activation, use_bias, kernel_initializer, ... :
        As of `SimpleRNNCell`.
    recurrent_activation : str or callable
        Of the gates.
    unit_forget_bias : bool
        Whether the bias of the forget gate begins with 1 (Jozefowicz et al. 2015).
    implementation : int
        1 drops for each gate by itself, 2 for all of them together.
    """

    gates: ClassVar[int] = 4
    config_names: ClassVar[tuple[str, ...]] = (
        "units",
        "activation",
        "recurrent_activation",
        "use_bias",
        "unit_forget_bias",
        *WEIGHT_ARGUMENTS,
        "dropout",
        "recurrent_dropout",
        "implementation",
    )

    @tf_keras_defaults(since=2, recurrent_activation="sigmoid")
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(units, use_bias, dropout, recurrent_dropout, implementation, arguments, **kwargs)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = (self.units, self.units)

    def _make_bias(self) -> Variable:
        forgetting = with_ones(self.bias_initializer, self.units, self.units, 2 * self.units)
        return self._weight("bias", (4 * self.units,), forgetting if self.unit_forget_bias else None)

    def _whole_bias(self) -> Tensor | None:
        return self.bias

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: Any = None) -> Step:
        """One step. Shapes: inputs (samples, features), both states and output (samples, units)."""
        self._choose_masks(inputs, states[0], training, self._mask_count)
        x = self._product(inputs, self.kernel, self._dropout_mask or ())
        bias = self._whole_bias()
        x = x if bias is None else x + bias
        whole = x + self._product(states[0], self.recurrent_kernel, self._recurrent_dropout_mask or ())
        h, c = lstm_step(self, [self._part(whole, gate) for gate in range(4)], states[1])
        self._marked(h, training)
        return h, [h, c]


def lstm_step(cell: Any, parts: Sequence[Tensor], memory: Tensor) -> tuple[Tensor, Tensor]:
    """h and c of a long short-term memory from what i, f, c, o are activated of, and the old c."""
    gate = cell.recurrent_activation or (lambda x: x)
    activate = cell.activation or (lambda x: x)
    i, f, new, o = parts
    c = gate(f) * memory + gate(i) * activate(new)
    return gate(o) * activate(c), c
