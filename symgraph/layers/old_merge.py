"""The one merge layer of Keras 1, with a mode, in place of `Add`, `Concatenate`, `Dot` and their like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar, Self

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.files.layer_config import deserialize
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.sequential import Sequential
from symgraph.graph.tensor import Tensor
from symgraph.layers.arguments import ConfiguredLayer
from symgraph.layers.lambda_layer import described, restored
from symgraph.layers.merge import differ
from symgraph.utils.generic_utils import has_arg
from symgraph.utils.warn_user import warn_old

_MODERN = {
    "sum": "add(inputs)",
    "mul": "multiply(inputs)",
    "concat": "concatenate(inputs, axis={concat_axis})",
    "ave": "average(inputs)",
    "cos": "dot(inputs, axes={dot_axes}, normalize=True)",
    "dot": "dot(inputs, axes={dot_axes})",
    "max": "maximum(inputs)",
}
_ELEMENTWISE = ("sum", "mul", "ave", "max")


class Merge(ConfiguredLayer):
    """Makes one tensor of several, with a warning that names the layer of today.

    Parameters
    ----------
    layers : list of Layer, optional
        Models and layers whose outputs are merged at once: the first layer of a Sequential model, which then
        has the inputs of all of them. Without it the layer is called on a list of tensors.
    mode : str or callable
        'sum', 'mul', 'ave' and 'max' (element by element, of one shape), 'concat', 'dot', 'cos', or a
        function of the list of tensors, which gets `mask` if it has a parameter of that name.
    concat_axis : int
    dot_axes : int or pair of int
        The axes to sum along. 'cos' divides the products by the lengths of the vectors along them.
    output_shape : tuple or callable, optional
        With a function: the shape of a sample, or a function of the list of shapes. By default it is read
        from the graph.
    output_mask : Tensor or callable, optional
        With a function: the mask of the output, or a function of the list of masks.
    arguments : dict, optional
        Further keywords of the function.
    node_indices, tensor_indices : list of int, optional
        Which call and which output of each of `layers` counts; default: the first.
    name : str, optional

    Raises
    ------
    ValueError, TypeError
        For an unknown mode, fewer than 2 inputs (not just 2 for 'dot' and 'cos'), or shapes that do not fit.
    """

    config_names: ClassVar[tuple[str, ...]] = ("mode", "concat_axis", "dot_axes", "arguments")
    _warns: ClassVar[bool] = True

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        mode: Any = "sum",
        concat_axis: int = -1,
        dot_axes: Any = -1,
        output_shape: Any = None,
        output_mask: Any = None,
        arguments: dict[str, Any] | None = None,
        node_indices: Sequence[int] | None = None,
        tensor_indices: Sequence[int | None] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(mode) and mode not in _MODERN:
            raise ValueError(f"Invalid merge mode: {mode!r}; expected one of {list(_MODERN)}, or a function")
        if self._warns:
            today = "Lambda(function)(inputs)" if callable(mode) else _MODERN[mode]
            today = today.format(concat_axis=concat_axis, dot_axes=dot_axes)
            warn_old(f"`merge` and `Merge` with a `mode` are gone since Keras 2; write `{today}`.")
        super().__init__(name=name, **kwargs)
        self.supports_masking = True
        self.mode = mode
        self.concat_axis = concat_axis
        self.dot_axes = dot_axes
        self.arguments = dict(arguments or {})
        self._output_shape = tuple(output_shape) if isinstance(output_shape, list) else output_shape
        self._output_mask = output_mask
        #: Whether the layer has been called on the outputs of `layers`, and may begin a Sequential model.
        self.joins_layers = layers is not None
        if layers is not None:
            self._check_count(layers, "layers")
            self(_outputs_of(layers, node_indices, tensor_indices))

    def _check_count(self, inputs: Any, what: str = "tensors") -> None:
        if not isinstance(inputs, list | tuple) or len(inputs) < 2:
            raise TypeError(f"A Merge should only be applied to a list of at least 2 {what}, got {inputs!r}")
        if self.mode in ("dot", "cos") and len(inputs) != 2:
            raise ValueError(f"{self.mode} merge takes exactly 2 {what}, got {len(inputs)}")

    def build(self, input_shape: Any) -> None:
        """Check the shapes: there are no weights."""
        self._check_count(input_shape if isinstance(input_shape, list) else [input_shape])
        shapes = [tuple(shape) for shape in input_shape]
        if self.mode in (*_ELEMENTWISE, "cos") and any(differ(shapes[0], shape) for shape in shapes[1:]):
            raise ValueError(
                f"Only layers of same output shape can be merged using {self.mode} mode. Layer shapes: "
                f"{shapes}"
            )
        if self.mode == "concat":
            self._check_concat(shapes)
        if self.mode in ("dot", "cos"):
            a, b = self._axes([len(shape) for shape in shapes])
            if differ((shapes[0][a],), (shapes[1][b],)):
                raise ValueError(
                    f"Dimension incompatibility using {self.mode} mode: {shapes[0][a]} != {shapes[1][b]}. "
                    f"Layer shapes: {shapes[0]}, {shapes[1]}"
                )
        self.built = True

    def _check_concat(self, shapes: list[Shape]) -> None:
        axis = self.concat_axis
        if not all(-len(shape) <= axis < len(shape) for shape in shapes):
            raise ValueError(f"layer {self.name}: concat_axis {axis} lies outside the shapes {shapes}")
        others = [tuple(size for i, size in enumerate(shape) if i != axis % len(shape)) for shape in shapes]
        if any(differ(others[0], other) for other in others[1:]):
            raise ValueError(
                '"concat" mode can only merge layers with matching output shapes except for the concat axis. '
                f"Layer shapes: {shapes}"
            )

    def _axes(self, ranks: Sequence[int]) -> tuple[int, int]:
        axes = self.dot_axes
        pair = [axes, axes] if isinstance(axes, int) else axes
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(a, int) for a in pair):
            raise TypeError(f"Invalid `dot_axes`: expected an integer or two of them, got {axes!r}")
        if not all(-rank <= axis < rank and axis % rank for axis, rank in zip(pair, ranks, strict=True)):
            raise ValueError(
                f"layer {self.name}: dot_axes {axes} lie outside the samples of inputs of {ranks[0]} and "
                f"{ranks[1]} dimensions"
            )
        return pair[0] % ranks[0], pair[1] % ranks[1]

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Merge."""
        self._check_count(inputs)
        if callable(self.mode):
            further = {"mask": mask} if has_arg(self.mode, "mask") else {}
            return self.mode(inputs, **self.arguments, **further)
        if self.mode == "concat":
            return K.concatenate(inputs, axis=self.concat_axis)
        if self.mode == "max":
            return reduce(K.maximum, inputs)
        if self.mode == "mul":
            return reduce(lambda a, b: a * b, inputs)
        if self.mode in ("sum", "ave"):
            total = reduce(lambda a, b: a + b, inputs)
            return total / len(inputs) if self.mode == "ave" else total
        first, second = inputs
        axes = self._axes([x.ndim for x in inputs])
        products = _dot(first, second, axes)
        if self.mode == "dot":
            return products
        lengths = K.sqrt(_dot(first, first, axes) * _dot(second, second, axes))
        return products / K.maximum(lengths, K.epsilon())

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As stated, or worked out."""
        stated = self._output_shape if callable(self.mode) else None
        if callable(stated):
            return tuple(stated(list(input_shape)))
        if stated is not None:
            return (input_shape[0][0], *stated)
        output = self.call([K.placeholder(shape=tuple(shape)) for shape in input_shape])
        return K.int_shape(output)

    def _output_shapes(self, inputs: Any, outputs: Sequence[Tensor]) -> list[Shape]:
        # The graph knows the shape already: no need to write the function's graph a second time.
        if self._output_shape is None or not callable(self.mode):
            return [K.int_shape(x) for x in outputs]
        return super()._output_shapes(inputs, outputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where all masks are ('concat': one after the other); none for 'dot' and 'cos'."""
        if mask is None or all(m is None for m in mask):
            return None
        if callable(self.mode):
            return self._output_mask(mask) if callable(self._output_mask) else self._output_mask
        if self.mode in ("dot", "cos"):
            return None
        if self.mode == "concat":
            masks = [
                K.ones_like(x, dtype="bool") if m is None else K.expand_dims(m) if m.ndim < x.ndim else m
                for x, m in zip(inputs, mask, strict=True)
            ]
            # Keras 1 joined masks of one column to those of all columns where only some inputs have one.
            return K.all(K.concatenate(masks, axis=self.concat_axis), axis=-1)
        present = [K.expand_dims(m, 0) for m in mask if m is not None]
        return K.all(K.concatenate(present, axis=0), axis=0)

    def get_config(self) -> dict[str, Any]:
        """The arguments, functions as bytecode or by their names."""
        config = super().get_config()
        for key, value in (
            ("mode", self.mode),
            ("output_shape", self._output_shape),
            ("output_mask", self._output_mask),
        ):
            config[key], config[f"{key}_type"] = (
                described(value, self.name) if callable(value) else (value, "raw")
            )
        return config

    def _copy(self) -> Self:
        config = ConfiguredLayer.get_config(self)
        return type(self)(output_shape=self._output_shape, output_mask=self._output_mask, **config)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make the layer from its configuration; in a Sequential model of Keras 1 it holds the merged layers.

        Parameters
        ----------
        config : dict
        custom_objects : mapping, optional
            Functions by name. One under the layer's own name takes the place of a stored `mode`.
        safe_mode : bool
            Only an explicit False loads functions that are stored as bytecode.
        """
        given = dict(config)
        objects = dict(custom_objects or {})
        keys = ("mode", "output_shape", "output_mask")
        functions = {key: objects.get(str(given.get("name"))) if key == "mode" else None for key in keys}
        for key in keys:
            if functions[key] is None:
                functions[key] = restored(given, key, objects, safe_mode)
            for ending in ("", "_type"):
                given.pop(key + ending, None)
        if given.get("layers") is not None:
            given["layers"] = _Branches(custom_objects, safe_mode)(given["layers"])
        made: Any = {**functions, **given}
        return cls(**made)


class _PartOfGraph(Merge):
    """What `Graph`, which has warned, merges inputs with."""

    _warns: ClassVar[bool] = False


def merged(inputs: Sequence[Tensor], mode: Any, concat_axis: int, dot_axes: Any, name: str) -> Tensor:
    """One tensor of several, without a warning; parameters as of `Merge`."""
    output: Tensor = _PartOfGraph(None, mode, concat_axis, dot_axes, name=name)(list(inputs))
    return output


def merge(
    inputs: Sequence[Tensor],
    mode: Any = "sum",
    concat_axis: int = -1,
    dot_axes: Any = -1,
    output_shape: Any = None,
    output_mask: Any = None,
    arguments: dict[str, Any] | None = None,
    name: str | None = None,
) -> Any:
    """One tensor of several, with a warning; parameters as of `Merge`."""
    layer = Merge(None, mode, concat_axis, dot_axes, output_shape, output_mask, arguments, name=name)
    return layer(list(inputs) if isinstance(inputs, tuple) else inputs)


def _outputs_of(
    layers: Sequence[Layer], node_indices: Sequence[int] | None, tensor_indices: Sequence[int | None] | None
) -> list[Tensor]:
    """The output of each layer, of the call and the place that the indices tell."""
    found = []
    for place, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"Merge: expected layers and models, got {layer!r}; call `merge` on tensors")
        outputs = layer.get_output_at(node_indices[place] if node_indices else 0)
        if isinstance(outputs, list):
            which = tensor_indices[place] if tensor_indices else None
            if which is None:
                raise ValueError(
                    f"Merge: {layer.name} has {len(outputs)} outputs; `tensor_indices` tells which one counts"
                )
            outputs = outputs[which]
        found.append(outputs)
    return found


class _Branches:
    """Makes the layers that a stored `Merge` holds. What is described twice in the same way is one layer."""

    def __init__(self, custom_objects: Mapping[str, Any] | None, safe_mode: bool) -> None:
        self._objects, self._safe_mode = custom_objects, safe_mode
        self._made: list[tuple[Any, Any]] = []

    def __call__(self, entries: Sequence[Any]) -> list[Any]:
        return [self._layer(entry) for entry in entries]

    def _layer(self, entry: Any) -> Any:
        for known, layer in self._made:
            if known == entry:
                return layer
        inside = entry.get("config") if isinstance(entry, dict) else None
        parts: Any = inside.get("layers") if isinstance(inside, dict) else inside
        nested = isinstance(parts, list) and parts and isinstance(parts[0], dict) and _joins(parts[0])
        if nested and entry.get("class_name") == "Sequential":
            layer = Sequential(name=inside.get("name") if isinstance(inside, dict) else None)
            joined = {**parts[0]["config"], "layers": self(parts[0]["config"]["layers"])}
            for part in [{"class_name": "Merge", "config": joined}, *parts[1:]]:
                layer.add(self._plain(part))
        else:
            layer = self._plain(entry)
        self._made.append((entry, layer))
        return layer

    def _plain(self, entry: Any) -> Any:
        if isinstance(entry, Layer):
            return entry
        return deserialize(entry, self._objects, safe_mode=self._safe_mode)


def _joins(entry: Mapping[str, Any]) -> bool:
    """Whether a layer's description is that of a `Merge` with the layers that it merges."""
    config = entry.get("config")
    return entry.get("class_name") == "Merge" and isinstance(config, dict) and bool(config.get("layers"))


def _dot(first: Tensor, second: Tensor, axes: tuple[int, int]) -> Tensor:
    """Products summed along one axis each, sample by sample: (batch, the other axes of both)."""
    rows, columns = _with_last(first, axes[0]), _with_last(second, axes[1])
    flat = [K.reshape(x, (x.shape[0], -1, x.shape[-1])) for x in (rows, columns)]
    products = K.batch_dot(flat[0], flat[1], axes=(2, 2))
    kept = [*rows.shape[1:-1], *columns.shape[1:-1]]
    return K.reshape(products, (products.shape[0], *(kept or [1])))


def _with_last(x: Tensor, axis: int) -> Tensor:
    """`x` with an axis moved to the end."""
    if axis == x.ndim - 1:
        return x
    return K.permute_dimensions(x, [*(a for a in range(x.ndim) if a != axis), axis])
