"""A call that fails leaves layers as they were before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symgraph.engine.base_layer import Layer


@contextmanager
def unchanged_on_error(layers: Iterable[Layer], parts: bool = True) -> Iterator[None]:
    """Give `layers` (and, with `parts`, the layers inside them) their old attributes back on an error.

    Lists and tables among the attributes are put back too, one level deep: weights, losses, nodes.
    """
    before = [(layer, _copied(vars(layer))) for layer in (with_parts(layers) if parts else layers)]
    try:
        yield
    except BaseException:
        for layer, attributes in before:
            vars(layer).clear()
            vars(layer).update(attributes)
        raise


def with_parts(layers: Iterable[Layer]) -> list[Layer]:
    """`layers` and all layers inside them, each once."""
    found: dict[int, Layer] = {}
    waiting = list(layers)
    while waiting:
        layer = waiting.pop()
        if id(layer) not in found:
            found[id(layer)] = layer
            waiting.extend(getattr(layer, "_layers", ()))
    return list(found.values())


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    copies = dict(attributes)
    for name, value in attributes.items():
        if type(value) is list:
            copies[name] = list(value)
        elif type(value) is dict:
            copies[name] = {key: list(item) if type(item) is list else item for key, item in value.items()}
    return copies


@contextmanager
def errors_named(layer_name: str) -> Iterator[None]:
    """Put the layer's name in front of a ValueError or TypeError of the block that does not mention it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        # Subclasses may have another constructor, and an error located further inside says more already.
        if (
            type(error) not in (ValueError, TypeError)
            or getattr(error, "located", False)
            or layer_name in str(error)
        ):
            raise
        text = " ".join(str(part) for part in error.args)
        located = type(error)(f"in layer {layer_name}: {text}")
        located.located = True  # type: ignore[union-attr]
        raise located from error
