"""Where data enter a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.layer.node import Node
from symgraph.engine.layer.shapes import Shape, shape_tuple
from symgraph.graph.tensor import Tensor
from symgraph.utils.old_arguments import old_arguments


class InputLayer(Layer):
    """Holds a placeholder, or a tensor that takes its place.

    Parameters
    ----------
    input_shape : tuple, optional
        The shape of a sample.
    batch_size : int, optional
    batch_input_shape : tuple, optional
        The shape of a batch; either this or `input_shape`.
    dtype : str, optional
        Default: that of `input_tensor`, else `K.floatx()`.
    input_tensor : Tensor, optional
        Is used instead of a placeholder; nothing is fed then.
    sparse : bool
        Whether the placeholder is sparse: then it is fed with sparse matrices of scipy.
    name : str, optional
        Default `input_1` and so on.

    Raises
    ------
    ValueError
        If both shapes are given, or neither and no tensor, or the tensor contradicts the shape.
    """

    @old_arguments({"input_dtype": "dtype"})
    def __init__(
        self,
        input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: str | None = None,
        input_tensor: Tensor | None = None,
        sparse: bool = False,
        name: str | None = None,
    ) -> None:
        if input_shape and batch_input_shape:
            raise ValueError(
                "Only provide the input_shape OR batch_input_shape argument to InputLayer, not both at the "
                "same time."
            )
        super().__init__(name=name or f"input_{K.get_uid('input')}")
        self.trainable = False
        self.built = True
        self.sparse = sparse
        self.supports_masking = True
        self.is_placeholder = input_tensor is None
        self.batch_input_shape = _batch_shape(input_shape, batch_size, batch_input_shape, input_tensor)
        if input_tensor is None:
            self.dtype = dtype or K.floatx()
            shape, dtype = self.batch_input_shape, self.dtype
            tensor = K.placeholder(shape=shape, dtype=dtype, sparse=sparse, name=self.name)
        else:
            self.dtype = dtype or K.dtype(input_tensor)
            tensor = (
                input_tensor
                if getattr(input_tensor, "_keras_history", None) is None
                else K.identity(input_tensor)
            )
        tensor._keras_shape = self.batch_input_shape
        tensor._keras_history = (self, 0, 0)
        tensor._uses_learning_phase = False
        shapes = [self.batch_input_shape]
        Node(self, [], [], [], [tensor], [tensor], [None], [None], shapes, shapes)

    def get_config(self) -> dict[str, Any]:
        """Shape, dtype, sparse and name."""
        return {
            "batch_input_shape": self.batch_input_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }


def _batch_shape(
    input_shape: Sequence[int | None] | None,
    batch_size: int | None,
    batch_input_shape: Sequence[int | None] | None,
    tensor: Tensor | None,
) -> Shape:
    if batch_input_shape:
        shape = shape_tuple(batch_input_shape, "batch_input_shape")
    elif input_shape:
        shape = (batch_size, *shape_tuple(input_shape, "input_shape"))
    elif tensor is not None:
        return K.int_shape(tensor)
    else:
        raise ValueError("An Input layer should be passed either a `batch_input_shape` or an `input_shape`.")
    if tensor is not None:
        found = K.int_shape(tensor)
        if len(found) != len(shape) or any(
            a is not None and b is not None and a != b for a, b in zip(found, shape, strict=True)
        ):
            raise ValueError(f"InputLayer: expected an input_tensor of shape {shape}, got {found}")
    return shape


def Input(
    shape: Sequence[int | None] | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    dtype: str | None = None,
    sparse: bool = False,
    tensor: Tensor | None = None,
) -> Tensor:
    """The tensor that a functional model begins with.

    Parameters
    ----------
    shape : tuple, optional
        The shape of a sample; None for a size that data will tell.
    batch_shape : tuple, optional
        The shape of a batch. Either this, `shape` or `tensor`.
    name : str, optional
        Of the input layer: what dictionaries of data are keyed by.
    dtype : str, optional
        Default: that of `tensor`, else `K.floatx()`.
    sparse : bool
        Whether it is fed with sparse matrices of scipy; then a sample has one dimension.
    tensor : Tensor, optional
        Is used instead of a placeholder.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError, TypeError
        If there is no shape, or one that is no tuple of integers and None.

    Examples
    --------
    >>> x = Input(shape=(32,))
    >>> K.int_shape(x)
    (None, 32)
    """
    if shape is None and not batch_shape and tensor is None:
        raise ValueError(
            "Please provide to Input either a `shape` or a `batch_shape` argument. "
            "Note that `shape` does not include the batch dimension."
        )
    if shape is not None and not batch_shape:
        batch_shape = (None, *shape_tuple(shape, "shape"))
    layer = InputLayer(
        batch_input_shape=batch_shape, name=name, dtype=dtype, sparse=sparse, input_tensor=tensor
    )
    output: Tensor = layer._inbound_nodes[0].output_tensors[0]
    return output
