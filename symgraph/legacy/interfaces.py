"""Decorators for methods that take the arguments of Keras 1 too, by the names that users' code knows.

Layers and optimizers that were written for Keras 2 wear them: `@interfaces.legacy_get_updates_support`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from symgraph.engine.layer.old_names import add_weight_arguments as legacy_add_weight_support
from symgraph.engine.training_parts.old_calls import generator_method as legacy_generator_methods_support
from symgraph.layers.legacy import batch_normalization as legacy_batchnorm_support
from symgraph.layers.legacy import conv1d as legacy_conv1d_support
from symgraph.layers.legacy import conv2d as legacy_conv2d_support
from symgraph.layers.legacy import conv2d_transpose as legacy_deconv2d_support
from symgraph.layers.legacy import conv3d as legacy_conv3d_support
from symgraph.layers.legacy import conv_lstm2d as legacy_convlstm2d_support
from symgraph.layers.legacy import cropping as legacy_cropping2d_support
from symgraph.layers.legacy import dense as legacy_dense_support
from symgraph.layers.legacy import dropout as legacy_dropout_support
from symgraph.layers.legacy import embedding as legacy_embedding_support
from symgraph.layers.legacy import function as legacy_lambda_support
from symgraph.layers.legacy import gaussian_noise as legacy_gaussiannoise_support
from symgraph.layers.legacy import global_pooling as legacy_global_pooling_support
from symgraph.layers.legacy import pooling as legacy_pooling2d_support
from symgraph.layers.legacy import pooling1d as legacy_pooling1d_support
from symgraph.layers.legacy import prelu as legacy_prelu_support
from symgraph.layers.legacy import rate_only as legacy_gaussiandropout_support
from symgraph.layers.legacy import recurrent as legacy_recurrent_support
from symgraph.layers.legacy import separable_conv2d as legacy_separable_conv2d_support
from symgraph.layers.legacy import spatial_dropout as legacy_spatialdropoutNd_support
from symgraph.layers.legacy import up_sampling as legacy_upsampling2d_support
from symgraph.layers.legacy import up_sampling1d as legacy_upsampling1d_support
from symgraph.layers.legacy import zero_padding2d as legacy_zeropadding2d_support
from symgraph.layers.legacy import zero_padding3d as legacy_zeropadding3d_support
from symgraph.optimizers.base import get_updates_arguments as legacy_get_updates_support
from symgraph.utils.old_arguments import old_arguments

__all__ = [
    "generate_legacy_interface", "generate_legacy_method_interface", "legacy_add_weight_support",
    "legacy_batchnorm_support", "legacy_conv1d_support", "legacy_conv2d_support", "legacy_conv3d_support",
    "legacy_convlstm2d_support", "legacy_cropping2d_support", "legacy_cropping3d_support",
    "legacy_deconv2d_support", "legacy_dense_support", "legacy_dropout_support", "legacy_embedding_support",
    "legacy_gaussiandropout_support", "legacy_gaussiannoise_support", "legacy_generator_methods_support",
    "legacy_get_updates_support", "legacy_global_pooling_support", "legacy_input_support",
    "legacy_lambda_support", "legacy_model_constructor_support", "legacy_pooling1d_support",
    "legacy_pooling2d_support", "legacy_pooling3d_support", "legacy_prelu_support",
    "legacy_recurrent_support", "legacy_separable_conv2d_support", "legacy_spatialdropout1d_support",
    "legacy_spatialdropoutNd_support", "legacy_upsampling1d_support", "legacy_upsampling2d_support",
    "legacy_upsampling3d_support", "legacy_zeropadding2d_support", "legacy_zeropadding3d_support",
    "raise_duplicate_arg_error",
]  # fmt: skip

legacy_pooling3d_support = legacy_pooling2d_support
legacy_upsampling3d_support = legacy_upsampling2d_support
legacy_cropping3d_support = legacy_cropping2d_support
legacy_spatialdropout1d_support = legacy_gaussiandropout_support
legacy_model_constructor_support = old_arguments({"input": "inputs", "output": "outputs"})
legacy_input_support = old_arguments({"input_dtype": "dtype"})

Preprocessor = Callable[[Any, dict[str, Any]], tuple[Sequence[Any], dict[str, Any], Sequence[Any]]]


def generate_legacy_interface(
    allowed_positional_args: Sequence[str] | None = None,
    conversions: Sequence[tuple[str, str]] | None = None,
    preprocessor: Preprocessor | None = None,
    value_conversions: Mapping[str, Mapping[Any, Any]] | None = None,
    object_type: str = "class",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator of methods that take old arguments too, and warn of them.

    Parameters
    ----------
    allowed_positional_args : sequence of str, optional
        All that may be given without its name; None: anything.
    conversions : sequence of (old name, new name), optional
    preprocessor : callable, optional
        ``(args, kwargs) -> (args, kwargs, converted)``, first of all; `self` stands first in `args`, and the
        list `converted` is empty where nothing was old.
    value_conversions : mapping, optional
        New values by the old ones, for each old name.
    object_type : {'class', 'method'}
        What Keras calls the thing in the warning; here `__init__` has the name of its class.
    """

    def rearrange(owner: str, given: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], bool]:
        found = False
        if preprocessor is not None:
            # Whom the method belongs to is handed through: preprocessors count arguments from it.
            args, named, converted = preprocessor((owner, *given), dict(kwargs))
            given, found = list(args[1:]), bool(converted)
            kwargs.clear()
            kwargs.update(named)
        for name, table in (value_conversions or {}).items():
            if isinstance(kwargs.get(name), str) and kwargs[name] in table:
                kwargs[name] = table[kwargs[name]]
        return given, found

    decorate = old_arguments(dict(conversions or ()), allowed_positional_args, None, rearrange)

    def decorated(method: Callable[..., Any]) -> Callable[..., Any]:
        translated: Any = decorate(method)
        translated._original_function = method
        return translated

    return decorated


generate_legacy_method_interface = functools.partial(generate_legacy_interface, object_type="method")


def raise_duplicate_arg_error(old_arg: str, new_arg: str) -> NoReturn:
    """TypeError for an argument that was given under both of its names."""
    raise TypeError(
        f"For the `{new_arg}` argument, the layer received both the legacy keyword argument `{old_arg}` and "
        f"the Keras 2 keyword argument `{new_arg}`. Stick to the latter!"
    )
