"""Vectors in the place of numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.base_layer import Layer  # noqa: F401 - scripts import it from here
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.leaves import Variable
from symgraph.graph.ops.index import whole_numbers
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer, at_least, number
from symgraph.utils.generic_utils import to_list


class Embedding(ConfiguredLayer):
    """Looks up a vector for each number, in a table that is trained. Only a model's first layer.

    Parameters
    ----------
    input_dim : int
        Size of the vocabulary: numbers are 0 to input_dim - 1.
    output_dim : int
        Size of the vectors.
    embeddings_initializer : str, dict or Initializer
    embeddings_regularizer, activity_regularizer : Regularizer, optional
    embeddings_constraint : Constraint, optional
    mask_zero : bool
        Whether 0 marks steps to be skipped. All layers above have to support masking then.
    input_length : int, or tuple of int and None, optional
        The length of the sequences, where a layer above needs to know it.

    Shapes
    ------
    (batch, steps) to (batch, steps, output_dim); further axes of steps as well.

    Raises
    ------
    ValueError
        When a batch runs: for a number below 0 or above input_dim - 1, or NaN. Fractions are cut off.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "input_dim",
        "output_dim",
        "embeddings_initializer",
        "embeddings_regularizer",
        "activity_regularizer",
        "embeddings_constraint",
        "mask_zero",
        "input_length",
    )
    embeddings: Variable
    embeddings_initializer: Any
    embeddings_regularizer: Any
    embeddings_constraint: Any

    @legacy.embedding
    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: Any = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs:
            kwargs["input_shape"] = tuple(to_list(input_length or None, allow_tuple=True))
        # The share of words that training drops, in Keras 1.
        self._dropout = number(kwargs.pop("_dropout", 0.0), "dropout")
        if not 0 <= self._dropout < 1:
            raise ValueError(f"Embedding: `dropout` should lie in [0, 1), got {self._dropout}")
        super().__init__(**kwargs)
        self.input_dim = at_least(1, input_dim, "input_dim")
        self.output_dim = at_least(0, output_dim, "output_dim")
        self._store(
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            activity_regularizer=activity_regularizer,
            embeddings_constraint=embeddings_constraint,
        )
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.input_length = input_length

    def build(self, input_shape: Shape) -> None:
        """Make the table (input_dim, output_dim)."""
        self.embeddings = self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            # The dtype is that of the input too, and numbers may be given as integers.
            dtype=self.dtype if is_float(self.dtype) else None,
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self.built = True

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor | None:
        """True where the number is not 0, under `mask_zero`."""
        return K.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """A new last axis. ValueError where the input contradicts `input_length`."""
        if self.input_length is None:
            return (*input_shape, self.output_dim)
        lengths = to_list(self.input_length, allow_tuple=True)
        found = input_shape[1:]
        clash = len(lengths) != len(found) or any(
            a is not None and b is not None and a != b for a, b in zip(lengths, found, strict=True)
        )
        if clash:
            raise ValueError(
                f'"input_length" is {self.input_length}, but received input has shape {input_shape}'
            )
        known = (b if a is None else a for a, b in zip(lengths, found, strict=True))
        return (input_shape[0], *known, self.output_dim)

    def call(self, inputs: Tensor) -> Tensor:
        """Look up."""
        integers = inputs if K.dtype(inputs) in ("int32", "int64") else whole_numbers(inputs, "int32")
        return K.gather(self._kept_words() if self._dropout else self.embeddings, integers)

    def _kept_words(self) -> Tensor:
        """The table, in training with some words set to 0 and the others scaled up."""
        kept = 1.0 - self._dropout
        mask = K.random_binomial((self.input_dim, 1), p=kept, dtype=self.embeddings.dtype)
        return K.in_train_phase(self.embeddings * mask * (1.0 / kept), self.embeddings)

    def get_config(self) -> dict[str, Any]:
        """Name, trainable, input shape if known, and the arguments; `dropout` of Keras 1 if there is one."""
        return {**super().get_config(), **({"dropout": self._dropout} if self._dropout else {})}
