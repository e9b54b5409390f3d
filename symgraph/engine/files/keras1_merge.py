"""The `Merge` layer of Keras 0.3 and 1 as layers of Keras 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Config: TypeAlias = dict[str, Any]
Joint: TypeAlias = list[Any]

_PLAIN = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}
_CODE = ("output_shape", "output_shape_type", "arguments")


def merge_layers(name: str, config: Config, calls: Sequence[Any], cosines_have_an_axis: bool) -> list[Config]:
    """What stands for a `Merge` in a functional model: the last layer has its name, and makes its output.

    Parameters
    ----------
    name : str
    config : dict
        With `mode`, and what the mode takes.
    calls : list
        The `inbound_nodes`.
    cosines_have_an_axis : bool
        Keras 1 gave cosines the shape (samples, 1, 1), Keras 0.3 (samples, 1).

    Raises
    ------
    ValueError
        If the mode is unknown.
    """
    mode, kind = config.get("mode", "sum"), config.get("mode_type", "raw")
    common = {"name": name, "trainable": config.get("trainable", True)}
    if kind in ("lambda", "function"):
        code = {"function": mode, "function_type": kind, **{k: config[k] for k in _CODE if k in config}}
        return [_layer("Lambda", {**common, **code}, calls)]
    if mode in _PLAIN:
        return [_layer(_PLAIN[mode], common, calls)]
    if mode == "concat":
        return [_layer("Concatenate", {**common, "axis": config.get("concat_axis", -1)}, calls)]
    if mode in ("dot", "cos"):
        product = {"axes": _axes(config.get("dot_axes", -1)), "normalize": mode == "cos"}
        if mode == "dot" or not cosines_have_an_axis:
            return [_layer("Dot", {**common, **product}, calls)]
        first = _layer("Dot", {**common, **product, "name": f"{name}_dot"}, calls)
        again = [[[first["name"], index, 0, {}]] for index in range(len(calls))]
        return [first, _layer("Reshape", {**common, "target_shape": [1, 1]}, again)]
    raise ValueError(
        f"layer {name}: expected the mode of a Merge to be sum, mul, ave, max, concat, dot, cos or a "
        f"function, got {mode!r:.80}"
    )


def _axes(axes: Any) -> Any:
    """The axes of a product: Keras 0.3 wrote a list for each side."""
    if isinstance(axes, list | tuple):
        return [side[0] if isinstance(side, list | tuple) and len(side) == 1 else side for side in axes]
    return axes


def _layer(class_name: str, config: Config, calls: Sequence[Any]) -> Config:
    return {"name": config["name"], "class_name": class_name, "config": config, "inbound_nodes": list(calls)}
