"""A function as a layer."""

from __future__ import annotations

import copy
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, Self

import numpy as np

from symgraph import activations, constraints, initializers, regularizers
from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.files.layer_config import layer_classes
from symgraph.engine.layer.spec import InputSpec
from symgraph.layers import legacy
from symgraph.utils import conv_utils
from symgraph.utils.generic_utils import deserialize_keras_object, func_dump, func_load, has_arg

_CORE_LAYERS = (
    "Activation",
    "ActivityRegularization",
    "Dense",
    "Dropout",
    "Flatten",
    "Lambda",
    "Masking",
    "Permute",
    "RepeatVector",
    "Reshape",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)


class Lambda(Layer):
    """Applies a function of tensors.

    Parameters
    ----------
    function : callable
        Takes the input (a list for several), and `mask` if it has a parameter of that name.
    output_shape : tuple, callable or None
        The shape of a sample, or a function of the batch's shape. By default it is read from the graph.
    mask : Tensor or callable, optional
        The mask of the output, or a function of inputs and mask. A layer without it passes no mask on.
    arguments : dict, optional
        Further keywords of the function.

    Notes
    -----
    A configuration holds the function as Python bytecode, which may do anything when it is loaded. So
    `from_config` gives back the function itself if this very process wrote it, and refuses all other bytecode
    unless the caller hands over a replacement, or says `safe_mode=False`. The function then sees the names
    that it sees in Keras (`K`, `np`, `activations`, ...) and those of `custom_objects`.
    """

    @legacy.function
    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"In Lambda, `function` must be a function, got {function!r}")
        if not (output_shape is None or isinstance(output_shape, (tuple, list)) or callable(output_shape)):
            raise TypeError("In Lambda, `output_shape` must be a list, a tuple, or a function.")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = tuple(output_shape) if isinstance(output_shape, list) else output_shape

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Apply the function."""
        further = {"mask": mask} if has_arg(self.function, "mask") else {}
        return self.function(inputs, **self.arguments, **further)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask that was given, or what its function gives."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As stated; else the function is applied to placeholders."""
        stated = self._output_shape
        if stated is None:
            several = isinstance(input_shape, list)
            output = self.call([_stand_in(s) for s in input_shape] if several else _stand_in(input_shape))
            return [K.int_shape(x) for x in output] if isinstance(output, list) else K.int_shape(output)
        if isinstance(stated, tuple):
            first = input_shape[0] if isinstance(input_shape, list) else input_shape
            return (first[0] if first else None, *stated)
        shape = stated(input_shape)
        if not isinstance(shape, (list, tuple)):
            raise ValueError("`output_shape` function must return a tuple or a list of tuples.")
        flat = isinstance(shape, list) and bool(shape) and not isinstance(shape[0], (list, tuple))
        return tuple(shape) if flat else shape

    def _output_shapes(self, inputs: Any, outputs: Sequence[Any]) -> list[Any]:
        # The graph knows the shape already: no need to write the function's graph a second time.
        if self._output_shape is None:
            return [K.int_shape(x) for x in outputs]
        return super()._output_shapes(inputs, outputs)

    def get_config(self) -> dict[str, Any]:
        """The function as bytecode, or by its name if it is no Python function."""
        function, function_type = described(self.function, self.name)
        shape, shape_type = self._output_shape, "raw"
        if callable(shape):
            shape, shape_type = described(shape, self.name)
        return {
            **super().get_config(),
            "function": function,
            "function_type": function_type,
            "output_shape": shape,
            "output_shape_type": shape_type,
            "arguments": self.arguments,
        }

    def _copy(self) -> Self:
        config = super().get_config()
        arguments = copy.copy(self.arguments)
        return type(self)(self.function, self._output_shape, mask=self.mask, arguments=arguments, **config)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make the layer from its configuration.

        Parameters
        ----------
        config : dict
        custom_objects : mapping, optional
            Functions by name. One under the layer's own name takes the place of the stored function.
        safe_mode : bool
            Only an explicit False loads functions that are stored as bytecode.

        Raises
        ------
        ValueError
            If the function is bytecode and neither a replacement nor `safe_mode=False` is given.
        """
        given = dict(config)
        objects = dict(custom_objects or {})
        replacement = objects.get(str(given.get("name")))
        function = replacement or restored(given, "function", objects, safe_mode)
        shape = None if replacement else restored(given, "output_shape", objects, safe_mode)
        for key in (
            "function",
            "function_type",
            "output_shape",
            "output_shape_type",
            "module",
            "output_shape_module",
        ):
            given.pop(key, None)
        arguments = {key: _array(value) for key, value in (given.pop("arguments", None) or {}).items()}
        return cls(function, output_shape=shape, arguments=arguments, **given)


def _stand_in(shape: Any) -> Any:
    return K.placeholder(shape=tuple(shape))


def described(function: Any, layer: str) -> tuple[Any, str]:
    """A function for a configuration, and how it is described there: 'lambda' or 'function'."""
    if isinstance(function, FunctionType):
        return func_dump(function), "lambda"
    name = getattr(function, "__name__", None)
    if name is None:
        raise TypeError(
            f"layer {layer}: a Lambda is stored by its function's code or name; {function!r} has "
            "neither: use a function (def or lambda), or write a Layer with get_config"
        )
    return name, "function"


def restored(config: Mapping[str, Any], key: str, objects: Mapping[str, Any], safe_mode: bool) -> Any:
    """What a configuration holds under `key`: a function if `key`_type says so, else a plain value."""
    stored, kind = config.get(key), config.get(f"{key}_type")
    if kind == "function":
        return deserialize_keras_object(stored, {}, objects, printable_module_name=f"{key} in Lambda layer")
    if kind == "lambda":
        return _loaded(stored or "", f"layer {config.get('name')}: its {key}", config, objects, safe_mode)
    if key == "function" or kind not in ("raw", None):
        raise TypeError(f"Unknown function type: {kind}")
    return stored


def _loaded(
    stored: Any, what: str, config: Mapping[str, Any], objects: Mapping[str, Any], safe_mode: bool
) -> FunctionType:
    """The function of this process that was stored so; else one made of the bytecode, if it is trusted."""
    try:
        return func_load(stored)
    except ValueError as error:
        if safe_mode is not False:
            raise ValueError(
                f"{what} is stored as Python bytecode that this process did not write, or not with these "
                "values, and which may run anything when it is loaded. Pass "
                f"custom_objects={{{config.get('name')!r}: function}} to put one of your own in its place, "
                f"or safe_mode=False if you trust where the configuration comes from. ({error})"
            ) from error
    return func_load(stored, globs={**_seen_in_keras(), **objects}, safe_mode=False)


def _seen_in_keras() -> dict[str, Any]:
    """The names that a stored function sees in Keras 2.2.4: those of its module of core layers."""
    made = layer_classes()
    return {
        **{name: made[name] for name in _CORE_LAYERS if name in made},
        **{
            function.__name__: function
            for function in (deserialize_keras_object, func_dump, func_load, has_arg)
        },
        "InputSpec": InputSpec,
        "K": K,
        "Layer": Layer,
        "activations": activations,
        "constraints": constraints,
        "conv_utils": conv_utils,
        "copy": copy,
        "initializers": initializers,
        "np": np,
        "python_types": types,
        "regularizers": regularizers,
        "warnings": warnings,
    }


def _array(value: Any) -> Any:
    """Arrays were written as lists, with a mark."""
    if isinstance(value, dict) and value.get("type") == "ndarray":
        return np.array(value["value"])
    return value
