"""The arguments that layers had in Keras 1, one decorator of `__init__` for each kind of layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.layers.old_weights import joined_gates, kernels_of_keras_1, sequences_of_keras_1
from symgraph.utils.old_arguments import LAYOUTS, Keywords, Positional, Rearrange, old_arguments

_LAYOUT = {"dim_ordering": LAYOUTS}
_BIAS = {"b_regularizer": "bias_regularizer", "b_constraint": "bias_constraint", "bias": "use_bias"}
_KERNEL = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "W_constraint": "kernel_constraint",
    **_BIAS,
}
_PICTURE = {"dim_ordering": "data_format"}
_WINDOWS = {"nb_filter": "filters", "subsample": "strides", "border_mode": "padding", **_PICTURE}
_GATES = {
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}

_FORGET_BIASES = {"one": True, "ones": True, "zero": False, "zeros": False}
_TWO_MEANINGS = (
    "It seems that you are using the Keras 2 and you are passing both `kernel_size` and `strides` as integer "
    "positional arguments. For safety reasons, this is disallowed. Pass `strides` as a keyword argument "
    "instead."
)


def input_shape_from_sizes(kwargs: Keywords) -> bool:
    """Replace the keywords `input_dim` and `input_length` by `input_shape`; whether there were any."""
    if kwargs.get("input_dim") is None:
        kwargs.pop("input_dim", None)
        return False
    kwargs["input_shape"] = (kwargs.pop("input_length", None), kwargs.pop("input_dim"))
    return True


def _sequence(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    return args, input_shape_from_sizes(kwargs)


def _recurrent(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    joined_gates(owner, kwargs)
    return args, any([_forget_bias(owner, kwargs), input_shape_from_sizes(kwargs)])


def _forget_bias(owner: str, kwargs: Keywords) -> bool:
    """Translate `forget_bias_init`; whether there was one. ValueError for anything but ones and zeros."""
    if "forget_bias_init" not in kwargs:
        return False
    given = kwargs.pop("forget_bias_init")
    name = getattr(given, "__name__", given)
    if name not in _FORGET_BIASES:
        raise ValueError(
            f"{owner}: `forget_bias_init` can only be 'one' or 'zero', got {given!r}; a `bias_initializer` "
            "makes the biases of all gates"
        )
    kwargs["unit_forget_bias"] = _FORGET_BIASES[name]
    return True


def _kernel_size(names: Sequence[str]) -> Rearrange:
    """Puts sizes of single axes, by position or under `names`, together to `kernel_size`."""
    rank = len(names)

    def rearrange(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
        if len(args) > rank + 1:
            raise TypeError(f"Layer can receive at most {rank + 1} positional arguments.")
        sizes = args[1:]
        if not all(isinstance(size, int) for size in sizes):
            return args, False
        if len(sizes) == 2 and any(name in kwargs for name in ("padding", "strides", "data_format")):
            raise ValueError(_TWO_MEANINGS)
        if not all(name in kwargs for name in names[len(sizes) :]):
            return args, False
        kernel_size = (*sizes, *(kwargs.pop(name) for name in names[len(sizes) :]))
        if args:
            return [args[0], kernel_size], True
        kwargs["kernel_size"] = kernel_size
        return args, True

    return rearrange


_SIZES = ("nb_row", "nb_col")
_DEPTHS = ("kernel_dim1", "kernel_dim2", "kernel_dim3")
_rows_and_columns = _kernel_size(_SIZES)
_three_sizes = _kernel_size(_DEPTHS)


def _transposed(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    """`output_shape`: the layer works it out now, but for what it has to add at the ends."""
    stated = kwargs.pop("output_shape", None)
    if len(args) == 4 and isinstance(args[3], tuple | list):
        args, stated = args[:3], args[3]
    args, found = _rows_and_columns(owner, args, kwargs)
    if stated is not None:
        kwargs["_output_shape"] = tuple(stated)
    return args, found or stated is not None


def _separable(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    found = "init" in kwargs
    if found:
        kwargs["depthwise_initializer"] = kwargs["pointwise_initializer"] = kwargs.pop("init")
    args, more = _rows_and_columns(owner, args, kwargs)
    return args, found or more


def _recurrent_pictures(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    found = _forget_bias(owner, kwargs)
    args, more = _rows_and_columns(owner, args, kwargs)
    return args, found or more


def _embedding(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    if "dropout" not in kwargs:
        return args, False
    kwargs["_dropout"] = kwargs.pop("dropout")
    return args, True


def _normalization(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    if args:
        raise TypeError(
            "The `BatchNormalization` layer does not accept positional arguments. Use keyword arguments "
            "instead."
        )
    if "mode" not in kwargs:
        return args, False
    mode = kwargs.pop("mode")
    if mode not in (0, 1, 2):
        raise ValueError(f"BatchNormalization: the `mode` of Keras 1 is 0, 1 or 2, got {mode!r}")
    if mode:
        kwargs["_mode"] = mode
    return args, True


_SIDES = ("top_pad", "bottom_pad", "left_pad", "right_pad")


def _padded_pictures(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    padding = args[0] if len(args) == 1 else kwargs.get("padding")
    if not isinstance(padding, dict) or not padding.keys() <= set(_SIDES):
        return args, False
    top, bottom, left, right = (padding.get(side, 0) for side in _SIDES)
    sides: Any = ((top, bottom), (left, right))
    if args:
        return [sides], True
    kwargs["padding"] = sides
    return args, True


dense = old_arguments({"output_dim": "units", **_KERNEL}, ("units",))
dropout = old_arguments({"p": "rate"}, ("rate", "noise_shape", "seed"))
rate_only = old_arguments({"p": "rate"}, ("rate",))
spatial_dropout = old_arguments({"p": "rate", **_PICTURE}, ("rate",), _LAYOUT)
gaussian_noise = old_arguments({"sigma": "stddev"}, ("stddev",))
prelu = old_arguments({"init": "alpha_initializer"}, ("alpha_initializer",))
function = old_arguments(positional=("function", "output_shape"))
embedding = old_arguments(
    {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    ("input_dim", "output_dim"),
    rearrange=_embedding,
    taken=("dropout",),
)
batch_normalization = old_arguments(
    {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    (),
    rearrange=_normalization,
    taken=("mode",),
)
recurrent = old_arguments(
    {"output_dim": "units", **_GATES, "consume_less": "implementation"},
    ("units",),
    {"consume_less": {"cpu": 0, "mem": 1, "gpu": 2}},
    _recurrent,
    taken=("forget_bias_init",),
)
pooling1d = old_arguments(
    {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"},
    ("pool_size", "strides", "padding"),
)
pooling = old_arguments({"border_mode": "padding", **_PICTURE}, ("pool_size", "strides", "padding"), _LAYOUT)
global_pooling = old_arguments(_PICTURE, values=_LAYOUT)
up_sampling1d = old_arguments({"length": "size"}, ("size",))
up_sampling = old_arguments(_PICTURE, ("size",), _LAYOUT)
zero_padding2d = old_arguments(_PICTURE, ("padding",), _LAYOUT, _padded_pictures)
zero_padding3d = old_arguments(_PICTURE, ("padding",), _LAYOUT)
cropping = old_arguments(_PICTURE, ("cropping",), _LAYOUT)

_MARKS = (*_WINDOWS, *_KERNEL)
_pictures = kernels_of_keras_1(_rows_and_columns, _MARKS, (2, 3, 1, 0))
_transposed_pictures = kernels_of_keras_1(_transposed, _MARKS, (2, 3, 0, 1), (0, 1, 3, 2))
_volumes = kernels_of_keras_1(_three_sizes, _MARKS, (2, 3, 4, 1, 0))

_FILTERS = ("filters", "kernel_size")
_DILATED = {"atrous_rate": "dilation_rate"}

conv1d = old_arguments(
    {
        "nb_filter": "filters",
        "filter_length": "kernel_size",
        "subsample_length": "strides",
        "border_mode": "padding",
        **_DILATED,
        **_KERNEL,
    },
    _FILTERS,
    rearrange=sequences_of_keras_1(_sequence, ("nb_filter", "filter_length", "border_mode", *_KERNEL)),
)
conv2d = old_arguments({**_WINDOWS, **_KERNEL, **_DILATED}, _FILTERS, _LAYOUT, _pictures, taken=_SIZES)
conv2d_transpose = old_arguments(
    {**_WINDOWS, **_KERNEL}, _FILTERS, _LAYOUT, _transposed_pictures, taken=(*_SIZES, "output_shape")
)
conv3d = old_arguments({**_WINDOWS, **_KERNEL}, _FILTERS, _LAYOUT, _volumes, taken=_DEPTHS)
separable_conv2d = old_arguments(
    {**_WINDOWS, **_BIAS}, _FILTERS, _LAYOUT, _separable, taken=(*_SIZES, "init")
)
conv_lstm2d = old_arguments(
    {**_WINDOWS, **_GATES, "bias": "use_bias"},
    _FILTERS,
    _LAYOUT,
    _recurrent_pictures,
    taken=(*_SIZES, "forget_bias_init"),
)
