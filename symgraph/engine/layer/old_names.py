"""What layers were asked for, and what users' own layers said, in Keras 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symgraph import backend as K
from symgraph.graph.leaves import Variable
from symgraph.utils.old_arguments import Keywords, Positional, old_arguments
from symgraph.utils.warn_user import warn_old

# Attributes of layers that have another name now.
_ATTRIBUTES = {
    "W": "kernel",
    "U": "recurrent_kernel",
    "b": "bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "inbound_nodes": "_inbound_nodes",
    "nb_filter": "filters",
    "outbound_nodes": "_outbound_nodes",
    "output_dim": "units",
    "p": "rate",
    "subsample": "strides",
}
_LAYOUTS = {"channels_last": "tf", "channels_first": "th"}


class OldNames:
    """Gives a layer the names of Keras 1, and obeys what a subclass of that time defines.

    That is `get_output_shape_for` in place of `compute_output_shape`, and lists `regularizers` and a dict
    `constraints` of weights that `build` sets.
    """

    name: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "get_output_shape_for" in vars(cls) and "compute_output_shape" not in vars(cls):
            warn_old(
                f"{cls.__name__}: `get_output_shape_for` is called `compute_output_shape` since Keras 2."
            )
            cls.compute_output_shape = _OldShape()  # type: ignore[attr-defined]

    # For a type checker, every attribute would exist.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            new = _ATTRIBUTES.get(name)
            found = None if new is None else getattr(self, new, None)
            if new is None or found is None:
                # Not here: or a property that failed, whose own error tells more.
                return object.__getattribute__(self, name)
            if name in ("W", "U") and vars(self).get("data_format") == "channels_first":
                raise AttributeError(
                    f"layer {vars(self).get('name')}: `{name}` of Keras 1 was (filters, channels, ...); use "
                    f"`{new}`, which is (..., channels, filters) in every layout"
                )
            warn_old(f"`{type(self).__name__}.{name}` is called `{new.removeprefix('_')}` since Keras 2.")
            return _LAYOUTS.get(found, found) if name == "dim_ordering" else found

    def get_output_shape_for(self, input_shape: Any) -> Any:
        """`compute_output_shape`, with a warning."""
        warn_old("`get_output_shape_for` is called `compute_output_shape` since Keras 2.")
        # A subclass whose own method stands for both calls this one by `super()`.
        methods = (vars(cls).get("compute_output_shape") for cls in type(self).__mro__)
        own = next(m for m in methods if m is not None and not isinstance(m, _OldShape))
        return own(self, input_shape)

    def _obey_lists(self) -> None:
        """Apply what `build` put into `regularizers` and `constraints`."""
        for regularizer in vars(self).get("regularizers") or ():
            weight = getattr(regularizer, "_param", None)
            if weight is not None:
                self.add_loss(regularizer(weight))  # type: ignore[attr-defined]
        for weight, constraint in dict(vars(self).get("constraints") or {}).items():
            weight.constraint = constraint


class _OldShape:
    """`compute_output_shape` of a class that says it by `get_output_shape_for`."""

    def __get__(self, layer: Any, owner: Any) -> Any:
        return owner.get_output_shape_for if layer is None else layer.get_output_shape_for


def value_of(made: Any) -> Any:
    """What an initialization made: Keras 1's return variables."""
    if isinstance(made, Variable):
        return K.get_value(made)
    return K.eval(made) if K.is_tensor(made) else made


_INITIALIZATIONS = (
    "uniform", "normal", "lecun_uniform", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform",
    "orthogonal", "identity", "zero", "one",
)  # fmt: skip


def _old_order(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    """`add_weight(shape, initializer, name)` of Keras 1.2, `add_weight(shape, name)` of 2.0."""
    if not args or not isinstance(args[0], tuple | list):
        found = not args and "shape" in kwargs and "name" not in kwargs
        if found:
            kwargs["name"] = "weight"
        return args, found
    shape, *rest = args
    kwargs["shape"] = shape
    names = ["initializer", "name", "trainable", "regularizer", "constraint"]
    if rest and "initializer" not in kwargs and not (isinstance(rest[0], str) and _is_name(rest[0], kwargs)):
        for name, value in zip(names, rest, strict=False):
            kwargs[name] = value
        rest = rest[len(names) :]
    elif rest and isinstance(rest[0], str):
        kwargs["name"], *rest = rest
    kwargs.setdefault("name", "weight")
    return rest, True


def _is_name(text: str, kwargs: Keywords) -> bool:
    """Whether a second argument that is a string names the weight, and not an initialization."""
    return "name" not in kwargs and text not in _INITIALIZATIONS


add_weight_arguments = old_arguments(positional=("name", "shape"), rearrange=_old_order)
